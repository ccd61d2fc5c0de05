import type { SharedState } from '../../src/base/shared-state.ts'
import {
  decodeTrialAnswer,
  patchEnvironment,
  type Statement,
  type TrialAnswer,
  type UnitResult,
  WriteEncoder,
} from '../../src/command/command.ts'
import type { EngineRequest, EngineToUser, UserToEngine } from '../../src/engine/engine.ts'
import { OwnLeadership } from '../../src/node/own-leadership.ts'
import type { MachineClock } from './machine-clock.ts'
import type { OwnAnswer } from './storage.ts'

export interface UserOptions {
  readonly origin: string
  readonly toEngine: (message: UserToEngine) => void
  readonly electionTimeoutMs: number
  readonly clock: MachineClock
  readonly shared: SharedState
}

/** What a command came to; of one that is `null` nobody will ever know here. */
export type Outcome = { readonly index: number; readonly unit: UnitResult } | 'rejected'

/** It reads, and what it writes follows from that. */
export interface TransactionPlan {
  readonly database: string
  readonly look: Statement
  /** `rows`: what the look saw. Null: nothing is written, and the transaction is left alone. */
  readonly write: (rows: readonly (readonly unknown[])[]) => readonly Statement[]
}

type Settled = (outcome: Outcome) => void

/** As many unanswered writes as a node lets out at once, and some more. */
const PENDING_MAX = 16

/** The user's thread of one simulated process: what it asks for, and what it hears of that. */
export class SimulatedUser {
  readonly #options: UserOptions
  readonly #sequences = new Map<string, number>()
  /** By database and sequence. */
  readonly #pending = new Map<string, Settled>()
  readonly #commits = new Map<number, Settled>()
  readonly #reads = new Map<number, (index: number) => void>()
  readonly #replies = new Map<number, (value: unknown) => void>()
  #nextId = 1
  #nextTransaction = 1

  constructor(options: UserOptions) {
    this.#options = options
  }

  /** Writes, in one unit. False if too much is under way. */
  write(database: string, statements: readonly Statement[], settled: Settled): boolean {
    if (this.#pending.size >= PENDING_MAX) return false
    const { origin, toEngine } = this.#options
    const sequence = (this.#sequences.get(database) ?? 0) + 1
    this.#sequences.set(database, sequence)
    this.#pending.set(`${database}/${sequence}`, settled)
    const encoder = new WriteEncoder()
    encoder.add({ statements })
    const bytes = encoder.finish({ origin, database, sequence })
    toEngine({ kind: 'write', database, sequence, bytes })
    return true
  }

  /**
   * An interactive transaction: the leader tries its statements, and then it goes into the log.
   * `began` is told what it will do, before it can take effect.
   */
  transact(plan: TransactionPlan, began: (rows: Rows) => void, settled: Settled): void {
    const number = this.#nextTransaction
    this.#nextTransaction += 1
    const { database, look, write } = plan
    const end = (): void => {
      this.#request({ method: 'endTrial', database, number }, () => {})
      settled('rejected')
    }
    this.#try(database, number, [look], true, (first) => {
      const [looked] = first?.tried ?? []
      if (first === null || !looked?.result.ok) return end()
      const rows = looked.result.statements[0]?.rows ?? []
      const statements = write(rows)
      this.#try(database, number, statements, false, (second) => {
        const results = second?.tried.map(({ result }) => result) ?? []
        if (second === null || !results.every(({ ok }) => ok)) return end()
        began(rows)
        const outcomes = results.map((result) =>
          result.ok ? (result.statements[0]?.rowsAffected ?? 0) : null,
        )
        this.#commit(database, number, statements, { first, outcomes }, settled)
      })
    })
  }

  /** Asks for a read; `done` gets the index that the answer would be read at. */
  read(level: 'weak' | 'strong', done: (index: number) => void): void {
    const id = this.#newId()
    this.#reads.set(id, done)
    this.#options.toEngine({ kind: 'read', id, level })
  }

  /** Whether this process leads, as the user's thread may tell without its engine. */
  leadership(): OwnLeadership {
    const { shared, electionTimeoutMs, clock } = this.#options
    return new OwnLeadership({
      shared,
      electionTimeoutMs,
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
    })
  }

  heard(message: EngineToUser): void {
    switch (message.kind) {
      case 'readAnswer': {
        const done = take(this.#reads, message.id)
        if (message.error === null) done?.(message.index)
        break
      }
      case 'reply':
        take(this.#replies, message.id)?.(message.error === null ? message.value : null)
        break
      case 'rejected':
        for (let sequence = message.from; sequence <= message.to; sequence += 1) {
          take(this.#pending, `${message.database}/${sequence}`)?.('rejected')
        }
        break
      case 'commitRejected':
        this.#settleCommit(message.number, 'rejected')
        break
      default:
        break
    }
  }

  answered({ database, sequence, isTried, index, units }: OwnAnswer): void {
    const [unit] = units
    if (unit === undefined) return
    if (isTried) this.#settleCommit(sequence, { index, unit })
    else take(this.#pending, `${database}/${sequence}`)?.({ index, unit })
  }

  /** A snapshot brought what these came to, and not how. */
  resultsLost(sequences: ReadonlyMap<string, number>): void {
    for (const key of this.#pending.keys()) {
      const at = key.lastIndexOf('/')
      if (Number(key.slice(at + 1)) <= (sequences.get(key.slice(0, at)) ?? 0)) {
        this.#pending.delete(key)
      }
    }
    this.#commits.clear()
  }

  #try(
    database: string,
    number: number,
    statements: readonly Statement[],
    begins: boolean,
    answered: (answer: TrialAnswer | null) => void,
  ): void {
    const { origin } = this.#options
    const encoder = new WriteEncoder()
    for (const statement of statements) encoder.add({ statements: [statement] })
    const bytes = encoder.finish({ origin, database, sequence: number })
    const step = { bytes, begins, base: null }
    this.#request({ method: 'tryStatements', step }, (value) => {
      answered(value instanceof Uint8Array ? decodeTrialAnswer(value) : null)
    })
  }

  #commit(
    database: string,
    number: number,
    statements: readonly Statement[],
    tried: { readonly first: TrialAnswer; readonly outcomes: readonly (number | null)[] },
    settled: Settled,
  ): void {
    const { origin } = this.#options
    const { base, environment } = tried.first
    const encoder = new WriteEncoder()
    encoder.add({ statements })
    const trial = { base, outcomes: tried.outcomes }
    const bytes = encoder.finish({ origin, database, sequence: number }, { trial })
    patchEnvironment(bytes, environment)
    this.#commits.set(number, settled)
    this.#request({ method: 'commit', number, bytes }, () => {})
  }

  #settleCommit(number: number, outcome: Outcome): void {
    const settled = take(this.#commits, number)
    if (settled === undefined) return
    this.#request({ method: 'commitSettled', number }, () => {})
    settled(outcome)
  }

  #request(request: EngineRequest, answered: (value: unknown) => void): void {
    const id = this.#newId()
    this.#replies.set(id, answered)
    this.#options.toEngine({ kind: 'request', id, request })
  }

  #newId(): number {
    this.#nextId += 1
    return this.#nextId
  }
}

export type Rows = readonly (readonly unknown[])[]

function take<Key, Value>(map: Map<Key, Value>, key: Key): Value | undefined {
  const value = map.get(key)
  map.delete(key)
  return value
}
