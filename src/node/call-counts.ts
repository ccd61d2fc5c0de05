import type { Outcome } from '../base/errors.ts'
import { isColmenaError } from '../base/errors.ts'
import { Histogram, type HistogramValue } from '../base/histogram.ts'
import { CONSISTENCY_LEVELS, type Consistency } from './consistency.ts'
import type { WriteTiming } from './write-call.ts'

/** How often calls ended with each error code. */
export type ErrorCounts = Readonly<Record<string, number>>

/** Reads since the start. */
export interface ReadMetrics {
  /** By the level that they asked for; those of `db.reader` are at `none`. */
  readonly counts: Readonly<Record<Consistency, number>>
  readonly errors: ErrorCounts
  /** Of `execute` and `batch`, from the call to the rows; those of `db.reader` are not measured. */
  readonly latencyMs: Readonly<Record<Consistency, HistogramValue>>
}

/** Writes since the start: each call is counted once, when it is settled. */
export interface WriteMetrics {
  /** `acknowledged`: the promise resolved; else what the error says became of the write. */
  readonly outcomes: Readonly<Record<'acknowledged' | Outcome, number>>
  readonly errors: ErrorCounts
  /** From the call until this node knew it committed, and until it had applied it. */
  readonly committedMs: HistogramValue
  readonly appliedMs: HistogramValue
}

/** Counts a node's calls, where they end. */
export class CallCounts {
  readonly #reads = perLevel(() => 0)
  readonly #readErrors = new Map<string, number>()
  readonly #readMs = perLevel(() => new Histogram())
  readonly #outcomes = { acknowledged: 0, 'not-applied': 0, committed: 0, unknown: 0 }
  readonly #writeErrors = new Map<string, number>()
  readonly #committedMs = new Histogram()
  readonly #appliedMs = new Histogram()

  /** Reads of all levels. */
  get reads(): number {
    return CONSISTENCY_LEVELS.reduce((sum, level) => sum + this.#reads[level], 0)
  }

  readBegan(level: Consistency): void {
    this.#reads[level] += 1
  }

  /** @param sinceMs of this thread's `performance.now()`: the cheapest clock, as all reads pay. */
  readAnswered(level: Consistency, sinceMs: number): void {
    this.#readMs[level].record(performance.now() - sinceMs)
  }

  /** @returns the error, to be thrown. */
  readFailed(error: unknown): unknown {
    countError(this.#readErrors, error)
    return error
  }

  /** This node applied the write, and SQLite took it (null) or refused it. */
  writeAnswered({ committedMs, appliedMs }: WriteTiming, error: unknown): void {
    this.#committedMs.record(committedMs)
    this.#appliedMs.record(appliedMs)
    if (error === null) this.#outcomes.acknowledged += 1
    else this.writeFailed(error)
  }

  writeFailed(error: unknown): void {
    countError(this.#writeErrors, error)
    this.#outcomes[isColmenaError(error) ? error.outcome : 'unknown'] += 1
  }

  readMetrics(): ReadMetrics {
    return {
      counts: { ...this.#reads },
      errors: Object.fromEntries(this.#readErrors),
      latencyMs: perLevel((level) => this.#readMs[level].value()),
    }
  }

  writeMetrics(): WriteMetrics {
    return {
      outcomes: { ...this.#outcomes },
      errors: Object.fromEntries(this.#writeErrors),
      committedMs: this.#committedMs.value(),
      appliedMs: this.#appliedMs.value(),
    }
  }
}

function perLevel<T>(make: (level: Consistency) => T): Record<Consistency, T> {
  return { none: make('none'), lease: make('lease'), weak: make('weak'), strong: make('strong') }
}

function countError(counts: Map<string, number>, error: unknown): void {
  const code = isColmenaError(error) ? error.code : 'ERR_FAILED'
  counts.set(code, (counts.get(code) ?? 0) + 1)
}
