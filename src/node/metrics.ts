import type { HistogramValue } from '../base/histogram.ts'
import type { StorageStatus } from '../database/database.ts'
import type { EngineMetrics, EngineStatus } from '../engine/engine.ts'
import type { ReadMetrics, WriteMetrics } from './call-counts.ts'
import type { NodeCore } from './node-core.ts'

/**
 * What `node.metrics()` answers: plain JSON. Counts began when the node was opened, and never go
 * back; histograms are cumulative, as Prometheus has them. All durations are milliseconds.
 */
export interface NodeMetrics {
  readonly raft: {
    readonly role: EngineStatus['role']
    readonly isLearner: boolean
    readonly term: number
    readonly lastIndex: number
    readonly commitIndex: number
    readonly appliedIndex: number
    /** Entries up to here are in the databases alone. */
    readonly snapshotIndex: number
    /** Terms that began, and leaders that became known. */
    readonly elections: number
    readonly leaderChanges: number
    /** Commands that this node took into its log as leader, and those that it sent to another. */
    readonly proposals: number
    readonly forwards: number
    /** Since the leader was heard; 0 on the leader, null if it never was. */
    readonly lastLeaderContactMs: number | null
  }
  readonly log: {
    readonly appendedEntries: number
    /** With what surrounds the entries on disk. */
    readonly appendedBytes: number
    readonly writes: number
    readonly sizeBytes: number
    readonly isFull: boolean
    /** Whether durability is 'relaxed'. */
    readonly isRelaxed: boolean
    /** Entries that a loss of power would take at this moment. */
    readonly unsyncedEntries: number
    /** Each synced write, from handing it to the disk until it was durable. */
    readonly syncMs: HistogramValue
  }
  readonly apply: {
    readonly entries: number
    /** Each group of entries that was applied in one go. */
    readonly groupMs: HistogramValue
    readonly lagEntries: number
    readonly lagMs: number
    readonly isHalted: boolean
  }
  readonly snapshots: {
    readonly sent: number
    readonly received: number
    /** Of those that arrived whole. */
    readonly sentBytes: number
    readonly receivedBytes: number
  }
  readonly divergence: {
    /** Whether this node's databases are known to differ: it serves nothing then. */
    readonly isDivergent: boolean
    /** Whether voters differ without a majority: nothing is written then. */
    readonly isUndecided: boolean
    /** Members that were found to differ, this one among them. */
    readonly found: number
    /** How often this node took another's databases in place of its own. */
    readonly reinstalls: number
  }
  readonly transport: {
    readonly connectedPeers: number
    readonly sentBytes: number
    readonly receivedBytes: number
    /** Links that were lost and made again; a member has two, one for each lane. */
    readonly reconnects: number
    /** When the first of this node's certificates ends, since 1970; null without `tls`. */
    readonly certificateEndsMs: number | null
    readonly peers: readonly {
      readonly nodeId: string
      readonly isConnected: boolean
      readonly lastContactMs: number | null
      readonly rttMs: number | null
    }[]
  }
  readonly formats: {
    /** The newest format that this node reads. */
    readonly local: number
    /** The newest one that the cluster writes: all its members read it. */
    readonly effective: number
    readonly isSkewed: boolean
    /** Connections that failed because the two sides share no format. */
    readonly rejects: number
  }
  readonly reads: ReadMetrics
  readonly writes: WriteMetrics
  readonly databases: readonly {
    readonly name: string
    /** On disk, with what waits in the write-ahead file. */
    readonly sizeBytes: number
    readonly walBytes: number
  }[]
  /** Of the whole process, the application's share included. */
  readonly memory: {
    readonly rssBytes: number
    /** Of the user thread alone. */
    readonly heapUsedBytes: number
    readonly externalBytes: number
  }
}

export function createMetrics(
  core: NodeCore,
  engine: EngineMetrics,
  storage: StorageStatus,
): NodeMetrics {
  const { status, peers, traffic, snapshots } = engine
  const { rss, heapUsed, external } = process.memoryUsage()
  return {
    raft: raftMetrics(core, engine),
    log: {
      ...engine.log,
      sizeBytes: status.logBytes,
      isFull: status.isLogFull,
      isRelaxed: status.durability.mode === 'relaxed',
      unsyncedEntries: status.durability.unsyncedEntries,
    },
    apply: {
      ...storage.apply,
      lagEntries: Math.max(0, status.commitIndex - core.shared.applied()),
      lagMs: core.shared.readEngine().applyLagMs,
      isHalted: core.haltedReason !== null,
    },
    snapshots: { sent: status.snapshotsSent, received: status.snapshotsReceived, ...snapshots },
    divergence: divergenceMetrics(status),
    transport: {
      connectedPeers: peers.filter(({ isConnected }) => isConnected).length,
      sentBytes: traffic.sentBytes,
      receivedBytes: traffic.receivedBytes,
      reconnects: traffic.reconnects,
      certificateEndsMs: status.certificateEndsMs,
      peers: peers.map(({ nodeId, isConnected, lastContactMs, rttMs }) => ({
        nodeId,
        isConnected,
        lastContactMs,
        rttMs,
      })),
    },
    formats: formatMetrics(engine),
    reads: core.calls.readMetrics(),
    writes: core.calls.writeMetrics(),
    databases: storage.databases.map(({ name, sizeBytes, walBytes }) => ({
      name,
      sizeBytes,
      walBytes,
    })),
    memory: { rssBytes: rss, heapUsedBytes: heapUsed, externalBytes: external },
  }
}

function raftMetrics(core: NodeCore, engine: EngineMetrics): NodeMetrics['raft'] {
  const { status, leaderChanges, proposals } = engine
  const { role, isLearner, term, lastIndex, commitIndex, compactedIndex } = status
  const { elections, forwards, lastLeaderContactMs } = status
  return {
    role,
    isLearner,
    term,
    lastIndex,
    commitIndex,
    appliedIndex: core.shared.applied(),
    snapshotIndex: compactedIndex,
    elections,
    leaderChanges,
    proposals,
    forwards,
    lastLeaderContactMs,
  }
}

function divergenceMetrics({ divergence }: EngineStatus): NodeMetrics['divergence'] {
  const { reason, undecided, found, reinstalls } = divergence
  return { isDivergent: reason !== null, isUndecided: undecided !== null, found, reinstalls }
}

function formatMetrics({ peers, traffic, status }: EngineMetrics): NodeMetrics['formats'] {
  const { local, effective } = status.format
  const others = peers.flatMap((peer) => (peer.formatMax === null ? [] : [peer.formatMax]))
  const isSkewed = others.some((other) => other !== local)
  return { local, effective, isSkewed, rejects: traffic.formatRejects }
}
