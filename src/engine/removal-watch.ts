import { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { Clock } from '../base/ports.ts'
import { type MemberId, NO_MEMBER, type Raft } from '../raft/raft.ts'
import { readReply, type Transport } from '../transport/transport.ts'
import type { Membership } from './membership.ts'
import { CALLS } from './wire.ts'

const CALL_TIMEOUT_MS = 1_000

export interface RemovalWatchOptions {
  readonly raft: Raft
  readonly membership: Membership
  readonly clock: Clock
  readonly transport: Transport
  readonly electionTimeoutMs: number
  /** Since this node heard its leader; null if it never did. */
  readonly leaderContactMs: () => number | null
  /** False for a joiner that no configuration has named yet. */
  readonly wasMember: boolean
  /** How many times it must be said, by members in turn. */
  readonly confirmations: number
  /** It is certain: the cluster goes on without this node. */
  readonly removed: () => void
}

/**
 * A leader stops sending to whom it removes, so a removed member may never get the entry that says
 * so: it would ask for votes for ever, and nobody would answer; or, as a learner, take the last one
 * that it heard for its leader for ever. Without hearing one for a while it therefore asks the
 * others, in turn, whether it is still one of them. Member ids are never used again, so the word of
 * a node that has applied more, has a leader and does not know it is final.
 */
export class RemovalWatch {
  readonly #options: RemovalWatchOptions
  #nextMs = 0
  #asked = 0
  #confirmed = 0

  constructor(options: RemovalWatchOptions) {
    this.#options = options
    this.#rest()
  }

  tick(): void {
    const { raft, membership, clock, wasMember } = this.#options
    const isJoiner = !wasMember && membership.record(raft.id) === undefined
    if (this.#hearsLeader() || isJoiner) {
      this.#confirmed = 0
      this.#rest()
      return
    }
    if (clock.nowMs() < this.#nextMs) return
    this.#rest()
    const others = [...membership.records()].filter(({ memberId }) => memberId !== raft.id)
    const other = others[this.#asked % Math.max(1, others.length)]
    this.#asked += 1
    if (other !== undefined) this.#ask(other.memberId)
  }

  /** Whoever is asked once more is asked soon. */
  #confirm(): void {
    const { clock, electionTimeoutMs, confirmations, removed } = this.#options
    this.#confirmed += 1
    if (this.#confirmed >= confirmations) removed()
    else this.#nextMs = clock.nowMs() + electionTimeoutMs / 2
  }

  #hearsLeader(): boolean {
    const { raft, electionTimeoutMs, leaderContactMs } = this.#options
    const contactMs = leaderContactMs()
    if (raft.leader === NO_MEMBER || contactMs === null) return false
    return contactMs < 2 * electionTimeoutMs
  }

  #rest(): void {
    const { clock, electionTimeoutMs } = this.#options
    this.#nextMs = clock.nowMs() + 2 * electionTimeoutMs
  }

  #ask(to: MemberId): void {
    const { raft, transport } = this.#options
    const body = new ByteWriter().u53(raft.id).finish()
    // Without an answer the next member is asked.
    const answered = readReply(decodeMembershipAnswer, (_error, answer) => {
      if (answer === null) return
      if (!answer.isMember && answer.isLed && answer.appliedIndex >= raft.applied) this.#confirm()
    })
    transport.call(to, CALLS.isMember, body, CALL_TIMEOUT_MS, answered)
  }
}

/** A member's answer to whether another one is a member. */
export function answerIsMember(raft: Raft, membership: Membership, body: Uint8Array): Uint8Array {
  const isMember = membership.record(new ByteReader(body).u53()) !== undefined
  const isLed = raft.leader !== NO_MEMBER
  return new ByteWriter().flag(isMember).flag(isLed).u53(raft.applied).finish()
}

function decodeMembershipAnswer(bytes: Uint8Array): {
  readonly isMember: boolean
  readonly isLed: boolean
  readonly appliedIndex: number
} {
  const reader = new ByteReader(bytes)
  const isMember = reader.flag()
  const isLed = reader.flag()
  const appliedIndex = reader.u53()
  reader.end()
  return { isMember, isLed, appliedIndex }
}
