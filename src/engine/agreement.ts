import { ColmenaError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import type { MemberId, Raft } from '../raft/raft.ts'
import { type Reply, readReply, type Transport } from '../transport/transport.ts'
import { Comparing } from './comparing.ts'
import {
  decodeHashQuestion,
  decodeHashResult,
  decodeTable,
  encodeHashQuestion,
  encodeHashResult,
  encodeTable,
  type HashQuestion,
  type HashResult,
  type Table,
} from './comparing-wire.ts'
import { Doubts, nameOf } from './doubts.ts'
import type { EngineMix } from './engine-mix.ts'
import { judge, type Verdict } from './judging.ts'
import type { Membership } from './membership.ts'
import type { Applier, EnginePorts, HashedContent, ReplicaState } from './ports.ts'
import type { DivergenceStatus, EngineConfig, VerifyAnswer } from './protocol.ts'
import { Reinstall } from './reinstall.ts'
import { type Verified, Verifying } from './verifying.ts'
import { CALLS, encodeNumbers, FRAMES } from './wire.ts'

/** A verification that nobody asked for, as a mix of engines has ended. */
const VERIFY_MS_MAX = 600_000

export interface AgreementOptions {
  readonly raft: Raft
  readonly membership: Membership
  readonly mix: EngineMix
  readonly config: EngineConfig
  readonly ports: EnginePorts
  readonly applier: Applier
  readonly transport: Transport
  readonly log: Log
  readonly propose: (bytes: Uint8Array) => void
  /** Other files took the place of those that differed. */
  readonly installed: (state: ReplicaState) => void
  readonly changed: () => void
}

/**
 * Whether the members' databases are equal, and what is done where they are not. A member that is
 * not with the majority of voters stops serving, hands leadership over, and takes the databases of
 * the leader. Without a majority nobody can know who is wrong: writes stop until an operator says.
 */
export class Agreement {
  readonly #options: AgreementOptions
  readonly #comparing: Comparing
  readonly #verifying: Verifying
  readonly reinstall: Reinstall
  /** Why this node's files may differ, null if nothing is known of it. */
  #divergedReason: string | null = null
  /** Where voters differ without a majority. */
  readonly #doubts = new Doubts()
  /** Other members that are known to differ. */
  readonly #differing = new Set<MemberId>()
  #installedIndex = 0
  /** What the last verification came to that this node's user asked for. */
  #answer: { readonly key: number; readonly answer: VerifyAnswer } | null = null
  #wasMixed = false
  /** Members that were found to differ, this one among them, since the start. */
  #found = 0

  constructor(options: AgreementOptions) {
    this.#options = options
    const { raft, ports, config, applier, log, membership, installed, changed } = options
    const { clock, random, shared } = ports
    this.#comparing = new Comparing({
      raft,
      clock,
      heartbeatMs: config.heartbeatMs,
      confState: () => membership.confState,
      reachable: () => this.#reachable(),
      applied: () => shared.applied(),
      isDivergent: () => this.isDivergent,
      digests: (index, done) => applier.digests(index, done),
      send: (to, table) => this.#send(to, table),
      judged: (table, verdict) => this.#judged(table, verdict),
    })
    this.reinstall = new Reinstall({
      raft,
      log,
      applier,
      clock,
      askAgainMs: config.electionTimeoutMs,
      applied: () => shared.applied(),
      ask: (leader, index) => this.#askForCopy(leader, index),
      installed: (state) => {
        this.#installedIndex = state.applied
        installed(state)
      },
      changed,
    })
    this.#verifying = new Verifying({
      raft,
      applier,
      clock,
      random,
      members: () => this.#others(),
      ask: (to, question, done) => this.#ask(to, question, done),
      propose: options.propose,
      proposeAgainMs: config.electionTimeoutMs,
    })
  }

  get isDivergent(): boolean {
    return this.#divergedReason !== null
  }

  /** While true nothing may be written. */
  get isUndecided(): boolean {
    return this.#doubts.reason !== null
  }

  get status(): DivergenceStatus {
    return {
      reason: this.#divergedReason,
      undecided: this.#doubts.reason,
      found: this.#found,
      reinstalls: this.reinstall.count,
    }
  }

  tick(): void {
    this.#comparing.tick()
    this.reinstall.tick()
    const { mix, raft } = this.#options
    const { isMixed } = mix
    // What one engine stored otherwise than another shows in no digest.
    if (this.#wasMixed && !isMixed && raft.role === 'leader') this.verify(VERIFY_MS_MAX)
    this.#wasMixed = isMixed
  }

  applied(): void {
    this.#comparing.applied()
  }

  leaderChanged(): void {
    this.#comparing.leaderChanged()
  }

  hashed(hashed: HashedContent): void {
    this.#verifying.hashed(hashed)
  }

  /** The storage side says whether its files may differ, with the reason for it. */
  halted(reason: string | null, isDivergent: boolean): void {
    const before = this.#divergedReason
    this.#divergedReason = isDivergent ? (reason ?? 'they may differ') : null
    this.reinstall.want(isDivergent)
    if (before !== null || this.#divergedReason === null) return
    const { raft, ports } = this.#options
    this.#tell([raft.id], ports.shared.applied(), this.#divergedReason)
  }

  /** @throws DecodeError */
  frame(from: MemberId, body: Uint8Array): void {
    const table = decodeTable(body)
    if (table.kind === 'digest') this.#comparing.heard(from, table)
    else this.#judgeContent(table)
  }

  /** Compares the content of all databases on all members, at one index. */
  verify(timeoutMs: number, key: number | null = null): boolean {
    return this.#verifying.start(timeoutMs, (verified) => {
      for (const id of this.#reachable()) this.#send(id, verified.table)
      const answer = this.#answerOf(verified, this.#judgeContent(verified.table))
      if (key !== null) this.#answer = { key, answer }
    })
  }

  /** What {@link verify} came to; null while it is under way. */
  verified(key: number): VerifyAnswer | null {
    return this.#answer?.key === key ? this.#answer.answer : null
  }

  /** An operator says that this node's databases are not those that should be kept. */
  giveUp(): ColmenaError | null {
    if (this.#others().length === 0) {
      const message = 'this node is the only member: there are no other databases to take'
      return new ColmenaError('ERR_INVALID_ARGUMENT', message)
    }
    this.#options.applier.diverge('an operator chose the databases of the other members')
    return null
  }

  /** What another member asks about a hash. @throws DecodeError */
  answer(body: Uint8Array, reply: Reply): void {
    const question = decodeHashQuestion(body)
    const { isKnown, result } = this.#verifying.asked(question)
    if (this.#divergedReason !== null) {
      reply(new ColmenaError('ERR_APPLY_HALTED', this.#divergedReason))
    } else if (isKnown) reply(null, encodeHashResult(result))
    else reply(new ColmenaError('ERR_NOT_FOUND', 'it has started anew, and hashed nothing'))
  }

  close(): void {
    this.#verifying.close()
  }

  #judgeContent(table: Table): Verdict {
    // A voter that could not be asked says nothing: it may be with either side.
    const verdict = judge(table.rows, this.#options.membership.confState, () => true)
    this.#judged(table, verdict)
    return verdict
  }

  #judged({ kind, index, rows }: Table, { agreed, differing, undecided }: Verdict): void {
    const { raft, applier } = this.#options
    const what = kind === 'digest' ? 'did other things' : 'holds other content'
    const wrong = new Map<MemberId, string>()
    for (const { memberId, database } of differing) {
      if (!wrong.has(memberId)) wrong.set(memberId, database)
    }
    for (const [id, database] of wrong) {
      const reason =
        `database '${nameOf(database)}' of node '${this.#nodeId(id)}' ${what} than on the ` +
        `majority of voters, up to entry ${index}`
      if (id !== raft.id) this.#differs(id, index, reason)
      // What another copy took the place of meanwhile is nothing to be judged.
      else if (!this.isDivergent && index >= this.#installedIndex) applier.diverge(reason)
    }
    for (const [id, held] of rows) if (held.size > 0 && !wrong.has(id)) this.#differing.delete(id)
    const before = this.#doubts.reason
    this.#doubts.judged({ kind, index, rows }, { agreed, undecided })
    const { reason } = this.#doubts
    if (reason === before) return
    this.#options.ports.toUser({ kind: 'undecided', reason })
    if (reason !== null) this.#tell([], index, reason)
  }

  #differs(id: MemberId, index: number, reason: string): void {
    if (this.#differing.has(id)) return
    this.#differing.add(id)
    this.#tell([id], index, reason)
  }

  #tell(ids: readonly MemberId[], index: number, reason: string): void {
    this.#found += ids.length
    const nodeIds = ids.map((id) => this.#nodeId(id))
    this.#options.ports.toUser({ kind: 'divergence', divergence: { nodeIds, index, reason } })
  }

  #answerOf({ table, errors }: Verified, { differing, undecided }: Verdict): VerifyAnswer {
    const ids = new Set([...table.rows.keys(), ...errors.keys()])
    const members = [...ids].map((id) => ({
      nodeId: this.#nodeId(id),
      hashes: namedHashes(table.rows.get(id)),
      error: errors.get(id) ?? null,
    }))
    const wrong = new Set(differing.map(({ memberId }) => memberId))
    return {
      index: table.index,
      members,
      differing: [...wrong].map((id) => this.#nodeId(id)),
      undecided: undecided.map(nameOf),
    }
  }

  #send(to: MemberId, table: Table): void {
    this.#options.transport.send(to, 'control', FRAMES.comparison, [encodeTable(table)])
  }

  #ask(
    to: MemberId,
    question: HashQuestion,
    done: (error: Error | null, result: HashResult) => void,
  ): void {
    const { transport, config } = this.#options
    const body = encodeHashQuestion(question)
    const answered = readReply<HashResult>(decodeHashResult, done)
    transport.call(to, CALLS.verify, body, config.electionTimeoutMs * 2, answered)
  }

  #askForCopy(leader: MemberId, index: number): void {
    const { transport, config } = this.#options
    const body = encodeNumbers(index)
    // Asked again until a copy comes, whatever the answer is.
    transport.call(leader, CALLS.reinstall, body, config.requestTimeoutMs, () => {})
  }

  #others(): readonly MemberId[] {
    const { membership, raft } = this.#options
    return [...membership.records()].map(({ memberId }) => memberId).filter((id) => id !== raft.id)
  }

  #reachable(): readonly MemberId[] {
    const connected = this.#options.transport.peers().filter(({ isConnected }) => isConnected)
    const ids = new Set(connected.map(({ id }) => id))
    return this.#others().filter((id) => ids.has(id))
  }

  #nodeId(id: MemberId): string {
    return this.#options.membership.nodeId(id) ?? String(id)
  }
}

function namedHashes(
  held: ReadonlyMap<string, string> | undefined,
): Readonly<Record<string, string>> | null {
  if (held === undefined) return null
  return Object.fromEntries([...held].map(([database, hash]) => [nameOf(database), hash]))
}
