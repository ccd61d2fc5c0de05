import { type CliValue, toWireValue, type WireStatement } from './client.ts'

/** Some statements that are applied together, and how many rows they bring. */
export interface Unit {
  readonly statements: readonly WireStatement[]
  readonly rows: number
}

/** What an import reads from. The units of one file are the same each time. */
export interface ImportSource {
  /** Tables and views that it makes, parents first; null where only its statements tell. */
  readonly makes: readonly string[] | null
  /** How many rows there are, null where that shows in the end. */
  readonly rows: number | null
  units(): Iterable<Unit> | AsyncIterable<Unit>
  /** Sentences on what could not be taken over. */
  readonly leftOut: readonly string[]
  close(): void
}

/** Well within what one write may have, and enough that its costs are the rows'. */
export const UNIT_BYTES: number = 1024 * 1024
const VARIABLES_MAX = 30_000

/** Rows of one table, gathered into INSERTs of many rows each. */
export class InsertGatherer {
  readonly #head: string
  readonly #width: number
  #rows: (readonly CliValue[])[] = []
  #bytes = 0

  constructor(table: string, columns: readonly string[]) {
    this.#head = `INSERT INTO ${quoteName(table)} (${columns.map(quoteName).join(', ')}) VALUES `
    this.#width = columns.length
  }

  get isFull(): boolean {
    return this.#bytes >= UNIT_BYTES || (this.#rows.length + 1) * this.#width > VARIABLES_MAX
  }

  get isEmpty(): boolean {
    return this.#rows.length === 0
  }

  add(row: readonly CliValue[]): void {
    this.#rows.push(row)
    for (const value of row) this.#bytes += sizeOf(value)
  }

  /** What was gathered, as one unit; begins anew. */
  take(): Unit {
    const args: CliValue[] = []
    const rows = this.#rows.map((row) => `(${row.map((value) => place(value, args)).join(',')})`)
    const unit = {
      statements: [{ sql: this.#head + rows.join(','), args: args.map(toWireValue) }],
      rows: this.#rows.length,
    }
    this.#rows = []
    this.#bytes = 0
    return unit
  }
}

/** JSON has no infinity; SQL has a number that is beyond all. */
function place(value: CliValue, args: CliValue[]): string {
  if (value === Number.POSITIVE_INFINITY) return '9e999'
  if (value === Number.NEGATIVE_INFINITY) return '-9e999'
  args.push(value)
  return '?'
}

function sizeOf(value: CliValue): number {
  if (typeof value === 'string') return value.length + 24
  return value instanceof Uint8Array ? value.length * 1.4 + 24 : 32
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
