import { TextDecoder } from 'node:util'
import type { CliValue } from './client.ts'
import type { ForeignDatabase } from './foreign-database.ts'

/** What stands in a text for bytes that are none of UTF-8. */
const REPLACED = '\uFFFD'

/** A text whose bytes are no UTF-8, as programs that write Latin-1 leave them. */
export class RawText {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/**
 * The rows of a query, exactly. As long as all texts are what they seem, they are read as texts;
 * from the first that may not be, as bytes.
 */
export class RawRows implements Iterable<readonly (CliValue | RawText)[]> {
  readonly #db: ForeignDatabase
  readonly #columns: readonly string[]
  readonly #from: string

  /** `from` is what comes behind the columns. */
  constructor(db: ForeignDatabase, columns: readonly string[], from: string) {
    this.#db = db
    this.#columns = columns
    this.#from = from
  }

  *[Symbol.iterator](): Iterator<readonly (CliValue | RawText)[]> {
    let count = 0
    for (const row of this.#read(this.#columns.join(', '))) {
      if (row.some((value) => typeof value === 'string' && value.includes(REPLACED))) {
        yield* this.#bytewise(count)
        return
      }
      yield row
      count += 1
    }
  }

  *#bytewise(skipped: number): Iterable<readonly (CliValue | RawText)[]> {
    const pairs = this.#columns.map((name) => {
      const isText = `typeof(${name}) = 'text'`
      return `iif(${isText}, CAST(${name} AS BLOB), ${name}), ${isText}`
    })
    const encoding = this.#db.prepare('PRAGMA encoding').get()?.['encoding']
    const decoder = new TextDecoder(String(encoding), { fatal: true, ignoreBOM: true })
    for (const row of this.#read(pairs.join(', '), ` LIMIT -1 OFFSET ${skipped}`)) {
      yield this.#columns.map((_, at) => {
        const value = row[2 * at] ?? null
        return row[2 * at + 1] === 1n ? toText(value as Uint8Array, decoder) : value
      })
    }
  }

  #read(columns: string, limit = ''): Iterable<readonly CliValue[]> {
    const statement = this.#db.prepare(`SELECT ${columns} ${this.#from}${limit}`)
    statement.setReadBigInts(true)
    statement.setReturnArrays(true)
    return statement.iterate() as unknown as Iterable<readonly CliValue[]>
  }
}

function toText(bytes: Uint8Array, decoder: TextDecoder): string | RawText {
  try {
    return decoder.decode(bytes)
  } catch {
    // Of UTF-16 it would be other text there: what SQLite makes of it has to do.
    return decoder.encoding === 'utf-8'
      ? new RawText(bytes)
      : new TextDecoder(decoder.encoding).decode(bytes)
  }
}
