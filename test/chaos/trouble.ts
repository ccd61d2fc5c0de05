/**
 * Loaded before anything else in a node's process and each of its threads: a calendar that is put
 * forward and back, and a disk that is slow, as a file says at the time. The product has no switch
 * for either.
 */
import fs from 'node:fs'
import { installClock } from '../processes/foreign-clock.ts'

export interface Trouble {
  readonly clockOffsetMs: number
  /** How much longer each write to the log takes. */
  readonly diskDelayMs: number
}

export const NO_TROUBLE: Trouble = { clockOffsetMs: 0, diskDelayMs: 0 }

const LOOK_EVERY_MS = 50
const FILE = process.env['TEST_TROUBLE_FILE']

class TroubleFile {
  readonly #path: string
  #trouble: Trouble = NO_TROUBLE
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(path: string) {
    this.#path = path
  }

  read(): Trouble {
    const nowMs = performance.now()
    if (nowMs - this.#lookedMs < LOOK_EVERY_MS) return this.#trouble
    this.#lookedMs = nowMs
    this.#trouble = JSON.parse(fs.readFileSync(this.#path, 'utf8')) as Trouble
    return this.#trouble
  }
}

if (FILE !== undefined) {
  const file = new TroubleFile(FILE)
  installClock(() => file.read().clockOffsetMs)
  slowDown(() => file.read().diskDelayMs)
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
}
