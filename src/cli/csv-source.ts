import { CliError } from './failure.ts'
import { type ImportSource, InsertGatherer, type Unit } from './import-source.ts'
import { quoteName } from './source-tables.ts'
import { readText } from './text-file.ts'

export interface CsvOptions {
  readonly path: string
  readonly table: string
  /** Whether the table is there already: then its columns say what the values are. */
  readonly hasTable: boolean
  /** One character, between two values. */
  readonly separator: string
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
    const { path, table, hasTable, separator } = this.#options
    let gatherer: InsertGatherer | null = null
    let width = 0
    for await (const { fields, line } of readRows(path, separator)) {
      if (gatherer === null) {
        width = fields.length
        const names = columnNames(fields, this.#options)
        gatherer = new InsertGatherer(table, names)
        const columns = names.map((name) => `${quoteName(name)} TEXT`).join(', ')
        const sql = `CREATE TABLE ${quoteName(table)} (${columns})`
        yield { statements: hasTable ? [] : [{ sql }], rows: 0, what: `the table ${table}` }
        continue
      }
      // An empty line, as there is one at the end of many files.
      if (fields.length === 1 && fields[0] === null && width > 1) continue
      if (fields.length !== width) {
        throw new CliError(
          `line ${line} of ${path} has ${fields.length} values, but the first line has ${width}`,
        )
      }
      yield* gatherer.add(fields)
    }
    if (gatherer === null) throw new CliError(`${path} is empty: its first line names the columns`)
    yield* gatherer.take()
  }

  close(): void {}
}

/** @throws CliError where the first line names no columns. */
function columnNames(
  fields: readonly (string | null)[],
  { path, separator }: CsvOptions,
): readonly string[] {
  const [only] = fields
  const other = fields.length === 1 ? /[;\t|]/.exec(only ?? '')?.[0] : undefined
  if (other !== undefined && other !== separator) {
    throw new CliError(
      `the first line of ${path} has no '${separator}' between names, but '${shown(other)}': ` +
        `--separator '${shown(other)}' takes it`,
    )
  }
  const seen = new Map<string, number>()
  return fields.map((field, at) => {
    const name = field?.trim() ?? ''
    const place = `value ${at + 1} of the first line of ${path}`
    if (name === '') throw new CliError(`${place} is empty: it has to name a column`)
    const before = seen.get(name.toLowerCase())
    if (before !== undefined) {
      throw new CliError(`${place} is '${name}', as is value ${before}: columns differ in name`)
    }
    seen.set(name.toLowerCase(), at + 1)
    return name
  })
}

function shown(separator: string): string {
  return separator === '\t' ? '\\t' : separator
}

interface Row {
  readonly fields: (string | null)[]
  readonly line: number
}

/** As RFC 4180 has it: quotes hold separators, line ends and doubled quotes. */
async function* readRows(path: string, separator: string): AsyncIterable<Row> {
  const parser = new CsvParser(separator)
  for await (const text of readText(path)) yield* parser.push(text)
  yield* parser.end(path)
}

class CsvParser {
  readonly #separator: string
  #fields: (string | null)[] = []
  #field = ''
  #isQuoted = false
  /** A quote inside quotes: the next character tells whether it was the end. */
  #wasQuote = false
  /** A line feed behind it belongs to the same end of a line. */
  #wasReturn = false
  #line = 1
  #startLine = 1

  constructor(separator: string) {
    this.#separator = separator
  }

  *push(text: string): Iterable<Row> {
    for (const character of text) {
      const row = this.#take(character)
      if (row !== null) yield row
    }
  }

  *end(path: string): Iterable<Row> {
    if (this.#isQuoted && !this.#wasQuote) {
      throw new CliError(`${path} ends inside quotes that line ${this.#startLine} begins`)
    }
    if (this.#field !== '' || this.#isQuoted || this.#fields.length > 0) yield this.#endRow()
  }

  #take(character: string): Row | null {
    const wasReturn = this.#wasReturn
    this.#wasReturn = character === '\r'
    if (character === '\r' || (character === '\n' && !wasReturn)) this.#line += 1
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
    else if (character === this.#separator) this.#endField()
    else if (character === '\r') return this.#endRow()
    else if (character === '\n') return wasReturn ? null : this.#endRow()
    else this.#field += character
    return null
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
