import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { LIVES, removePassing } from '../simulated/passing.ts'
import type { LivesOrder, LivesReport } from './lives.ts'
import { applyMutation, type LivesWanted, type Mutation } from './mutation.ts'

/** What became of one mutation. */
export interface Verdict {
  readonly isCaught: boolean
  /** The invariant that broke or the test that failed; what held, if nothing did. */
  readonly by: string
  /** Null where tests are to catch it. */
  readonly seed: number | null
  readonly seedsRun: number
  readonly seconds: number
}

export interface GateOptions {
  readonly seeds: number
  /** All that one mutation may take. */
  readonly limitMs?: number
}

/** A life takes a fraction of a second: one that has not ended by then never does. */
const LIFE_MS = 60_000
const LIMIT_MS = 900_000
/** A file that takes longer is taken for one that fails. */
const TEST_MS = 240_000
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Another Node.js, which no mutation needs. */
const LEFT_OUT = join(ROOT, 'test/package/node-26')

type Outcome = Pick<Verdict, 'isCaught' | 'by' | 'seed' | 'seedsRun'>

/** A copy of the sources to make mistakes in, and a child at a time that runs them. */
export class Gate {
  readonly #folder = mkdtempSync(join(tmpdir(), 'colmena-mutations-'))
  readonly #root = join(this.#folder, 'copy')
  readonly #sound = new Map<string, string | null>()
  #child: ChildProcess | null = null

  constructor() {
    for (const part of ['src', 'test', 'scripts', 'package.json', 'tsconfig.json']) {
      cpSync(join(ROOT, part), join(this.#root, part), {
        recursive: true,
        filter: (path) => path !== LEFT_OUT,
      })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.#root, 'node_modules'))
  }

  close(): void {
    this.#child?.kill('SIGKILL')
    this.#removeLives()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  async judge(mutation: Mutation, options: GateOptions): Promise<Verdict> {
    const sinceMs = performance.now()
    const { caughtBy } = mutation
    const outcome =
      'lives' in caughtBy
        ? await this.#judgeByLives(mutation, caughtBy.lives, options)
        : await this.#judgeByTests(mutation, caughtBy.tests)
    return { ...outcome, seconds: (performance.now() - sinceMs) / 1_000 }
  }

  async #judgeByLives(
    mutation: Mutation,
    wanted: LivesWanted,
    { seeds, limitMs = LIMIT_MS }: GateOptions,
  ): Promise<Outcome> {
    const restore = applyMutation(this.#root, mutation)
    const found = await this.#runLives({ from: 1, to: seeds, wanted }, limitMs)
    restore()
    if (found.violation === null) return { ...found, isCaught: false, by: found.end, seed: null }
    // The very life that caught it must be sound without it.
    const { seed } = found
    const sound = await this.#runLives({ from: seed, to: seed, wanted }, LIFE_MS)
    if (sound.violation !== null) {
      const by = `seed ${seed} breaks without it too: ${sound.violation}`
      return { isCaught: false, by, seed, seedsRun: found.seedsRun }
    }
    return { isCaught: true, by: found.violation, seed, seedsRun: found.seedsRun }
  }

  async #judgeByTests(mutation: Mutation, tests: readonly string[]): Promise<Outcome> {
    for (const test of tests) {
      if (!this.#sound.has(test)) this.#sound.set(test, await this.#runTest(test))
      const failure = this.#sound.get(test)
      if (failure !== null) {
        const by = `${test} fails without it too: ${failure}`
        return { isCaught: false, by, seed: null, seedsRun: 0 }
      }
    }
    const restore = applyMutation(this.#root, mutation)
    try {
      for (const test of tests) {
        const failure = await this.#runTest(test)
        if (failure === null) continue
        return { isCaught: true, by: `${test}: ${failure}`, seed: null, seedsRun: 0 }
      }
      return { isCaught: false, by: 'all of its tests passed', seed: null, seedsRun: 0 }
    } finally {
      restore()
    }
  }

  async #runLives(
    order: LivesOrder,
    limitMs: number,
  ): Promise<{ violation: string | null; seed: number; seedsRun: number; end: string }> {
    const child = this.#spawn(['test/mutations/lives.ts', JSON.stringify(order)])
    let seed = order.from
    let violation: string | null = null
    let end = 'every invariant held'
    let isDone = false
    const kill = (why: string): void => {
      end = why
      child.kill('SIGKILL')
    }
    const limit = setTimeout(() => kill(`out of time at seed ${seed}`), limitMs)
    const stuck = (): void => {
      violation = 'liveness: a life that never ends'
      kill(violation)
    }
    let life = setTimeout(stuck, LIFE_MS)
    const errors = collect(child.stderr)
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      clearTimeout(life)
      life = setTimeout(stuck, LIFE_MS)
      const report = JSON.parse(line) as LivesReport
      if (report.kind === 'held') isDone = true
      else seed = report.seed
      if (report.kind !== 'broke') continue
      isDone = true
      violation = firstLine(report.violation)
    }
    clearTimeout(life)
    clearTimeout(limit)
    const status = await ended(child)
    this.#removeLives()
    // A mistake that ends the very process of the simulator is found, too.
    if (!isDone && status !== null) violation = `its process ended: ${lastLine(errors())}`
    return { violation, seed, seedsRun: seed - order.from + 1, end }
  }

  /** The name of the first test that fails, or null. */
  async #runTest(test: string): Promise<string | null> {
    const child = this.#spawn(['--test', '--test-reporter=tap', test])
    const limit = setTimeout(() => child.kill('SIGKILL'), TEST_MS)
    let failed: string | null = null
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      failed ??= /^\s*not ok \d+ - (?!test\/)(.*)$/.exec(line)?.[1] ?? null
    }
    clearTimeout(limit)
    const status = await ended(child)
    return status === 0
      ? null
      : (failed ?? (status === null ? 'it never ends' : `ended with ${status}`))
  }

  /** One that was killed amid a life could not. */
  #removeLives(): void {
    if (this.#child?.pid !== undefined) removePassing(LIVES, this.#child.pid)
  }

  #spawn(args: readonly string[]): ChildProcess {
    // The runner's own variable would make a test runner below it a part of this one.
    const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
      cwd: this.#root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...inherited, NODE_COMPILE_CACHE: join(this.#folder, 'compiled') },
    })
    this.#child = child
    return child
  }
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode)
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)))
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = []
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
