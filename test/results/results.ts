/**
 * The record of long runs: what ran, on which commit, for how long, and what came of it. A script
 * adds a line of JSON to it when a run ends, also before its time; nobody writes it by hand.
 */
import {
  accessSync,
  appendFileSync,
  constants,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { readCircumstances } from './circumstances.ts'
import { PAGE_TITLE, renderPage } from './page.ts'
import { isResult, type Kind, type Result } from './result.ts'

export type Outcome = Pick<Result, 'isGood' | 'brokenOff' | 'figures' | 'found'>

/** None where there is no file yet. @throws Error that names the line which is no result. */
export function readResults(path: string): Result[] {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n')
  if (lines.pop() !== '') throw new Error(`${path} ends within a line, which may be cut off`)
  return lines.map((line, at) => {
    const result = readLine(line)
    if (!isResult(result)) throw new Error(`${path}:${at + 1} is no result`)
    return result
  })
}

function readLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

export function addResult(path: string, result: Result): void {
  // Before the write: a file that is none of ours is not touched.
  readResults(path)
  const lengthBytes = existsSync(path) ? statSync(path).size : 0
  try {
    appendFileSync(path, `${JSON.stringify(result)}\n`)
  } catch (error) {
    // On a full disk a part of the line may be there, and nobody could read the record.
    if (existsSync(path)) truncateSync(path, lengthBytes)
    throw error
  }
}

/**
 * Writes the page of a record anew, beside it. @returns its path
 * @throws Error where the record is none, or where another page would be lost.
 */
export function writePage(path: string): string {
  const page = pageOf(path)
  checkPage(page)
  const made = `${page}.new`
  try {
    // Aside, as on a full disk a part of it would take the place of the whole.
    writeFileSync(made, renderPage(readResults(path)))
    renameSync(made, page)
  } finally {
    rmSync(made, { force: true })
  }
  return page
}

export function pageOf(path: string): string {
  return path.replace(/\.jsonl$/, '.md')
}

function checkPage(page: string): void {
  if (existsSync(page) && !readFileSync(page, 'utf8').startsWith(PAGE_TITLE)) {
    throw new Error(`${page}, the page beside it, is no page of results`)
  }
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
    // All of this not only when hours are over; and a run that is refused leaves no empty file.
    readResults(path)
    checkPage(pageOf(path))
    for (const file of [path, pageOf(path)]) {
      accessSync(existsSync(file) ? file : dirname(file), constants.W_OK)
    }
    this.#path = path
    this.#kind = kind
    this.#command = describeCommand(kind, args)
  }

  /** @throws Error if it can't be written down; names the line that is missing. */
  end({ isGood, brokenOff, figures, found }: Outcome): void {
    const result = {
      kind: this.#kind,
      command: this.#command,
      at: `${this.#at.toISOString().slice(0, 16)}Z`,
      ...this.#circumstances,
      seconds: Math.round((performance.now() - this.#startedMs) / 1_000),
      isGood,
      ...(brokenOff === undefined ? {} : { brokenOff }),
      figures,
      ...(found === undefined ? {} : { found }),
    }
    try {
      addResult(this.#path, result)
      writePage(this.#path)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : `${cause}`
      throw new Error(`${why}; its line is ${JSON.stringify(result)}`, { cause })
    }
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
