import type { SqlValue } from '../command/command.ts'

/** What became of a row. */
export type RowChangeKind = 'insert' | 'update' | 'delete'

/** A row as a changeset has it; undefined for a column that an update left as it was. */
export type PartialRow = readonly (SqlValue | undefined)[]

/** One row of a changeset: `before` null for an insert, `after` null for a delete. */
export interface ChangesetRow {
  readonly kind: RowChangeKind
  /** Of an update: the key, and what was changed. */
  readonly before: PartialRow | null
  /** Of an update: what was changed. */
  readonly after: PartialRow | null
}

/** The rows of one table, by the columns that are stored: generated ones are left out. */
export interface ChangesetTable {
  readonly table: string
  /** Whether a column is a part of the primary key. */
  readonly isKey: readonly boolean[]
  readonly rows: readonly ChangesetRow[]
  /** What the changeset holds of it; a view. */
  readonly bytes: Uint8Array
}

const TABLE = 0x54
const KINDS: ReadonlyMap<number, RowChangeKind> = new Map([
  [18, 'insert'],
  [23, 'update'],
  [9, 'delete'],
])
const UNDEFINED = 0
const INTEGER = 1
const FLOAT = 2
const TEXT = 3
const BLOB = 4
const NULL = 5

const text = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Reads a changeset of SQLite's session extension, whose format is on disk for good: for each table
 * 'T', the number of columns, a byte for each that says whether it is of the key, the name with a
 * zero; then its rows, each with its kind, a byte of no meaning here, the values before (but for an
 * insert) and after (but for a delete). Numbers that count are varints, all others big-endian.
 *
 * @throws RangeError for bytes that are none: they come from SQLite in this very process.
 */
export function readChangeset(bytes: Uint8Array): ChangesetTable[] {
  const reader = new ChangesetReader(bytes)
  const tables: ChangesetTable[] = []
  while (!reader.isAtEnd) tables.push(reader.table())
  return tables
}

class ChangesetReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  table(): ChangesetTable {
    const from = this.#at
    if (this.#byte() !== TABLE) throw new RangeError(`no table at byte ${from} of a changeset`)
    const columns = this.#varint()
    const isKey = [...this.#take(columns)].map((flag) => flag !== 0)
    const table = this.#name()
    const rows: ChangesetRow[] = []
    while (!this.isAtEnd && this.#bytes[this.#at] !== TABLE) rows.push(this.#row(columns))
    return { table, isKey, rows, bytes: this.#bytes.subarray(from, this.#at) }
  }

  #row(columns: number): ChangesetRow {
    const code = this.#byte()
    const kind = KINDS.get(code)
    if (kind === undefined) throw new RangeError(`a changeset has a row of kind ${code}`)
    // Whether a trigger or a foreign key made it.
    this.#byte()
    const before = kind === 'insert' ? null : this.#values(columns)
    const after = kind === 'delete' ? null : this.#values(columns)
    return { kind, before, after }
  }

  #values(columns: number): PartialRow {
    const values: (SqlValue | undefined)[] = []
    for (let left = columns; left > 0; left -= 1) values.push(this.#value())
    return values
  }

  #value(): SqlValue | undefined {
    const type = this.#byte()
    switch (type) {
      case UNDEFINED:
        return undefined
      case INTEGER:
        this.#at += 8
        return this.#view.getBigInt64(this.#at - 8)
      case FLOAT:
        this.#at += 8
        return this.#view.getFloat64(this.#at - 8)
      case TEXT:
        return text.decode(this.#take(this.#varint()))
      case BLOB:
        return this.#take(this.#varint()).slice()
      case NULL:
        return null
      default:
        throw new RangeError(`a changeset has a value of type ${type}`)
    }
  }

  #name(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0) throw new RangeError('a changeset ends within the name of a table')
    const name = text.decode(this.#bytes.subarray(this.#at, end))
    this.#at = end + 1
    return name
  }

  /** Seven bits a byte, the highest first; no length in a changeset needs more than five bytes. */
  #varint(): number {
    let value = 0
    for (;;) {
      const byte = this.#byte()
      value = value * 128 + (byte & 0x7f)
      if (byte < 0x80) return value
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new RangeError('a changeset ends within a table')
    this.#at += 1
    return byte
  }

  #take(count: number): Uint8Array {
    const end = this.#at + count
    if (end > this.#bytes.length) throw new RangeError('a changeset ends within a value')
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }
}
