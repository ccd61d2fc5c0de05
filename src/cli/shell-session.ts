import type { ApiClient, CliResult, WireValue } from './client.ts'
import { LEVELS, toWireValue } from './client.ts'
import { CliError } from './failure.ts'
import {
  escapeControls,
  renderResult,
  resultToCsv,
  resultToJson,
  showValue,
  toJsonText,
} from './table.ts'

const MODES = ['table', 'json', 'list', 'csv']

const HELP = `.tables                    names of tables and views
.schema [NAME]             how they were made
.databases                 the cluster's databases
.use NAME                  goes on with another one
.consistency LEVEL         of reads: none, lease, weak or strong
.timer on|off              how long each statement took
.mode table|json|list|csv  how rows are shown
.quit                      or Ctrl-D`

/** What `.help` lists. */
export const DOT_COMMANDS: readonly string[] = HELP.match(/^\.\w+/gm) ?? []

/** Of users' own; what SQLite keeps for itself is nothing to type. */
const OWN = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
const TABLES = `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND ${OWN}`
const COLUMNS =
  'SELECT field.name FROM sqlite_schema AS made, pragma_table_xinfo(made.name) AS field ' +
  `WHERE made.type IN ('table', 'view') AND made.${OWN} AND field.hidden <> 1`
/** What hangs on a table, or on a view, comes behind all of those. */
const MADE_IN_ORDER =
  "ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, name"

export interface ShellOutput {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
}

export interface ShellSessionOptions {
  readonly client: ApiClient
  readonly database: string
  readonly output: ShellOutput
  /** Whether a person types: then what gives no rows says that it is done. */
  readonly isTyped: boolean
}

/** What a shell keeps from one statement to the next. */
export class ShellSession {
  readonly #client: ApiClient
  readonly #output: ShellOutput
  readonly #isTyped: boolean
  #database: string
  #consistency: string | undefined
  #hasTimer = false
  #mode = 'table'
  isOver = false

  constructor({ client, database, output, isTyped }: ShellSessionOptions) {
    this.#client = client
    this.#database = database
    this.#output = output
    this.#isTyped = isTyped
  }

  get prompt(): string {
    return `${this.#database}> `
  }

  async run(sql: string, signal?: AbortSignal): Promise<void> {
    const startedMs = performance.now()
    this.#print(await this.#execute(sql, [], signal))
    const tookMs = performance.now() - startedMs
    if (this.#hasTimer) this.printLines([`${tookMs.toFixed(1)} ms`])
  }

  /** @throws CliError for one that there is not. */
  async command(line: string, signal?: AbortSignal): Promise<void> {
    const [, name = '', rest = ''] = /^(\S+?)(?:\s+(.*?))?[\s;]*$/.exec(line.trim()) ?? []
    const argument = unquote(rest)
    switch (name) {
      case '.help':
        this.printLines(HELP.split('\n'))
        break
      case '.quit':
      case '.exit':
        this.isOver = true
        break
      case '.tables':
        this.printLines(await this.#texts(`${TABLES} ORDER BY name`, signal))
        break
      case '.schema':
        await this.#schema(argument, signal)
        break
      case '.databases': {
        const databases = await this.#client.get<{ readonly name: string }[]>('databases')
        this.printLines(databases.map((database) => database.name))
        break
      }
      case '.use':
        if (argument === '') throw new CliError('.use takes the name of a database')
        this.#database = argument
        break
      case '.consistency':
        this.#consistency = oneOf('.consistency', argument, LEVELS)
        break
      case '.mode':
        this.#mode = oneOf('.mode', argument, MODES)
        break
      case '.timer':
        this.#hasTimer = oneOf('.timer', argument, ['on', 'off']) === 'on'
        break
      default:
        throw new CliError(`there is no ${name}; .help lists what there is`)
    }
  }

  /** Of tables, views and their columns: what may be typed. */
  names(signal: AbortSignal): Promise<string[]> {
    return this.#texts(`${TABLES} UNION ${COLUMNS} ORDER BY 1`, signal)
  }

  printLines(lines: readonly string[]): void {
    this.#output.write(`${lines.map(escapeControls).join('\n')}\n`)
  }

  async #schema(name: string, signal?: AbortSignal): Promise<void> {
    const all = `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND ${OWN}`
    const texts =
      name === ''
        ? await this.#texts(`${all} ${MADE_IN_ORDER}`, signal)
        : await this.#texts(
            `${all} AND ?1 COLLATE NOCASE IN (name, tbl_name) ${MADE_IN_ORDER}`,
            signal,
            [toWireValue(name)],
          )
    if (name !== '' && texts.length === 0) {
      throw new CliError(
        `${this.#database} has nothing called '${name}'; .tables lists what it has`,
      )
    }
    // Its own line ends stay: it is text to be read.
    for (const text of texts) this.printLines(`${text};`.split('\n'))
  }

  async #texts(sql: string, signal?: AbortSignal, args?: readonly WireValue[]): Promise<string[]> {
    return (await this.#execute(sql, args, signal)).rows.map(([text]) => String(text))
  }

  #execute(sql: string, args: readonly WireValue[] = [], signal?: AbortSignal): Promise<CliResult> {
    const options = { consistency: this.#consistency, signal }
    return this.#client.execute(this.#database, { sql, args }, options)
  }

  #print(result: CliResult): void {
    if (result.columns.length === 0) {
      if (this.#isTyped) this.#output.write(`${renderResult(result)}\n`)
    } else if (this.#mode === 'json') {
      this.#output.write(`${toJsonText(resultToJson(result))}\n`)
    } else if (this.#mode === 'list') {
      for (const row of result.rows) this.printLines([row.map(showValue).join('|')])
    } else if (this.#mode === 'csv') {
      const text = resultToCsv(result)
      // A program that reads it is to get what there is.
      this.#output.write(this.#output.isTTY === true ? showText(text) : text)
    } else {
      this.#output.write(`${renderResult(result)}\n`)
    }
  }
}

/** Its line ends belong to it. */
function showText(text: string): string {
  return text.split('\n').map(escapeControls).join('\n')
}

function unquote(text: string): string {
  return /^(["'`])(.+)\1$/.exec(text)?.[2] ?? text
}

function oneOf(command: string, argument: string, choices: readonly string[]): string {
  if (choices.includes(argument)) return argument
  throw new CliError(`${command} takes one of ${choices.join(', ')}`)
}
