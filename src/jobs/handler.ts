import type { InputStatement } from '../index.ts'
import { invalid, show } from './invalid.ts'

/** How long a job may ask to rest, in milliseconds. */
export const DELAY_MS_MAX: number = 30 * 86_400_000

/** What a handler is given beside the arguments. */
export interface JobContext {
  readonly id: string
  readonly type: string
  /** From 1 on. With `id` it names this attempt, and no other in the cluster. */
  readonly attempt: number
  readonly enqueuedAt: Date
  readonly nodeId: string
  /** Aborted where the attempt's time is up, where it was cancelled or lost, and by `close`. */
  readonly signal: AbortSignal
  /** What the jobs came to that this one ran after, by their ids; of those that succeeded. */
  readonly results: ReadonlyMap<string, unknown>
  /** How far it is, for whoever looks: JSON of 16 KiB at most, seen within a third of the lease. */
  progress(value: unknown): void
  /** The time of the attempt begins anew. */
  heartbeat(): void
  /** A line for whoever looks at the attempt; the last 16 KiB are kept. */
  log(line: string): void
  /**
   * Runs `work` once, whatever becomes of this attempt: its result is kept, and later attempts get
   * it without running it. Where the process dies before it is kept, `work` runs again.
   *
   * @throws what `work` throws, and then nothing is kept; ERR_FENCED where the attempt is over, or
   * what its signal was aborted with.
   */
  step<T>(name: string, work: () => T | Promise<T>): Promise<T>
  /**
   * The first statement of a batch or transaction that is to apply only while this attempt holds:
   * it fails where the attempt is over, and with it all the others.
   */
  fence(): InputStatement
}

export type JobHandler<Args, Result> = (args: Args, context: JobContext) => Result | Promise<Result>

/** What a handler throws to be called again later: it counts for no attempt. */
export class RetryLater extends Error {
  override readonly name: string = 'RetryLater'
  readonly delayMs: number

  /** @throws ColmenaError ERR_INVALID_ARGUMENT beyond 30 days */
  constructor(delayMs: number, message = 'it asked to be called later') {
    super(message)
    if (!(delayMs >= 0 && delayMs <= DELAY_MS_MAX)) {
      throw invalid(`RetryLater takes 0 to ${DELAY_MS_MAX} ms, 30 days, not ${show(delayMs)}`)
    }
    this.delayMs = delayMs
  }
}

/** What a handler throws where no other attempt would help. */
export class Discard extends Error {
  override readonly name: string = 'Discard'
}
