import { type MemberId, NO_MEMBER, type Raft } from '../raft/raft.ts'
import type { Transport } from '../transport/transport.ts'
import type { Formats } from './formats.ts'
import { Outbox, type Sending, type Way } from './outbox.ts'
import type { AppliedReport, Applier, EnginePorts } from './ports.ts'
import { Proposals } from './proposals.ts'
import type { EngineConfig } from './protocol.ts'
import { Registration } from './registration.ts'
import { Repeated } from './repeated.ts'
import { APPLY_MS_MAX } from './settings.ts'
import { TrialWatch } from './trial-watch.ts'
import { Trials } from './trials.ts'
import { decodeRefusal, encodeRefusal, FRAMES, type Refusal } from './wire.ts'

/** A transfer that comes to nothing stops writes for an election timeout. */
const HAND_OVER_AGAIN_MS = 10_000

export interface CommandsOptions {
  readonly raft: Raft
  readonly config: EngineConfig
  readonly ports: EnginePorts
  readonly transport: Transport
  /** This member's origin in the databases, '' for none. */
  readonly registered: string
  readonly applier: Applier
  readonly formats: Formats
  /** Whether the configuration names this node. */
  readonly isMember: () => boolean
  readonly nodeId: (id: MemberId) => string
  readonly schedule: () => void
  /** Lets another node lead, if this one does. */
  readonly handOver: () => void
}

/** Commands on their way into the log: this node's own, and on the leader everybody's. */
export class Commands {
  readonly #options: CommandsOptions
  readonly #outbox: Outbox
  readonly #proposals: Proposals
  readonly #registration: Registration
  readonly drops: Repeated
  /** Transactions that this node tried, and wants to stay. */
  readonly commits: Repeated
  /** Those that are tried on this node, as the leader. */
  readonly trials: Trials
  readonly trialWatch: TrialWatch
  /** Commands sent to another node's log since the start. */
  forwards = 0

