import { ColmenaError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import type {
  ConfState,
  Entry,
  HardState,
  RaftStorage,
  Snapshot,
  Unavailable,
} from '../raft/raft.ts'

/** How much one fetch from disk brings, in bytes. */
const FETCH_BYTES_MAX = 4 * 1024 * 1024

export interface StoredLogOptions {
  readonly log: Log
  readonly hardState: HardState
  readonly confState: ConfState
  readonly snapshot: () => Snapshot | 'unavailable'
  /** Entries that were asked for are in memory now, or the read failed. */
  readonly fetched: (error: Error | null) => void
}

/** The log as the core sees it: what is not in memory is fetched, and asked for again. */
export class StoredLog implements RaftStorage {
  readonly #options: StoredLogOptions
  #fetching = new Set<number>()

  constructor(options: StoredLogOptions) {
    this.#options = options
  }

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: this.#options.hardState, confState: this.#options.confState }
  }

  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | Unavailable {
    const found = this.#options.log.entries(lo, hi, bytesMax)
    if (found === 'unavailable') this.#fetch(lo, hi)
    return found
  }

  term(index: number): number | Unavailable {
    return this.#options.log.term(index)
  }

  firstIndex(): number {
    return this.#options.log.firstIndex
  }

  lastIndex(): number {
    return this.#options.log.lastIndex
  }

  snapshot(): Snapshot | 'unavailable' {
    return this.#options.snapshot()
  }

  #fetch(lo: number, hi: number): void {
    if (this.#fetching.has(lo)) return
    this.#fetching.add(lo)
    this.#options.log.load(lo, hi, FETCH_BYTES_MAX, (error) => {
      this.#fetching.delete(lo)
      this.#options.fetched(error)
    })
  }
}

/** The databases and the log of one data directory do not belong together. */
export function lostLogError(
  state: { readonly applied: number; readonly highestApplied: number },
  log: { readonly firstIndex: number; readonly lastIndex: number },
): ColmenaError {
  return new ColmenaError(
    'ERR_LOG_CORRUPT',
    `the databases hold entries up to ${state.highestApplied} and need those after ` +
      `${state.applied}, but the log has ${log.firstIndex} to ${log.lastIndex}: part of the data ` +
      'directory was lost or exchanged. Delete the whole directory and let this node join again: ' +
      'it takes the place of the silent member that it was',
  )
}
