import type { EngineConfig } from '../engine/engine.ts'
import { engineFingerprint } from '../sqlite/sqlite.ts'
import type { OpenConfig } from './config.ts'
import { isDebugging } from './debugging.ts'
import { type Identity, promiseMs, uncleanStopOf } from './identity.ts'

/** What the engine thread is told of options and identity. */
export function toEngineConfig(
  config: OpenConfig,
  identity: Identity,
  origin: string,
): EngineConfig {
  const { nodeId, memberId, clusterId, incarnation, state, genesis } = identity
  const { expectedVoters } = config
  return {
    nodeId,
    memberId,
    clusterId,
    incarnation,
    origin,
    isEstablished: state === 'established',
    genesis,
    dataDir: config.dataDir,
    bind: config.bind,
    advertise: config.advertise,
    joinAddresses: [...config.joinAddresses, ...(identity.rejoinAddresses ?? [])],
    hasJoinSource: config.joinSource !== undefined,
    forming:
      expectedVoters === undefined ? null : { expectedVoters, windowMs: config.discoveryWindowMs },
    rejoins: config.ifRemoved === 'rejoin',
    joinAs: config.joinAs,
    joinTimeoutMs: config.joinTimeoutMs,
    security: config.security,
    heartbeatMs: config.heartbeatMs,
    electionTimeoutMs: config.electionTimeoutMs,
    promiseMs: promiseMs(config),
    keptPromiseMs: identity.votePromiseMs ?? 0,
    requestTimeoutMs: config.requestTimeoutMs,
    transactionIdleMs: config.transactionIdleMs,
    transactionMs: config.transactionMs,
    maxClockSkewMs: config.maxClockSkewMs,
    logRetainBytes: config.logRetainBytes,
    durability: config.durability,
    uncleanStop: uncleanStopOf(identity),
    fingerprint: engineFingerprint(config.extensions),
    segmentBytes: config.logSegmentBytes,
    snapshotBytesPerSecond: config.snapshotBytesPerSecond,
    isDebugging: isDebugging(),
  }
}
