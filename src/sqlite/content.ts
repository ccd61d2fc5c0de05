import { createHash, type Hash } from 'node:crypto'
import type { SqlValue } from '../command/command.ts'
import { isOwnName } from './allowed.ts'
import type { Reader } from './reader.ts'
import { quoteName } from './token.ts'

type SchemaRow = [type: string, name: string, table: string, sql: string | null]

/**
 * 'ok', or what SQLite's integrity_check and foreign_key_check found, one finding a line. Reads
 * everything.
 */
export function checkIntegrity(reader: Reader): string {
  return reader.internal(() => {
    const findings = (reader.own('PRAGMA integrity_check').all() as unknown as [string][])
      .map(([finding]) => finding)
      .filter((finding) => finding !== 'ok')
    const broken = reader.own('PRAGMA foreign_key_check').all() as unknown as SqlValue[][]
    for (const [table, rowid, parent] of broken) {
      findings.push(`row ${rowid} of ${table} refers to no row of ${parent}`)
    }
    return findings.length === 0 ? 'ok' : findings.join('\n')
  })
}

/**
 * SHA-256 over schema and rows of every user table, in hexadecimal: equal for equal content,
 * however it was written. Virtual tables are read through themselves, their shadow tables, which
 * depend on how writes were grouped, are left out, and Colmena's own tables as well. Pin the reader
 * for one snapshot of all tables.
 */
export function hashContent(reader: Reader): string {
  return reader.internal(() => {
    const hash = createHash('sha256')
    const schema = reader.schema()
    const statement = reader.own(
      'SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name',
    )
    for (const [type, name, table, sql] of statement.all() as unknown as SchemaRow[]) {
      const isShadow = schema.isShadow(table.toLowerCase())
      if (isOwnName(name) || isOwnName(table) || isShadow) continue
      hashValues(hash, [type, name, table, sql])
      if (type === 'table') hashTable(hash, reader, name)
    }
    for (const pragma of ['user_version', 'application_id']) {
      hashValues(hash, reader.own(`PRAGMA ${pragma}`).get() as unknown as SqlValue[])
    }
    return hash.digest('hex')
  })
}

function hashTable(hash: Hash, reader: Reader, table: string): void {
  const isPlain = reader.schema().hasRowid(table.toLowerCase())
  const keys = reader.own('SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk')
  const columns = (keys.all(table) as unknown as [string][]).map(([name]) => quoteName(name))
  // An ordinary table's rowids are content: later rows get theirs from them.
  const order = isPlain ? rowidName(reader, table) : columns.join(', ') || 'rowid'
  const first = isPlain && order !== undefined ? `${order}, ` : ''
  const rows = reader.own(
    `SELECT ${first}* FROM main.${quoteName(table)} ORDER BY ${order ?? orderByAll(reader, table)}`,
  )
  let count = 0
  for (const row of rows.iterate()) {
    hashValues(hash, row as unknown as SqlValue[])
    count += 1
  }
  hashValues(hash, [`${count} rows`])
}

/** A name of the rowid that no column hides; undefined where all three are hidden. */
function rowidName(reader: Reader, table: string): string | undefined {
  const statement = reader.own('SELECT lower(name) FROM pragma_table_xinfo(?)')
  const columns = new Set((statement.all(table) as unknown as [string][]).map(([name]) => name))
  return ['rowid', '_rowid_', 'oid'].find((name) => !columns.has(name))
}

function orderByAll(reader: Reader, table: string): string {
  const statement = reader.own('SELECT count(*) FROM pragma_table_info(?)')
  const [count] = statement.get(table) as unknown as [bigint]
  return Array.from({ length: Number(count) }, (_, at) => at + 1).join(', ')
}

/** Type and length before each value, so that no two different rows give the same bytes. */
function hashValues(hash: Hash, values: readonly SqlValue[]): void {
  for (const value of values) {
    if (value === null) hash.update('n;')
    else if (typeof value === 'bigint') hash.update(`i${value};`)
    else if (typeof value === 'number') hash.update(`r${value};`)
    else if (typeof value === 'string') {
      hash.update(`t${Buffer.byteLength(value)};`)
      hash.update(value)
    } else hash.update(`b${value.length};`).update(value)
  }
}
