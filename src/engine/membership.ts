import { ColmenaError } from '../base/errors.ts'
import type { Clock } from '../base/ports.ts'
import { decodeMemberRecords, encodeMemberRecords, type MemberRecord } from '../command/command.ts'
import {
  type ConfChange,
  type ConfChangeSingle,
  type ConfState,
  isJoint,
  type MemberId,
  type Raft,
} from '../raft/raft.ts'
import type { PeerHello, Refusal } from '../transport/transport.ts'
import { MemberChanges } from './member-changes.ts'
import type { MemberChange, MemberStatus } from './protocol.ts'
import { removedError } from './removed-error.ts'
import type { LeaderAnswer } from './wire.ts'

export interface MembershipOptions {
  readonly raft: Raft
  readonly clock: Clock
  /** Where this node is now, which its record may not say yet; '' without network. */
  readonly ownAddress: string
  readonly electionTimeoutMs: number
  readonly joinTimeoutMs: number
  readonly requestTimeoutMs: number
  /** Milliseconds since a member was last heard, null if never. */
  readonly lastContactMs: (id: MemberId) => number | null
  /** Hands leadership to another voter; false if there is none that is reachable. */
  readonly transferAway: () => boolean
  /** The set of members, an address or a role changed. */
  readonly changed: () => void
}

/** What the databases hold of the members. */
export interface MembershipState {
  readonly confState: ConfState
  readonly members: readonly MemberRecord[]
  readonly fingerprints: ReadonlyMap<MemberId, string>
}

interface PendingJoin {
  readonly record: MemberRecord
  readonly replaced: MemberId | null
  /** From when it is in the log it may be agreed on, whatever is seen of others since. */
  isProposed: boolean
  readonly sinceMs: number
  readonly reply: (answer: LeaderAnswer) => void
}

/** Joins waiting at once; more are told to come back. */
const JOINS_MAX = 64
/** A learner this close to the leader's commit index counts as caught up, in entries. */
const CAUGHT_UP_ENTRIES = 1_000

/**
 * Who belongs to the cluster, and on the leader: taking in joiners as learners, and promoting
 * those that want to vote once they have caught up. The number of voters is kept odd, since an
 * even one needs a larger quorum and survives no more: a second node waits as a caught-up learner
 * for a third, then both are promoted in one joint change.
 */
export class Membership {
  readonly #options: MembershipOptions
  readonly #records = new Map<MemberId, MemberRecord>()
  readonly #joins = new Map<MemberId, PendingJoin>()
  readonly #changes: MemberChanges
  /** Addresses that members were reached from and that differ from their records. */
  readonly #moved = new Map<MemberId, string>()
  /** What members run SQL with, as their current origins say. */
  #fingerprints: ReadonlyMap<MemberId, string>
  #confState: ConfState
  #lastProposalMs = Number.NEGATIVE_INFINITY

