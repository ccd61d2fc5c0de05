/** What a histogram has counted: plain numbers, ready to cross threads or go into JSON. */
export interface HistogramValue {
  /** Upper bounds of the buckets, ascending, in the unit of the values. */
  readonly bounds: readonly number[]
  /** Values up to each bound, so that every bucket holds those before it as well. */
  readonly counts: readonly number[]
  /** All values, those beyond the last bound included. */
  readonly count: number
  readonly sum: number
}

/** From what a local read takes to the deadline of a call. */
export const DURATION_BOUNDS_MS: readonly number[] = Object.freeze([
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
])

/** Counts values in fixed buckets. Recording makes no object: it stands in the hottest paths. */
export class Histogram {
  readonly #bounds: readonly number[]
  /** Of each bucket alone; the last one has no bound. */
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[] = DURATION_BOUNDS_MS) {
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  record(value: number): void {
    const bounds = this.#bounds
    let at = 0
    while (at < bounds.length && value > (bounds[at] as number)) at += 1
    this.#counts[at] = (this.#counts[at] as number) + 1
    this.#sum += value
  }

  value(): HistogramValue {
    let count = 0
    const counts = this.#counts.map((own) => {
      count += own
      return count
    })
    return { bounds: this.#bounds, counts: counts.slice(0, -1), count, sum: this.#sum }
  }
}
