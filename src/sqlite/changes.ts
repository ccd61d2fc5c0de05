import { createHash } from 'node:crypto'
import type { DatabaseSync, Session } from 'node:sqlite'
import type { SqlValue } from '../command/command.ts'
import { isOwnName } from './allowed.ts'
import {
  type ChangesetRow,
  type ChangesetTable,
  type PartialRow,
  type RowChangeKind,
  readChangeset,
} from './changeset.ts'
import type { OwnStatements } from './connection.ts'
import type { Schema } from './schema.ts'
import { quoteName } from './token.ts'

const ORDER: readonly RowChangeKind[] = ['delete', 'update', 'insert']
/** A table that is never there: its session sees nothing, and costs nothing. */
const NO_TABLE = '_colmena_no_table'
// Generated columns are not stored, and sessions don't tell them.
const SELECT_COLUMNS = 'SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid'

/** A changed row with all its stored columns; `before` null for an insert, `after` for a delete. */
export interface RowChange {
  readonly kind: RowChangeKind
  readonly before: readonly SqlValue[] | null
  readonly after: readonly SqlValue[] | null
}

/** What a unit did, in order: rows of a table, or a statement that changed the schema. */
export type UnitChange =
  | {
      readonly kind: 'rows'
      readonly table: string
      readonly columns: readonly string[]
      readonly rows: readonly RowChange[]
    }
  | { readonly kind: 'schema'; readonly sql: string }

/**
 * Records the rows that a unit changes, by SQLite's sessions: the net effect for each key. They see
 * tables with a primary key, the columns that are stored and not generated, and no row whose key is
 * NULL. Shadow tables are left out: how a virtual table lays out its content is not what was
 * written. A session can't look across a change of the schema, so that ends a stretch.
 */
export class ChangeRecorder {
  readonly #db: DatabaseSync
  readonly #own: OwnStatements
  readonly #schema: () => Schema
  /** What is prepared without any session may clear a table in one step, which sessions miss. */
  #keeper: Session | null = null
  #session: Session | null = null
  /** Rows between two changes of the schema, as their sessions told them. */
  #stretches: (readonly ChangesetTable[])[] = []
  /** What was told of the unit is not what it did. */
  #isUntold = false
  #changes: UnitChange[] = []
  #keepsRows = false

  constructor(db: DatabaseSync, own: OwnStatements, schema: () => Schema) {
    this.#db = db
    this.#own = own
    this.#schema = schema
  }

  get isOn(): boolean {
    return this.#keeper !== null
  }

  /** Whether a unit is recorded just now. */
  get isOpen(): boolean {
    return this.#session !== null
  }

  start(): void {
    this.#keeper = this.#db.createSession({ table: NO_TABLE })
  }

  stop(): void {
    this.drop()
    this.#keeper?.close()
    this.#keeper = null
  }

  /** Begins to record a unit; with `keepsRows` its rows are had from {@link take}. */
  begin(keepsRows: boolean): void {
    this.drop()
    this.#keepsRows = keepsRows
    this.#session = this.#db.createSession()
  }

  /** Forgets what was recorded since {@link begin}, and records no further. */
  drop(): void {
    this.#session?.close()
    this.#session = null
    this.#stretches = []
    this.#changes = []
    this.#isUntold = false
  }

  /** Runs a statement that changes the schema, between two sessions. */
  acrossSchema<T>(sql: string, work: () => T): T {
    if (this.#session === null) return work()
    this.#endStretch()
    try {
      const result = work()
      this.#changes.push({ kind: 'schema', sql })
      return result
    } finally {
      this.#session = this.#db.createSession()
    }
  }

  /** The unit's user rolled back to a savepoint: what stretches before it told may be undone. */
  rolledBack(): void {
    if (this.#stretches.length > 0) this.#isUntold = true
  }

  /** The unit is at its end. */
  end(): RecordedUnit {
    if (this.#session !== null) this.#endStretch()
    const unit = {
      changes: this.#isUntold ? null : this.#changes,
      hash: hashOf(this.#stretches, this.#isUntold),
    }
    this.drop()
    return unit
  }

  #endStretch(): void {
    const session = this.#session as Session
    this.#session = null
    try {
      const schema = this.#schema()
      const tables = readChangeset(session.changeset()).filter(
        ({ table }) => !isHidden(table) && !schema.isShadow(table.toLowerCase()),
      )
      this.#stretches.push(tables)
      if (this.#keepsRows) for (const table of tables) this.#changes.push(this.#complete(table))
    } finally {
      session.close()
    }
  }

  /** An update tells what it changed; the rest is in the row as it is now. */
  #complete({ table, isKey, rows }: ChangesetTable): UnitChange {
    const columns = (this.#own.get(SELECT_COLUMNS).all(table) as unknown as [string][]).map(
      ([name]) => name,
    )
    const keys = columns.filter((_, at) => isKey[at])
    const where = keys.map((name) => `${quoteName(name)} = ?`).join(' AND ')
    const names = columns.map(quoteName).join(', ')
    const select = `SELECT ${names} FROM main.${quoteName(table)} WHERE ${where}`
    const completed = [...rows].sort(byKind).map((row) => {
      if (row.kind !== 'update') return row as RowChange
      const key = (row.before as PartialRow).filter((_, at) => isKey[at]) as SqlValue[]
      const isWhole = (row.after as PartialRow).every(
        (value, at) => isKey[at] || value !== undefined,
      )
      const present = isWhole ? [] : (this.#own.get(select).get(...key) as unknown as SqlValue[])
      return completeUpdate(row, isKey, present)
    })
    return { kind: 'rows', table, columns, rows: completed }
  }
}

/** What {@link ChangeRecorder} has of one unit. */
export interface RecordedUnit {
  /** Null where what it did can't be told whole. */
  readonly changes: readonly UnitChange[] | null
  /** 64 bits of a hash over the changed rows. */
  readonly hash: bigint
}

/** Values that must be unique are given up before they are taken; else in the session's order. */
function byKind(a: ChangesetRow, b: ChangesetRow): number {
  return ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)
}

function completeUpdate(
  { before, after }: ChangesetRow,
  isKey: readonly boolean[],
  present: readonly SqlValue[],
): RowChange {
  const pick = (values: PartialRow | null): SqlValue[] =>
    isKey.map((_, at) => {
      const value = values?.[at]
      return value === undefined ? (present[at] as SqlValue) : value
    })
  // The key of an update is told before it only.
  const whole = isKey.map((isOfKey, at) => (isOfKey ? before?.[at] : after?.[at]))
  return { kind: 'update', before: pick(before), after: pick(whole) }
}

/** Tables of SQLite's own, such as its statistics, and ours. */
function isHidden(table: string): boolean {
  return isOwnName(table) || table.toLowerCase().startsWith('sqlite_')
}

function hashOf(stretches: readonly (readonly ChangesetTable[])[], isUntold: boolean): bigint {
  const hash = createHash('sha256')
  for (const tables of stretches) {
    const sorted = [...tables].sort((a, b) => (a.table < b.table ? -1 : 1))
    for (const { bytes } of sorted) hash.update(bytes)
  }
  if (isUntold) hash.update('untold')
  return hash.digest().readBigInt64LE()
}
