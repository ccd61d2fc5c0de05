import assert from 'node:assert/strict'
import {
  type ConfState,
  EMPTY_CONF_STATE,
  type Entry,
  type HardState,
  type RaftStorage,
  type Snapshot,
  type Unavailable,
} from '../../src/raft/raft.ts'

const NO_HARD_STATE: HardState = { term: 0, vote: 0, commit: 0 }

/** A log in memory, which tests can also make forgetful: `isFetching` answers 'unavailable'. */
export class MemoryStorage implements RaftStorage {
  hardState: HardState = NO_HARD_STATE
  snapshotSource: () => Snapshot | 'unavailable'
  /** Entries up to here have to be fetched before `entries` can give them. */
  fetchingUpTo = 0
  #snapshot: Snapshot
  #compactedIndex = 0
  #compactedTerm = 0
  #entries: Entry[] = []

  constructor(confState: ConfState = EMPTY_CONF_STATE) {
    this.#snapshot = { meta: { index: 0, term: 0, confState }, data: new Uint8Array(0) }
    this.snapshotSource = () => this.#snapshot
  }

  initialState(): { hardState: HardState; confState: ConfState } {
    return { hardState: this.hardState, confState: this.#snapshot.meta.confState }
  }

  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | Unavailable {
    if (lo <= this.#compactedIndex) return 'compacted'
    if (lo <= this.fetchingUpTo) return 'unavailable'
    assert(hi <= this.lastIndex() + 1, 'entries within the log')
    const found = this.#entries.slice(lo - this.firstIndex(), hi - this.firstIndex())
    let sizeBytes = 0
    for (let i = 0; i < found.length; i++) {
      sizeBytes += found[i]!.data.length + 24
      if (sizeBytes > bytesMax && i > 0) return found.slice(0, i)
    }
    return found
  }

  term(index: number): number | Unavailable {
    if (index < this.#compactedIndex) return 'compacted'
    if (index === this.#compactedIndex) return this.#compactedTerm
    return this.#entries[index - this.firstIndex()]?.term ?? 'unavailable'
  }

  firstIndex(): number {
    return this.#compactedIndex + 1
  }

  lastIndex(): number {
    return this.#compactedIndex + this.#entries.length
  }

  snapshot(): Snapshot | 'unavailable' {
    return this.snapshotSource()
  }

  append(entries: readonly Entry[]): void {
    const fresh = entries.filter((entry) => entry.index > this.#compactedIndex)
    if (fresh.length === 0) return
    const at = fresh[0]!.index - this.firstIndex()
    assert(at <= this.#entries.length, 'entries follow on from the log')
    this.#entries = [...this.#entries.slice(0, at), ...fresh]
  }

  applySnapshot(snapshot: Snapshot): void {
    const { index, term } = snapshot.meta
    assert(this.#snapshot.meta.index === 0 || this.#snapshot.meta.index < index, 'a newer snapshot')
    this.#snapshot = snapshot
    this.#compactedIndex = index
    this.#compactedTerm = term
    this.#entries = []
  }

  /** Keeps a snapshot of what is applied, without touching the log. */
  createSnapshot(index: number, confState: ConfState): void {
    const term = this.term(index)
    assert(typeof term === 'number')
    this.#snapshot = { meta: { index, term, confState }, data: new Uint8Array(0) }
  }

  /** Drops entries up to and including `index`. */
  compact(index: number): void {
    const term = this.term(index)
    assert(typeof term === 'number' && index > this.#compactedIndex, 'an index within the log')
    this.#entries = this.#entries.slice(index - this.#compactedIndex)
    this.#compactedIndex = index
    this.#compactedTerm = term
  }

  /** Loses the end of the log, as a restored backup does. */
  loseFrom(index: number): void {
    this.#entries = this.#entries.slice(0, index - this.firstIndex())
  }
}
