import type { Log } from '../log/log.ts'
import type { Transport } from '../transport/transport.ts'
import type { Core } from './core.ts'
import type { Applier, EnginePorts } from './ports.ts'
import type { EngineConfig, EngineStatus, FormatStatus } from './protocol.ts'
import { FORMATS } from './settings.ts'

export interface StatusParts {
  readonly core: Core
  readonly config: EngineConfig
  readonly ports: EnginePorts
  readonly log: Log
  readonly applier: Applier
  readonly transport: Transport
}

/** The engine's part of `status()`: plain numbers and names, ready to cross threads. */
export function engineStatus(parts: StatusParts): EngineStatus {
  const { core, config, ports, log, transport } = parts
  const { raft, membership, snapshots } = core
  const { isFull: isLogFull, retainedBytes, unsyncedEntries } = log.status()
  const leader = membership.record(raft.leader)
  return {
    role: raft.role,
    isLearner: !membership.isVoter(config.memberId),
    term: raft.term,
    leader: leader === undefined ? null : { id: leader.nodeId, address: leader.address },
    lastIndex: raft.lastIndex,
    commitIndex: raft.commit,
    appliedIndex: ports.shared.applied(),
    compactedIndex: log.firstIndex - 1,
    lastLeaderContactMs: core.terms.leaderContactMs,
    isRegistered: core.commands.isRegistered,
    durability: { mode: config.durability, unsyncedEntries },
    isLogFull,
    logBytes: retainedBytes,
    forwards: core.commands.forwards,
    elections: core.terms.elections,
    snapshotsSent: snapshots.sentCount,
    snapshotsReceived: snapshots.receivedCount,
    terms: core.terms.list(),
    engineMix: core.mix.isMixed ? 'mixed' : 'uniform',
    slowApply: core.applyWatch.slow,
    slowTransaction: core.commands.trialWatch.slow,
    format: formatStatus(core, transport),
    divergence: core.agreement.status,
    clock: core.skew.status,
    certificateEndsMs: transport.certificateEndsMs,
  }
}

function formatStatus({ formats, membership }: Core, transport: Transport): FormatStatus {
  const local = FORMATS.formatMax
  const behind = transport
    .peers()
    .filter(({ hello }) => hello !== null && hello.formatMax < local)
    .map(({ id }) => membership.nodeId(id) ?? String(id))
  return { local, effective: formats.effective, behind }
}
