import { DecodeError } from '../base/bytes.ts'
import { isColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import type { MemberId, Message, Raft, Ready } from '../raft/raft.ts'
import { encodeMessage, type PeerHello, type Refusal } from '../transport/transport.ts'
import type { AddressWatch } from './address-watch.ts'
import type { Agreement } from './agreement.ts'
import type { Amnesia } from './amnesia.ts'
import type { ApplyWatch } from './apply-watch.ts'
import type { Applying } from './applying.ts'
import {
  type CoreParts,
  createAddressWatch,
  createAmnesia,
  createApplying,
  createApplyWatch,
  createCommands,
  createCompaction,
  createDecisions,
  createFailover,
  createFormats,
  createFreshness,
  createMembership,
  createMix,
  createRaft,
  createReads,
  createRemovalWatch,
  createSkew,
  createSnapshots,
  createTerms,
  createVotePromises,
} from './assembly.ts'
import type { ClockSkew } from './clock-skew.ts'
import type { Commands } from './commands.ts'
import type { Compaction } from './compaction.ts'
import type { Decisions } from './decisions.ts'
import type { EngineMix } from './engine-mix.ts'
import type { Failover } from './failover.ts'
import { Flushing } from './flushing.ts'
import type { Formats } from './formats.ts'
import { takeFrame } from './frames.ts'
import type { Freshness } from './freshness.ts'
import { Handling } from './handling.ts'
import { HandingOver, transferAway } from './leadership.ts'
import { LogHolds } from './log-holds.ts'
import type { Membership } from './membership.ts'
import type { AppliedReport, Quarantine, ReplicaState } from './ports.ts'
import type { ReadRequests } from './read-requests.ts'
import type { RemovalWatch } from './removal-watch.ts'
import { createAgreement, createSkipping } from './repairs-assembly.ts'
import { Saving } from './saving.ts'
import { TICKS_PER_HEARTBEAT } from './settings.ts'
import type { Skipping } from './skipping.ts'
import type { Snapshots } from './snapshots.ts'
import type { Terms } from './terms.ts'
import { View } from './view.ts'
import type { VotePromises } from './vote-promises.ts'
import { FRAMES, laneOf } from './wire.ts'
import { Yielding } from './yielding.ts'

/**
 * The running engine: events come in, the core decides, and one turn does it, always in this
 * order: take what arrived into the log, publish, then for each thing the core is ready for: save,
 * send, apply. Whatever must wait for the disk leaves from the log's own completion.
 */
export class Core {
  readonly raft: Raft
  readonly commands: Commands
  readonly reads: ReadRequests
  readonly freshness: Freshness
  readonly promises: VotePromises
  readonly membership: Membership
  readonly snapshots: Snapshots
  readonly applying: Applying
  readonly failover: Failover
  readonly amnesia: Amnesia
  readonly mix: EngineMix
  readonly skew: ClockSkew
  readonly formats: Formats
  readonly terms: Terms
  readonly decisions: Decisions
  readonly handling: Handling
  readonly agreement: Agreement
  readonly skipping: Skipping
  readonly holds: LogHolds = new LogHolds()
  readonly #parts: CoreParts
  readonly #compaction: Compaction
  readonly applyWatch: ApplyWatch
  readonly #removalWatch: RemovalWatch
  readonly #addressWatch: AddressWatch
  readonly #saving: Saving
  readonly #flushing: Flushing | null
  readonly #yielding: Yielding
  readonly #handingOver: HandingOver
  readonly #view: View
  #isTurnDue = false
  #isClosed = false
  #isHalted = false
  #isFull = false
  #cancelTick: Cancel = () => {}

  constructor(parts: CoreParts) {
    this.#parts = parts
    const { ports, applier } = parts
    const nodeId = (id: MemberId): string | null => this.membership.nodeId(id)
    this.decisions = createDecisions(parts)
    this.raft = createRaft(parts, {
      latestSnapshot: () => this.snapshots.latest(),
      fetched: (error) => this.#fetched(error),
      keepsVote: () => this.promises.keptForMs > 0,
      trace: this.decisions.trace,
    })
    this.decisions.attach(this.raft, nodeId)
    const { nodeId: own } = parts.config
    this.handling = new Handling({ raft: this.raft, own, nodeId, toUser: ports.toUser })
    this.terms = createTerms(parts, this.raft, nodeId)
    this.promises = createVotePromises(parts, this.raft)
    this.#view = new View(ports.shared, ports.clock, this.raft, this.promises)
    this.reads = createReads(parts, this.raft)
    this.skew = createSkew(parts, this.raft, () => this.membership.confState.voters)
    this.freshness = createFreshness(parts, this.raft, this.skew)
    this.membership = createMembership(parts, this.raft, {
      transferAway: () => this.transferAway(),
      changed: () => this.#membersChanged(),
    })
    this.snapshots = createSnapshots(parts, this.raft, {
      confState: () => this.membership.confState,
      changed: () => {
        this.raft.retrySends()
        this.schedule()
      },
      warning: (code, message) => this.#warn(code, message),
      decided: (what, details) => this.decisions.say(what, details),
      takes: (index) => this.agreement.reinstall.takes(index),
      arrived: (mark) => this.agreement.reinstall.arrived(mark),
    })
    this.formats = createFormats(parts, this.raft, this.membership)
    this.commands = createCommands(parts, this.raft, this.membership, this.formats, () =>
      this.schedule(),
    )
    this.failover = createFailover(parts, this.raft, this.promises, () => this.schedule())
    this.applying = createApplying(parts, this.raft, this.membership)
    this.amnesia = createAmnesia(parts, this.raft, (id) => nodeId(id) ?? String(id))
    this.mix = createMix(parts, this.membership)
    this.agreement = createAgreement(parts, this)
    this.skipping = createSkipping(parts, this)
    this.#handingOver = new HandingOver(this, ports.clock)
    this.#yielding = new Yielding({
      raft: this.raft,
      clock: ports.clock,
      reasons: [() => this.skew.preferredLeaders(), () => this.mix.preferredLeaders()],
    })
    this.#removalWatch = createRemovalWatch(parts, this.raft, this.membership, this.terms)
    this.#addressWatch = createAddressWatch(parts, this.raft, this.membership)
    this.applyWatch = createApplyWatch(parts, this.raft, this.applying, () => this.transferAway())
    this.#saving = new Saving({
      raft: this.raft,
      log: parts.log,
      applier,
      send: (message) => this.#send(message),
      generationOf: (snapshot) => this.snapshots.generationOf(snapshot),
      installed: (state) => this.#installed(state),
      changed: () => this.schedule(),
    })
    const isRelaxed = parts.config.durability === 'relaxed'
    this.#flushing = isRelaxed ? new Flushing(parts.log, ports.clock) : null
    this.#compaction = createCompaction(parts, this)
  }

  start(): void {
    this.#membersChanged()
    this.#armTick()
    this.#flushing?.start()
    // The only voter need not wait for a time-out to find that nobody else leads.
    const { voters, votersOutgoing } = this.membership.confState
    const isAlone = voters.length === 1 && votersOutgoing.length === 0
    if (isAlone && voters[0] === this.raft.id) this.raft.campaign()
    this.schedule()
  }

  /** One turn for all that arrives until then. */
  schedule(): void {
    if (this.#isTurnDue || this.#isClosed) return
    this.#isTurnDue = true
    this.#parts.ports.defer(() => {
      this.#isTurnDue = false
      if (!this.#isClosed) this.#turn()
    })
  }

  /** One frame of a member. What is no frame of ours is reported and dropped. */
  frame(from: MemberId, kind: number, body: Uint8Array): void {
    if (this.#isClosed) return
    this.reads.wake()
    try {
      if (takeFrame(this, from, kind, body)) this.schedule()
    } catch (error) {
      if (!(error instanceof DecodeError) && !isColmenaError(error)) throw error
      this.#warn('ERR_FAILED', `dropped a frame of member ${from}: ${error.message}`)
    }
  }

  /** Why a process can't be let in; null if it can. */
  greet(hello: PeerHello): Refusal | null {
    const { membership, formats, amnesia } = this
    return membership.refusal(hello) ?? formats.refusal(hello) ?? amnesia.greet(hello)
  }

  /** A link to a member was made or lost: what was under way on it may be gone. */
  linkChanged(id: MemberId): void {
    this.commands.linkChanged(id)
    this.schedule()
  }

  /** A member's process is gone, as far as its sockets tell. */
  processGone(id: MemberId): void {
    this.decisions.say('processGone', { from: id })
    this.failover.processGone(id)
  }

  applied(report: AppliedReport): void {
    if (this.#isClosed) return
    this.commands.applied(report)
    this.formats.applied(report.format)
    if (report.fingerprints !== null) this.membership.fingerprintsChanged(report.fingerprints)
    this.applying.applied(report.applied)
    this.agreement.applied()
    this.schedule()
  }

  /** The databases stand still on this machine's trouble, or go on (null). */
  halted(reason: string | null, isDivergent: boolean, quarantine: Quarantine | null): void {
    if (reason !== null && !this.#isHalted) this.#warn('ERR_APPLY_HALTED', reason)
    this.decisions.say(reason === null ? 'applyResumed' : 'applyHalted')
    this.#isHalted = reason !== null
    this.skipping.halted(reason !== null, quarantine)
    if (isDivergent) this.snapshots.discard()
    this.agreement.halted(reason, isDivergent)
  }

  /** The disk has no room for more log, or has it again. */
  spaceChanged(isFull: boolean): void {
    if (isFull) this.#warn('ERR_DISK_FULL', 'no room for more log: writes wait or go elsewhere')
    this.#isFull = isFull
    this.schedule()
  }

  /** Hands leadership to the voter that is furthest; false if there is none to hand it to. */
  transferAway(): boolean {
    const isStarted = transferAway(this.raft, (id) => this.membership.isVoter(id))
    if (isStarted) this.schedule()
    return isStarted
  }

  /** Stops ticking and answering; the owner closes log, transport and applier. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelTick()
    this.#flushing?.stop()
    this.#saving.close()
    this.failover.close()
    this.agreement.close()
    this.snapshots.close()
    this.#publish()
  }

  #armTick(): void {
    const { clock, defer } = this.#parts.ports
    // Re-armed after it fired, and run behind waiting input: a stalled process must not take the
    // time it slept for a leader's silence.
    const tickMs = this.#parts.config.heartbeatMs / TICKS_PER_HEARTBEAT
    this.#cancelTick = clock.setTimer(tickMs, () =>
      defer(() => {
        if (this.#isClosed) return
        this.#armTick()
        this.#tick()
      }),
    )
  }

  #tick(): void {
    this.reads.wake()
    this.raft.tick()
    this.commands.tick()
    this.reads.tick()
    this.freshness.tick()
    this.promises.tick()
    this.membership.tick()
    this.snapshots.tick()
    this.#compaction.tick()
    this.applyWatch.tick()
    this.#removalWatch.tick()
    this.#addressWatch.tick()
    this.mix.tick()
    this.formats.tick()
    this.agreement.tick()
    this.#yielding.tick()
    this.skipping.tick()
    this.#handingOver.tick(this.#isHalted, this.#isFull)
    this.schedule()
  }

  #publish(): void {
    this.#view.publish(this.#isClosed, this.reads.isDoubtful)
    this.freshness.publish()
  }

  #turn(): void {
    this.reads.wake()
    this.commands.flush(this.#isFull, this.agreement.isUndecided)
    while (this.raft.hasReady()) this.#handle(this.raft.takeReady())
    this.reads.answerQueries()
    this.#publish()
  }

  #handle(ready: Ready): void {
    if (ready.softState !== null || ready.hardState !== null) this.#lookForLeader()
    // Others must not learn of a commit that a reader on this node can't see yet.
    this.#publish()
    for (const message of ready.messages) {
      if (message.type === 'storageAppend') this.#saving.append(message, ready.mustSync)
      else if (message.type === 'storageApply') this.applying.push(message)
      else if (message.type === 'snapshot') this.snapshots.send(message)
      else this.#send(message)
    }
    if (ready.readStates.length > 0) {
      this.reads.readStates(this.freshness.takeConfirmed(ready.readStates))
    }
  }

  #send(message: Message): void {
    const parts = encodeMessage(message)
    if (this.#parts.transport.send(message.to, laneOf(message.type), FRAMES.raft, parts)) return
    if (message.type === 'append') this.raft.reportUnreachable(message.to)
  }

  /** The log had it all along: changes of the configuration come from there. */
  reinstalled(state: ReplicaState): void {
    this.decisions.say('reinstalled', { snapshotIndex: state.applied })
    this.formats.applied(state.format)
    this.commands.applied(state)
    this.membership.fingerprintsChanged(state.fingerprints)
    this.applying.applied(state.applied)
    this.schedule()
  }

  #installed(state: ReplicaState): void {
    this.decisions.say('snapshotInstalled', { snapshotIndex: state.applied })
    this.applying.installed(state.confIndex)
    this.formats.applied(state.format)
    this.commands.applied(state)
    this.membership.replaced(state)
  }

  #lookForLeader(): void {
    const { leader, term, role } = this.raft
    if (!this.terms.look()) return
    this.decisions.say('leaderSeen', { leader })
    this.#view.leadershipChanged()
    if (role !== 'leader') this.membership.leadershipLost()
    this.commands.leaderChanged()
    this.reads.leaderChanged()
    this.freshness.leaderChanged()
    this.promises.leaderChanged()
    this.agreement.leaderChanged()
    this.#parts.ports.toUser({ kind: 'leader', nodeId: this.membership.nodeId(leader), term })
    this.schedule()
  }

  #membersChanged(): void {
    const { transport, ports } = this.#parts
    const gone = new Set(transport.peers().map(({ id }) => id))
    for (const { memberId, address } of this.membership.places()) {
      gone.delete(memberId)
      transport.setPeer(memberId, address)
    }
    for (const id of gone) transport.removePeer(id)
    ports.toUser({ kind: 'membership', members: this.membership.status() })
    this.#parts.membersChanged()
    this.schedule()
  }

  #fetched(error: Error | null): void {
    if (error !== null) this.#warn('ERR_LOG_CORRUPT', `reading the log failed: ${error.message}`)
    this.raft.retrySends()
    this.schedule()
  }

  #warn(code: string, message: string): void {
    this.#parts.ports.toUser({ kind: 'warning', code, message })
  }
}
