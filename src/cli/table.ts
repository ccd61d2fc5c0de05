import Table from 'cli-table3'
import type { CliResult, CliValue } from './client.ts'

/** Plain lines, with no colours. What is wider than the terminal has a line for each value. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number = process.stdout.columns ?? Number.POSITIVE_INFINITY,
): string {
  const table = new Table({
    head: head.map(escapeControls),
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
    style: { head: [], border: [], compact: true },
  })
  for (const row of rows) table.push(row.map(escapeControls))
  const text = table.toString()
  // Its border is as wide as it, and has no character of another width than one.
  return rows.length > 0 && text.indexOf('\n') > columns ? renderLines(head, rows) : text
}

function renderLines(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const records = rows.map((row) =>
    row.map((value, at) => escapeControls(`${head[at] ?? ''}: ${value}`)).join('\n'),
  )
  return records.join('\n\n')
}

/** A result as a person reads it. */
export function renderResult({ columns, rows, rowsAffected }: CliResult): string {
  if (columns.length === 0) return rowsAffected === 1 ? '1 row' : `${rowsAffected} rows`
  const count = rows.length === 1 ? '1 row' : `${rows.length} rows`
  return `${renderTable(
    columns,
    rows.map((row) => row.map(showValue)),
  )}\n${count}`
}

/** JSON may be read on a terminal as well: what steers one is escaped in it. */
export function toJsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent)
  return text.replace(/[\u007f-\u009f\p{Cf}]/gu, (character) => {
    const units = [...Array(character.length).keys()].map((at) => character.charCodeAt(at))
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
  })
}

/** A result as a program reads it: integers beyond 2^53 as text, bytes as base64. */
export function resultToJson({ columns, rows }: CliResult): unknown {
  return rows.map((row) =>
    Object.fromEntries(row.map((value, column) => [columns[column], valueToJson(value)])),
  )
}

/** A result as `colmena import` reads it: NULL is nothing, an empty text is "". */
export function resultToCsv({ columns, rows }: CliResult): string {
  const lines = [columns, ...rows].map((row) => row.map(valueToCsv).join(','))
  return `${lines.join('\n')}\n`
}

function valueToCsv(value: CliValue): string {
  if (value === null) return ''
  const text = showValue(value)
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export function valueToJson(value: CliValue): unknown {
  if (typeof value === 'bigint') {
    return BigInt(Number(value)) === value && Number.isSafeInteger(Number(value))
      ? Number(value)
      : String(value)
  }
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}

export function showValue(value: CliValue): string {
  if (value === null) return 'NULL'
  if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString('hex')}'`
  return String(value)
}

/** What is in a database must not steer the terminal that shows it. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => {
    const code = character.codePointAt(0) as number
    return character === '\n' ? '\\n' : `\\u${code.toString(16).padStart(4, '0')}`
  })
}
