import type { Clock } from '../base/ports.ts'

/** What was not spent while a sender waited for something else may be spent later, up to this. */
const SAVED_MS_MAX = 50

/**
 * Holds what this node sends of snapshots, to all peers together, to a rate: reading, sending and
 * storing them at full speed takes the processor and the disk from the writes of the same moment,
 * on both ends.
 */
export class Pace {
  readonly #clock: Clock
  readonly #bytesPerMs: number
  #paidUntilMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  /** Counts bytes that were sent; answers how many milliseconds to rest before the next. */
  spend(bytes: number): number {
    const nowMs = this.#clock.nowMs()
    const fromMs = Math.max(this.#paidUntilMs, nowMs - SAVED_MS_MAX)
    this.#paidUntilMs = fromMs + bytes / this.#bytesPerMs
    return Math.max(0, this.#paidUntilMs - nowMs)
  }
}
