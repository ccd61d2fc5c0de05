import type { SqlValue, StatementArgs } from '../command/command.ts'
import { isNamed, type OwnStatements } from './connection.ts'
import { StatementFailure } from './failure.ts'
import type { Schema } from './schema.ts'
import type { GuardedStatement } from './statement.ts'
import { quoteName } from './token.ts'

/** The last rowid of all: past it SQLite picks rowids with a generator that can't be overridden. */
export const LARGEST_ROWID: bigint = 2n ** 63n - 1n

const LARGEST_TEXT = LARGEST_ROWID.toString()

/** How the rowid of a statement's own last row is told from an older one of the connection. */
export type RowidRule =
  /** It inserts nothing that has a rowid. */
  | 'none'
  /** Where rows changed, the last of them was inserted. */
  | 'exact'
  /** An upsert or a virtual table: only a planted value shows whether the rowid moved. */
  | 'probe'

export function rowidRule({ facts, record }: GuardedStatement, schema: Schema): RowidRule {
  if (!facts.modifies || record.directInserts.size === 0) return 'none'
  const tables = [...record.directInserts]
  if (tables.some((table) => schema.isVirtual(table))) return 'probe'
  if (!tables.every((table) => schema.hasRowid(table))) return 'none'
  return record.updatesDirectly ? 'probe' : 'exact'
}

export function bindsLargestRowid(args: StatementArgs): boolean {
  const values: Iterable<SqlValue> = isNamed(args) ? args.values() : args
  for (const value of values) if (value === LARGEST_ROWID || value === LARGEST_TEXT) return true
  return false
}

/**
 * Refuses that a table's rowids reach the last one, after a statement that may have done it.
 * AUTOINCREMENT tables are safe: SQLite answers that they are full.
 *
 * @throws StatementFailure ERR_NON_DETERMINISTIC_SQL
 */
export function refuseLargestRowid(
  tables: readonly string[],
  schema: Schema,
  own: OwnStatements,
  lastRowid: bigint,
): void {
  for (const table of tables) {
    if (schema.isAutoincrement(table)) continue
    const isReached = schema.isVirtual(table)
      ? lastRowid === LARGEST_ROWID
      : schema.hasRowid(table) && largestRowidOf(table, own) === LARGEST_ROWID
    if (isReached) throw largestRowid(table)
  }
}

function largestRowidOf(table: string, own: OwnStatements): bigint | null {
  const statement = own.get(`SELECT max(rowid) FROM main.${quoteName(table)}`)
  const [rowid] = statement.get() as unknown as [bigint | null]
  return rowid
}

function largestRowid(table: string): StatementFailure {
  return new StatementFailure(
    'ERR_NON_DETERMINISTIC_SQL',
    `table ${table} would hold rowid ${LARGEST_TEXT}, after which SQLite picks rowids at random, ` +
      'other ones on each node: use a smaller one, or AUTOINCREMENT',
  )
}
