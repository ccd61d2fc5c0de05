import type { Log } from '../log/log.ts'
import type { Transport } from '../transport/transport.ts'
import type { Core } from './core.ts'
import type { EnginePorts } from './ports.ts'
import type { EngineConfig, EngineStatus } from './protocol.ts'

export interface StatusParts {
  readonly core: Core
  readonly config: EngineConfig
  readonly ports: EnginePorts
  readonly log: Log
  readonly transport: Transport
}

/** The engine's part of `status()`: plain numbers and names, ready to cross threads. */
export function engineStatus({ core, config, ports, log }: StatusParts): EngineStatus {
  const { raft, membership, snapshots } = core
  const { isFull: isLogFull, retainedBytes } = log.status()
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
    isLogFull,
    logBytes: retainedBytes,
    forwards: core.commands.forwards,
    elections: core.terms.elections,
    snapshotsSent: snapshots.sentCount,
    snapshotsReceived: snapshots.receivedCount,
    terms: core.terms.list(),
    engineMix: core.mix.isMixed ? 'mixed' : 'uniform',
    divergence: core.agreement.status,
  }
}