  constructor(options: MembershipOptions, state: MembershipState) {
    this.#options = options
    this.#confState = state.confState
    this.#fingerprints = state.fingerprints
    for (const record of state.members) this.#records.set(record.memberId, record)
    this.#changes = new MemberChanges({
      raft: options.raft,
      clock: options.clock,
      timeoutMs: options.requestTimeoutMs,
      record: (id) => this.#records.get(id),
      confState: () => this.#confState,
      isHeard: (id) => this.#isHeard(id),
      transferAway: options.transferAway,
    })
  }

  get confState(): ConfState {
    return this.#confState
  }

  record(id: MemberId): MemberRecord | undefined {
    return this.#records.get(id)
  }

  records(): IterableIterator<MemberRecord> {
    return this.#records.values()
  }

  nodeId(id: MemberId): string | null {
    return this.#records.get(id)?.nodeId ?? null
  }

  /** Why a process is not the member that it says it is; null if it may be. */
  refusal({ memberId, nodeId }: Pick<PeerHello, 'memberId' | 'nodeId'>): Refusal | null {
    const known = this.nodeId(memberId)
    if (known === null || known === nodeId) return null
    const message = `node '${nodeId}' says that it is member ${memberId}, which is node '${known}'`
    return { code: 'ERR_HANDSHAKE', message }
  }

  /** What a member runs SQL with, null before it has told the cluster. */
  fingerprint(id: MemberId): string | null {
    return this.#fingerprints.get(id) ?? null
  }

  memberOfNode(nodeId: string): MemberRecord | undefined {
    for (const record of this.#records.values()) if (record.nodeId === nodeId) return record
    return undefined
  }

  isVoter(id: MemberId): boolean {
    const { voters, votersOutgoing } = this.#confState
    return voters.includes(id) || votersOutgoing.includes(id)
  }

  /** A configuration change was applied here; the core has taken `confState` already. */
  confChanged(change: ConfChange, confState: ConfState): void {
    this.#confState = confState
    for (const record of decodeMemberRecords(change.context)) {
      this.#records.set(record.memberId, record)
      this.#moved.delete(record.memberId)
    }
    this.#forgetRemoved()
    this.#settleJoins()
    this.#settleChanges()
    this.#options.changed()
  }

  /** A snapshot brought another configuration. */
  replaced(state: MembershipState): void {
    this.#confState = state.confState
    this.#fingerprints = state.fingerprints
    this.#records.clear()
    for (const record of state.members) this.#records.set(record.memberId, record)
    this.#options.changed()
  }

  /** Members registered new origins. */
  fingerprintsChanged(fingerprints: ReadonlyMap<MemberId, string>): void {
    this.#fingerprints = fingerprints
  }

  /** A member introduced itself with this address. */
  heardFrom(id: MemberId, address: string): void {
    const record = this.#records.get(id)
    if (record === undefined || address === '') return
    if (record.address === address) this.#moved.delete(id)
    else this.#moved.set(id, address)
  }

  /**
   * Where the other members are dialed. What one said of itself is newer than its record, which may
   * name a place that it left long ago: a change of any other record must not lead back there.
   */
  *places(): Iterable<{ readonly memberId: MemberId; readonly address: string }> {
    for (const { memberId, address } of this.#records.values()) {
      if (memberId === this.#options.raft.id) continue
      yield { memberId, address: this.#moved.get(memberId) ?? address }
    }
  }

  /**
   * A node asks to be taken in, perhaps in place of the member that it was; `reply` is called once,
   * within the join time-out, and says `done` only once a majority has agreed.
   */
  join(
    record: MemberRecord,
    replaced: MemberId | null,
    reply: (answer: LeaderAnswer) => void,
  ): void {
    const { raft, clock } = this.#options
    if (raft.role !== 'leader') {
      const address = this.#records.get(raft.leader)?.address ?? ''
      reply({ kind: 'elsewhere', address })
      return
    }
    const known = this.#records.get(record.memberId)
    if (known !== undefined && known.address === record.address) {
      reply({ kind: 'done' })
      return
    }
    if (replaced !== null && !this.#records.has(replaced) && !this.#isAwaited(record.memberId)) {
      reply({ kind: 'refused', error: removedError(record.nodeId) })
      return
    }
    if (this.#joins.size >= JOINS_MAX) {
      reply(busy())
      return
    }
    const taken = this.#takenBy(record, replaced)
    if (taken !== null) {
      reply({ kind: 'refused', error: taken })
      return
    }
    const sinceMs = clock.nowMs()
    this.#joins.set(record.memberId, { record, replaced, isProposed: false, sinceMs, reply })
    this.#propose()
  }

  /** Promotes, demotes or removes a member; `reply` is called once. */
  change(change: MemberChange, id: MemberId, reply: (answer: LeaderAnswer) => void): void {
    if (this.#options.raft.role !== 'leader') {
      reply({ kind: 'elsewhere', address: '' })
      return
    }
    this.#changes.request(change, id, reply)
    this.#propose()
  }

  /** To be called when leadership is lost: joiners ask the next leader. */
  leadershipLost(): void {
    for (const { reply } of this.#joins.values()) reply({ kind: 'elsewhere', address: '' })
    this.#joins.clear()
    this.#changes.leadershipLost()
    this.#lastProposalMs = Number.NEGATIVE_INFINITY
  }

  tick(): void {
    const { raft, clock, joinTimeoutMs } = this.#options
    if (raft.role !== 'leader') return
    for (const [id, join] of this.#joins) {
      if (clock.nowMs() - join.sinceMs <= joinTimeoutMs) continue
      this.#joins.delete(id)
      join.reply(busy())
    }
    this.#changes.tick()
    this.#propose()
  }

  status(): MemberStatus[] {
    const { raft, lastContactMs } = this.#options
    const matches = new Map<MemberId, number>()
    if (raft.role === 'leader') {
      for (const progress of raft.status().progress) matches.set(progress.id, progress.match)
    }
    return [...this.#records.values()].map((record) => ({
      nodeId: record.nodeId,
      memberId: record.memberId,
      address: record.address,
      role: this.isVoter(record.memberId) ? 'voter' : 'learner',
      wantedRole: record.wantedRole,
      isLeader: record.memberId === raft.leader,
      match: matches.get(record.memberId) ?? null,
      lastContactMs: record.memberId === raft.id ? 0 : lastContactMs(record.memberId),
      fingerprint: this.fingerprint(record.memberId),
    }))
  }

  /** One change at a time; the core turns a second one into an empty entry, so wait a while. */
  #propose(): void {
    const { raft, clock, electionTimeoutMs } = this.#options
    if (isJoint(this.#confState) || !raft.committedInOwnTerm) return
    if (clock.nowMs() - this.#lastProposalMs < electionTimeoutMs / 2) return
    const change =
      this.#nextJoin() ?? this.#changes.next() ?? this.#nextMove() ?? this.#nextPromotion()
    if (change === null) return
    this.#lastProposalMs = clock.nowMs()
    raft.proposeConfChange(change)
  }

  #nextJoin(): ConfChange | null {
    for (const [id, join] of this.#joins) {
      const { record, replaced, isProposed, reply } = join
      // Whoever was silent when it was asked for may be back.
      const taken = isProposed ? null : this.#takenBy(record, replaced)
      if (taken !== null) {
        this.#joins.delete(id)
        reply({ kind: 'refused', error: taken })
        continue
      }
      join.isProposed = true
      const changes: ConfChangeSingle[] = []
      for (const other of this.#records.values()) {
        if (other.memberId !== record.memberId && collides(other, record)) {
          changes.push({ type: 'removeNode', id: other.memberId })
        }
      }
      const isKnown = this.#records.has(record.memberId)
      changes.push({ type: isKnown ? 'updateNode' : 'addLearner', id: record.memberId })
      return { transition: 'auto', changes, context: encodeMemberRecords([record]) }
    }
    return null
  }

  #nextMove(): ConfChange | null {
    const { raft, ownAddress } = this.#options
    for (const [id, address] of [[raft.id, ownAddress] as const, ...this.#moved]) {
      const record = this.#records.get(id)
      if (record === undefined || record.address === address || address === '') continue
      const context = encodeMemberRecords([{ ...record, address }])
      return { transition: 'auto', changes: [{ type: 'updateNode', id }], context }
    }
    return null
  }

  #nextPromotion(): ConfChange | null {
    const { raft } = this.#options
    const { voters } = this.#confState
    const ready: MemberId[] = []
    for (const progress of raft.status().progress) {
      if (!progress.isLearner || this.#records.get(progress.id)?.wantedRole !== 'voter') continue
      const isActive = progress.recentActive && this.#isHeard(progress.id)
      const follows = isActive && progress.state === 'replicate'
      if (follows && progress.match + CAUGHT_UP_ENTRIES >= raft.commit) ready.push(progress.id)
    }
    const count = (voters.length + ready.length) % 2 === 1 ? ready.length : ready.length - 1
    if (count <= 0) return null
    const changes = ready.slice(0, count).map((id): ConfChangeSingle => ({ type: 'addNode', id }))
    return { transition: 'auto', changes, context: new Uint8Array(0) }
  }

  /**
   * Within an election timeout, by the clock: the core counts ticks, which come late where the
   * machine is busy, and would take a member for alive that was silent for much longer.
   */
  #isHeard(id: MemberId): boolean {
    const { raft, electionTimeoutMs, lastContactMs } = this.#options
    const heardMs = id === raft.id ? 0 : lastContactMs(id)
    return heardMs !== null && heardMs <= electionTimeoutMs
  }

  #settleJoins(): void {
    for (const [id, { record, reply }] of this.#joins) {
      if (this.#records.get(id)?.address !== record.address) continue
      this.#joins.delete(id)
      reply({ kind: 'done' })
    }
    // The next joiner need not wait for a pause meant for refused proposals.
    if (this.#joins.size > 0) this.#lastProposalMs = Number.NEGATIVE_INFINITY
  }

  #settleChanges(): void {
    this.#changes.settle()
    if (this.#changes.isWaiting) this.#lastProposalMs = Number.NEGATIVE_INFINITY
  }

  #forgetRemoved(): void {
    const { voters, learners, votersOutgoing, learnersNext } = this.#confState
    const ids = new Set([...voters, ...learners, ...votersOutgoing, ...learnersNext])
    for (const id of this.#records.keys()) if (!ids.has(id)) this.#records.delete(id)
    for (const id of this.#moved.keys()) if (!ids.has(id)) this.#moved.delete(id)
  }

  /** Taken in and never begun, as whoever moved before it heard of that. */
  #isAwaited(id: MemberId): boolean {
    return this.#records.has(id) && !this.isVoter(id) && this.fingerprint(id) === null
  }

  /**
   * Why a joiner can't have its name or address, or null: a silent member is replaced. Whoever asks
   * to be itself at another address may be one of two copies of a directory. Who comes
   * from a member's very address has most likely just restarted with an empty directory, so it may
   * ask again until that member is silent for sure.
   */
  #takenBy(record: MemberRecord, replaced: MemberId | null): ColmenaError | null {
    const itsOwn = [record.memberId, replaced]
    for (const other of this.#records.values()) {
      const isItself = other.memberId === record.memberId && replaced === null
      if (isItself || !collides(other, record)) continue
      if (this.#isHeard(other.memberId)) {
        return new ColmenaError(
          'ERR_NODE_ID_TAKEN',
          `node id '${record.nodeId}' or address ${record.address} belongs to a member that is ` +
            `alive: '${other.nodeId}' at ${other.address}. Choose another, or stop that node`,
          { retryable: other.address === record.address || itsOwn.includes(other.memberId) },
        )
      }
    }
    return null
  }
}

function collides(a: MemberRecord, b: MemberRecord): boolean {
  return a.nodeId === b.nodeId || a.address === b.address
}

function busy(): LeaderAnswer {
  return {
    kind: 'refused',
    error: new ColmenaError('ERR_BUSY', 'the leader could not take the member in just now', {
      retryable: true,
    }),
  }
}
