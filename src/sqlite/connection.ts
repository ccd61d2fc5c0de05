import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { SqlValue, StatementArgs } from '../command/command.ts'
import { type AddedNames, type Extension, loadExtensions } from './extensions.ts'
import { StatementFailure } from './failure.ts'
import { DATABASE_LIMITS, DATABASE_OPTIONS, type DatabaseLimits, requireSqlite } from './runtime.ts'

/** What the members agreed on for all connections to a database: it decides what SQL answers. */
export interface ConnectionSettings {
  /** SQLite's run-time limits; those that are left out are what a new cluster begins with. */
  readonly limits?: DatabaseLimits | undefined
  /** Whether "text" that names no column is a string, as SQLite once had it; false by default. */
  readonly doubleQuotedStrings?: boolean | undefined
  /** Loaded in this order; none by default. */
  readonly extensions?: readonly Extension[] | undefined
}

/** A connection, and what its extensions brought to it. */
export interface OpenedDatabase {
  readonly db: DatabaseSync
  readonly added: AddedNames
}

/** Opens a file with every option explicit. @throws ColmenaError ERR_EXTENSION_FAILED */
export function openDatabase(
  path: string,
  isReadOnly: boolean,
  settings: ConnectionSettings,
): OpenedDatabase {
  const { DatabaseSync } = requireSqlite()
  const { extensions = [] } = settings
  const limits = { ...DATABASE_LIMITS, ...settings.limits }
  const db = new DatabaseSync(path, {
    ...DATABASE_OPTIONS,
    readOnly: isReadOnly,
    limits,
    allowExtension: extensions.length > 0,
    enableDoubleQuotedStringLiterals: settings.doubleQuotedStrings ?? false,
  })
  try {
    // The overrides must be callable from DEFAULTs and triggers, on the reader for the same answer.
    db.exec('PRAGMA trusted_schema = ON; PRAGMA recursive_triggers = OFF')
    return { db, added: loadExtensions(db, extensions) }
  } catch (error) {
    db.close()
    throw error
  }
}

/** Statements of our own on one connection, prepared once. */
export class OwnStatements {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  get(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#db.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  /** The first column of the first row, as a number. */
  number(sql: string): number {
    const [value] = this.get(sql).get() as unknown as [bigint]
    return Number(value)
  }
}

/**
 * Makes a connection read the schema anew if another one changed it: a statement that is prepared
 * does not look, only one that runs does.
 */
export function refreshSchema(own: OwnStatements): void {
  own.get('SELECT 1 FROM sqlite_schema LIMIT 1').all()
}

/** Runs to the end; every row as an array. */
export function readRows(statement: StatementSync, bindings: readonly SqlValue[]): SqlValue[][] {
  return statement.all(...bindings) as unknown as SqlValue[][]
}

/** What rows may take in memory: read by one statement after the other. */
export interface RowBudget {
  readonly bytesMax: number
  bytesLeft: number
}

/** About what a row and a value take, beside the bytes of text and blobs. */
const ROW_BYTES = 32
const VALUE_BYTES = 16

/** The same within a budget: what is beyond is not read. @throws StatementFailure ERR_TOO_LARGE */
export function readRowsWithin(
  statement: StatementSync,
  bindings: readonly SqlValue[],
  budget: RowBudget,
): SqlValue[][] {
  const read = statement.iterate(...bindings)
  const rows: SqlValue[][] = []
  for (const row of read as unknown as Iterable<SqlValue[]>) {
    budget.bytesLeft -= ROW_BYTES
    for (const value of row) budget.bytesLeft -= VALUE_BYTES + lengthOf(value)
    if (budget.bytesLeft < 0) {
      const message = `the rows take more than ${budget.bytesMax} bytes: read fewer at a time`
      throw new StatementFailure('ERR_TOO_LARGE', message)
    }
    rows.push(row)
  }
  return rows
}

function lengthOf(value: SqlValue): number {
  return typeof value === 'string' || value instanceof Uint8Array ? value.length : 0
}

/** Runs a statement that has no rows. */
export function runBound(
  statement: StatementSync,
  bindings: readonly SqlValue[],
): { changes: bigint; rowid: bigint } {
  const done = statement.run(...bindings)
  return { changes: done.changes as bigint, rowid: done.lastInsertRowid as bigint }
}

export function isNamed(args: StatementArgs): args is ReadonlyMap<string, SqlValue> {
  return args instanceof Map
}

/** A cache that drops its oldest entries beyond a limit. */
export class BoundedCache<T> {
  readonly #entries = new Map<string, T>()
  readonly #countMax: number

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: T): void {
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#countMax) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  clear(): void {
    this.#entries.clear()
  }
}
