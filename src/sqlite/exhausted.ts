import type { OwnStatements } from './connection.ts'
import { SQLITE_FULL, StatementFailure } from './failure.ts'
import type { PreparedRecord } from './guard.ts'
import { LARGEST_ROWID } from './rowid.ts'

/**
 * AUTOINCREMENT tables that used their last rowid: the next insert fails as if the disk were full,
 * on every node, and takes its transaction with it.
 */
export class ExhaustedTables {
  readonly #own: OwnStatements
  /** Those that got there in the open transaction. */
  readonly #noted = new Set<string>()

  constructor(own: OwnStatements) {
    this.#own = own
  }

  /** The transaction has ended. */
  clear(): void {
    this.#noted.clear()
  }

  /** Remembers what a failure will take out of the file again. */
  note(): void {
    for (const table of this.#read()) this.#noted.add(table)
  }

  /** The error of a full table, told from that of a full disk; any other as it came. */
  explain(error: unknown, { insertedTables }: PreparedRecord): unknown {
    if (!(error instanceof StatementFailure) || error.sqliteCode !== SQLITE_FULL) return error
    const exhausted = new Set([...this.#noted, ...this.#read()])
    if (![...insertedTables].some((table) => exhausted.has(table))) return error
    const { sqliteCode, cause } = error
    const options = { sqliteCode, cause, isAutoincrementExhausted: true }
    return new StatementFailure('ERR_SQL', error.message, options)
  }

  #read(): readonly string[] {
    const listed = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'"
    if (this.#own.number(listed) === 0) return []
    const statement = this.#own.get('SELECT lower(name) FROM sqlite_sequence WHERE seq = ?')
    return (statement.all(LARGEST_ROWID) as unknown as [string][]).map(([name]) => name)
  }
}
