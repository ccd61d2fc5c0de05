import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { NodeStatus } from '../index.ts'
import { type ApiClient, type CliResult, toWireValue } from './client.ts'
import { CliError, sentenceOf } from './failure.ts'
import { StatementSplitter } from './statements.ts'
import { escapeControls, renderResult, resultToJson, showValue, toJsonText } from './table.ts'

const HISTORY_LINES_MAX = 1_000
const LEVELS = ['none', 'weak', 'strong']
const MODES = ['table', 'json', 'list']

const HELP = `.tables                names of tables and views
.schema [NAME]         how they were made
.databases             the cluster's databases
.use NAME              goes on with another one
.consistency LEVEL     of reads: none, weak or strong
.timer on|off          how long each statement took
.mode table|json|list  how rows are shown
.quit                  or Ctrl-D`

/** A prompt for SQL; without a terminal, its input's statements, up to the first that fails. */
export async function runShell(
  client: ApiClient,
  options: { readonly database: string },
): Promise<void> {
  const shell = new Shell(client, options.database)
  if (process.stdin.isTTY !== true) {
    const splitter = new StatementSplitter()
    process.stdin.setEncoding('utf8')
    for await (const line of createInterface({ input: process.stdin })) {
      if (splitter.rest === '' && line.startsWith('.')) await shell.command(line)
      else for (const sql of splitter.push(`${line}\n`)) await shell.run(sql)
      if (shell.isOver) return
    }
    if (splitter.rest !== '') await shell.run(splitter.rest)
    return
  }
  const { nodeId, version } = await client.get<NodeStatus>('status')
  process.stdout.write(`colmena ${version}, asking ${nodeId}; .help tells the rest\n`)
  await prompt(shell)
}

/** What a shell keeps from one statement to the next. */
class Shell {
  readonly #client: ApiClient
  #database: string
  #consistency: string | undefined
  #hasTimer = false
  #mode = 'table'
  isOver = false

  constructor(client: ApiClient, database: string) {
    this.#client = client
    this.#database = database
  }

  get prompt(): string {
    return `${this.#database}> `
  }

  async run(sql: string): Promise<void> {
    const startedMs = performance.now()
    const result = await this.#execute(sql)
    this.#print(result)
    const tookMs = performance.now() - startedMs
    if (this.#hasTimer) process.stdout.write(`${tookMs.toFixed(1)} ms\n`)
  }

  /** @throws CliError for one that there is not. */
  async command(line: string): Promise<void> {
    const [name = '', argument = ''] = line.trim().split(/\s+/)
    switch (name) {
      case '.help':
        process.stdout.write(`${HELP}\n`)
        break
      case '.quit':
      case '.exit':
        this.isOver = true
        break
      case '.tables':
        printLines(await this.names())
        break
      case '.schema':
        await this.#schema(argument)
        break
      case '.databases': {
        const databases = await this.#client.get<{ readonly name: string }[]>('databases')
        printLines(databases.map((database) => database.name))
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

  /** Of tables and views, for `.tables` and completion. */
  async names(): Promise<string[]> {
    const sql =
      "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') " +
      "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    return (await this.#execute(sql)).rows.map(([name]) => String(name))
  }

  async #schema(name: string): Promise<void> {
    const args = name === '' ? [] : [toWireValue(name)]
    const where = name === '' ? '' : 'AND tbl_name = ?'
    const all = `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ${where}`
    const sql = `${all} ORDER BY type DESC, name`
    const { rows } = await this.#client.execute(this.#database, { sql, args })
    // Its own line ends stay: it is text to be read.
    for (const [text] of rows) printLines(`${String(text)};`.split('\n'))
  }

  #execute(sql: string): Promise<CliResult> {
    return this.#client.execute(this.#database, { sql }, { consistency: this.#consistency })
  }

  #print(result: CliResult): void {
    if (result.columns.length === 0) {
      if (process.stdin.isTTY === true) process.stdout.write(`${renderResult(result)}\n`)
    } else if (this.#mode === 'json') {
      process.stdout.write(`${toJsonText(resultToJson(result))}\n`)
    } else if (this.#mode === 'list') {
      for (const row of result.rows) printLines([row.map(showValue).join('|')])
    } else {
      process.stdout.write(`${renderResult(result)}\n`)
    }
  }
}

async function prompt(shell: Shell): Promise<void> {
  const historyPath = join(homedir(), '.colmena_history')
  const kept: readonly string[] = readHistory(historyPath)
  let names = await shell.names().catch(() => [])
  const reading = createInterface({
    input: process.stdin,
    output: process.stdout,
    prompt: shell.prompt,
    history: [...kept],
    historySize: HISTORY_LINES_MAX,
    removeHistoryDuplicates: true,
    completer: (line: string) => complete(line, names),
  })
  let history = kept
  reading.on('history', (lines) => {
    history = [...lines]
  })
  let splitter = new StatementSplitter()
  const ask = (): void => {
    reading.setPrompt(splitter.rest === '' ? shell.prompt : '   ...> ')
    reading.prompt()
  }
  reading.on('SIGINT', () => {
    splitter = new StatementSplitter()
    process.stdout.write('\n')
    // What was typed goes with it, on both sides of the cursor.
    reading.write(null, { ctrl: true, name: 'e' })
    reading.write(null, { ctrl: true, name: 'u' })
    ask()
  })
  ask()
  for await (const line of reading) {
    try {
      if (splitter.rest === '' && line.startsWith('.')) await shell.command(line)
      else for (const sql of splitter.push(`${line}\n`)) await shell.run(sql)
      names = await shell.names().catch(() => names)
    } catch (error) {
      printLines([sentenceOf(error)])
    }
    if (shell.isOver) break
    ask()
  }
  reading.close()
  keepHistory(historyPath, history)
}

/** What the word before the cursor may become. */
export function complete(line: string, names: readonly string[]): [string[], string] {
  const word = /[\w.]*$/.exec(line)?.[0] ?? ''
  const commands = line.startsWith('.') ? (HELP.match(/^\.\w+/gm) ?? []) : []
  const known = [...commands, ...names]
  return [known.filter((name) => name.toLowerCase().startsWith(word.toLowerCase())), word]
}

/** The newest first, as readline has it. */
function readHistory(path: string): string[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .toReversed()
}

/** It may hold what is nobody else's business. */
function keepHistory(path: string, lines: readonly string[]): void {
  try {
    writeFileSync(path, `${lines.toReversed().join('\n')}\n`, { mode: 0o600 })
  } catch {
    // A home that can't be written to costs the history only.
  }
}

function printLines(lines: readonly string[]): void {
  process.stdout.write(`${lines.map(escapeControls).join('\n')}\n`)
}

function oneOf(command: string, argument: string, choices: readonly string[]): string {
  if (choices.includes(argument)) return argument
  throw new CliError(`${command} takes one of ${choices.join(', ')}`)
}
