import { homedir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { NodeStatus } from '../index.ts'
import type { ApiClient } from './client.ts'
import { sentenceOf } from './failure.ts'
import { History } from './history.ts'
import { DOT_COMMANDS, ShellSession } from './shell-session.ts'
import { StatementSplitter } from './statements.ts'

const HISTORY_LINES_MAX = 1_000
/** Of what is pasted while a statement runs; a file is better given by a pipe. */
const WAITING_LINES_MAX = 10_000
/** Who pressed Tab is waiting. */
const NAMES_MS = 5_000

/** A prompt for SQL; without a terminal, its input's statements, up to the first that fails. */
export async function runShell(
  client: ApiClient,
  options: { readonly database: string },
): Promise<void> {
  const isTyped = process.stdin.isTTY === true
  const shell = new ShellSession({ client, ...options, output: process.stdout, isTyped })
  if (!isTyped) return runPipe(shell)
  const { nodeId, version } = await client.get<NodeStatus>('status')
  process.stdout.write(`colmena ${version}, asking ${nodeId}; .help tells the rest\n`)
  const historyPath = join(homedir(), '.colmena_history')
  await new Prompt(shell, { input: process.stdin, output: process.stdout, historyPath }).ended
}

async function runPipe(shell: ShellSession): Promise<void> {
  const splitter = new StatementSplitter()
  process.stdin.setEncoding('utf8')
  for await (const line of createInterface({ input: process.stdin })) {
    if (splitter.rest === '' && line.startsWith('.')) await shell.command(line)
    else for (const sql of splitter.push(`${line}\n`)) await shell.run(sql)
    if (shell.isOver) return
  }
  if (splitter.rest !== '') await shell.run(splitter.rest)
}

export interface PromptOptions {
  readonly input: Readable
  readonly output: Writable
  readonly historyPath: string
}

/** Lines as they are typed or pasted, one after the other; Ctrl-C stops all that wait. */
export class Prompt {
  /** Resolves at Ctrl-D, `.quit`, or the end of the input. */
  readonly ended: Promise<void>
  readonly #shell: ShellSession
  readonly #reading: Interface
  readonly #waiting: string[] = []
  #splitter = new StatementSplitter()
  /** Ends what runs; null while nothing does. */
  #running: AbortController | null = null
  #isClosed = false
  #end: () => void = () => {}

  constructor(shell: ShellSession, { input, output, historyPath }: PromptOptions) {
    this.#shell = shell
    const history = new History(historyPath)
    if (history.trouble !== null) shell.printLines([history.trouble])
    this.#reading = createInterface({
      input,
      output,
      terminal: true,
      history: [...history.lines],
      historySize: HISTORY_LINES_MAX,
      removeHistoryDuplicates: true,
      completer: (line: string, answer: (error: null, found: Completion) => void) => {
        this.#complete(line).then((found) => answer(null, found))
      },
    })
    let lines = history.lines
    this.#reading.on('history', (all) => {
      lines = [...all]
    })
    this.#reading.on('line', (line) => this.#take(line))
    this.#reading.on('SIGINT', () => this.#interrupt())
    this.ended = new Promise<void>((resolve) => {
      this.#end = resolve
    }).then(() => history.keep(lines))
    this.#reading.on('close', () => {
      this.#isClosed = true
      if (this.#running === null) this.#end()
    })
    this.#ask()
  }

  #take(line: string): void {
    if (this.#waiting.length === WAITING_LINES_MAX) {
      this.#interrupt()
      const max = WAITING_LINES_MAX.toLocaleString('en-US')
      this.#shell.printLines([`more than ${max} lines wait: give so many by a pipe`])
      return
    }
    this.#waiting.push(line)
    if (this.#running === null) void this.#work()
  }

  async #work(): Promise<void> {
    for (;;) {
      const line = this.#waiting.shift()
      if (line === undefined || this.#shell.isOver) break
      this.#running = new AbortController()
      await this.#run(line, this.#running.signal).catch((error: unknown) => {
        this.#shell.printLines([sentenceOf(error)])
      })
      if (!this.#shell.isOver && !this.#isClosed) this.#ask()
    }
    this.#running = null
    if (this.#isClosed) this.#end()
    else if (this.#shell.isOver) this.#reading.close()
  }

  async #run(line: string, signal: AbortSignal): Promise<void> {
    if (this.#splitter.rest === '' && line.startsWith('.')) {
      await this.#shell.command(line, signal)
      return
    }
    for (const sql of this.#splitter.push(`${line}\n`)) {
      await this.#shell.run(sql, signal)
    }
  }

  /** Whoever pastes too much wants none of the rest: not even what is typed by half. */
  #interrupt(): void {
    this.#waiting.length = 0
    this.#splitter = new StatementSplitter()
    // What was typed goes with it, on both sides of the cursor.
    this.#reading.write(null, { ctrl: true, name: 'e' })
    this.#reading.write(null, { ctrl: true, name: 'u' })
    this.#shell.printLines([''])
    if (this.#running === null) this.#ask()
    else this.#running.abort()
  }

  #ask(): void {
    this.#reading.setPrompt(this.#splitter.rest === '' ? this.#shell.prompt : '   ...> ')
    this.#reading.prompt(true)
  }

  async #complete(line: string): Promise<Completion> {
    if (/^\.\w*$/.test(line)) return complete(line, DOT_COMMANDS)
    const names = this.#shell.names(AbortSignal.timeout(NAMES_MS))
    // A node that does not answer is told by the next statement.
    return complete(line, await names.catch(() => []))
  }
}

type Completion = [string[], string]

/** What the word before the cursor may become. */
export function complete(line: string, names: readonly string[]): Completion {
  const word = /^\.\w*$/.exec(line)?.[0] ?? /[\p{L}\p{N}_$]*$/u.exec(line)?.[0] ?? ''
  return [names.filter((name) => name.toLowerCase().startsWith(word.toLowerCase())), word]
}
