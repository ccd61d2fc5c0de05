import { shortenSql } from '../base/short-sql.ts'
import type { SlowStatement } from './events.ts'

/** Finds the statements that took SQLite long, counts them and tells of them. */
export class SlowStatements {
  readonly #slowMs: number
  readonly #tell: (statement: SlowStatement) => void
  count = 0

  constructor(slowMs: number, tell: (statement: SlowStatement) => void) {
    this.#slowMs = slowMs
    this.#tell = tell
  }

  /** Times a read on this thread. */
  read<T>(database: string, sql: string, run: () => T): T {
    const beganMs = performance.now()
    try {
      return run()
    } finally {
      this.readTook(database, sql, performance.now() - beganMs)
    }
  }

  readTook(database: string, sql: string, durationMs: number): void {
    if (durationMs < this.#slowMs) return
    this.took({ database, sql: shortenSql(sql), durationMs, kind: 'read', index: null })
  }

  /** One that is known to be slow. */
  took(statement: SlowStatement): void {
    this.count += 1
    this.#tell(statement)
  }
}
