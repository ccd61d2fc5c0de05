import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { readValue, type SqlValue, writeValue } from '../command/command.ts'
import type { RowChange, RowChangeKind, UnitChange, Writer } from '../sqlite/sqlite.ts'

export const CREATE_CHANGES =
  'CREATE TABLE _colmena_changes (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT'
const INSERT = 'INSERT INTO _colmena_changes VALUES (?, ?)'
const SELECT_OLDEST = 'SELECT id, length(bytes) FROM _colmena_changes ORDER BY id LIMIT 1'
const DELETE = 'DELETE FROM _colmena_changes WHERE id = ?'
const DELETE_ALL = 'DELETE FROM _colmena_changes'

/** A command has fewer units: with its index before them, ids are in the order of the log. */
const UNITS_MAX = 2n ** 20n

/** What is kept of changed rows where nobody says otherwise. */
export const CHANGES_BYTES_MAX: number = 64 * 1024 * 1024

/** The id that all units of entries after `index` have or exceed. */
export function firstIdAfter(index: number): bigint {
  return BigInt(index + 1) * UNITS_MAX
}

/** The entry whose unit has an id. */
export function entryOf(id: bigint): number {
  return Number(id / UNITS_MAX)
}

/**
 * The changed rows of a database, kept in its own file: written in the transaction that changes
 * them, so that a crash parts neither from the other, and a snapshot brings both. Every entry after
 * `since` is whole in it. It is bounded in bytes: what is oldest goes first.
 */
export class Feed {
  readonly #writer: Writer
  /** Null while no feed is wanted. */
  #bytesMax: number | null = null
  /** Whether the database was made to keep one, on all nodes. */
  isSetting = false
  /** Null while nothing is kept; as the open transaction would leave it, as are the bytes. */
  since: number | null = null
  sizeBytes = 0

  constructor(writer: Writer) {
    this.#writer = writer
  }

  /** Keeps at most so many bytes from the next command on; null keeps nothing. */
  want(bytesMax: number | null, isSetting: boolean): void {
    this.#bytesMax = bytesMax
    this.isSetting = isSetting
  }

  /** A command is about to run, and all that changed rows up to `complete` has. */
  begin(complete: number): void {
    const isWanted = this.#bytesMax !== null
    if (isWanted !== (this.since !== null)) this.#restart(isWanted ? complete : null)
  }

  /** What a unit did, null where that can't be told whole: then the feed begins anew behind it. */
  append(index: number, ordinal: number, changes: readonly UnitChange[] | null): void {
    const bytesMax = this.#bytesMax ?? 0
    const bytes = changes === null ? null : encodeChanges(changes)
    if (bytes === null || bytes.length > bytesMax) {
      this.#restart(index)
      return
    }
    if (changes?.length === 0) return
    this.#writer.own(INSERT).run(BigInt(index) * UNITS_MAX + BigInt(ordinal), bytes)
    this.sizeBytes += bytes.length
    while (this.sizeBytes > bytesMax) this.#dropOldest()
  }

  #dropOldest(): void {
    const row = this.#writer.own(SELECT_OLDEST).get() as unknown as [bigint, bigint]
    const [id, sizeBytes] = row
    this.#writer.own(DELETE).run(id)
    this.sizeBytes -= Number(sizeBytes)
    this.since = entryOf(id)
  }

  #restart(since: number | null): void {
    this.#writer.own(DELETE_ALL).run()
    this.sizeBytes = 0
    this.since = since
  }
}

// Their places are on disk.
const KINDS: readonly RowChangeKind[] = ['insert', 'update', 'delete']

/*
 * Layout: for each change u8, then the SQL of a change of the schema; or a table's name, its
 * columns, and its rows, each with its kind and the values before and after that this has.
 */
export function encodeChanges(changes: readonly UnitChange[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter()
  for (const change of changes) {
    if (change.kind === 'schema') {
      writer.flag(false).text(change.sql)
      continue
    }
    writer.flag(true).text(change.table).u16(change.columns.length)
    for (const name of change.columns) writer.text(name)
    writer.u32(change.rows.length)
    for (const { kind, before, after } of change.rows) {
      writer.u8(KINDS.indexOf(kind))
      for (const value of [...(before ?? []), ...(after ?? [])]) writeValue(writer, value)
    }
  }
  return writer.finish()
}

export function decodeChanges(bytes: Uint8Array): UnitChange[] {
  const reader = new ByteReader(bytes)
  const changes: UnitChange[] = []
  while (reader.remaining > 0) {
    const hasRows = reader.flag()
    if (!hasRows) {
      changes.push({ kind: 'schema', sql: reader.text() })
      continue
    }
    const table = reader.text()
    const columns = Array.from({ length: reader.u16() }, () => reader.text())
    const read = (): SqlValue[] => columns.map(() => readValue(reader))
    const rows = Array.from({ length: reader.u32() }, (): RowChange => {
      const kind = KINDS[reader.u8()] as RowChangeKind
      const before = kind === 'insert' ? null : read()
      const after = kind === 'delete' ? null : read()
      return { kind, before, after }
    })
    changes.push({ kind: 'rows', table, columns, rows })
  }
  return changes
}
