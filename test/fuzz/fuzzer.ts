/** Runs the cases of one target after the other, and says how to see a failing one again. */
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makePassing } from '../simulated/passing.ts'

export interface Request {
  readonly target: string
  readonly seed: number
  readonly runs: number
  /** Of one case, as a failure says it. */
  readonly path?: string | undefined
}

export interface Finding {
  readonly runs: number
  /** The one of a path, as text. */
  readonly input: string | null
  readonly failure: { readonly path: string; readonly text: string } | null
}

/** In the file of the case that is at work: which of its run it is, and how many have begun. */
export const PLACES = { run: 0, begun: 1 } as const

/** Far more than any case needs: it is at work for ever. */
const CASE_MS_MAX = 20_000
const MEMORY_MB_MAX = 512
const ERROR_CHARS_MAX = 2_000

const CASES = fileURLToPath(new URL('cases.ts', import.meta.url))
/** It reads all that this build does, and packed commands as well. */
const NEWER_BUILD = new URL('newer-build.ts', import.meta.url).href

/** A rule was broken; the text says how to see it again. */
export class FuzzFailure extends Error {
  override readonly name: string = 'FuzzFailure'
}

/** A process of its own for cases, made anew after one that they ended. */
export class Fuzzer {
  readonly #directory: string = makePassing(join(tmpdir(), 'colmena-fuzz'))
  readonly #place: string = join(this.#directory, 'case')
  #child: ChildProcess | null = null
  #said = ''

  /** @throws FuzzFailure */
  async run(request: Request): Promise<Finding> {
    const finding = await this.#ask(request)
    const { failure } = finding
    if (failure !== null) throw failureOf(request, failure.path, failure.text)
    return finding
  }

  async close(): Promise<void> {
    await this.#end()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #ask(request: Request): Promise<Finding> {
    this.#child ??= this.#start()
    const child = this.#child
    const { promise, resolve, reject } = Promise.withResolvers<Finding>()
    const fail = (text: string): void => {
      this.#child = null
      child.kill('SIGKILL')
      const path = request.path ?? String(Math.max(0, this.#read(PLACES.run)))
      reject(failureOf(request, path, `${text}\n${this.#said}`))
    }
    const stop = this.#watch(() => fail(`the case was at work for ${CASE_MS_MAX} ms`))
    const ended = (code: number | null, signal: string | null): void =>
      fail(`the case ended its process: ${signal ?? code}`)
    child.once('message', resolve).once('exit', ended)
    child.send(request)
    try {
      return await promise
    } finally {
      stop()
      child.off('message', resolve).off('exit', ended)
    }
  }

  #start(): ChildProcess {
    this.#said = ''
    writeFileSync(this.#place, new Int32Array([-1, 0]))
    const execArgv = [
      `--max-old-space-size=${MEMORY_MB_MAX}`,
      '--expose-gc',
      '--disable-warning=ExperimentalWarning',
      `--import=${NEWER_BUILD}`,
    ]
    const child = fork(CASES, [this.#place], { execArgv, stdio: ['ignore', 2, 'pipe', 'ipc'] })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-ERROR_CHARS_MAX)
    })
    return child
  }

  async #end(): Promise<void> {
    const child = this.#child
    if (child === null) return
    this.#child = null
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  #read(place: number): number {
    return readFileSync(this.#place).readInt32LE(4 * place)
  }

  /** Calls `stuck` if no new case begins for too long. */
  #watch(stuck: () => void): () => void {
    let seen = -1
    let sinceMs = performance.now()
    const timer = setInterval(() => {
      const at = this.#read(PLACES.begun)
      if (at !== seen) {
        seen = at
        sinceMs = performance.now()
      } else if (performance.now() - sinceMs > CASE_MS_MAX) stuck()
    }, 500)
    return () => clearInterval(timer)
  }
}

function failureOf({ target, seed }: Request, path: string, text: string): FuzzFailure {
  const again = `npx node test/fuzz/replay.ts ${target} ${seed} ${path}`
  return new FuzzFailure(`${target}, seed ${seed}, path ${path}; again: ${again}\n${text}`)
}
