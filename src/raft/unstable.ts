import { NO_ENTRIES } from './message.ts'
import type { Trace } from './trace.ts'
import type { Entry, Snapshot } from './types.ts'

/** Stable entries are dropped from the front of the array once this many have gathered there. */
const DEAD_ENTRIES_MAX = 256

/**
 * The end of the log that storage has not yet confirmed: entries from `offset` on, and perhaps a
 * snapshot that replaces everything before them. Parts of it may be on their way to disk
 * (everything below `offsetInProgress`); they stay here until storage attests them, because what
 * storage holds in the meantime may be an older version of the same indexes.
 * Invariant: offset <= offsetInProgress <= offset + length.
 */
export class Unstable {
  snapshot: Snapshot | null = null
  offset: number
  offsetInProgress: number
  #snapshotInProgress = false
  #entries: Entry[] = []
  /** Entries before this position are stable already and wait to be dropped. */
  #dead = 0
  readonly #trace: Trace

  constructor(offset: number, trace: Trace) {
    this.offset = offset
    this.offsetInProgress = offset
    this.#trace = trace
  }

  get length(): number {
    return this.#entries.length - this.#dead
  }

  /** Last index held here, or 0 if nothing is. */
  lastIndex(): number {
    if (this.length > 0) return this.offset + this.length - 1
    return this.snapshot === null ? 0 : this.snapshot.meta.index
  }

  /** The term of an index held here, or -1. */
  term(index: number): number {
    if (index < this.offset) {
      return this.snapshot?.meta.index === index ? this.snapshot.meta.term : -1
    }
    return this.#entries[this.#dead + index - this.offset]?.term ?? -1
  }

  /** Entries not yet handed out for writing. */
  nextEntries(): readonly Entry[] {
    if (!this.hasNextEntries()) return NO_ENTRIES
    return this.#entries.slice(this.#dead + this.offsetInProgress - this.offset)
  }

  hasNextEntries(): boolean {
    return this.offsetInProgress - this.offset < this.length
  }

  /** A snapshot not yet handed out for writing. */
  nextSnapshot(): Snapshot | null {
    return this.#snapshotInProgress ? null : this.snapshot
  }

  acceptInProgress(): void {
    if (this.length > 0) this.offsetInProgress = this.offset + this.length
    if (this.snapshot !== null) this.#snapshotInProgress = true
  }

  /** Takes storage's word that it holds everything up to this entry, and holds it for good. */
  stableTo(index: number, term: number): void {
    const ownTerm = this.term(index)
    if (ownTerm === -1) {
      this.#trace?.({ level: 'info', code: 'unstableMissing', args: [index] })
      return
    }
    if (index < this.offset) {
      this.#trace?.({ level: 'info', code: 'unstableMatchedSnapshot', args: [index] })
      return
    }
    if (ownTerm !== term) {
      const args = [index, term, ownTerm]
      this.#trace?.({ level: 'info', code: 'unstableTermMismatch', args })
      return
    }
    this.#dead += index + 1 - this.offset
    this.offset = index + 1
    this.offsetInProgress = Math.max(this.offsetInProgress, this.offset)
    this.#dropDead()
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot?.meta.index !== index) return
    this.snapshot = null
    this.#snapshotInProgress = false
  }

  restore(snapshot: Snapshot): void {
    this.offset = snapshot.meta.index + 1
    this.offsetInProgress = this.offset
    this.#entries = []
    this.#dead = 0
    this.snapshot = snapshot
    this.#snapshotInProgress = false
  }

  /** Appends `entries`, which follow on or replace whatever is at their indexes and beyond. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const from = entries[0]!.index
    if (from === this.offset + this.length) {
      for (const entry of entries) this.#entries.push(entry)
    } else if (from <= this.offset) {
      this.#trace?.({ level: 'info', code: 'unstableReplaced', args: [from] })
      this.#entries = entries.slice()
      this.#dead = 0
      this.offset = from
      this.offsetInProgress = from
    } else {
      this.#trace?.({ level: 'info', code: 'unstableTruncated', args: [from] })
      this.#entries.length = this.#dead + from - this.offset
      for (const entry of entries) this.#entries.push(entry)
      // What was on its way to disk beyond this point is a version that will be overwritten.
      this.offsetInProgress = Math.min(this.offsetInProgress, from)
    }
  }

  /** Entries of [lo, hi), all of which must be held here. */
  slice(lo: number, hi: number): readonly Entry[] {
    return this.#entries.slice(this.#dead + lo - this.offset, this.#dead + hi - this.offset)
  }

  #dropDead(): void {
    if (this.length === 0) {
      this.#entries = []
      this.#dead = 0
    } else if (this.#dead > DEAD_ENTRIES_MAX && this.#dead > this.length) {
      this.#entries = this.#entries.slice(this.#dead)
      this.#dead = 0
    }
  }
}
