import type { Log, SnapshotMark } from '../log/log.ts'
import { type ConfState, type HardState, type MemberId, Raft, type Snapshot } from '../raft/raft.ts'
import type { Transport } from '../transport/transport.ts'
import { AddressWatch } from './address-watch.ts'
import { Amnesia } from './amnesia.ts'
import { ApplyWatch } from './apply-watch.ts'
import { Applying } from './applying.ts'
import { ClockSkew } from './clock-skew.ts'
import { Commands } from './commands.ts'
import { Compaction } from './compaction.ts'
import { Decisions, type Details } from './decisions.ts'
import { EngineMix } from './engine-mix.ts'
import { Failover } from './failover.ts'
import { Formats } from './formats.ts'
import { Freshness } from './freshness.ts'
import { transferAway } from './leadership.ts'
import type { LogHolds } from './log-holds.ts'
import { Membership } from './membership.ts'
import type { Applier, EnginePorts, ReplicaState } from './ports.ts'
import type { EngineConfig } from './protocol.ts'
import { ReadRequests } from './read-requests.ts'
import { RemovalWatch } from './removal-watch.ts'
import { APPLY_MS_MAX, REMOVAL_CONFIRMATIONS, raftConfig } from './settings.ts'
import type { Skipping } from './skipping.ts'
import { Snapshots } from './snapshots.ts'
import { StoredLog } from './stored-log.ts'
import { Terms } from './terms.ts'
import { VotePromises } from './vote-promises.ts'

/** Everything that exists before the loop can run. */
export interface CoreParts {
  readonly config: EngineConfig
  readonly ports: EnginePorts
  readonly log: Log
  readonly hardState: HardState
  readonly generation: number
  readonly replica: ReplicaState
  readonly applier: Applier
  readonly transport: Transport
  /** Where nodes of this cluster may be, as known at this moment. */
  readonly addresses: () => readonly string[]
  /** The configuration changed; perhaps it names this node for the first time. */
  readonly membersChanged: () => void
  /** The others say that this node is none of them. */
  readonly removed: () => void
}

/** The consensus core on this node's log. */
export function createRaft(
  { config, ports, log, hardState, replica }: CoreParts,
  calls: {
    readonly latestSnapshot: () => Snapshot | 'unavailable'
    readonly fetched: (error: Error | null) => void
    readonly keepsVote: () => boolean
    readonly trace: Decisions['trace']
  },
): Raft {
  const storage = new StoredLog({
    log,
    // Applied implies committed: the commit index on disk may be older than the databases.
    hardState: { ...hardState, commit: Math.max(hardState.commit, replica.highestApplied) },
    confState: replica.confState,
    snapshot: calls.latestSnapshot,
    fetched: calls.fetched,
  })
  const { keepsVote, trace } = calls
  const settings = raftConfig(config, storage, replica.applied, ports.random)
  return new Raft({ ...settings, keepsVote, trace })
}

export function createVotePromises(
  { config, ports, transport }: CoreParts,
  raft: Raft,
): VotePromises {
  const { promiseMs, keptPromiseMs } = config
  return new VotePromises({
    raft,
    clock: ports.clock,
    promiseMs,
    keptPromiseMs,
    sendControl: (to, kind, body) => transport.send(to, 'control', kind, [body]),
  })
}

export function createDecisions({ config, ports }: CoreParts): Decisions {
  return new Decisions({
    isOn: config.isDebugging,
    toUser: (message) => ports.toUser(message),
  })
}

export function createFailover(
  { config, ports }: CoreParts,
  raft: Raft,
  promises: VotePromises,
  changed: () => void,
): Failover {
  const { clock, random } = ports
  const { heartbeatMs } = config
  return new Failover({ raft, promises, clock, random, heartbeatMs, changed })
}

