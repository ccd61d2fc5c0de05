import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { readValue, type SqlValue, writeValue } from './value.ts'

/** What one statement answered. */
export interface StatementResult {
  readonly columns: readonly string[]
  /** Declared types, '' where there is none (an expression); as many as `columns`. */
  readonly columnTypes: readonly string[]
  readonly rows: readonly (readonly SqlValue[])[]
  /** Rows inserted, updated or deleted; 0 for other statements. */
  readonly rowsAffected: number
  /** The rowid of the last row that this statement inserted, if it inserted one. */
  readonly lastInsertRowid: bigint | null
}

/** Why a unit failed: the same on every node. */
export interface UnitError {
  /** A code of `base/errors.ts`: ERR_SQL, or a refusal of our own guard. */
  readonly code: string
  readonly message: string
  /** SQLite's extended code; 0 for a refusal. */
  readonly sqliteCode: number
  readonly statementIndex: number
}

export type UnitResult =
  | { readonly ok: true; readonly statements: readonly StatementResult[] }
  | { readonly ok: false; readonly error: UnitError }

/** The answers to one command of this node's origin, in the order of its units. */
export interface CommandResult {
  readonly database: string
  readonly sequence: number
  /** Whether it was a transaction that was tried, of which `sequence` is the number. */
  readonly isTried: boolean
  /** Of the log entry that carried it. */
  readonly index: number
  readonly term: number
  readonly units: readonly UnitResult[]
}

export function writeStatementResult(writer: ByteWriter, result: StatementResult): void {
  writer.u53(result.rowsAffected).flag(result.lastInsertRowid !== null)
  if (result.lastInsertRowid !== null) writer.i64(result.lastInsertRowid)
  writer.u16(result.columns.length)
  for (const column of result.columns) writer.text(column)
  for (const type of result.columnTypes) writer.text(type)
  writer.u32(result.rows.length)
  for (const row of result.rows) for (const value of row) writeValue(writer, value)
}

/** Between machines only those of one format speak of trials, so this encoding has no version. */
export function encodeCommandResult(result: CommandResult): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(64 + result.units.length * 24)
  writer.text(result.database).u53(result.sequence).flag(result.isTried)
  writer.u53(result.index).u53(result.term)
  writeUnitResults(writer, result.units)
  return writer.finish()
}

export function writeUnitResults(writer: ByteWriter, units: readonly UnitResult[]): void {
  writer.u32(units.length)
  for (const unit of units) {
    if (unit.ok) {
      writer.flag(unit.ok).u32(unit.statements.length)
      for (const statement of unit.statements) writeStatementResult(writer, statement)
    } else {
      const { code, message, sqliteCode, statementIndex } = unit.error
      writer.flag(unit.ok).text(code).text(message).u32(sqliteCode).u32(statementIndex)
    }
  }
}

export function decodeCommandResult(bytes: Uint8Array): CommandResult {
  const reader = new ByteReader(bytes)
  const database = reader.text()
  const sequence = reader.u53()
  const isTried = reader.flag()
  const index = reader.u53()
  const term = reader.u53()
  const units = readUnitResults(reader)
  reader.end()
  return { database, sequence, isTried, index, term, units }
}

export function readUnitResults(reader: ByteReader): UnitResult[] {
  const units: UnitResult[] = []
  for (let left = reader.count(5); left > 0; left -= 1) units.push(readUnitResult(reader))
  return units
}

function readUnitResult(reader: ByteReader): UnitResult {
  const isOk = reader.flag()
  if (!isOk) {
    const code = reader.text()
    const message = reader.text()
    const sqliteCode = reader.u32()
    return { ok: false, error: { code, message, sqliteCode, statementIndex: reader.u32() } }
  }
  const statements: StatementResult[] = []
  for (let left = reader.count(15); left > 0; left -= 1) statements.push(readStatement(reader))
  return { ok: true, statements }
}

function readStatement(reader: ByteReader): StatementResult {
  const rowsAffected = reader.u53()
  const lastInsertRowid = reader.flag() ? reader.i64() : null
  const columns: string[] = []
  const columnTypes: string[] = []
  const width = reader.u16()
  for (let i = 0; i < width; i += 1) columns.push(reader.text())
  for (let i = 0; i < width; i += 1) columnTypes.push(reader.text())
  const rows: SqlValue[][] = []
  const count = reader.count(width)
  // They would take no bytes, and so be as many as anyone says.
  if (width === 0 && count > 0) throw new DecodeError(`${count} rows without a column`)
  for (let left = count; left > 0; left -= 1) {
    const row: SqlValue[] = []
    // Blobs are views of the input, which the rows then keep alive: the input is theirs alone.
    for (let i = 0; i < width; i += 1) row.push(readValue(reader))
    rows.push(row)
  }
  return { columns, columnTypes, rows, rowsAffected, lastInsertRowid }
}
