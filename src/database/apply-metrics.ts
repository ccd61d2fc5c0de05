import { Histogram, type HistogramValue } from '../base/histogram.ts'
import { processNowMs } from '../base/process-clock.ts'
import type { GroupOutcome } from './outcome.ts'

/** What applying has done since the start. */
export interface ApplyMetrics {
  readonly entries: number
  /** How long each group of entries took. */
  readonly groupMs: HistogramValue
}

/** Counts groups of entries as they are applied. */
export class ApplyCounts {
  readonly #groupMs = new Histogram()
  #entries = 0

  /** A group that was halted counts for nothing: it is tried again. */
  measure(entries: number, apply: () => GroupOutcome): GroupOutcome {
    const sinceMs = processNowMs()
    const outcome = apply()
    if (outcome.halted !== null) return outcome
    this.#groupMs.record(processNowMs() - sinceMs)
    this.#entries += entries
    return outcome
  }

  value(): ApplyMetrics {
    return { entries: this.#entries, groupMs: this.#groupMs.value() }
  }
}

/** Of a node that has applied nothing. */
export function emptyApplyMetrics(): ApplyMetrics {
  return new ApplyCounts().value()
}