export function createReads({ config, ports, transport }: CoreParts, raft: Raft): ReadRequests {
  return new ReadRequests({
    raft,
    clock: ports.clock,
    random: ports.random,
    electionTimeoutMs: config.electionTimeoutMs,
    leaderWaitMs: 2 * config.electionTimeoutMs,
    askAgainMs: config.electionTimeoutMs / 2,
    requestTimeoutMs: config.requestTimeoutMs,
    sendControl: (to, kind, body) => transport.send(to, 'control', kind, [body]),
    answer: (id, index, error) => ports.toUser({ kind: 'readAnswer', id, index, error }),
  })
}

export function createSkew(
  { config, ports }: CoreParts,
  raft: Raft,
  voters: () => readonly MemberId[],
): ClockSkew {
  return new ClockSkew({
    raft,
    voters,
    maxClockSkewMs: config.maxClockSkewMs,
    warning: (code, message) => ports.toUser({ kind: 'warning', code, message }),
  })
}

export function createFreshness(
  { ports, transport }: CoreParts,
  raft: Raft,
  skew: ClockSkew,
): Freshness {
  const { clock, random, shared } = ports
  return new Freshness({
    raft,
    clock,
    random,
    shared,
    skew,
    sendControl: (to, kind, body) => transport.send(to, 'control', kind, [body]),
  })
}

export function createMembership(
  { config, ports, replica, transport }: CoreParts,
  raft: Raft,
  calls: { readonly transferAway: () => boolean; readonly changed: () => void },
): Membership {
  const options = {
    raft,
    clock: ports.clock,
    ownAddress: config.advertise,
    electionTimeoutMs: config.electionTimeoutMs,
    joinTimeoutMs: config.joinTimeoutMs,
    requestTimeoutMs: config.requestTimeoutMs,
    lastContactMs: (id: number) => {
      const at = transport.peers().find((peer) => peer.id === id)?.lastContactMs ?? null
      return at === null ? null : ports.clock.nowMs() - at
    },
    ...calls,
  }
  return new Membership(options, replica)
}

export function createCommands(
  { config, ports, transport, applier, replica }: CoreParts,
  raft: Raft,
  membership: Membership,
  formats: Formats,
  schedule: () => void,
): Commands {
  return new Commands({
    raft,
    formats,
    config,
    ports,
    transport,
    applier,
    registered: replica.origin,
    isMember: () => membership.record(raft.id) !== undefined,
    nodeId: (id) => membership.nodeId(id) ?? String(id),
    schedule,
    handOver: () => {
      if (raft.role !== 'leader') return
      if (transferAway(raft, (id) => membership.isVoter(id))) schedule()
    },
  })
}

export function createApplying(
  { applier, replica }: CoreParts,
  raft: Raft,
  membership: Membership,
): Applying {
  return new Applying({
    raft,
    applier,
    confIndex: replica.confIndex,
    confChange: (change) => membership.confChanged(change, raft.applyConfChange(change)),
  })
}

export function createCompaction(
  { config, ports, log, applier }: CoreParts,
  core: {
    readonly raft: Raft
    readonly snapshots: Snapshots
    readonly skipping: Skipping
    readonly holds: LogHolds
  },
): Compaction {
  const { raft, snapshots, skipping, holds } = core
  return new Compaction({
    log,
    clock: ports.clock,
    applier,
    logRetainBytes: config.logRetainBytes,
    applied: () => raft.applied,
    lastVoid: () => skipping.lastVoid,
    held: () => holds.droppable((bytes) => log.indexRetaining(bytes)),
    neededIndex: () => snapshots.neededIndex,
    warning: (code, message) => ports.toUser({ kind: 'warning', code, message }),
  })
}

/** Members that were never heard, or not since this start, are not known to read anything. */
export function createFormats(
  { config, ports, transport, replica }: CoreParts,
  raft: Raft,
  membership: Membership,
): Formats {
  return new Formats({
    raft,
    clock: ports.clock,
    askAgainMs: config.electionTimeoutMs,
    format: replica.format,
    others: () => {
      const heard = new Map(transport.peers().map(({ id, hello }) => [id, hello?.formatMax]))
      return [...membership.records()]
        .filter(({ memberId }) => memberId !== raft.id)
        .map(({ memberId }) => heard.get(memberId) ?? null)
    },
  })
}

