import type { Core } from './core.ts'
import type { ProgressState } from './progress.ts'
import type { ConfState, MemberId, Role } from './types.ts'

export interface ProgressStatus {
  readonly id: MemberId
  readonly match: number
  readonly next: number
  readonly state: ProgressState
  readonly isLearner: boolean
  readonly recentActive: boolean
  readonly paused: boolean
  /** Append messages on their way. */
  readonly inflight: number
  readonly inflightFull: boolean
  readonly pendingSnapshot: number
}

/** A copy of what matters, for people and metrics; only a leader has `progress`. */
export interface RaftStatus {
  readonly id: MemberId
  readonly role: Role
  readonly term: number
  readonly vote: MemberId
  readonly leader: MemberId
  readonly commit: number
  readonly applied: number
  readonly lastIndex: number
  readonly leadTransferee: MemberId
  readonly confState: ConfState
  readonly electionElapsed: number
  readonly randomizedElectionTicks: number
  readonly uncommittedBytes: number
  /** Ascending by id. */
  readonly progress: readonly ProgressStatus[]
}

export function describeStatus(core: Core): RaftStatus {
  const members = core.role === 'leader' ? core.tracker.members : []
  return {
    id: core.id,
    role: core.role,
    term: core.term,
    vote: core.vote,
    leader: core.leader,
    commit: core.log.committed,
    applied: core.log.applied,
    lastIndex: core.log.lastIndex(),
    leadTransferee: core.leadTransferee,
    confState: core.tracker.state,
    electionElapsed: core.electionElapsed,
    randomizedElectionTicks: core.randomizedElectionTicks,
    uncommittedBytes: core.uncommittedBytes,
    progress: members.map((member) => ({
      id: member.id,
      match: member.match,
      next: member.next,
      state: member.state,
      isLearner: member.isLearner,
      recentActive: member.recentActive,
      paused: member.isPaused(),
      inflight: member.inflights.count,
      inflightFull: member.inflights.isFull(),
      pendingSnapshot: member.pendingSnapshot,
    })),
  }
}
