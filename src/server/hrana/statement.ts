import {
  type CallOptions,
  ColmenaError,
  type Database,
  type InputStatement,
  isColmenaError,
  type ResultSet,
} from '../../index.ts'
import { type HranaError, tooLarge } from './failure.ts'
import type { StatementRequest } from './request.ts'
import type { Stream } from './streams.ts'
import { encodeValue, type HranaValue, valueSizeBytes } from './value.ts'

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

/** @throws ColmenaError what the statement answers, or why it did not get that far. */
export async function runStatement(
  { sql: source, args, wantRows }: StatementRequest,
  run: Run,
): Promise<StatementResult> {
  const startMs = run.nowMs()
  const sql = run.stream.sql(source)
  const statement = { sql, args }
  const [result] = run.mayWrite
    ? [await run.database.execute(statement, run.options)]
    : await readOnly([statement], run)
  if (result === undefined) throw new ColmenaError('ERR_FAILED', 'a statement without an answer')
  return encodeResult(result, wantRows, startMs, run)
}

/** The protocol's `sequence`: a script that answers nothing. */
export async function runSequence(sql: string, run: Run): Promise<void> {
  if (!run.mayWrite) throw forbidden('a sequence answers nothing but what it wrote')
  await run.database.executeMultiple(sql, run.options)
}

/** What the protocol's `describe` answers. */
export async function describeStatement(sql: string, run: Run): Promise<unknown> {
  const found = await run.database.describe(sql, run.options)
  return {
    params: found.parameters.map((name) => ({ name })),
    cols: found.columns.map((name, i) => ({ name, decltype: found.columnTypes[i] || null })),
    is_explain: found.isExplain,
    is_readonly: found.isReadOnly,
  }
}

export function encodeResult(
  result: ResultSet,
  wantRows: boolean,
  startMs: number,
  { budget, nowMs }: Pick<Run, 'budget' | 'nowMs'>,
): StatementResult {
  const { columns, columnTypes, rows, rowsAffected, lastInsertRowid, index } = result
  if (wantRows) budget.take(result)
  return {
    cols: columns.map((name, i) => ({ name, decltype: columnTypes[i] || null })),
    rows: wantRows ? rows.map((row) => Array.from(row, encodeValue)) : [],
    affected_row_count: rowsAffected,
    last_insert_rowid: lastInsertRowid === undefined ? null : String(lastInsertRowid),
    replication_index: String(index),
    rows_read: rows.length,
    rows_written: rowsAffected,
    query_duration_ms: nowMs() - startMs,
  }
}

/** As a batch that may only read: the database itself judges, so nothing slips through. */
export async function readOnly(
  statements: readonly InputStatement[],
  { database, options }: Run,
): Promise<ResultSet[]> {
  try {
    return await database.batch(statements, { ...options, mode: 'read' })
  } catch (error) {
    if (isColmenaError(error) && error.code === 'ERR_INVALID_ARGUMENT') {
      for (const { sql } of statements) await refuseWrite(sql, database)
    }
    throw error
  }
}

/** @throws ColmenaError ERR_FORBIDDEN for a statement that writes, or what makes it none at all. */
async function refuseWrite(sql: string, database: Database): Promise<void> {
  const { isReadOnly } = await database.describe(sql, { consistency: 'none' })
  if (!isReadOnly) throw forbidden('the statement writes')
}

function forbidden(why: string): ColmenaError {
  return new ColmenaError('ERR_FORBIDDEN', `${why}, and this token may only read`)
}
