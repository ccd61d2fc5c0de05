import type { Random } from './ports.ts'

/** Bounds of a retry delay that doubles with each failure. */
export interface BackoffOptions {
  readonly delayMsMin: number
  readonly delayMsMax: number
}

/** Exponential delays with full jitter, from at least half the current step to all of it. */
export class Backoff {
  readonly #options: BackoffOptions
  readonly #random: Random
  #failures = 0

  constructor(options: BackoffOptions, random: Random) {
    this.#options = options
    this.#random = random
  }

  /** The delay before the next try, in milliseconds. */
  next(): number {
    const { delayMsMin, delayMsMax } = this.#options
    const step = Math.min(delayMsMax, delayMsMin * 2 ** Math.min(this.#failures, 30))
    this.#failures += 1
    return step / 2 + ((step / 2) * this.#random.u32()) / 0x1_0000_0000
  }

  /** Forgets past failures, after a success. */
  reset(): void {
    this.#failures = 0
  }
}
