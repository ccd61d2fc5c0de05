/** The command as a person runs it: a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '../processes/wait.ts'

const PROGRAM = fileURLToPath(new URL('../../src/cli/colmena.ts', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly cwd?: string
  /** A file that takes the output, instead of `out`. */
  readonly stdout?: number
  /** What starts Node.js; its signals then go to it. */
  readonly through?: readonly string[]
}

/** A command that runs. */
export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  out = ''
  err = ''

  constructor(args: readonly string[], options: RunOptions = {}) {
    const { env = {}, input = '', cwd, stdout, through = [] } = options
    const { NODE_TEST_CONTEXT: _, ...own } = process.env
    const [file, ...all] = [...through, process.execPath, PROGRAM, ...args] as [string, ...string[]]
    this.child = spawn(file, all, {
      cwd,
      env: { ...own, ...env },
      stdio: ['pipe', stdout ?? 'pipe', 'pipe'],
    })
    this.child.stdout?.on('data', (text) => {
      this.out += text
    })
    this.child.stderr?.on('data', (text) => {
      this.err += text
    })
    this.child.stdin?.on('error', () => {})
    this.child.stdin?.end(input)
    this.ended = once(this.child, 'close').then(([code, signal]) => ({
      code,
      signal,
      out: this.out,
      err: this.err,
    }))
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }
}

/** Runs a command to its end. */
export function run(args: readonly string[], options?: RunOptions): Promise<Ended> {
  return new Running(args, options).ended
}

/** What knows when it is over: one test, or a file of them. */
export interface Scope {
  after(end: () => void | Promise<void>): void
}

export function makeDirectory(t: Scope): string {
  const directory = mkdtempSync(join(tmpdir(), 'colmena-cli-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** `serve` on free ports, until what it is for ends. */
export async function serve(
  t: Scope,
  args: readonly string[] = [],
  options?: RunOptions,
): Promise<{ readonly running: Running; readonly url: string; readonly dataDir: string }> {
  const dataDir = join(makeDirectory(t), 'data')
  const all = ['serve', '--data-dir', dataDir, '--http-port', '0', ...args]
  const running = new Running(all, options)
  t.after(async () => {
    running.kill('SIGKILL')
    await running.ended
  })
  const url = await until('it serves', () => {
    if (running.child.exitCode !== null) throw new Error(`it ended: ${running.err}`)
    return /clients find it at (\S+)/.exec(running.out)?.[1]
  })
  return { running, url, dataDir }
}
