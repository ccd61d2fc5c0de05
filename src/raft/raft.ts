/**
 * The consensus core: etcd/raft's behaviour (v3.7 line), message for message, as a pure machine.
 * It promises: the same inputs give the same outputs; nothing a peer sends makes it throw; and a
 * vote or acknowledgement leaves only after the state it speaks of is durable.
 * It leaves to its owner: time (`tick`), randomness, storage, the network, applying. In
 * asynchronous mode the owner loops: `takeReady`; messages to APPEND_THREAD and APPLY_THREAD go
 * to storage, each queue in order; all others may leave at once; when a storage message is done,
 * durably if `mustSync` or a snapshot asks for it, its responses go to `step` or to a peer.
 */

import { fillWindow } from './append.ts'
import { isWellFormed } from './conf-change.ts'
import { encodeConfChange } from './conf-change-codec.ts'
import { type RaftConfig, resolveConfig, type StepResult } from './config.ts'
import { Core } from './core.ts'
import { invariant } from './invariant.ts'
import { proposeAsLeader } from './leader.ts'
import { applyConfChange, restoreConfiguration } from './membership.ts'
import {
  createMessage,
  isLocalThread,
  isLocalType,
  isResponseType,
  isWellFormedMessage,
} from './message.ts'
import { ReadyMaker } from './ready.ts'
import { describeStatus, type RaftStatus } from './status.ts'
import { stepMessage, tick } from './step.ts'
import type { ConfChange, ConfState, Entry, MemberId, Message, Ready, Role } from './types.ts'

export {
  applyConfChangeToState,
  type ConfChangeOutcome,
  type ConfChangeRefusal,
  changeConfiguration,
  changeSimply,
  EMPTY_CONF_STATE,
  enterJoint,
  hasQuorum,
  isJoint,
  isMember,
  isVoter,
  leaveJoint,
} from './conf-change.ts'
export { decodeConfChange, encodeConfChange, LEAVE_JOINT } from './conf-change-codec.ts'
export type { RaftConfig, StepResult } from './config.ts'
export { RaftInvariantError } from './invariant.ts'
export { createMessage } from './message.ts'
export type { ProgressState } from './progress.ts'
export {
  committedIndex,
  jointCommittedIndex,
  jointVoteResult,
  quorumSize,
  type VoteResult,
  voteResult,
} from './quorum.ts'
export type { ProgressStatus, RaftStatus } from './status.ts'
export type { TraceCode, TraceEvent, TraceLevel } from './trace.ts'
export * from './types.ts'

/** One member's state machine. Not to be entered again from its own callbacks. */
export class Raft {
  readonly #core: Core
  readonly #ready: ReadyMaker

  /**
   * Restores the member from storage. The commit index becomes at least `appliedIndex`, as
   * applied implies committed and a commit index alone is not synced; and at most the last index.
   * @throws RaftInvariantError if the configuration is wrong, or if entries that were applied are
   * missing from the log.
   */
  constructor(config: RaftConfig) {
    const resolved = resolveConfig(config)
    const core = new Core(resolved)
    const { hardState, confState } = resolved.storage.initialState()
    invariant(isWellFormed(confState), 'the stored configuration is well formed')
    restoreConfiguration(core, confState)
    const last = core.log.lastIndex()
    const { appliedIndex } = resolved
    invariant(appliedIndex <= last, 'no applied entry is missing from the log')
    core.term = hardState.term
    core.vote = hardState.vote
    const commit = Math.max(hardState.commit, appliedIndex, core.log.committed)
    core.log.committed = Math.min(commit, last)
    if (appliedIndex > 0) core.log.appliedTo(appliedIndex, 0)
    core.becomeFollower(core.term, 0)
    const { committed, applied } = core.log
    const args = [core.tracker.voterIds(), core.term, committed, applied, last]
    core.note('info', 'started', core.id, ...args, core.log.lastTerm())
    this.#core = core
    this.#ready = new ReadyMaker(core)
  }

  get id(): MemberId {
    return this.#core.id
  }

  get role(): Role {
    return this.#core.role
  }

  get term(): number {
    return this.#core.term
  }

  /** 0 if unknown. */
  get leader(): MemberId {
    return this.#core.leader
  }

  get commit(): number {
    return this.#core.log.committed
  }

  get applied(): number {
    return this.#core.log.applied
  }

  get lastIndex(): number {
    return this.#core.log.lastIndex()
  }

  /** Whether an entry of the present term is committed: before, a leader's commit index lags. */
  get committedInOwnTerm(): boolean {
    return this.#core.hasCommittedInTerm()
  }

  /** Whether promises of votes, where a quorum keeps them, keep all others from leading. */
  get isBackedByVotes(): boolean {
    return this.#core.isBackedByVotes()
  }

  get confState(): ConfState {
    return this.#core.tracker.state
  }

