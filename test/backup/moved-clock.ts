import type { BackupClock } from '../../src/backup/clock.ts'
import { DEADLINE_MS } from '../processes/wait.ts'

interface Wait {
  readonly untilMs: number
  readonly end: () => void
}

/** Time that passes when a test says so. */
export class MovedClock implements BackupClock {
  #nowMs: number
  readonly #waits = new Set<Wait>()

  constructor(nowMs: number = Date.now()) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  wait(waitMs: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = (): void => {
      this.#waits.delete(wait)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const wait = { untilMs: this.#nowMs + waitMs, end }
    this.#waits.add(wait)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end)
    return promise
  }

  /**
   * Lets time pass, and whoever has waited for that long do what comes then: it moves on once
   * `waiting` of them wait again.
   */
  async pass(durationMs: number, waiting: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs
    for (;;) {
      await this.untilWaiting(waiting)
      const nextMs = Math.min(...[...this.#waits].map((wait) => wait.untilMs))
      if (nextMs > untilMs) break
      this.#nowMs = Math.max(this.#nowMs, nextMs)
      for (const wait of [...this.#waits]) if (wait.untilMs <= this.#nowMs) wait.end()
    }
    this.#nowMs = untilMs
  }

  /** Resolves once so many wait at the same time. */
  async untilWaiting(count: number): Promise<void> {
    const startedMs = performance.now()
    while (this.#waits.size < count) {
      if (performance.now() - startedMs > DEADLINE_MS) {
        throw new Error(`${this.#waits.size} of ${count} wait for time to pass`)
      }
      await new Promise(setImmediate)
    }
  }
}
