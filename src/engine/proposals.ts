import type { Clock, Random } from '../base/ports.ts'
import {
  commandKind,
  decodeWriteHeader,
  isSequenced,
  patchEnvironment,
} from '../command/command.ts'
import type { MemberId, Raft } from '../raft/raft.ts'
import type { Refusal } from './wire.ts'

/** Sequences of so many origins and databases are remembered; beyond, all are asked anew. */
const EXPECTED_MAX = 16_384

export interface ProposalsOptions {
  readonly raft: Pick<Raft, 'propose'>
  readonly clock: Clock
  readonly random: Random
  /** Tells the origin's engine, this node's included, from where to send again. */
  readonly refuse: (to: MemberId, refusal: Refusal) => void
  /** A write as it goes into the log, once it is frozen. */
  readonly pack: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>
  /** A transaction that was tried is on its way into the log. */
  readonly tried: (database: string, key: string) => void
}

/** A command that waits until no transaction is tried on its database any more. */
interface Held {
  readonly from: MemberId
  readonly origin: string
  readonly bytes: Uint8Array
  readonly isRestart: boolean
}

interface Gathered {
  readonly from: MemberId
  readonly bytes: Uint8Array
  /** null for control commands, which their owners repeat until they are applied. */
  readonly slot: (Refusal & { readonly key: string }) | null
}

/** What the leader wants next of one origin and database in its term. */
interface Expected {
  sequence: number
  /** Told once: what is on its way meanwhile is dropped without a word. */
  isRefused: boolean
}

/**
 * The leader's side of a write: everything that arrived in one turn is frozen and proposed at
 * once. It takes an origin's commands only without gaps, because apply would take what follows a
 * gap for nothing: whatever else comes, the origin is told from where to send again.
 */
export class Proposals {
  readonly #options: ProposalsOptions
  readonly #expected = new Map<string, Expected>()
  #lastWallMs = 0
  #gathered: Gathered[] = []
  /** By database: the write gates that are closed, and what waits at them in order. */
  readonly #gates = new Map<string, Held[]>()
  /** Commands taken into this node's log since the start. */
  count = 0

  constructor(options: ProposalsOptions) {
    this.#options = options
  }

  /** Another term: what was proposed in the last one may be lost. */
  reset(): void {
    this.#expected.clear()
    this.#gathered = []
    this.#gates.clear()
  }

  /** Holds back the writes of a database, but for transactions that were tried. */
  closeGate(database: string): void {
    if (!this.#gates.has(database)) this.#gates.set(database, [])
  }

  openGate(database: string): void {
    const held = this.#gates.get(database) ?? []
    this.#gates.delete(database)
    for (const { from, bytes, isRestart } of held) this.gather(from, bytes, isRestart)
  }

  /**
   * Takes a command for this turn's proposal; its bytes are ours to change from here on. After
   * `isRestart` the origin goes on from this command, whatever was expected.
   *
   * @throws DecodeError, or ColmenaError ERR_UNSUPPORTED_FORMAT, for what is no command.
   */
  gather(from: MemberId, bytes: Uint8Array, isRestart: boolean): void {
    if (!isSequenced(commandKind(bytes))) {
      this.#gathered.push({ from, bytes, slot: null })
      return
    }
    const { origin, database, sequence, isTried } = decodeWriteHeader(bytes)
    if (isTried) {
      this.#gathered.push({ from, bytes: this.#pack(bytes), slot: null })
      this.#options.tried(database, trialKey(origin, sequence))
      return
    }
    const held = this.#gates.get(database)
    if (held !== undefined) {
      // It begins again from there: what it sent before it will send again.
      const kept = isRestart ? held.filter((other) => other.origin !== origin) : held
      this.#gates.set(database, [...kept, { from, origin, bytes, isRestart }])
      return
    }
    const key = `${origin}/${database}`
    const expected = this.#expectation(key)
    if (isRestart) {
      expected.sequence = sequence
      expected.isRefused = false
    }
    if (sequence === expected.sequence) {
      expected.sequence += 1
      expected.isRefused = false
      this.#freeze(bytes)
      const slot = { key, database, sequence }
      this.#gathered.push({ from, bytes: this.#pack(bytes), slot })
    } else if (sequence > expected.sequence) {
      this.#refuse(from, expected, database)
    }
    // Lower: this term's log has it already.
  }

  /**
   * Proposes what was gathered, all or nothing. A full log takes nothing, and where writes are
   * stopped it takes what the cluster itself has to say.
   */
  flush(isLogFull = false, areWritesStopped = false): void {
    if (this.#gathered.length === 0) return
    const isTaken = ({ bytes }: Gathered): boolean =>
      !isLogFull && !(areWritesStopped && commandKind(bytes) === 'write')
    const taken = this.#gathered.filter(isTaken)
    const refused = this.#gathered.filter((gathered) => !isTaken(gathered))
    this.#gathered = []
    const datas = taken.map(({ bytes }) => bytes)
    if (datas.length > 0 && this.#options.raft.propose(datas) === 'ok') this.count += datas.length
    else refused.unshift(...taken)
    for (const { from, slot } of refused) {
      if (slot === null) continue
      const expected = this.#expectation(slot.key)
      if (expected.isRefused) continue
      expected.sequence = slot.sequence
      this.#refuse(from, expected, slot.database)
    }
  }

  #expectation(key: string): Expected {
    let expected = this.#expected.get(key)
    if (expected === undefined) {
      if (this.#expected.size >= EXPECTED_MAX) this.#expected.clear()
      expected = { sequence: 0, isRefused: false }
      this.#expected.set(key, expected)
    }
    return expected
  }

  #refuse(from: MemberId, expected: Expected, database: string): void {
    if (expected.isRefused) return
    expected.isRefused = true
    this.#options.refuse(from, { database, sequence: expected.sequence })
  }

  #pack(bytes: Uint8Array): Uint8Array {
    return this.#options.pack(bytes as Uint8Array<ArrayBuffer>)
  }

  /** Frozen time never goes back from entry to entry; apply holds the rule across leaders. */
  #freeze(bytes: Uint8Array): void {
    const { clock, random } = this.#options
    this.#lastWallMs = Math.max(this.#lastWallMs, Math.floor(clock.wallMs()))
    patchEnvironment(bytes, {
      wallMs: this.#lastWallMs,
      seedHigh: random.u32(),
      seedLow: random.u32(),
    })
  }
}

/** What names a transaction in all the cluster. */
export function trialKey(origin: string, number: number): string {
  return `${origin}/${number}`
}
