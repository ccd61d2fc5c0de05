import { ColmenaError } from '../base/errors.ts'
import type { SqlValue } from '../command/command.ts'
import type { Consistency } from './consistency.ts'
import type { WriteTiming, WrittenPlace } from './write-call.ts'

/**
 * How integers are read: `number`, and one that no number holds exactly is ERR_TOO_LARGE; `bigint`;
 * `string`, of decimal digits; or `auto`: a number where that is exact, else a bigint.
 */
export type IntMode = 'auto' | 'number' | 'bigint' | 'string'

export const INT_MODES: readonly IntMode[] = ['auto', 'number', 'bigint', 'string']

/** A value as it is read. */
export type Value = null | string | number | bigint | ArrayBuffer

/**
 * A row: its columns by name, and also by position and with a `length` (these are not enumerable,
 * so that a row compares and prints as the plain object it is).
 */
export interface Row {
  length: number
  [column: number]: Value
  [column: string]: Value
}

/** What a statement answered. */
export interface ResultSet<TRow = Row> {
  readonly columns: string[]
  /** Declared types, '' for expressions. */
  readonly columnTypes: string[]
  readonly rows: TRow[]
  /** Rows inserted, updated or deleted. */
  readonly rowsAffected: number
  /** The rowid of the last row that this statement inserted, if it inserted one. */
  readonly lastInsertRowid: bigint | undefined
  /** Of a write, its log index; of a read, an index that its answer contains. */
  readonly index: number
  /** The level that a read was answered at; undefined for a write. */
  readonly consistency: Consistency | undefined
  /** Of a write, the term of its log entry; undefined for a read. */
  readonly term: number | undefined
  /** How long a write took; undefined for a read. */
  readonly timing: WriteTiming | undefined
  /** The same as JSON can hold it: bigints as text, bytes as base64. */
  toJSON(): unknown
}

/** What `sync` came to, named as in libsql's client. */
export interface Replicated {
  readonly frame_no: number
  readonly frames_synced: number
}

/** What a result tells of where it comes from: a write's place in the log, or a read's level. */
export type ResultOrigin =
  | WrittenPlace
  /** Of a write whose time nobody took. */
  | { readonly index: number; readonly term: number; readonly timing: undefined }
  /** The level is undefined for a write that is only tried. */
  | { readonly index: number; readonly level: Consistency | undefined }

/** What a result is made from: `StatementResult`, or a read's rows. */
export interface ResultSource {
  readonly columns: readonly string[]
  readonly columnTypes: readonly string[]
  readonly rows: readonly (readonly SqlValue[])[]
  readonly rowsAffected?: number
  readonly lastInsertRowid?: bigint | null
}

class Result implements ResultSet {
  readonly columns: string[]
  readonly columnTypes: string[]
  readonly rows: Row[]
  readonly rowsAffected: number
  readonly lastInsertRowid: bigint | undefined
  readonly index: number
  readonly consistency: Consistency | undefined
  readonly term: number | undefined
  readonly timing: WriteTiming | undefined

  constructor(source: ResultSource, origin: ResultOrigin, intMode: IntMode) {
    this.columns = [...source.columns]
    this.columnTypes = [...source.columnTypes]
    this.rows = source.rows.map((values) => toRow(this.columns, values, intMode))
    this.rowsAffected = source.rowsAffected ?? 0
    this.lastInsertRowid = source.lastInsertRowid ?? undefined
    this.index = origin.index
    this.consistency = 'level' in origin ? origin.level : undefined
    this.term = 'level' in origin ? undefined : origin.term
    this.timing = 'level' in origin ? undefined : origin.timing
  }

  toJSON(): unknown {
    return {
      columns: this.columns,
      columnTypes: this.columnTypes,
      rows: this.rows.map((row) => Array.from(row, toJsonValue)),
      rowsAffected: this.rowsAffected,
      lastInsertRowid: this.lastInsertRowid === undefined ? null : String(this.lastInsertRowid),
    }
  }
}

/** @throws ColmenaError ERR_TOO_LARGE for an integer that intMode 'number' can't hold. */
export function createResultSet<TRow>(
  source: ResultSource,
  origin: ResultOrigin,
  intMode: IntMode = 'auto',
): ResultSet<TRow> {
  try {
    return new Result(source, origin, intMode) as unknown as ResultSet<TRow>
  } catch (error) {
    // What a write answers can't be read so, but it is written.
    if ('level' in origin || !(error instanceof ColmenaError)) throw error
    const { index } = origin
    throw new ColmenaError(error.code, error.message, { outcome: 'committed', index })
  }
}

export function toRow(
  columns: readonly string[],
  values: readonly SqlValue[],
  intMode: IntMode,
): Row {
  const row = {} as Row
  Object.defineProperty(row, 'length', { value: values.length })
  for (let i = 0; i < values.length; i += 1) {
    const value = toValue(values[i] as SqlValue, intMode)
    const column = columns[i] as string
    Object.defineProperty(row, i, { value })
    // Of two columns with one name the first is had by name, both by position.
    if (Object.hasOwn(row, column)) continue
    if (column !== '__proto__') row[column] = value
    else
      Object.defineProperty(row, column, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      })
  }
  return row
}

export function toValue(value: SqlValue, intMode: IntMode = 'auto'): Value {
  if (typeof value === 'bigint') return toInteger(value, intMode)
  if (!(value instanceof Uint8Array)) return value
  return value.buffer.slice(value.byteOffset, value.byteOffset + value.length) as ArrayBuffer
}

function toInteger(value: bigint, intMode: IntMode): Value {
  if (intMode === 'bigint') return value
  if (intMode === 'string') return String(value)
  if (value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER) return Number(value)
  if (intMode === 'auto') return value
  throw new ColmenaError(
    'ERR_TOO_LARGE',
    `the integer ${value} is beyond 2^53, where numbers are not exact: open the database with ` +
      `intMode 'bigint', 'string' or 'auto'`,
  )
}

function toJsonValue(value: Value): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof ArrayBuffer ? Buffer.from(value).toString('base64') : value
}
