import { ColmenaError } from '../base/errors.ts'
import type { Clock } from '../base/ports.ts'
import { encodeMemberRecords, type MemberRecord } from '../command/command.ts'
import type { ConfChange, ConfChangeSingle, ConfState, MemberId, Raft } from '../raft/raft.ts'
import type { MemberChange } from './protocol.ts'
import type { LeaderAnswer } from './wire.ts'

export interface MemberChangesOptions {
  readonly raft: Raft
  readonly clock: Clock
  /** A change that was not applied for so long is given up by the leader. */
  readonly timeoutMs: number
  readonly record: (id: MemberId) => MemberRecord | undefined
  readonly confState: () => ConfState
  /** Whether a member was heard within an election timeout; of this node it is true. */
  readonly isHeard: (id: MemberId) => boolean
  /** Hands leadership to another voter; false if there is none that is reachable. */
  readonly transferAway: () => boolean
}

interface PendingChange {
  readonly change: MemberChange
  readonly id: MemberId
  readonly sinceMs: number
  readonly reply: (answer: LeaderAnswer) => void
}

/** Changes waiting at once; more are told to come back. */
const CHANGES_MAX = 64

/** Whether a member is what the change asks for, as far as a node with this configuration knows. */
export function isChanged(
  change: MemberChange,
  record: MemberRecord | undefined,
  isVoter: boolean,
): boolean {
  if (change === 'remove') return record === undefined
  if (change === 'promote') return record?.wantedRole === 'voter'
  return record?.wantedRole === 'learner' && !isVoter
}

/**
 * On the leader: members that an operator promotes, demotes or removes, one change at a time. Asked
 * twice is asked once, so whoever lost the answer may ask again. None may leave the cluster without
 * a majority of voters that are reachable: nothing could be written then, not even its repair.
 */
export class MemberChanges {
  readonly #options: MemberChangesOptions
  readonly #pending: PendingChange[] = []

  constructor(options: MemberChangesOptions) {
    this.#options = options
  }

  /** `reply` is called once, within the time-out. */
  request(change: MemberChange, id: MemberId, reply: (answer: LeaderAnswer) => void): void {
    const { raft, clock, transferAway } = this.#options
    if (this.#isDone(change, id)) {
      reply({ kind: 'done' })
      return
    }
    const error = this.#pending.length >= CHANGES_MAX ? busy() : this.#refusal(change, id)
    if (error !== null) {
      reply({ kind: 'refused', error })
    } else if (id === raft.id && change !== 'promote') {
      // A leader that votes no more would have to lead the others without counting itself.
      if (transferAway()) reply({ kind: 'elsewhere', address: '' })
      else reply({ kind: 'refused', error: refused('no other voter is there to lead') })
    } else {
      this.#pending.push({ change, id, sinceMs: clock.nowMs(), reply })
    }
  }

  get isWaiting(): boolean {
    return this.#pending.length > 0
  }

  /** What to propose next, null for nothing. */
  next(): ConfChange | null {
    for (const pending of [...this.#pending]) {
      const error = this.#refusal(pending.change, pending.id)
      if (error === null) return this.#confChange(pending)
      this.#end(pending, { kind: 'refused', error })
    }
    return null
  }

  /** The configuration changed. */
  settle(): void {
    for (const pending of [...this.#pending]) {
      if (this.#isDone(pending.change, pending.id)) this.#end(pending, { kind: 'done' })
    }
  }

  tick(): void {
    const { clock, timeoutMs } = this.#options
    for (const pending of [...this.#pending]) {
      if (clock.nowMs() - pending.sinceMs <= timeoutMs) continue
      this.#end(pending, { kind: 'refused', error: busy() })
    }
  }

  /** Whoever asked asks the next leader. */
  leadershipLost(): void {
    for (const pending of [...this.#pending]) {
      this.#end(pending, { kind: 'elsewhere', address: '' })
    }
  }

  #end(pending: PendingChange, answer: LeaderAnswer): void {
    this.#pending.splice(this.#pending.indexOf(pending), 1)
    pending.reply(answer)
  }

  #isDone(change: MemberChange, id: MemberId): boolean {
    return isChanged(change, this.#options.record(id), this.#isVoter(id))
  }

  #isVoter(id: MemberId): boolean {
    const { voters, votersOutgoing } = this.#options.confState()
    return voters.includes(id) || votersOutgoing.includes(id)
  }

  #confChange({ change, id }: PendingChange): ConfChange {
    const changes: ConfChangeSingle[] = []
    if (change === 'remove') {
      changes.push({ type: 'removeNode', id })
      return { transition: 'auto', changes, context: encodeMemberRecords([]) }
    }
    const wantedRole = change === 'promote' ? 'voter' : 'learner'
    const record = { ...(this.#options.record(id) as MemberRecord), wantedRole } as const
    const isDemotion = change === 'demote' && this.#isVoter(id)
    changes.push({ type: isDemotion ? 'addLearner' : 'updateNode', id })
    return { transition: 'auto', changes, context: encodeMemberRecords([record]) }
  }

  #refusal(change: MemberChange, id: MemberId): ColmenaError | null {
    const { record, confState, isHeard } = this.#options
    const member = record(id)
    if (member === undefined) return refused(`there is no member ${id} any more`)
    if (change === 'promote' || !this.#isVoter(id)) return null
    const staying = confState().voters.filter((voter) => voter !== id)
    if (staying.length === 0) {
      return refused(`'${member.nodeId}' is the last voter: without it nothing can be written`)
    }
    const count = staying.filter(isHeard).length
    if (count > staying.length / 2) return null
    return refused(
      `of the ${staying.length} voters that would stay without '${member.nodeId}' only ${count} ` +
        'can be reached, and nothing could be written: bring one of them back first',
    )
  }
}

function refused(reason: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', `the members stay as they are: ${reason}`)
}

function busy(): ColmenaError {
  return new ColmenaError('ERR_BUSY', 'the leader could not change the members just now', {
    retryable: true,
  })
}
