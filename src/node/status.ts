import { processNowMs } from '../base/process-clock.ts'
import type { StorageStatus } from '../database/database.ts'
import type {
  ClockStatus,
  DivergenceStatus,
  DurabilityStatus,
  EngineStatus,
  FormatStatus,
  SlowApply,
  SlowTransaction,
  TermStatus,
} from '../engine/engine.ts'
import type { NodeCore } from './node-core.ts'
import { notReadyReason, refusalOfWrites } from './readiness.ts'
import { packageVersion } from './version.ts'

/** What `node.status()` answers: plain JSON, the same for humans and machines. */
export interface NodeStatus {
  /** Of colmena. */
  readonly version: string
  readonly nodeId: string
  readonly memberId: number
  readonly clusterId: string
  readonly address: string
  readonly role: 'leader' | 'follower' | 'precandidate' | 'candidate'
  /** Whether this node counts for no majority. */
  readonly isLearner: boolean
  readonly term: number
  readonly leader: { readonly id: string; readonly address: string } | null
  readonly lastIndex: number
  readonly commitIndex: number
  readonly appliedIndex: number
  /** Entries up to here are in the databases alone, no longer in the log. */
  readonly compactedIndex: number
  /** Committed entries that are not applied here yet. */
  readonly lagEntries: number
  /** Milliseconds since the leader was heard; 0 on the leader, null if it never was. */
  readonly lastLeaderContactMs: number | null
  /** For so long nobody else can lead, as members promised: `strong` asks nobody; else 0. */
  readonly strongLeaseMs: number
  /**
   * Whether work should come here now: false while writes are refused or would only wait.
   * `notReadyReason` says why. Reads of level `none` may go on all the same.
   */
  readonly ready: boolean
  readonly notReadyReason: string | null
  /**
   * Why even reads of level `none` had better go to another node: this one applies nothing, or is
   * far behind. Null if it keeps up, whether or not there is a leader.
   */
  readonly staleReason: string | null
  /** Why this node applies nothing at present; null if it does. */
  readonly haltedReason: string | null
  readonly databases: readonly {
    readonly name: string
    /** Bytes on disk, those of the write-ahead file included. */
    readonly sizeBytes: number
    /** Of the write-ahead file alone: it grows while an open read holds an old snapshot. */
    readonly walBytes: number
  }[]
  /** The log entry whose statements have run for more than 5 s, null while there is none. */
  readonly slowApply: SlowApply | null
  /**
   * The statement of a transaction that has run for more than 5 s here, where it is tried, null
   * while there is none.
   */
  readonly slowTransaction: SlowTransaction | null
  readonly durability: DurabilityStatus
  readonly logBytes: number
  readonly counters: {
    readonly writes: number
    readonly reads: number
    readonly forwards: number
    readonly elections: number
    readonly snapshotsSent: number
    readonly snapshotsReceived: number
    /** Statements that took longer than `slowMs`. */
    readonly slowStatements: number
  }
  /** Terms and their leaders as this node saw them since its start: newest last, at most 50. */
  readonly terms: readonly TermStatus[]
  /** `mixed` while members run engines that may compute differently. */
  readonly engineMix: 'uniform' | 'mixed'
  readonly format: FormatStatus
  readonly divergence: DivergenceStatus
  readonly clock: ClockStatus & {
    /**
     * How many milliseconds the time of the latest write is ahead of this node's clock; null before
     * there was one. Usually it is negative, as time stands still between writes.
     */
    readonly frozenAheadMs: number | null
  }
  /**
   * When the first of this node's certificates ends, the CA's above it among them: milliseconds
   * since 1970, null without `tls`. No new connection to another node is made from then on.
   */
  readonly certificateEndsMs: number | null
  readonly nodejsVersion: string
  readonly sqliteVersion: string
}

export function createStatus(
  core: NodeCore,
  address: string,
  engine: EngineStatus,
  { databases, clockMs }: StorageStatus,
): NodeStatus {
  const { nodeId, memberId, clusterId } = core.identity
  const { role, isLearner, term, leader, lastIndex, commitIndex, compactedIndex } = engine
  const appliedIndex = core.shared.applied()
  const { haltedReason } = core
  const { applyLagMs: lagMs, leadsUntilMs } = core.shared.readEngine()
  const applying = { haltedReason, lagMs }
  const reason = notReadyReason(applying, engine, core.config.electionTimeoutMs)
  return {
    version: packageVersion(),
    nodeId,
    memberId,
    clusterId,
    address,
    role,
    isLearner,
    term,
    leader,
    lastIndex,
    commitIndex,
    appliedIndex,
    compactedIndex,
    lagEntries: Math.max(0, commitIndex - appliedIndex),
    lastLeaderContactMs: engine.lastLeaderContactMs,
    strongLeaseMs: Math.max(0, Math.floor(leadsUntilMs - processNowMs())),
    ready: reason === null,
    notReadyReason: reason,
    staleReason: refusalOfWrites(applying)?.message ?? null,
    haltedReason,
    databases: databases.map(({ name, sizeBytes, walBytes }) => ({ name, sizeBytes, walBytes })),
    slowApply: engine.slowApply,
    slowTransaction: engine.slowTransaction,
    durability: engine.durability,
    logBytes: engine.logBytes,
    counters: {
      writes: core.writes.count,
      reads: core.calls.reads,
      forwards: engine.forwards,
      elections: engine.elections,
      snapshotsSent: engine.snapshotsSent,
      snapshotsReceived: engine.snapshotsReceived,
      slowStatements: core.slow.count,
    },
    terms: engine.terms,
    engineMix: engine.engineMix,
    format: engine.format,
    divergence: engine.divergence,
    clock: { ...engine.clock, frozenAheadMs: clockMs === 0 ? null : clockMs - Date.now() },
    certificateEndsMs: engine.certificateEndsMs,
    nodejsVersion: process.versions.node,
    sqliteVersion: process.versions['sqlite'] ?? 'unknown',
  }
}
