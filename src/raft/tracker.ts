import { EMPTY_CONF_STATE, isVoter } from './conf-change.ts'
import { Inflights } from './inflights.ts'
import { Progress } from './progress.ts'
import { jointVoteResult, majorityIndex, type VoteResult } from './quorum.ts'
import type { ConfState, MemberId } from './types.ts'

export interface Tally {
  readonly granted: number
  readonly rejected: number
  readonly result: VoteResult
}

/** The active configuration, one {@link Progress} per member, and the votes of this campaign. */
export class Tracker {
  #state: ConfState = EMPTY_CONF_STATE
  /** Ascending by id: broadcasts go out in this order. */
  #members: readonly Progress[] = []
  #incoming: readonly Progress[] = []
  #outgoing: readonly Progress[] = []
  readonly #votes = new Map<MemberId, boolean>()
  readonly #inflightMessagesMax: number
  readonly #inflightBytesMax: number

  constructor(inflightMessagesMax: number, inflightBytesMax: number) {
    this.#inflightMessagesMax = inflightMessagesMax
    this.#inflightBytesMax = inflightBytesMax
  }

  get state(): ConfState {
    return this.#state
  }

  get members(): readonly Progress[] {
    return this.#members
  }

  /** A cluster has a handful of members: a walk is faster than hashing. */
  get(id: MemberId): Progress | undefined {
    for (const member of this.#members) if (member.id === id) return member
    return undefined
  }

  isVoter(id: MemberId): boolean {
    return isVoter(this.#state, id)
  }

  /** Voters of both halves, ascending. */
  voterIds(): MemberId[] {
    return this.#members.filter((member) => !member.isLearner).map((member) => member.id)
  }

  isSingleton(): boolean {
    return this.#incoming.length === 1 && this.#outgoing.length === 0
  }

  /**
   * Makes `state` the active configuration. Members that stay keep their progress; those in
   * `added` begin anew at `lastIndex`, which is where a probe to them starts.
   */
  switchTo(state: ConfState, added: readonly MemberId[], lastIndex: number): void {
    const ids = new Set([...state.voters, ...state.votersOutgoing, ...state.learners])
    const members: Progress[] = []
    for (const id of [...ids].sort((a, b) => a - b)) {
      const known = added.includes(id) ? undefined : this.get(id)
      const member = known ?? this.#createProgress(id, lastIndex)
      member.isLearner = state.learners.includes(id)
      members.push(member)
    }
    this.#state = state
    this.#members = members
    this.#incoming = members.filter((member) => state.voters.includes(member.id))
    this.#outgoing = members.filter((member) => state.votersOutgoing.includes(member.id))
  }

  /** Forgets all members, so that the next configuration starts every one of them anew. */
  clear(): void {
    this.#state = EMPTY_CONF_STATE
    this.#members = []
    this.#votes.clear()
  }

  /** The highest index stored by a quorum; what learners have counts nothing. */
  committedIndex(): number {
    return Math.min(majorityMatch(this.#incoming), majorityMatch(this.#outgoing))
  }

  /** How many reads of this term a quorum has confirmed the leadership for. */
  readsConfirmed(): number {
    return Math.min(majorityReads(this.#incoming), majorityReads(this.#outgoing))
  }

  isQuorumActive(): boolean {
    const { voters, votersOutgoing } = this.#state
    const isActive = (id: MemberId): boolean => this.get(id)?.recentActive === true
    return jointVoteResult(voters, votersOutgoing, isActive) === 'won'
  }

  resetVotes(): void {
    this.#votes.clear()
  }

  /** The first answer of a member counts; later ones are repetitions. */
  recordVote(id: MemberId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted)
  }

  tallyVotes(): Tally {
    let granted = 0
    let rejected = 0
    for (const member of this.#members) {
      const vote = member.isLearner ? undefined : this.#votes.get(member.id)
      if (vote === true) granted++
      else if (vote === false) rejected++
    }
    const { voters, votersOutgoing } = this.#state
    const result = jointVoteResult(voters, votersOutgoing, (id) => this.#votes.get(id))
    return { granted, rejected, result }
  }

  #createProgress(id: MemberId, lastIndex: number): Progress {
    const inflights = new Inflights(this.#inflightMessagesMax, this.#inflightBytesMax)
    return new Progress(id, Math.max(lastIndex, 1), false, inflights)
  }
}

function majorityMatch(voters: readonly Progress[]): number {
  const reached: number[] = []
  for (const voter of voters) reached.push(voter.match)
  return majorityIndex(reached)
}

function majorityReads(voters: readonly Progress[]): number {
  const reached: number[] = []
  for (const voter of voters) reached.push(voter.readsAcked)
  return majorityIndex(reached)
}
