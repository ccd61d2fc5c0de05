import type { LogHold } from './reports.ts'

/** Who reads the log, from where on, and how much of it is kept for that. */
export class LogHolds {
  readonly #holds = new Map<number, LogHold>()

  set(key: number, hold: LogHold | null): void {
    if (hold === null) this.#holds.delete(key)
    else this.#holds.set(key, hold)
  }

  /**
   * Up to where the log may be shortened for all they care.
   *
   * @param indexRetaining to shorten the log to that leaves so many bytes of it
   */
  droppable(indexRetaining: (bytes: number) => number): number {
    const each = [...this.#holds.values()].map(({ after, bytesMax }) => {
      return Math.max(after, indexRetaining(bytesMax))
    })
    return Math.min(Number.POSITIVE_INFINITY, ...each)
  }
}
