/** Of values that appear one by one: the highest of those that were there before a moment. */
export class HighestBefore {
  readonly #timesMs: number[] = []
  readonly #highest: number[] = []

  constructor(values: readonly { readonly atMs: number; readonly value: number }[]) {
    let highest = 0
    for (const { atMs, value } of values.toSorted((a, b) => a.atMs - b.atMs)) {
      highest = Math.max(highest, value)
      this.#timesMs.push(atMs)
      this.#highest.push(highest)
    }
  }

  /** 0 where none was. What appears in this very moment is not before it. */
  before(ms: number): number {
    return this.#highest[countBelow(this.#timesMs, ms) - 1] ?? 0
  }
}

/** How many of the sorted numbers are below a limit. */
export function countBelow(sorted: readonly number[], limit: number): number {
  return count(sorted, (value) => value < limit)
}

/** How many of the sorted numbers are not above a limit. */
export function countUpTo(sorted: readonly number[], limit: number): number {
  return count(sorted, (value) => value <= limit)
}

function count(sorted: readonly number[], isCounted: (value: number) => boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isCounted(sorted[middle] as number)) low = middle + 1
    else high = middle
  }
  return low
}
