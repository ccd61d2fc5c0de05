import type { Clock } from '../base/ports.ts'
import type { Log } from '../log/log.ts'
import type { Applier } from './ports.ts'

/** Between two tries to lay out more log on a full disk: each writes what still fits. */
const SPACE_AGAIN_MS = 1_000

export interface CompactionOptions {
  readonly log: Log
  readonly clock: Clock
  readonly applier: Applier
  readonly logRetainBytes: number
  readonly applied: () => number
  /** Whoever has this entry in its log would try it: no new member must get it from here. */
  readonly lastVoid: () => number
  /** Up to where the log may go for all that read it. */
  readonly held: () => number
  /** The lowest index that a snapshot stream still needs, null for none. */
  readonly neededIndex: () => number | null
  readonly warning: (code: string, message: string) => void
}

/**
 * Drops the front of the log once the databases hold it durably, keeping `logRetainBytes` for
 * members that are a little behind. Nothing is copied: the database files are the snapshot.
 */
export class Compaction {
  readonly #options: CompactionOptions
  #isRunning = false
  #failedAt = ''
  #spaceAgainMs = 0

  constructor(options: CompactionOptions) {
    this.#options = options
  }

  tick(): void {
    this.#retrySpace()
    const { log, applier, logRetainBytes, lastVoid, applied, held } = this.#options
    if (this.#isRunning) return
    const dropped = Math.max(Math.min(log.indexRetaining(logRetainBytes), held()), lastVoid())
    const wanted = Math.min(dropped, applied())
    if (wanted < log.firstIndex) return
    this.#isRunning = true
    applier.makeDurable(applied(), (error, durable) => {
      if (error !== null) {
        this.#isRunning = false
        this.#warn(error)
        return
      }
      const needed = this.#options.neededIndex() ?? Number.POSITIVE_INFINITY
      log.compact(Math.min(wanted, durable, needed), (failure) => {
        this.#isRunning = false
        if (failure !== null) this.#warn(failure)
      })
    })
  }

  /**
   * Space that others free is found by looking. Compaction finds only its own, and there is nothing
   * to compact while a snapshot waits for the very room that is missing.
   */
  #retrySpace(): void {
    const { log, clock } = this.#options
    const nowMs = clock.nowMs()
    if (nowMs < this.#spaceAgainMs || !log.status().isFull) return
    this.#spaceAgainMs = nowMs + SPACE_AGAIN_MS
    log.retrySpace()
  }

  #warn(error: Error): void {
    if (this.#failedAt === error.message) return
    this.#failedAt = error.message
    this.#options.warning('ERR_COMPACTION', `the log could not be shortened: ${error.message}`)
  }
}
