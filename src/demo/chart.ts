import type { ChartPoint } from './protocol.ts'

const SECONDS_MAX = 300

/** What one second after the other was like, over the last five minutes. */
export class Chart {
  #points: ChartPoint[] = []
  #latencies: number[] = []
  #acknowledged = 0
  #faults: string[] = []

  /** The oldest first. */
  get points(): readonly ChartPoint[] {
    return this.#points
  }

  acknowledged(latencyMs: number | null): void {
    this.#acknowledged += 1
    if (latencyMs !== null) this.#latencies.push(latencyMs)
  }

  fault(text: string): void {
    this.#faults.push(text)
  }

  /** Called once a second. */
  endSecond(at: number): ChartPoint {
    const sorted = this.#latencies.sort((a, b) => a - b)
    const point = {
      at,
      writesPerSecond: this.#acknowledged,
      p50Ms: percentile(sorted, 50),
      p99Ms: percentile(sorted, 99),
      faults: this.#faults,
    }
    this.#points.push(point)
    if (this.#points.length > SECONDS_MAX) this.#points.shift()
    this.#latencies = []
    this.#faults = []
    this.#acknowledged = 0
    return point
  }

  clear(): void {
    this.#points = []
  }
}

/** The nearest rank: a value that was measured, never one in between. */
function percentile(sorted: readonly number[], percent: number): number | null {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? null
}
