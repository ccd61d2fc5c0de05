import type { ColmenaError } from '../index.ts'
import type { CountedCalls } from './counted-calls.ts'
import { reportFailure, type TargetStatus } from './reports.ts'
import type { Shipper } from './shipper.ts'

/** Far beyond what a target takes for a piece, or to make an object of them. */
export const HANG_MS = 600_000

/** A target's shipping: one turn at a time, and how the last ones went. */
export class Lane {
  readonly label: string
  readonly shipper: Shipper
  readonly #calls: CountedCalls
  failuresInRow = 0
  /** What the target had done, and for how long it has done nothing more since, when looked. */
  #doneCount = 0
  #stillMs = 0
  #failure: ColmenaError | null = null
  #isBehind = false
  #last: Promise<unknown> = Promise.resolve()

  constructor(label: string, shipper: Shipper, calls: CountedCalls) {
    this.label = label
    this.shipper = shipper
    this.#calls = calls
  }

  turn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }

  /**
   * Told again and again how much time went by: whether by now a call has hung for so long that
   * somebody is to know, which is said once.
   */
  hangs(passedMs: number): boolean {
    const { doneCount, underWayCount } = this.#calls
    const isStill = underWayCount > 0 && doneCount === this.#doneCount
    const beforeMs = this.#stillMs
    this.#doneCount = doneCount
    this.#stillMs = isStill ? beforeMs + passedMs : 0
    return beforeMs < HANG_MS && this.#stillMs >= HANG_MS
  }

  /** Whether what was before it was none of that. */
  fellBehind(): boolean {
    const isFirst = !this.#isBehind
    this.#isBehind = true
    return isFirst
  }

  /** Whether failures were before it. */
  succeeded(): boolean {
    const wasFailing = this.failuresInRow > 0
    this.failuresInRow = 0
    this.#failure = null
    this.#isBehind = false
    return wasFailing
  }

  failed(error: ColmenaError): number {
    this.#failure = error
    this.failuresInRow += 1
    return this.failuresInRow
  }

  status(nowMs: number): TargetStatus {
    const { known: position, caughtUpMs, lagEntries, shippedBytes } = this.shipper
    return {
      label: this.label,
      generation: position?.generation ?? null,
      lastIndex: position?.last ?? null,
      lagEntries,
      lagMs: caughtUpMs === null ? null : Math.max(0, nowMs - caughtUpMs),
      lastSnapshotMs: position?.snapshots.at(-1)?.takenMs ?? null,
      shippedBytes,
      failuresInRow: this.failuresInRow,
      error: this.#failure && reportFailure(this.#failure),
    }
  }
}
