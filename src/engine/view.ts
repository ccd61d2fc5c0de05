import type { Clock } from '../base/ports.ts'
import type { SharedState } from '../base/shared-state.ts'
import type { Raft } from '../raft/raft.ts'
import type { VotePromises } from './vote-promises.ts'

/**
 * Publishes what the other threads see of the engine. Called before anything leaves that depends
 * on the new state: whoever learns of a commit from us finds it here too.
 */
export class View {
  readonly #shared: SharedState
  readonly #clock: Clock
  readonly #raft: Raft
  readonly #promises: VotePromises
  /** An index that was committed at `sinceMs` and is not applied here yet. */
  #lagging: { readonly index: number; readonly sinceMs: number } | null = null
  #epoch = 0

  constructor(shared: SharedState, clock: Clock, raft: Raft, promises: VotePromises) {
    this.#shared = shared
    this.#clock = clock
    this.#raft = raft
    this.#promises = promises
  }

  /** Role, term or leader changed. */
  leadershipChanged(): void {
    this.#epoch += 1
  }

  /** `isDoubtful`: a leader that may have been deposed while it slept. */
  publish(isClosed: boolean, isDoubtful: boolean): void {
    const raft = this.#raft
    const nowMs = this.#clock.nowMs()
    const applied = this.#shared.applied()
    if (this.#lagging !== null && applied >= this.#lagging.index) this.#lagging = null
    if (applied < raft.commit) this.#lagging ??= { index: raft.commit, sinceMs: nowMs }
    const isLeader = raft.role === 'leader' && !isClosed && !isDoubtful
    const until = isLeader ? this.#promises.leadsUntil() : null
    this.#shared.publishEngine({
      isLeader,
      term: raft.term,
      leader: raft.leader,
      commit: raft.commit,
      ownTermCommitted: raft.committedInOwnTerm,
      stampMs: nowMs,
      applyLagMs: this.#lagging === null ? 0 : nowMs - this.#lagging.sinceMs,
      isClosed,
      epoch: this.#epoch,
      leadsUntilMs: until?.atMs ?? 0,
      leadsUntilWallMs: until?.wallMs ?? 0,
    })
  }
}
