/**
 * Loaded before anything else in a node's process and each of its threads: a calendar that is put
 * forward and back, and a disk that is slow, as a file says at the time. The product has no switch
 * for either. What really struck is noted beside that file, a byte for each time.
 */
import fs from 'node:fs'
import { StatementSync } from 'node:sqlite'
import { isMainThread } from 'node:worker_threads'
import { installClock } from '../processes/foreign-clock.ts'

export interface Trouble {
  readonly clockOffsetMs: number
  /** How much longer each write and sync of the log takes, and each commit of the databases. */
  readonly diskDelayMs: number
}

export type TroubleKind = keyof Trouble

export const NO_TROUBLE: Trouble = { clockOffsetMs: 0, diskDelayMs: 0 }

const LOOK_EVERY_MS = 50
const FILE = process.env['TEST_TROUBLE_FILE']

/** How often a trouble struck the process that is told by the file at `path`. */
export function countStrikes(path: string, kind: TroubleKind): number {
  return fs.statSync(notePath(path, kind), { throwIfNoEntry: false })?.size ?? 0
}

function notePath(path: string, kind: TroubleKind): string {
  return `${path}.${kind}`
}

class TroubleFile {
  readonly #path: string
  #trouble: Trouble = NO_TROUBLE
  #lookedMs = Number.NEGATIVE_INFINITY
  readonly #noted = new Set<TroubleKind>()

  constructor(path: string) {
    this.#path = path
  }

  read(kind: TroubleKind): number {
    const nowMs = performance.now()
    if (nowMs - this.#lookedMs >= LOOK_EVERY_MS) {
      this.#lookedMs = nowMs
      this.#trouble = JSON.parse(fs.readFileSync(this.#path, 'utf8')) as Trouble
      this.#noted.clear()
    }
    const value = this.#trouble[kind]
    if (value !== 0 && !this.#noted.has(kind)) {
      this.#noted.add(kind)
      fs.appendFileSync(notePath(this.#path, kind), '.')
    }
    return value
  }
}

if (FILE !== undefined) {
  const file = new TroubleFile(FILE)
  installClock(() => file.read('clockOffsetMs'))
  slowDown(() => file.read('diskDelayMs'))
  // Ctrl-C reaches all processes of a terminal, and this one ends with the run that it belongs to.
  if (isMainThread) process.on('SIGINT', () => {})
}

/** The thread waits, as it does for a disk. */
function slowDown(delayMs: () => number): void {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const wait = (): void => {
    const ms = delayMs()
    if (ms > 0) Atomics.wait(cell, 0, 0, ms)
  }
  const { writeSync, fdatasync, fdatasyncSync } = fs
  fs.writeSync = ((...args: Parameters<typeof writeSync>) => {
    wait()
    return writeSync(...args)
  }) as typeof writeSync
  fs.fdatasyncSync = (fd) => {
    wait()
    fdatasyncSync(fd)
  }
  fs.fdatasync = ((...args: Parameters<typeof fdatasync>) => {
    setTimeout(() => fdatasync(...args), delayMs())
  }) as typeof fdatasync
  const { run } = StatementSync.prototype
  StatementSync.prototype.run = function (this: StatementSync, ...args: Parameters<typeof run>) {
    if (this.sourceSQL === 'COMMIT') wait()
    return run.apply(this, args)
  } as typeof run
}
