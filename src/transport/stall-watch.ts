import type { Cancel, Clock } from '../base/ports.ts'

/** Calls `stalled` once if nobody calls `touch` for long enough; a touch sets no timer. */
export class StallWatch {
  readonly #clock: Clock
  readonly #stallMs: number
  readonly #stalled: () => void
  #touchedMs: number
  #cancel: Cancel

  constructor(clock: Clock, stallMs: number, stalled: () => void) {
    this.#clock = clock
    this.#stallMs = stallMs
    this.#stalled = stalled
    this.#touchedMs = clock.nowMs()
    this.#cancel = clock.setTimer(stallMs, () => this.#look())
  }

  touch(): void {
    this.#touchedMs = this.#clock.nowMs()
  }

  stop(): void {
    this.#cancel()
  }

  #look(): void {
    const restMs = this.#touchedMs + this.#stallMs - this.#clock.nowMs()
    if (restMs <= 0) this.#stalled()
    else this.#cancel = this.#clock.setTimer(restMs, () => this.#look())
  }
}
