import { type DiskFault, type DiskOperation, SimulatedDisk } from './disk.ts'
import type { SeededRandom } from './random.ts'
import type { Timeline } from './timeline.ts'

export interface LogDiskOptions {
  readonly timeline: Timeline
  readonly random: SeededRandom
  /** Whether its process may end now, which a failing disk ends. */
  readonly mayFail: () => boolean
  /** An operation is over: an event of the process that began it. */
  readonly complete: (finish: () => void) => void
}

/** The disk below a machine's log, and what goes wrong with it. */
export class LogDisk extends SimulatedDisk {
  readonly #timeline: Timeline
  #stalledUntilMs = 0
  #isBreaking = false
  /** It failed under this process, which the product can't go on after. */
  hasFailed = false

  constructor({ timeline, random, mayFail, complete }: LogDiskOptions) {
    super({
      random,
      schedule: (operation, finish) => {
        const slow = random.chance(0.005) ? random.below(300) : 0
        const delayMs = operation.isSynced || operation.kind === 'sync' ? random.below(8) : 0.2
        const stallMs = Math.max(0, this.#stalledUntilMs - timeline.nowMs)
        timeline.plan(delayMs + slow + stallMs, () => complete(finish))
      },
    })
    this.#timeline = timeline
    this.fault = (operation) => (mayFail() ? this.#fail(operation, random) : null)
  }

  /** It answers nothing for a while. */
  stall(durationMs: number): void {
    this.#stalledUntilMs = this.#timeline.nowMs + durationMs
  }

  /** The next write or sync fails, once one may. */
  break(): void {
    this.#isBreaking = true
  }

  /** There is so much more room, and what is there stays. */
  fill(roomBytes: number): void {
    this.capacityBytes = this.usedBytes + roomBytes
  }

  empty(): void {
    this.capacityBytes = Number.POSITIVE_INFINITY
  }

  /** Nothing goes wrong from here on. */
  heal(): void {
    this.empty()
    this.#isBreaking = false
    this.#stalledUntilMs = 0
  }

  /** Whether a process may end for what this disk did to it. */
  get isExcuse(): boolean {
    return this.hasFailed || this.capacityBytes !== Number.POSITIVE_INFINITY
  }

  /** Another process, and nothing wrong. */
  begin(): void {
    this.#isBreaking = false
    this.hasFailed = false
  }

  #fail({ kind, sizeBytes }: DiskOperation, random: SeededRandom): DiskFault | null {
    if (!this.#isBreaking || (kind !== 'write' && kind !== 'sync')) return null
    this.#isBreaking = false
    this.hasFailed = true
    return { code: 'EIO', writtenBytes: random.below(sizeBytes + 1) }
  }
}
