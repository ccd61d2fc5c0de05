import type { Table } from './comparing-wire.ts'
import type { Verdict } from './judging.ts'

/** What voters differ in without a majority, so that nobody can tell who is wrong. */
interface Doubt {
  readonly kind: Table['kind']
  readonly database: string
  readonly index: number
}

/**
 * The doubts for which writes stop. One is over once a majority agrees, by the means by which it
 * was raised: equal digests say nothing of content that differed before.
 */
export class Doubts {
  readonly #doubts = new Map<string, Doubt>()

  /** Null where there are none. */
  get reason(): string | null {
    const [first] = this.#doubts.values()
    if (first === undefined) return null
    const { kind, database, index } = first
    const after = kind === 'content' ? ', and verify() after it' : ''
    return (
      `the voters differ in database '${nameOf(database)}' at entry ${index}, and none of them ` +
      `has a majority: call reinstall() on the node whose databases are wrong${after}`
    )
  }

  judged({ kind, index, rows }: Table, verdict: Pick<Verdict, 'agreed' | 'undecided'>): void {
    const known = new Set([...rows.values()].flatMap((held) => [...held.keys()]))
    const agreed = new Set(verdict.agreed)
    for (const [key, doubt] of this.#doubts) {
      if (doubt.kind !== kind) continue
      const isDropped = known.size > 0 && !known.has(doubt.database)
      if (isDropped || agreed.has(doubt.database)) this.#doubts.delete(key)
    }
    for (const database of verdict.undecided) {
      const key = `${kind} ${database}`
      if (!this.#doubts.has(key)) this.#doubts.set(key, { kind, database, index })
    }
  }
}

/** Members call a database by name and birth; people by its name. */
export function nameOf(database: string): string {
  return database.slice(0, database.lastIndexOf('@'))
}
