/**
 * `broken` is whatever must hold beside: sums, fences, levels, equal content. `undecided` is no
 * fault of the database's: a history that the judge could not come to an end with.
 */
export type Breach = 'lost' | 'duplicated' | 'stale' | 'broken' | 'undecided'

const TEXTS_MAX = 12

/** What was found to be wrong. */
export class Verdict {
  readonly counts: { [breach in Breach]: number } = {
    lost: 0,
    duplicated: 0,
    stale: 0,
    broken: 0,
    undecided: 0,
  }
  /** The first of each kind in words. */
  readonly texts: string[] = []
  readonly #told: (text: string) => void

  constructor(told: (text: string) => void = () => {}) {
    this.#told = told
  }

  add(breach: Breach, text: string): void {
    this.counts[breach] += 1
    if (this.counts[breach] > TEXTS_MAX) return
    const line = `${breach}: ${text}`
    this.texts.push(line)
    this.#told(line)
  }

  /** Also not where something is undecided: nobody knows then what the run proves. */
  get isGood(): boolean {
    return Object.values(this.counts).every((count) => count === 0)
  }

  /** The last line of a run. */
  get line(): string {
    const { lost, duplicated, stale } = this.counts
    return `lost ${lost} duplicated ${duplicated} stale ${stale}`
  }
}
