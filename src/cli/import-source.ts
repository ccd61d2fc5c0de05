import { type CliValue, toWireValue, type WireStatement } from './client.ts'
import { RawText } from './raw-rows.ts'
import { quoteName } from './source-tables.ts'

export type SourceValue = CliValue | RawText

/** Some statements that are applied together, and how many rows they bring. */
export interface Unit {
  readonly statements: readonly WireStatement[]
  readonly rows: number
  /** What is in it, for who reads that it failed. */
  readonly what: string
}

/** What an import reads from. The units of one file are the same each time. */
export interface ImportSource {
  /** Names of all that it makes: tables, views, indexes, triggers. */
  readonly makes: readonly string[]
  /** How many rows there are, null where that shows in the end. */
  readonly rows: number | null
  units(): Iterable<Unit> | AsyncIterable<Unit>
  /** Sentences on what could not be taken over. */
  readonly leftOut: readonly string[]
  close(): void
}

/** Well within what one write may have, and enough that its costs are the rows'. */
const UNIT_BYTES = 1024 * 1024
const VARIABLES_MAX = 30_000

/** Rows of one table, gathered into INSERTs of many rows each. */
export class InsertGatherer {
  readonly #table: string
  readonly #head: string
  readonly #rowsMax: number
  #rows: (readonly SourceValue[])[] = []
  #bytes = 0
  #taken = 0

  constructor(table: string, columns: readonly string[]) {
    this.#table = table
    this.#head = `INSERT INTO ${quoteName(table)} (${columns.map(quoteName).join(', ')}) VALUES `
    this.#rowsMax = Math.max(1, Math.floor(VARIABLES_MAX / columns.length))
  }

  /** Answers those before it, where it is not to be with them. */
  *add(row: readonly SourceValue[]): Iterable<Unit> {
    const bytes = row.reduce((sum: number, value) => sum + sizeOf(value), 0)
    // A row that is large has to stay within the limits by itself, not with its neighbours.
    if (this.#bytes + bytes > UNIT_BYTES || this.#rows.length >= this.#rowsMax) yield* this.take()
    this.#rows.push(row)
    this.#bytes += bytes
  }

  /** What was gathered, as one unit if it is anything; begins anew. */
  *take(): Iterable<Unit> {
    const count = this.#rows.length
    if (count === 0) return
    const args: CliValue[] = []
    const rows = this.#rows.map((row) => `(${row.map((value) => place(value, args)).join(',')})`)
    const first = this.#taken + 1
    this.#taken += count
    this.#rows = []
    this.#bytes = 0
    const what = `rows ${first} to ${this.#taken} of ${this.#table}`
    const statements = [{ sql: this.#head + rows.join(','), args: args.map(toWireValue) }]
    yield { statements, rows: count, what }
  }
}

/** JSON has no infinity; SQL has a number that is beyond all. */
function place(value: SourceValue, args: CliValue[]): string {
  if (value === Number.POSITIVE_INFINITY) return '9e999'
  if (value === Number.NEGATIVE_INFINITY) return '-9e999'
  // Nor has it a zero below zero.
  if (Object.is(value, -0)) return '-0.0'
  if (value instanceof RawText) {
    args.push(value.bytes)
    return 'CAST(? AS TEXT)'
  }
  args.push(value)
  return '?'
}

function sizeOf(value: SourceValue): number {
  if (typeof value === 'string') return value.length + 24
  if (value instanceof RawText) return sizeOf(value.bytes)
  return value instanceof Uint8Array ? value.length * 1.4 + 24 : 32
}
