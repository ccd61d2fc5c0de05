import type { RaftConfig } from './config.ts'
import { invariant } from './invariant.ts'
import { createMessage, type Draft } from './message.ts'
import { RaftLog } from './raft-log.ts'
import { ReadQueue } from './read-queue.ts'
import type { Trace, TraceCode, TraceLevel } from './trace.ts'
import { Tracker } from './tracker.ts'
import { type MemberId, type Message, NO_MEMBER, type ReadState, type Role } from './types.ts'

/**
 * The state of one member, and the transitions that every role shares. The rules that change it
 * live beside it, a file each: elections, replication, reads, membership, transfer.
 */
export class Core {
  readonly config: RaftConfig
  readonly id: MemberId
  readonly log: RaftLog
  readonly tracker: Tracker
  readonly reads: ReadQueue
  readonly trace: Trace

  term = 0
  vote: MemberId = NO_MEMBER
  role: Role = 'follower'
  leader: MemberId = NO_MEMBER
  leadTransferee: MemberId = NO_MEMBER
  /**
   * A leader proposes a configuration change only when everything up to here is applied, so at
   * most one change is under way.
   */
  pendingConfIndex = 0
  /** Payload bytes proposed in this term and not known to be applied. */
  uncommittedBytes = 0
  /** A target was told to campaign, so from now on the lease no longer keeps others from voting. */
  leaseRevoked = false
  electionElapsed = 0
  heartbeatElapsed = 0
  randomizedElectionTicks = 0
  /** How many times the drawn timeout this node waits before it campaigns. */
  patience = 1

  /** May leave at once. */
  messages: Message[] = []
  /** Votes and acknowledgements: may leave when all state so far is durable. */
  messagesAfterAppend: Message[] = []
  readStates: ReadState[] = []
  /** Configuration changes appended in this life and not yet applied, ascending. */
  confIndexes: number[] = []
  /** The part of the log from before this life whose entries have not been looked at. */
  unscannedLast: number

  constructor(config: RaftConfig) {
    this.config = config
    this.id = config.id
    this.trace = config.trace
    this.log = new RaftLog(config.storage, config.committedBytesMax, config.trace)
    this.tracker = new Tracker(config.inflightMessagesMax, config.inflightBytesMax)
    this.reads = new ReadQueue(config.pendingReadsMax ?? Number.POSITIVE_INFINITY)
    this.unscannedLast = this.log.lastIndex()
  }

  note(level: TraceLevel, code: TraceCode, ...args: readonly unknown[]): void {
    this.trace?.({ level, code, args })
  }

  /** A message of this member in its present term. */
  draft(type: Message['type'], to: MemberId): Draft {
    const message = createMessage(type, this.id, to)
    message.term = this.term
    return message
  }

  /** Queues a message that is safe to leave before anything is durable. */
  send(message: Message): void {
    invariant(message.to !== this.id, 'only votes and acknowledgements go to oneself')
    this.messages.push(message)
  }

  /**
   * Queues a vote or acknowledgement. It speaks of state that must survive a crash (paper §5.2,
   * §5.3; thesis §3.8), so it leaves only when that state is durable. Rejections wait as well:
   * they too may rest on a vote or an entry that is not on disk yet.
   */
  sendAfterAppend(message: Message): void {
    this.messagesAfterAppend.push(message)
  }

  becomeFollower(term: number, leader: MemberId): void {
    this.#reset(term)
    this.leader = leader
    this.role = 'follower'
    this.note('info', 'becameFollower', this.id, this.term)
  }

  becomeCandidate(): void {
    invariant(this.role !== 'leader', 'a leader never campaigns')
    this.#reset(this.term + 1)
    this.vote = this.id
    this.role = 'candidate'
    this.note('info', 'becameCandidate', this.id, this.term)
  }

  /** Asking whether a campaign could succeed changes neither term nor vote (thesis §9.6). */
  becomePreCandidate(): void {
    invariant(this.role !== 'leader', 'a leader never campaigns')
    this.tracker.resetVotes()
    this.leader = NO_MEMBER
    this.role = 'precandidate'
    this.note('info', 'becamePreCandidate', this.id, this.term)
  }

  /** The state of a leader before it appends the first entry of its term. */
  enterLeadership(): void {
    invariant(this.role !== 'follower', 'only a candidate becomes leader')
    this.#reset(this.term)
    this.leader = this.id
    this.role = 'leader'
    const own = this.tracker.get(this.id)
    invariant(own !== undefined, 'a leader starts as a member')
    own.becomeReplicate()
    own.recentActive = true
    // There may be a change in the log that this member has not applied: wait for all of it.
    this.pendingConfIndex = this.log.lastIndex()
  }

  hasLeader(): boolean {
    return this.leader !== NO_MEMBER
  }

  /** A leader may speak for the whole past only once an entry of its own term is committed. */
  hasCommittedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term
  }

  /**
   * Whether the votes that members keep for this leader keep all others from leading: it speaks for
   * the whole past, told nobody to take over in this term, and has applied every configuration in
   * its log, so that it knows whose votes decide.
   */
  isBackedByVotes(): boolean {
    if (this.role !== 'leader' || !this.hasCommittedInTerm()) return false
    if (this.leaseRevoked || this.leadTransferee !== NO_MEMBER) return false
    return this.pendingConfIndex <= this.log.applied
  }

  /** May campaign: a voter whose state machine is not about to be replaced. */
  isPromotable(): boolean {
    const own = this.tracker.get(this.id)
    return own !== undefined && !own.isLearner && this.log.unstable.snapshot === null
  }

  abortTransfer(): void {
    this.leadTransferee = NO_MEMBER
  }

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term
      this.vote = NO_MEMBER
    }
    this.leader = NO_MEMBER
    this.electionElapsed = 0
    this.heartbeatElapsed = 0
    const { electionTicks, random } = this.config
    this.randomizedElectionTicks = electionTicks + random(electionTicks)
    this.abortTransfer()
    this.tracker.resetVotes()
    const last = this.log.lastIndex()
    for (const member of this.tracker.members) {
      member.reset(member.id === this.id ? last : 0, last + 1)
    }
    this.pendingConfIndex = 0
    this.uncommittedBytes = 0
    this.leaseRevoked = false
    this.reads.clear()
  }
}
