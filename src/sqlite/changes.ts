import { createHash } from 'node:crypto'
import type { DatabaseSync, Session } from 'node:sqlite'

/** A table that is never there: its session sees nothing, and costs nothing. */
const NO_TABLE = '_colmena_no_table'

/**
 * Hashes the rows that statements change, by SQLite's sessions. They see tables with a primary key,
 * the columns that are stored and not generated, and no row whose key is NULL. Shadow tables are
 * left out: how a virtual table lays out its content is not what was written.
 */
export class ChangeRecorder {
  readonly #db: DatabaseSync
  /** What is prepared without any session may clear a table in one step, which sessions miss. */
  #keeper: Session | null = null
  #hash = createHash('sha256')

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  get isOn(): boolean {
    return this.#keeper !== null
  }

  start(): void {
    this.#keeper = this.#db.createSession({ table: NO_TABLE })
  }

  stop(): void {
    this.#keeper?.close()
    this.#keeper = null
  }

  /** Begins a new hash. */
  reset(): void {
    this.#hash = createHash('sha256')
  }

  /** Runs `work`; if it succeeds, the rows that it changed in `tables` join the hash. */
  record<T>(tables: readonly string[], work: () => T): T {
    const sessions = [...tables].sort().map((table) => this.#db.createSession({ table }))
    try {
      const result = work()
      for (const session of sessions) this.#hash.update(session.changeset())
      return result
    } finally {
      for (const session of sessions) session.close()
    }
  }

  /** 64 bits of the hash since {@link reset}. */
  value(): bigint {
    return this.#hash.copy().digest().readBigInt64LE()
  }
}
