import type { Log } from '../log/log.ts'
import type { Applier } from './ports.ts'

export interface CompactionOptions {
  readonly log: Log
  readonly applier: Applier
  readonly logRetainBytes: number
  readonly applied: () => number
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

  constructor(options: CompactionOptions) {
    this.#options = options
  }

  tick(): void {
    const { log, applier, logRetainBytes, applied } = this.#options
    if (this.#isRunning) return
    const wanted = Math.min(log.indexRetaining(logRetainBytes), applied())
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

  #warn(error: Error): void {
    if (this.#failedAt === error.message) return
    this.#failedAt = error.message
    this.#options.warning('ERR_COMPACTION', `the log could not be shortened: ${error.message}`)
  }
}
