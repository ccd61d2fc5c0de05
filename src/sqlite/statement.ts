import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { SqlValue, StatementArgs } from '../command/command.ts'
import { isNamed } from './connection.ts'
import { pragmaFacts, type StatementFacts, statementFacts } from './facts.ts'
import { refusal, StatementFailure, sqliteCodeOf } from './failure.ts'
import type { Guard, PreparedRecord } from './guard.ts'
import { hideOwnTables } from './own-tables.ts'
import type { Schema } from './schema.ts'
import { readShape, type StatementShape } from './shape.ts'

/** A statement of a user, prepared under the guard. */
export interface GuardedStatement {
  readonly statement: StatementSync
  readonly shape: StatementShape
  readonly facts: StatementFacts
  readonly record: PreparedRecord
}

/**
 * Prepares a user's statement: text first, then the authorizer, then the record as a whole.
 *
 * @throws StatementFailure for SQLite's errors and for refusals; what is this machine's is thrown
 * as it came.
 */
export function prepareGuarded(
  db: DatabaseSync,
  guard: Guard,
  schema: () => Schema,
  sql: string,
  doubleQuotedStrings: boolean,
): GuardedStatement {
  const shape = readShape(sql, doubleQuotedStrings)
  if (shape.pragma !== undefined && shape.isExplain && shape.pragma.kind !== 'read') {
    throw refusal(`EXPLAIN of PRAGMA ${shape.pragma.call.name} is refused: it may take effect`)
  }
  // A setting of ours is asked, never set.
  const asked = shape.pragma?.kind === 'fixed' ? `PRAGMA ${shape.pragma.call.name}` : sql
  const prepared = hideOwnTables(asked)
  const [statement, record] = guarded(guard, () =>
    guard.prepare(shape.keyword, () => db.prepare(prepared)),
  )
  if (!shape.isSchemaStatement) noteDefaults(record, schema)
  const facts =
    shape.pragma === undefined ? statementFacts(shape, record, schema()) : pragmaFacts(shape)
  if (facts.kind === 'write') guard.judgeWrite(record, (table) => schema().has(table))
  return { statement, shape, facts, record }
}

/** What DEFAULTs call may be called by every statement that writes their table. */
function noteDefaults(record: PreparedRecord, schema: () => Schema): void {
  for (const table of record.writtenTables) {
    for (const name of schema().defaultFunctions(table)) record.defaultFunctions.add(name)
  }
}

/** Runs `work` under an armed guard and turns what it throws into the failure that it means. */
function guarded<T>(guard: Guard, work: () => T): T {
  let result: T
  try {
    result = work()
  } catch (error) {
    throw guard.takeRefusal() ?? asFailure(error)
  }
  // SQLite may swallow a refusal that hit a statement inside a virtual table.
  const refused = guard.takeRefusal()
  if (refused !== undefined) throw refused
  return result
}

const SQLITE_RANGE = 25

/** SQLite's errors, and those of binding, become the statement's; anything else stays as it is. */
export function asFailure(error: unknown): unknown {
  if (error instanceof StatementFailure || !(error instanceof Error)) return error
  const sqliteCode = sqliteCodeOf(error)
  if (sqliteCode !== undefined) {
    return new StatementFailure('ERR_SQL', error.message, { sqliteCode, cause: error })
  }
  // Node.js itself answers for parameter names, before SQLite sees them.
  if (
    'code' in error &&
    error.code === 'ERR_INVALID_STATE' &&
    /named parameter/.test(error.message)
  ) {
    return new StatementFailure('ERR_SQL', error.message, { sqliteCode: SQLITE_RANGE })
  }
  return error
}

/**
 * A full-text table that fails its own integrity check says so with the code of a damaged file,
 * which would halt every node.
 */
export function refuseIntegrityCheck({ shape }: GuardedStatement, args: StatementArgs): void {
  const values: Iterable<SqlValue> = isNamed(args) ? args.values() : args
  const isNamedIn = (value: SqlValue): boolean =>
    typeof value === 'string' && value.toLowerCase() === 'integrity-check'
  if (!shape.namesIntegrityCheck && ![...values].some(isNamedIn)) return
  throw refusal(
    "the full-text command 'integrity-check' is refused in a write: use PRAGMA integrity_check",
  )
}
