import {
  ColmenaError,
  type Database,
  type InputStatement,
  isColmenaError,
  type ResultSet,
} from '../../index.ts'
import { parseControl, runControl } from './control.ts'
import type { StatementRequest } from './request.ts'
import type { Run, StatementResult } from './run.ts'
import { encodeValue } from './value.ts'

/** @throws ColmenaError what the statement answers, or why it did not get that far. */
export async function runStatement(
  { sql: source, args, wantRows }: StatementRequest,
  run: Run,
): Promise<StatementResult> {
  const startMs = run.nowMs()
  const sql = run.stream.sql(source)
  const control = parseControl(sql)
  if (control !== null) return runControl(control, run)
  const statement = { sql, args }
  const [result] = await execute(statement, run)
  if (result === undefined) throw new ColmenaError('ERR_FAILED', 'a statement without an answer')
  return encodeResult(result, wantRows, startMs, run)
}

async function execute(statement: InputStatement, run: Run): Promise<ResultSet[]> {
  const { transaction } = run.stream
  if (transaction !== null) {
    if (!run.mayWrite) await refuseWrite(statement.sql, run.database)
    return [await transaction.execute(statement)]
  }
  return run.mayWrite
    ? [await run.database.execute(statement, run.options)]
    : readOnly([statement], run)
}

/** The protocol's `sequence`: a script that answers nothing. */
export async function runSequence(sql: string, run: Run): Promise<void> {
  if (!run.mayWrite) throw forbidden('a sequence answers nothing but what it wrote')
  const { transaction } = run.stream
  if (transaction !== null) await transaction.executeMultiple(sql)
  else await run.database.executeMultiple(sql, run.options)
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
