import type { HistogramValue } from '../base/histogram.ts'
import type { TrafficValue } from '../transport/transport.ts'
import type { EngineStatus } from './protocol.ts'
import { engineStatus, type StatusParts } from './status.ts'

/** A link to another member. */
export interface PeerMetrics {
  readonly nodeId: string
  readonly isConnected: boolean
  /** Milliseconds since anything was heard of it; null if nothing ever was. */
  readonly lastContactMs: number | null
  /** The last probe's round trip, in milliseconds. */
  readonly rttMs: number | null
  /** The newest format that it reads; null before its first handshake. */
  readonly formatMax: number | null
}

/** The engine's part of `metrics()`; all counts since the start. */
export interface EngineMetrics {
  readonly status: EngineStatus
  readonly leaderChanges: number
  /** Commands that this node, as leader, took into its log. */
  readonly proposals: number
  readonly log: {
    readonly appendedEntries: number
    readonly appendedBytes: number
    readonly writes: number
    /** Each synced write: from handing it to the disk until it was durable. */
    readonly syncMs: HistogramValue
  }
  readonly snapshots: { readonly sentBytes: number; readonly receivedBytes: number }
  readonly traffic: TrafficValue
  readonly peers: readonly PeerMetrics[]
}

export function engineMetrics(parts: StatusParts): EngineMetrics {
  const { core, log, transport, ports } = parts
  const { appendedEntries, writtenBytes, writeCount } = log.status()
  const { sentBytes, receivedBytes } = core.snapshots
  const nowMs = ports.clock.nowMs()
  return {
    status: engineStatus(parts),
    leaderChanges: core.terms.leaderChanges,
    proposals: core.commands.proposals,
    log: { appendedEntries, appendedBytes: writtenBytes, writes: writeCount, syncMs: log.syncMs },
    snapshots: { sentBytes, receivedBytes },
    traffic: transport.traffic(),
    peers: transport.peers().map(({ id, isConnected, lastContactMs, rttMs, hello }) => ({
      nodeId: core.membership.nodeId(id) ?? hello?.nodeId ?? String(id),
      isConnected,
      lastContactMs: lastContactMs === null ? null : nowMs - lastContactMs,
      rttMs,
      formatMax: hello?.formatMax ?? null,
    })),
  }
}
