import type { RunningStatement } from '../base/shared-state.ts'
import { shortenSql } from '../base/short-sql.ts'

/** A write statement that took long, failed or not. */
export interface SlowWrite {
  readonly database: string
  readonly sql: string
  readonly durationMs: number
  readonly index: number
}

/** Statements of a larger unit share a look at the clock, which costs a fifth of a small one. */
const SHARING_MAX = 16

/**
 * Times the statements of a transaction by looking at the clock as each ends, or a few of a unit
 * that has many: what lies between two statements is next to nothing, and counts to the later one.
 */
export class StatementWatch {
  readonly #slowMs: number
  readonly #nowMs: () => number
  readonly #running: (statement: RunningStatement) => void
  #place = { index: 0, unit: 0, statement: -1 }
  #sinceMs = 0
  /** Started since the last look. */
  #unseen: string[] = []
  #slow: SlowWrite[] = []

  /** `running` is told of each statement before it runs: it may never end. */
  constructor(
    slowMs: number,
    nowMs: () => number,
    running: (statement: RunningStatement) => void = () => {},
  ) {
    this.#running = running
    this.#slowMs = slowMs
    this.#nowMs = nowMs
  }

  /** A transaction begins. */
  begin(): void {
    this.#unseen = []
    this.#sinceMs = this.#nowMs()
  }

  /** The statements of a unit of an entry begin. */
  enters(index: number, unit: number): void {
    this.#place = { index, unit, statement: -1 }
  }

  starts(sql: string): void {
    this.#place.statement += 1
    this.#running(this.#place)
    this.#unseen.push(sql)
  }

  /** A statement of a transaction that is tried begins: of that step, at that place in it. */
  tries(step: number, statement: number): void {
    this.#running({ index: 0, unit: step, statement })
  }

  /** No statement of a transaction runs any more. */
  tried(): void {
    this.#running({ index: 0, unit: 0, statement: 0 })
  }

  /** Whether to look now, in a unit of `count` statements. */
  isDue(count: number): boolean {
    return count <= SHARING_MAX || this.#unseen.length === SHARING_MAX
  }

  /** Those that started since the last look have ended, well or not. */
  look(database: string, index: number): void {
    if (this.#unseen.length === 0) return
    const sql = this.#unseen
    this.#unseen = []
    const nowMs = this.#nowMs()
    const durationMs = nowMs - this.#sinceMs
    this.#sinceMs = nowMs
    if (durationMs < this.#slowMs) return
    this.#slow.push({ database, sql: shortenSql(sql.join('; ')), durationMs, index })
  }

  /** The slow ones since this was asked last. */
  take(): readonly SlowWrite[] {
    const slow = this.#slow
    if (slow.length > 0) this.#slow = []
    return slow
  }
}
