import {
  type ConfChange,
  decodeConfChange,
  type Entry,
  type Message,
  type Raft,
} from '../raft/raft.ts'
import { routedWrite } from './formats.ts'
import type { Applier } from './ports.ts'

/** A storage message whose entries are on their way through the databases. */
interface Work {
  readonly lastIndex: number
  readonly entries: readonly Entry[]
  readonly responses: readonly Message[]
}

export interface ApplyingOptions {
  readonly raft: Raft
  readonly applier: Applier
  /** Configuration changes up to here are in the core already. */
  readonly confIndex: number
  readonly confChange: (change: ConfChange) => void
}

/**
 * Committed entries between the core and the databases. A configuration change takes effect when
 * it is applied (not when it is appended: etcd #7625 has the argument), and once only: after a
 * restart the databases may be ahead of what the core hands out again.
 */
export class Applying {
  readonly #options: ApplyingOptions
  readonly #works: Work[] = []
  #confIndex: number

  constructor(options: ApplyingOptions) {
    this.#options = options
    this.#confIndex = options.confIndex
  }

  push(message: Message): void {
    const { entries, responses } = message
    const lastIndex = entries.at(-1)?.index ?? 0
    this.#works.push({ lastIndex, entries, responses })
    this.#options.applier.apply(entries)
  }

  /** Everything up to `index` is in the databases. */
  applied(index: number): void {
    for (;;) {
      const work = this.#works[0]
      if (work === undefined || work.lastIndex > index) return
      this.#works.shift()
      for (const entry of work.entries) if (entry.type !== 'normal') this.#confChange(entry)
      for (const response of work.responses) this.#options.raft.step(response)
    }
  }

  /** A snapshot brought everything up to `confIndex`. */
  installed(confIndex: number): void {
    this.#confIndex = confIndex
  }

  /** The first entry after `applied` that the databases have not taken in; null for none. */
  oldestAfter(applied: number): Entry | null {
    return this.#works[0]?.entries.find(({ index }) => index > applied) ?? null
  }

  /** The index of a committed command that is not applied yet, 0 if there is none. */
  indexOf(origin: string, database: string, sequence: number): number {
    for (const { entries } of this.#works) {
      for (const { index, type, data } of entries) {
        if (type !== 'normal' || data.length === 0) continue
        const header = routedWrite(data)
        if (header === null) continue
        const isIt = header.database === database && header.sequence === sequence && !header.isTried
        if (isIt && header.origin === origin) return index
      }
    }
    return 0
  }

  #confChange(entry: Entry): void {
    if (entry.index <= this.#confIndex) return
    this.#confIndex = entry.index
    const change = decodeConfChange(entry.data)
    if (change !== null) this.#options.confChange(change)
  }
}
