/**
 * The record of long runs: what ran, on which commit, for how long, and what came of it. A script
 * adds a line of JSON to it when a run ends, well or not; nobody writes it by hand.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { readCircumstances } from './circumstances.ts'
import { renderPage } from './page.ts'
import type { Kind, Result } from './result.ts'

export type Outcome = Pick<Result, 'isGood' | 'figures' | 'found'>

/** @throws Error that names the line which is no result. */
export function readResults(path: string): Result[] {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return lines.map((line, at) => {
    try {
      return JSON.parse(line) as Result
    } catch (cause) {
      throw new Error(`${path}:${at + 1} is no result`, { cause })
    }
  })
}

export function addResult(path: string, result: Result): void {
  // Before the write: a file that is none of ours is not touched.
  readResults(path)
  appendFileSync(path, `${JSON.stringify(result)}\n`)
}

/** Writes the page of a record anew, beside it. @returns its path */
export function writePage(path: string): string {
  const page = pageOf(path)
  writeFileSync(page, renderPage(readResults(path)))
  return page
}

export function pageOf(path: string): string {
  return path.replace(/\.jsonl$/, '.md')
}

/** One run from its begin on. */
export class Recorder {
  readonly #path: string
  readonly #kind: Kind
  readonly #command: string
  readonly #at = new Date()
  readonly #startedMs = performance.now()
  // At the begin: by the end of a long run somebody may have committed something else.
  readonly #circumstances = readCircumstances()

  /** `args` are those of the script. @throws Error if it is no record, or can't be written. */
  constructor(path: string, kind: Kind, args: readonly string[]) {
    if (!path.endsWith('.jsonl')) throw new Error(`a record is a .jsonl file, not "${path}"`)
    readResults(path)
    // Not only when hours are over.
    closeSync(openSync(path, 'a'))
    this.#path = path
    this.#kind = kind
    this.#command = describeCommand(kind, args)
  }

  end({ isGood, figures, found }: Outcome): void {
    const seconds = Math.round((performance.now() - this.#startedMs) / 1_000)
    addResult(this.#path, {
      kind: this.#kind,
      command: this.#command,
      at: `${this.#at.toISOString().slice(0, 16)}Z`,
      ...this.#circumstances,
      seconds,
      isGood,
      figures,
      ...(found === undefined ? {} : { found }),
    })
    writePage(this.#path)
  }
}

/** Without what says where it is recorded. */
function describeCommand(kind: Kind, args: readonly string[]): string {
  const rest: string[] = []
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? ''
    if (arg === '--record') at += 1
    else if (!arg.startsWith('--record=')) rest.push(/^[\w./=,-]+$/.test(arg) ? arg : `'${arg}'`)
  }
  return [`npm run ${kind}`, ...(rest.length > 0 ? ['--'] : []), ...rest].join(' ')
}
