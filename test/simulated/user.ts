import type { SharedState } from '../../src/base/shared-state.ts'
import { type Statement, WriteEncoder } from '../../src/command/command.ts'
import type { EngineToUser, UserToEngine } from '../../src/engine/engine.ts'
import { OwnLeadership } from '../../src/node/own-leadership.ts'
import type { MachineClock } from './machine-clock.ts'
import type { OwnAnswer } from './storage.ts'

/** What becomes of writes, by their texts, which are unique in a simulation. */
export interface UserWatcher {
  acknowledged(text: string, index: number): void
  /** It is known never to apply. */
  rejected(text: string): void
  /** It came to what it can't come to. */
  alarmed(message: string): void
}

export interface UserOptions {
  readonly origin: string
  readonly watcher: UserWatcher
  readonly toEngine: (message: UserToEngine) => void
  readonly electionTimeoutMs: number
  readonly clock: MachineClock
  readonly shared: SharedState
}

interface PendingRead {
  readonly level: 'weak' | 'strong'
  readonly done: (index: number) => void
}

/** As many unanswered writes as a node lets out at once, and some more. */
const PENDING_MAX = 16

/** The user's thread of one simulated process: what it asks for, and what it hears of that. */
export class SimulatedUser {
  readonly #options: UserOptions
  readonly #sequences = new Map<string, number>()
  /** Texts of own writes that wait for their answer, by database and sequence. */
  readonly #pending = new Map<string, string>()
  readonly #reads = new Map<number, PendingRead>()
  #nextRead = 1

  constructor(options: UserOptions) {
    this.#options = options
  }

  /** `padding` goes into the row, and says nothing. */
  write(database: string, text: string, padding: Uint8Array | null): void {
    if (this.#pending.size >= PENDING_MAX) return
    const { origin, toEngine } = this.#options
    const sequence = (this.#sequences.get(database) ?? 0) + 1
    this.#sequences.set(database, sequence)
    this.#pending.set(`${database}/${sequence}`, text)
    const encoder = new WriteEncoder()
    encoder.add({ statements: statementsOf(text, padding) })
    const bytes = encoder.finish({ origin, database, sequence })
    toEngine({ kind: 'write', database, sequence, bytes })
  }

  /** Asks for a read; `done` gets the index that the answer would be read at. */
  read(level: 'weak' | 'strong', done: (index: number) => void): void {
    const id = this.#nextRead
    this.#nextRead += 1
    this.#reads.set(id, { level, done })
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
    if (message.kind === 'readAnswer') {
      const read = this.#reads.get(message.id)
      this.#reads.delete(message.id)
      if (message.error === null) read?.done(message.index)
    } else if (message.kind === 'rejected') {
      for (let sequence = message.from; sequence <= message.to; sequence += 1) {
        const text = this.#take(message.database, sequence)
        if (text !== undefined) this.#options.watcher.rejected(text)
      }
    }
  }

  answered({ database, sequence, index, error }: OwnAnswer): void {
    const text = this.#take(database, sequence)
    if (text === undefined) return
    const { watcher } = this.#options
    if (error === null) watcher.acknowledged(text, index)
    else watcher.rejected(text)
    if (isRefused(text) !== (error !== null)) {
      watcher.alarmed(`${text} came to: ${error ?? 'no error'}`)
    }
  }

  /** A snapshot brought what these came to, and not how. */
  resultsLost(sequences: ReadonlyMap<string, number>): void {
    for (const key of this.#pending.keys()) {
      const at = key.lastIndexOf('/')
      if (Number(key.slice(at + 1)) <= (sequences.get(key.slice(0, at)) ?? 0)) {
        this.#pending.delete(key)
      }
    }
  }

  #take(database: string, sequence: number): string | undefined {
    const key = `${database}/${sequence}`
    const text = this.#pending.get(key)
    this.#pending.delete(key)
    return text
  }
}

/** What a write does: nothing of it may depend on the node that it runs on. */
function statementsOf(text: string, padding: Uint8Array | null): Statement[] {
  const statements: Statement[] = [
    { sql: CREATE, args: [] },
    { sql: INSERT, args: [text, padding] },
  ]
  if (isRefused(text)) statements.push({ sql: INSERT_AGAIN, args: [text] })
  return statements
}

const CREATE =
  'CREATE TABLE IF NOT EXISTS written (id INTEGER PRIMARY KEY, text, chance, at, before, padding)'
const INSERT =
  'INSERT INTO written (text, chance, at, before, padding) ' +
  "VALUES (?, random(), datetime('now', 'subsec'), (SELECT max(id) FROM written), ?)"
const INSERT_AGAIN = 'INSERT INTO written (id, text) VALUES (1, ?)'

/** Writes of these names fail in their last statement, and leave nothing. */
function isRefused(text: string): boolean {
  return text.startsWith('refused')
}
