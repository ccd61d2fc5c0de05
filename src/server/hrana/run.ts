import type { CallOptions, Database, ResultSet } from '../../index.ts'
import { type HranaError, tooLarge } from './failure.ts'
import type { Stream } from './streams.ts'
import { type HranaValue, valueSizeBytes } from './value.ts'

/** What one request of a client runs on, and within which bounds. */
export interface Run {
  readonly database: Database
  readonly options: CallOptions
  /** Of a batch that runs without foreign keys. */
  readonly foreignKeyCheck: boolean | undefined
  readonly mayWrite: boolean
  readonly stream: Stream
  readonly budget: AnswerBudget
  readonly nowMs: () => number
}

export interface StatementResult {
  readonly cols: readonly { readonly name: string; readonly decltype: string | null }[]
  readonly rows: readonly (readonly HranaValue[])[]
  readonly affected_row_count: number
  readonly last_insert_rowid: string | null
  readonly replication_index: string | null
  readonly rows_read: number
  readonly rows_written: number
  /** Until the answer was there; of a transaction, for all of it. */
  readonly query_duration_ms: number
}

/** What became of a step; neither of the two where its condition did not hold. */
export interface StepOutcome {
  readonly result?: StatementResult
  readonly error?: HranaError
}

/** What a step of a transaction answers that is no statement of the client's. */
export const NOTHING: StatementResult = Object.freeze({
  cols: [],
  rows: [],
  affected_row_count: 0,
  last_insert_rowid: null,
  replication_index: null,
  rows_read: 0,
  rows_written: 0,
  query_duration_ms: 0,
})

/** Bounds the rows of one answer, which is made whole before it is sent. */
export class AnswerBudget {
  readonly #bytesMax: number
  #leftBytes: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#leftBytes = bytesMax
  }

  /** What was counted so far has been sent. */
  refill(): void {
    this.#leftBytes = this.#bytesMax
  }

  /** @throws ColmenaError ERR_TOO_LARGE, which says that a write is applied all the same. */
  take(result: ResultSet): void {
    for (const row of result.rows) {
      for (let i = 0; i < row.length; i += 1) this.#leftBytes -= valueSizeBytes(row[i] ?? null)
      if (this.#leftBytes < 0) {
        const isWrite = result.consistency === undefined
        throw tooLarge(
          `the rows of this answer take more than ${this.#bytesMax} bytes: ask for fewer at once`,
          isWrite ? 'committed' : 'not-applied',
        )
      }
    }
  }
}
