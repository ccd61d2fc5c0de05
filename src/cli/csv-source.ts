import { createReadStream } from 'node:fs'
import { CliError } from './failure.ts'
import { type ImportSource, InsertGatherer, quoteName, type Unit } from './import-source.ts'

export interface CsvOptions {
  readonly path: string
  readonly table: string
  /** Whether the table is there already: then its columns say what the values are. */
  readonly hasTable: boolean
}

/** A CSV file whose first row names the columns. Values are text; what is not even quotes, NULL. */
export class CsvSource implements ImportSource {
  readonly makes: readonly string[]
  readonly rows: null = null
  readonly leftOut: readonly string[] = []
  readonly #options: CsvOptions

  constructor(options: CsvOptions) {
    this.#options = options
    this.makes = options.hasTable ? [] : [options.table]
  }

  /** @throws CliError with the line of a row that is not as wide as the first. */
  async *units(): AsyncIterable<Unit> {
    const { path, table, hasTable } = this.#options
    let gatherer: InsertGatherer | null = null
    let width = 0
    for await (const { fields, line } of readRows(path)) {
      if (gatherer === null) {
        width = fields.length
        const names = fields.map((field) => field ?? '')
        gatherer = new InsertGatherer(table, names)
        const columns = names.map((name) => `${quoteName(name)} TEXT`).join(', ')
        const sql = `CREATE TABLE ${quoteName(table)} (${columns})`
        yield { statements: hasTable ? [] : [{ sql }], rows: 0 }
        continue
      }
      // An empty line, as there is one at the end of many files.
      if (fields.length === 1 && fields[0] === null && width > 1) continue
      if (fields.length !== width) {
        throw new CliError(
          `line ${line} of ${path} has ${fields.length} values, but the first line has ${width}`,
        )
      }
      gatherer.add(fields)
      if (gatherer.isFull) yield gatherer.take()
    }
    if (gatherer === null) throw new CliError(`${path} is empty: its first line names the columns`)
    if (!gatherer.isEmpty) yield gatherer.take()
  }

  close(): void {}
}

interface Row {
  readonly fields: (string | null)[]
  readonly line: number
}

/** As RFC 4180 has it: quotes hold commas, line ends and doubled quotes. */
async function* readRows(path: string): AsyncIterable<Row> {
  const parser = new CsvParser()
  for await (const text of createReadStream(path, 'utf8')) yield* parser.push(text as string)
  yield* parser.end(path)
}

export class CsvParser {
  #fields: (string | null)[] = []
  #field = ''
  #isQuoted = false
  /** A quote inside quotes: the next character tells whether it was the end. */
  #wasQuote = false
  #line = 1
  #startLine = 1
  #isFirst = true

  #take(character: string): Row | null {
    if (character === '\n') this.#line += 1
    if (this.#isQuoted && !this.#wasQuote) {
      if (character === '"') this.#wasQuote = true
      else this.#field += character
      return null
    }
    if (this.#wasQuote && character === '"') {
      this.#wasQuote = false
      this.#field += '"'
      return null
    }
    if (character === '"' && this.#field === '' && !this.#isQuoted) this.#isQuoted = true
    else if (character === ',') this.#endField()
    else if (character === '\n') return this.#endRow()
    else if (character !== '\r') this.#field += character
    return null
  }

  *push(text: string): Iterable<Row> {
    for (const character of this.#isFirst ? text.replace(/^\uFEFF/, '') : text) {
      const row = this.#take(character)
      if (row !== null) yield row
    }
    this.#isFirst = false
  }

  *end(path: string): Iterable<Row> {
    if (this.#isQuoted && !this.#wasQuote) {
      throw new CliError(`${path} ends inside quotes that line ${this.#startLine} begins`)
    }
    if (this.#field !== '' || this.#fields.length > 0) yield this.#endRow()
  }

  #endField(): void {
    this.#fields.push(this.#field === '' && !this.#isQuoted ? null : this.#field)
    this.#field = ''
    this.#isQuoted = false
    this.#wasQuote = false
  }

  #endRow(): Row {
    this.#endField()
    const row = { fields: this.#fields, line: this.#startLine }
    this.#fields = []
    this.#startLine = this.#line
    return row
  }
}