  status(): RaftStatus {
    return describeStatus(this.#core)
  }

  tick(): void {
    tick(this.#core)
  }

  /** Takes a message of a peer, or an answer of this node's storage threads. Never throws. */
  step(message: Message): StepResult {
    if (!isWellFormedMessage(message) || message.to !== this.#core.id) return 'invalid'
    const { type, from } = message
    if (isLocalType(type)) {
      if (!isLocalThread(from) || !isResponseType(type)) return 'localMessage'
    } else if (isResponseType(type) && this.#core.tracker.get(from) === undefined) {
      return 'unknownPeer'
    }
    return stepMessage(this.#core, message)
  }

  /** Proposes entries; a follower passes them on unless that is disabled. */
  propose(data: readonly Uint8Array[]): StepResult {
    if (data.length === 0) return 'invalid'
    if (this.#core.role === 'leader') {
      return proposeAsLeader(
        this.#core,
        data.map((bytes) => ({ type: 'normal', data: bytes })),
      )
    }
    return this.#request(
      'propose',
      data.map((bytes) => createEntry('normal', bytes)),
    )
  }

  /**
   * Proposes a change of the configuration. One that may not be made now (another is under way, or
   * it does not fit the present configuration) enters the log as an empty entry instead.
   */
  proposeConfChange(change: ConfChange): StepResult {
    return this.#request('propose', [createEntry('confChangeV2', encodeConfChange(change))])
  }

  /** To be called when a change in the log is applied; returns the configuration from then on. */
  applyConfChange(change: ConfChange): ConfState {
    return applyConfChange(this.#core, change)
  }

  /** Campaigns now; 'dropped' if this member leads already or must not lead. */
  campaign(): StepResult {
    return this.#stepSelf('hup', this.#core.id)
  }

  /**
   * Asks for an index that a linearizable read must see applied; it comes as a
   * {@link ReadState} with the same context, or never, if leadership changes.
   */
  readIndex(context: Uint8Array): StepResult {
    return this.#request('readIndex', [createEntry('normal', context)])
  }

  transferLeader(to: MemberId): StepResult {
    return this.#stepSelf('transferLeader', to)
  }

  /** A follower forgets its leader, so that it may vote and campaign without waiting. */
  forgetLeader(): StepResult {
    return this.#stepSelf('forgetLeader', this.#core.id)
  }

  reportUnreachable(id: MemberId): void {
    this.#stepSelf('unreachable', id)
  }

  /** Tells how sending a snapshot to a member ended. */
  reportSnapshot(id: MemberId, ok: boolean): void {
    const message = createMessage('snapshotStatus', id, this.#core.id)
    message.reject = !ok
    stepMessage(this.#core, message)
  }

  /** Storage has fetched entries it did not have at hand: sends and applies what waited for it. */
  retrySends(): void {
    this.#core.log.fetchPending = false
    if (this.#core.role !== 'leader') return
    for (const member of this.#core.tracker.members) {
      if (!member.fetchPending) continue
      member.fetchPending = false
      fillWindow(this.#core, member)
    }
  }

  /**
   * Forgets what a member has acknowledged. For a member that is known to have lost the end of its
   * log (put back from a backup, say): without this its rejections below the acknowledged index
   * are taken for late ones, and it is never caught up. What is committed stays committed.
   */
  resetProgress(id: MemberId): void {
    const member = this.#core.tracker.get(id)
    if (this.#core.role !== 'leader' || member === undefined || id === this.#core.id) return
    member.reset(0, this.#core.log.lastIndex() + 1)
    member.recentActive = true
  }

  /**
   * How many times the drawn timeout this node waits before it campaigns: more than 1 where others
   * should lead. It keeps nobody else from being elected, and campaigns in the end.
   */
  get patience(): number {
    return this.#core.patience
  }

  set patience(times: number) {
    this.#core.patience = times
  }

  /** Replaces the drawn election timeout until the next one is drawn; for scripted scenarios. */
  overrideElectionTicks(ticks: number): void {
    this.#core.randomizedElectionTicks = ticks
  }

  hasReady(): boolean {
    return this.#ready.hasReady()
  }

  /** Hands out all work; it counts as taken. In synchronous mode `advance` comes in between. */
  takeReady(): Ready {
    invariant(!this.#ready.hasOpenReady(), 'each Ready is advanced before the next is taken')
    return this.#ready.take()
  }

  /** Synchronous mode only: everything in the last Ready is durable, sent and applied. */
  advance(): void {
    invariant(!this.#core.config.asyncStorageWrites, 'advance belongs to the synchronous mode')
    for (const message of this.#ready.takeAdvanced()) stepMessage(this.#core, message)
  }

  #stepSelf(type: Message['type'], from: MemberId): StepResult {
    return stepMessage(this.#core, createMessage(type, from, this.#core.id))
  }

  #request(type: 'propose' | 'readIndex', entries: readonly Entry[]): StepResult {
    const message = createMessage(type, this.#core.id, this.#core.id)
    message.entries = entries
    return stepMessage(this.#core, message)
  }
}

function createEntry(type: Entry['type'], data: Uint8Array): Entry {
  return { index: 0, term: 0, type, data }
}
