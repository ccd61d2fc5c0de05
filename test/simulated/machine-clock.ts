import type { Timeline } from './timeline.ts'

/** What every machine's calendar shows when a simulation begins. */
export const WALL_ZERO_MS = 1_700_000_000_000

/** The two clocks of one machine, both of which may be wrong in ways of their own. */
export class MachineClock {
  readonly #timeline: Timeline
  /** Simulated milliseconds run at this rate on this machine. */
  rate: number
  /** How far the calendar has been put forward, or back. */
  #steppedMs = 0
  /** When the machine slept, by its own clock, which stood still, and for how long. */
  readonly #sleeps: { readonly atMs: number; readonly durationMs: number }[] = []

  constructor(timeline: Timeline, rate: number) {
    this.#timeline = timeline
    this.rate = rate
  }

  nowMs(): number {
    const sleptMs = this.#sleeps.reduce((sum, { durationMs }) => sum + durationMs, 0)
    return (this.#timeline.nowMs - sleptMs) * this.rate
  }

  wallMs(): number {
    return WALL_ZERO_MS + this.#timeline.nowMs + this.#steppedMs
  }

  step(byMs: number): void {
    this.#steppedMs += byMs
  }

  /** It has slept until now. */
  slept(durationMs: number): void {
    const atMs = (this.#timeline.nowMs - durationMs) * this.rate - this.#lostMs()
    this.#sleeps.push({ atMs, durationMs })
  }

  /** The simulation's own time when the clock that stands still in sleep showed `atMs` first. */
  simulatedMs(atMs: number): number {
    const before = this.#sleeps.filter((sleep) => sleep.atMs < atMs)
    return atMs / this.rate + before.reduce((sum, { durationMs }) => sum + durationMs, 0)
  }

  #lostMs(): number {
    return this.#sleeps.reduce((sum, { durationMs }) => sum + durationMs, 0) * this.rate
  }
}
