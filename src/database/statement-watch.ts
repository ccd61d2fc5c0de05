import { shortenSql } from '../base/short-sql.ts'

/** A write statement that took long, failed or not. */
export interface SlowWrite {
  readonly database: string
  readonly sql: string
  readonly durationMs: number
  readonly index: number
}

/**
 * Times the statements of a transaction with one look at the clock for each: what lies between two
 * statements is next to nothing, and counts to the later one.
 */
export class StatementWatch {
  readonly #slowMs: number
  readonly #nowMs: () => number
  #sinceMs = 0
  #slow: SlowWrite[] = []

  constructor(slowMs: number, nowMs: () => number) {
    this.#slowMs = slowMs
    this.#nowMs = nowMs
  }

  /** A transaction begins. */
  begin(): void {
    this.#sinceMs = this.#nowMs()
  }

  /** A statement has ended. */
  ended(database: string, sql: string, index: number): void {
    const nowMs = this.#nowMs()
    const durationMs = nowMs - this.#sinceMs
    this.#sinceMs = nowMs
    if (durationMs < this.#slowMs) return
    this.#slow.push({ database, sql: shortenSql(sql), durationMs, index })
  }

  /** The slow ones since this was asked last. */
  take(): readonly SlowWrite[] {
    const slow = this.#slow
    if (slow.length > 0) this.#slow = []
    return slow
  }
}