export function createAmnesia(
  { ports }: CoreParts,
  raft: Raft,
  nodeId: (id: MemberId) => string,
): Amnesia {
  const warning = (code: string, message: string): void =>
    ports.toUser({ kind: 'warning', code, message })
  return new Amnesia({ raft, nodeId, warning })
}

export function createApplyWatch(
  { ports }: CoreParts,
  raft: Raft,
  applying: Applying,
  transferAway: () => void,
): ApplyWatch {
  const { clock, shared, toUser } = ports
  return new ApplyWatch({
    clock,
    applyMsMax: APPLY_MS_MAX,
    shared,
    oldestAfter: (index) => applying.oldestAfter(index),
    warning: (code, message) => toUser({ kind: 'warning', code, message }),
    stuck: () => {
      if (raft.role === 'leader') transferAway()
    },
  })
}

export function createRemovalWatch(
  { config, ports, replica, transport, removed }: CoreParts,
  raft: Raft,
  membership: Membership,
  terms: Terms,
): RemovalWatch {
  return new RemovalWatch({
    raft,
    membership,
    clock: ports.clock,
    transport,
    electionTimeoutMs: config.electionTimeoutMs,
    leaderContactMs: () => terms.leaderContactMs,
    wasMember: replica.confState.voters.length > 0,
    confirmations: config.rejoins ? REMOVAL_CONFIRMATIONS : 1,
    removed,
  })
}

export function createAddressWatch(
  { config, ports, transport, addresses }: CoreParts,
  raft: Raft,
  membership: Membership,
): AddressWatch {
  const { memberId, nodeId, advertise, clusterId, electionTimeoutMs } = config
  return new AddressWatch({
    raft,
    membership,
    clock: ports.clock,
    transport,
    electionTimeoutMs,
    own: { memberId, nodeId, address: advertise },
    addresses,
    clusterId,
    warning: (code, message) => ports.toUser({ kind: 'warning', code, message }),
  })
}

export function createTerms(
  { ports }: CoreParts,
  raft: Raft,
  nodeId: (id: MemberId) => string | null,
): Terms {
  return new Terms({ raft, clock: ports.clock, nodeId })
}

/** A connected member says itself what it runs now; of another one the databases know. */
export function createMix(
  { config, ports, transport }: CoreParts,
  membership: Membership,
): EngineMix {
  const { memberId, fingerprint } = config
  return new EngineMix({
    memberId,
    fingerprint,
    voters: () => membership.confState.voters,
    others: () => {
      const heard = new Map(transport.peers().map((peer) => [peer.id, peer]))
      return [...membership.records()].flatMap(({ memberId: id }) => {
        const peer = heard.get(id)
        const said = peer?.isConnected === true ? peer.hello?.fingerprint : undefined
        const known = said ?? membership.fingerprint(id)
        return id === memberId || known === null ? [] : [{ id, fingerprint: known }]
      })
    },
    nodeId: (id) => membership.nodeId(id) ?? String(id),
    warning: (code, message) => ports.toUser({ kind: 'warning', code, message }),
  })
}

export function createSnapshots(
  { config, ports, log, generation, applier, transport }: CoreParts,
  raft: Raft,
  calls: {
    readonly confState: () => ConfState
    readonly changed: () => void
    readonly warning: (code: string, message: string) => void
    readonly decided: (what: string, details: Details) => void
    readonly takes: (index: number) => boolean
    readonly arrived: (mark: SnapshotMark) => boolean
  },
): Snapshots {
  return new Snapshots({
    raft,
    applier,
    transport,
    clock: ports.clock,
    random: ports.random,
    dataDir: config.dataDir,
    generation,
    firstIndex: () => log.firstIndex,
    ...calls,
  })
}