  constructor(options: CommandsOptions) {
    this.#options = options
    const { raft, config, ports } = options
    const { clock, random } = ports
    this.#outbox = new Outbox({
      clock,
      leaderWaitMs: 2 * config.electionTimeoutMs,
      resendMs: config.electionTimeoutMs,
      rejected: (database, from, to, error) =>
        ports.toUser({ kind: 'rejected', database, from, to, error }),
    })
    this.#proposals = new Proposals({
      raft,
      clock,
      random,
      refuse: (to, refusal) => this.#refuse(to, refusal),
      pack: (bytes) => options.formats.pack(bytes),
      tried: (database, key) => this.trials.end(database, key),
    })
    this.trials = new Trials({
      raft,
      clock,
      random,
      applier: options.applier,
      proposals: this.#proposals,
      applied: () => ports.shared.applied(),
      idleMs: config.transactionIdleMs,
      totalMs: config.transactionMs,
      nodeId: options.nodeId,
      schedule: options.schedule,
    })
    this.trialWatch = new TrialWatch({
      clock,
      statementMsMax: APPLY_MS_MAX,
      handOverAgainMs: HAND_OVER_AGAIN_MS,
      shared: ports.shared,
      trials: this.trials,
      nodeId: options.nodeId,
      warning: (code, message) => ports.toUser({ kind: 'warning', code, message }),
      handOver: options.handOver,
    })
    this.#registration = new Registration({
      memberId: config.memberId,
      origin: config.origin,
      registered: options.registered,
      fingerprint: config.fingerprint,
      clock,
      askAgainMs: config.electionTimeoutMs / 2,
      send: (bytes) => this.#sendControl(bytes),
    })
    const repeated = {
      clock,
      askAgainMs: config.electionTimeoutMs / 2,
      leaderWaitMs: 2 * config.electionTimeoutMs,
      requestTimeoutMs: config.requestTimeoutMs,
      send: (bytes: Uint8Array) => this.#sendControl(bytes.slice()),
    }
    this.drops = new Repeated({
      ...repeated,
      undone: 'the database was not dropped',
      rejected: (request, error) => ports.toUser({ kind: 'dropRejected', request, error }),
    })
    this.commits = new Repeated({
      ...repeated,
      undone: 'the transaction was given up; it was not applied',
      rejected: (number, error) => ports.toUser({ kind: 'commitRejected', number, error }),
    })
  }

  /** Before that nothing of this node's user leaves. */
  get isRegistered(): boolean {
    return this.#registration.isDone
  }

  /** Commands that this node, as leader, took into its log since the start. */
  get proposals(): number {
    return this.#proposals.count
  }

  /** A command of this node's user. */
  add(database: string, sequence: number, bytes: Uint8Array): void {
    this.#outbox.add(database, sequence, bytes)
  }

  /** A command that stands in no sequence, and whose owner sends it until it is applied. */
  propose(bytes: Uint8Array): void {
    if (this.#options.raft.leader !== NO_MEMBER) this.#sendControl(bytes)
  }

  /** A command that another node forwarded; only a leader takes it. */
  forwarded(from: MemberId, body: Uint8Array, isRestart: boolean): void {
    if (this.#options.raft.role === 'leader') this.#proposals.gather(from, body, isRestart)
  }

  /**
   * The leader wants commands again. They go out with the next turn that something else brings:
   * at once would spin against a leader that is full.
   */
  refused(from: MemberId, body: Uint8Array): void {
    const { database, sequence } = decodeRefusal(body)
    if (from === this.#options.raft.leader) this.#outbox.refused(database, sequence)
  }

  /** Sends what is due, and proposes what was gathered, unless the log is full or writes stop. */
  flush(isLogFull: boolean, areWritesStopped: boolean): void {
    if (this.#options.raft.leader !== NO_MEMBER && this.#registration.isDone) {
      this.drops.ask()
      this.commits.ask()
      this.#outbox.flush((bytes, sending) => this.#send(bytes, sending))
    }
    this.#proposals.flush(isLogFull, areWritesStopped)
    this.trials.advance()
  }

  tick(): void {
    this.trials.tick()
    this.trialWatch.tick()
    if (this.#options.raft.leader === NO_MEMBER) {
      this.#outbox.expire()
      this.drops.expire()
      this.commits.expire()
      return
    }
    this.#outbox.resendOverdue()
    this.#register()
  }

  applied({ sequences, origin }: Pick<AppliedReport, 'sequences' | 'origin'>): void {
    for (const sequence of sequences) this.#outbox.applied(sequence)
    if (origin !== null) this.#registration.changed(origin)
  }

  /** Another leader or term: what was sent may be lost. */
  leaderChanged(): void {
    this.trials.reset()
    this.#proposals.reset()
    this.drops.askSoon()
    this.commits.askSoon()
    this.#outbox.resendAll()
    this.#registration.askSoon()
    if (this.#options.raft.leader !== NO_MEMBER) this.#register()
  }

  /** A link to a member was made or lost. */
  linkChanged(id: MemberId): void {
    const { raft } = this.#options
    if (id === raft.leader && raft.role !== 'leader') this.#outbox.resendAll()
  }

  /** A joiner that has not seen itself in the configuration has nothing to register in. */
  #register(): void {
    if (this.#options.isMember()) this.#registration.ask()
  }

  /** Control commands stand in no sequence: their owners send them again until they are applied. */
  #sendControl(bytes: Uint8Array): void {
    this.#send(bytes, { isRestart: true, wasSent: false })
  }

  /** One command towards the log. */
  #send(bytes: Uint8Array, { isRestart, wasSent }: Sending): Way {
    const { raft, transport } = this.#options
    if (raft.role === 'leader') {
      // An earlier proposal of these bytes may be in a log or on a socket: they must stay.
      this.#proposals.gather(raft.id, wasSent ? bytes.slice() : bytes, isRestart)
      return 'log'
    }
    this.forwards += 1
    const kind = isRestart ? FRAMES.forwardRestart : FRAMES.forward
    return transport.send(raft.leader, 'bulk', kind, [bytes]) ? 'link' : 'none'
  }

  #refuse(to: MemberId, refusal: Refusal): void {
    const { raft, transport } = this.#options
    if (to === raft.id) this.#outbox.refused(refusal.database, refusal.sequence)
    else transport.send(to, 'control', FRAMES.refused, [encodeRefusal(refusal)])
  }
}
