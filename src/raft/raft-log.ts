import { entriesSizeBytes, limitEntries } from './entry-size.ts'
import { invariant } from './invariant.ts'
import { NO_ENTRIES } from './message.ts'
import type { Trace } from './trace.ts'
import type { Entry, RaftStorage, Snapshot, Unavailable } from './types.ts'
import { Unstable } from './unstable.ts'

/** Answers of {@link RaftLog.term} that are no term. */
export const TERM_COMPACTED = -1
export const TERM_UNAVAILABLE = -2

/**
 * The log as the state machine sees it: storage, with the unstable end laid over it.
 * Invariant: applied <= applying <= committed <= lastIndex.
 */
export class RaftLog {
  readonly storage: RaftStorage
  readonly unstable: Unstable
  /** Known to be stored by a quorum. */
  committed: number
  /** Handed out to be applied. */
  applying: number
  /** Applied, as the owner says. */
  applied: number
  /** Storage had to go and fetch the next committed entries: ask again only when told to. */
  fetchPending = false
  readonly #applyingBytesMax: number
  #applyingBytes = 0
  #applyingPaused = false
  readonly #trace: Trace

  constructor(storage: RaftStorage, applyingBytesMax: number, trace: Trace) {
    this.storage = storage
    this.#applyingBytesMax = applyingBytesMax
    this.#trace = trace
    this.unstable = new Unstable(storage.lastIndex() + 1, trace)
    const compacted = storage.firstIndex() - 1
    this.committed = compacted
    this.applying = compacted
    this.applied = compacted
  }

  firstIndex(): number {
    const { snapshot } = this.unstable
    return snapshot === null ? this.storage.firstIndex() : snapshot.meta.index + 1
  }

  lastIndex(): number {
    return this.unstable.lastIndex() || this.storage.lastIndex()
  }

  lastTerm(): number {
    const term = this.term(this.lastIndex())
    invariant(term >= 0, 'the term of the last entry is known')
    return term
  }

  /** Known from one before the first entry to the last; else a negative answer. */
  term(index: number): number {
    const unstableTerm = this.unstable.term(index)
    if (unstableTerm >= 0) return unstableTerm
    if (index + 1 < this.firstIndex()) return TERM_COMPACTED
    if (index > this.lastIndex()) return TERM_UNAVAILABLE
    const term = this.storage.term(index)
    if (typeof term === 'number') return term
    return term === 'compacted' ? TERM_COMPACTED : TERM_UNAVAILABLE
  }

  hasEntry(index: number, term: number): boolean {
    return this.term(index) === term
  }

