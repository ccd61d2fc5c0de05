import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { renderTable } from './table.ts'

const US_PER_MS = 1_000
const LATENCY_US_MAX = 600_000_000
/** Different sentences; a message may hold what differs each time. */
const SENTENCES_MAX = 10

/** What one kind of work came to, in memory that does not grow with it. */
export class Tally {
  readonly what: string
  /** In microseconds, to three figures. */
  readonly #latencies: RecordableHistogram
  readonly #failures = new Map<string, number>()
  #otherFailures = 0

  constructor(what: string) {
    this.what = what
    this.#latencies = createHistogram({ lowest: 1, highest: LATENCY_US_MAX, figures: 3 })
  }

  record(latencyMs: number): void {
    const latencyUs = Math.round(latencyMs * US_PER_MS)
    this.#latencies.record(Math.min(LATENCY_US_MAX, Math.max(1, latencyUs)))
  }

  failed(sentence: string): void {
    const count = this.#failures.get(sentence)
    if (count === undefined && this.#failures.size === SENTENCES_MAX) this.#otherFailures += 1
    else this.#failures.set(sentence, (count ?? 0) + 1)
  }

  get total(): number {
    return this.#latencies.count
  }

  percentileMs(percentile: number): number {
    return this.#latencies.percentile(percentile) / US_PER_MS
  }

  failures(): string[] {
    const lines = [...this.#failures].map(
      ([sentence, count]) => `${count} ${this.what} failed: ${sentence}`,
    )
    if (this.#otherFailures > 0) lines.push(`${this.#otherFailures} ${this.what} failed otherwise`)
    return lines
  }
}

export function renderFigures(tallies: readonly Tally[], tookS: number): string {
  const rows = tallies
    .filter(({ total }) => total > 0)
    .map((tally) => {
      const latencies = [50, 95, 99].map((one) => `${tally.percentileMs(one).toFixed(2)} ms`)
      const perSecond = `${Math.round(tally.total / tookS)} /s`
      return [tally.what, String(tally.total), perSecond, ...latencies]
    })
  return renderTable(['what', 'total', 'rate', 'p50', 'p95', 'p99'], rows)
}
