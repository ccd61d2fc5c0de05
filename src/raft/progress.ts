import type { Inflights } from './inflights.ts'
import type { MemberId } from './types.ts'

/**
 * How the leader sends to a member: 'probe' sends one message per heartbeat until the logs are
 * known to meet, 'replicate' streams optimistically, 'snapshot' sends nothing until it is told.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot'

/** What the leader knows of one member. Invariant: 0 <= match < next. */
export class Progress {
  readonly id: MemberId
  /** Up to here the member's log is known to equal the leader's. */
  match = 0
  /** The next entry to send; what lies between is in flight. */
  next: number
  state: ProgressState = 'probe'
  /** Index of the snapshot being sent; only meaningful in state 'snapshot'. */
  pendingSnapshot = 0
  /** Heard from since the last quorum check. */
  recentActive: boolean
  /** No more appends until a heartbeat response: one probe, or a full window, is out. */
  flowPaused = false
  isLearner: boolean
  /** Storage did not have the entries at hand; sending is tried again when it has fetched them. */
  fetchPending = false
  /** Highest read counter this member has echoed in this term. */
  readsAcked = 0
  readonly inflights: Inflights
  /** Highest commit index in flight to this member. */
  #sentCommit = 0

  constructor(id: MemberId, next: number, isLearner: boolean, inflights: Inflights) {
    this.id = id
    this.next = next
    this.isLearner = isLearner
    this.inflights = inflights
    // A member that was just added has had no chance to be heard; the quorum check must not
    // depose a leader for that.
    this.recentActive = true
  }

  /** Forgets everything but the identity: at a new term, or because the owner says so. */
  reset(match: number, next: number): void {
    this.match = match
    this.next = next
    this.recentActive = false
    this.readsAcked = 0
    this.#sentCommit = 0
    this.#resetState('probe')
  }

  becomeProbe(): void {
    const floor = this.state === 'snapshot' ? this.pendingSnapshot : 0
    this.#resetState('probe')
    this.next = Math.max(this.match, floor) + 1
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1)
  }

  becomeReplicate(): void {
    this.#resetState('replicate')
    this.next = this.match + 1
  }

  becomeSnapshot(snapshotIndex: number): void {
    this.#resetState('snapshot')
    this.pendingSnapshot = snapshotIndex
    this.next = snapshotIndex + 1
    this.#sentCommit = snapshotIndex
  }

  recordSentEntries(count: number, sizeBytes: number): void {
    if (this.state === 'replicate') {
      if (count > 0) {
        this.next += count
        this.inflights.add(this.next - 1, sizeBytes)
      }
      this.flowPaused = this.inflights.isFull()
    } else if (count > 0) {
      this.flowPaused = true
    }
  }

  /** Whether telling `commit` could move the member's commit index beyond what is under way. */
  canBumpCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1
  }

  recordSentCommit(commit: number): void {
    this.#sentCommit = commit
  }

  /** Takes an acknowledgement; false if it says nothing new. */
  updateMatch(index: number): boolean {
    if (index <= this.match) return false
    this.match = index
    this.next = Math.max(this.next, index + 1)
    this.flowPaused = false
    return true
  }

  /** Takes a rejection of the message anchored at `rejected`; false if it is out of date. */
  decreaseNext(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false
      this.next = this.match + 1
      this.#sentCommit = Math.min(this.#sentCommit, this.next - 1)
      return true
    }
    // Only one probe is out at a time, so a rejection of another index is late or repeated.
    if (this.next - 1 !== rejected) return false
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1)
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1)
    this.flowPaused = false
    return true
  }

  isPaused(): boolean {
    return this.state === 'snapshot' || this.flowPaused
  }

  #resetState(state: ProgressState): void {
    this.flowPaused = false
    this.fetchPending = false
    this.pendingSnapshot = 0
    this.state = state
    this.inflights.reset()
  }
}