  /** Paper §5.4.1: the later last term wins, then the longer log. */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const ownTerm = this.lastTerm()
    return lastTerm > ownTerm || (lastTerm === ownTerm && lastIndex >= this.lastIndex())
  }

  /** Entries from `from` on, within the limit; at least one if there is any. */
  entriesFrom(from: number, bytesMax: number): readonly Entry[] | Unavailable {
    const last = this.lastIndex()
    return from > last ? NO_ENTRIES : this.slice(from, last + 1, bytesMax)
  }

  slice(lo: number, hi: number, bytesMax: number): readonly Entry[] | Unavailable {
    if (lo < this.firstIndex()) return 'compacted'
    invariant(lo <= hi && hi <= this.lastIndex() + 1, 'a slice lies within the log')
    if (lo === hi) return NO_ENTRIES
    const { offset } = this.unstable
    if (lo >= offset) return limitEntries(this.unstable.slice(lo, hi), bytesMax)
    const storedEnd = Math.min(hi, offset)
    const stored = this.storage.entries(lo, storedEnd, bytesMax)
    if (typeof stored === 'string') return stored
    if (stored.length < storedEnd - lo || hi <= offset) return limitEntries(stored, bytesMax)
    return limitEntries([...stored, ...this.unstable.slice(offset, hi)], bytesMax)
  }

  /** Writes entries at the end, or over what is there; never over what is committed. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return
    invariant(entries[0]!.index > this.committed, 'committed entries are never overwritten')
    this.unstable.truncateAndAppend(entries)
  }

  /** The first index where `entries` differ from the log or go beyond it; 0 if nowhere. */
  findConflict(entries: readonly Entry[]): number {
    for (const { index, term } of entries) {
      const ownTerm = this.term(index)
      if (ownTerm === term) continue
      if (index <= this.lastIndex()) {
        const args = [index, Math.max(ownTerm, 0), term]
        this.#trace?.({ level: 'info', code: 'conflictFound', args })
      }
      return index
    }
    return 0
  }

  /**
   * The highest index up to `from` whose term is at most `term`: where two logs may still agree,
   * given one entry of the other. An index whose term is unknown counts as a possible match.
   */
  findConflictByTerm(from: number, term: number): { index: number; term: number } {
    for (let index = from; index > 0; index--) {
      const ownTerm = this.term(index)
      if (ownTerm < 0) return { index, term: 0 }
      if (ownTerm <= term) return { index, term: ownTerm }
    }
    return { index: 0, term: 0 }
  }

  /**
   * Never lowers the commit index. A commit index beyond the log means that this node lost entries
   * it once acknowledged: taking part of it would commit entries nobody compared, so nothing is
   * taken, and replication has to mend the log first.
   */
  commitTo(index: number): void {
    if (index <= this.committed) return
    const last = this.lastIndex()
    if (index > last) {
      this.#trace?.({ level: 'error', code: 'commitBeyondLast', args: [index, last] })
      return
    }
    this.committed = index
  }

  /** Paper §5.4.2: only an entry of the current term commits by counting. */
  commitByCount(index: number, term: number): boolean {
    if (index <= this.committed || term === 0 || !this.hasEntry(index, term)) return false
    this.commitTo(index)
    return true
  }

  /** Committed entries not yet handed out; none if storage must fetch them first. */
  nextCommittedEntries(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommittedEntries(allowUnstable)) return NO_ENTRIES
    const bytesMax = this.#applyingBytesMax - this.#applyingBytes
    const end = this.#appliableEnd(allowUnstable)
    const entries = this.slice(this.applying + 1, end, bytesMax)
    invariant(entries !== 'compacted', 'an entry is compacted only after it was applied')
    if (entries !== 'unavailable') return entries
    this.fetchPending = true
    return NO_ENTRIES
  }

  hasNextCommittedEntries(allowUnstable: boolean): boolean {
    // A pending snapshot replaces the state machine: nothing is applied until it is in place.
    if (this.#applyingPaused || this.fetchPending || this.unstable.snapshot !== null) return false
    return this.applying + 1 < this.#appliableEnd(allowUnstable)
  }

  acceptApplying(entries: readonly Entry[], allowUnstable: boolean): void {
    this.applying = entries.at(-1)!.index
    this.#applyingBytes += entriesSizeBytes(entries)
    // Entries were left over although they could be applied: the limit cut them off.
    const isCut = this.applying + 1 < this.#appliableEnd(allowUnstable)
    this.#applyingPaused = isCut || this.#applyingBytes >= this.#applyingBytesMax
  }

  appliedTo(index: number, sizeBytes: number): void {
    invariant(index <= this.committed, 'only committed entries are applied')
    invariant(index >= this.applied, 'the applied index never goes back')
    this.applied = index
    this.applying = Math.max(this.applying, index)
    this.#applyingBytes = Math.max(this.#applyingBytes - sizeBytes, 0)
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax
  }

  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.meta
    const { offset, offsetInProgress, length } = this.unstable
    const { committed, applied, applying } = this
    const args = [committed, applied, applying, offset, offsetInProgress, length, index, term]
    this.#trace?.({ level: 'info', code: 'logRestoring', args })
    this.committed = index
    this.fetchPending = false
    this.unstable.restore(snapshot)
  }

  /** One beyond the last index that may be applied. */
  #appliableEnd(allowUnstable: boolean): number {
    const end = this.committed + 1
    return allowUnstable ? end : Math.min(end, this.unstable.offset)
  }
}
