import type { NodeMetrics } from '../index.ts'

type Labels = Readonly<Record<string, string | number>>
type Histogram = NodeMetrics['log']['syncMs']
type Counts = Readonly<Record<string, number>>

export interface Sample {
  readonly value: number
  readonly labels: Labels
  /** Of a part of a histogram; else the family's name. */
  readonly metricName?: string
}

/** One metric in all its variants, as Prometheus has it. */
export interface Family {
  readonly name: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  readonly samples: readonly Sample[]
}

/** As the original numbers Raft's states. */
const STATES: Readonly<Record<NodeMetrics['raft']['role'], number>> = {
  follower: 0,
  precandidate: 1,
  candidate: 1,
  leader: 2,
}

/** All metrics under the names that `docs/server.md` lists; durations are seconds there. */
export function familiesOf(metrics: NodeMetrics): Family[] {
  return [
    ...raftFamilies(metrics),
    ...logFamilies(metrics),
    ...divergenceFamilies(metrics),
    ...callFamilies(metrics),
    ...transportFamilies(metrics),
    ...databaseFamilies(metrics),
  ]
}

function raftFamilies({ raft, apply }: NodeMetrics): Family[] {
  return [
    gauge('raft_state', 'Follower 0, candidate 1, leader 2', STATES[raft.role]),
    gauge('raft_is_learner', 'Whether this node counts for no majority', Number(raft.isLearner)),
    gauge('raft_term', 'The current term', raft.term),
    gauge('raft_last_index', 'The last entry of the log', raft.lastIndex),
    gauge('raft_commit_index', 'The last committed entry', raft.commitIndex),
    gauge('raft_applied_index', 'The last entry that is in the databases here', raft.appliedIndex),
    gauge('raft_fsm_pending', 'Committed entries that wait to be applied', apply.lagEntries),
    gauge('snapshot_index', 'Entries up to here are in the databases alone', raft.snapshotIndex),
    // A leader that was never heard has no age: NaN says so, 0 would say the opposite.
    gauge(
      'last_contact_ms',
      'Milliseconds since the leader was heard, NaN if it never was',
      raft.lastLeaderContactMs ?? Number.NaN,
    ),
    counter('raft_elections_total', 'Terms that began', raft.elections),
    counter('raft_leader_changes_total', 'Leaders that became known', raft.leaderChanges),
    counter('raft_proposals_total', 'Commands taken into the log as leader', raft.proposals),
    counter('rpc_forwards_total', 'Commands sent on to the leader', raft.forwards),
  ]
}

function divergenceFamilies({ divergence }: NodeMetrics): Family[] {
  const { isDivergent, isUndecided, found, reinstalls } = divergence
  return [
    gauge('is_divergent', "Whether this node's databases are known to differ", Number(isDivergent)),
    gauge('is_undecided', 'Whether voters differ without a majority', Number(isUndecided)),
    counter('divergences_total', 'Members that were found to differ', found),
    counter(
      'reinstalls_total',
      "Databases taken from the leader in place of one's own",
      reinstalls,
    ),
  ]
}

function logFamilies({ log, apply, snapshots }: NodeMetrics): Family[] {
  return [
    histogram('log_sync_seconds', 'Making a write of the log durable', log.syncMs),
    counter('log_appended_entries_total', 'Entries written to the log', log.appendedEntries),
    counter('log_appended_bytes_total', 'Bytes written to the log', log.appendedBytes),
    counter('log_writes_total', 'Writes that the log made durable', log.writes),
    gauge('log_size_bytes', 'The log on disk', log.sizeBytes),
    gauge('log_is_relaxed', 'Whether writes count before they are durable', Number(log.isRelaxed)),
    gauge('log_unsynced_entries', 'Entries that a loss of power would take', log.unsyncedEntries),
    gauge('log_is_full', 'Whether the disk has no room for more log', Number(log.isFull)),
    histogram('apply_group_seconds', 'Applying a group of entries', apply.groupMs),
    counter('apply_entries_total', 'Entries applied', apply.entries),
    gauge('apply_lag_seconds', 'How far apply is behind commit', apply.lagMs / 1_000),
    gauge('apply_is_halted', 'Whether nothing is applied here', Number(apply.isHalted)),
    labelled('counter', 'snapshots_total', 'Whole copies of the databases', 'direction', {
      sent: snapshots.sent,
      received: snapshots.received,
    }),
    labelled('counter', 'snapshot_bytes_total', 'Bytes of those copies', 'direction', {
      sent: snapshots.sentBytes,
      received: snapshots.receivedBytes,
    }),
  ]
}

function callFamilies({ reads, writes }: NodeMetrics): Family[] {
  const levels = Object.entries(reads.latencyMs)
  return [
    labelled('counter', 'reads_total', 'Reads by level', 'level', reads.counts),
    labelled('counter', 'read_errors_total', 'Reads that failed', 'code', reads.errors),
    {
      ...histogramFamily('read_seconds', 'From a read to its rows, by level'),
      samples: levels.flatMap(([level, value]) => toSamples('read_seconds', value, { level })),
    },
    labelled('counter', 'writes_total', 'Writes by outcome', 'outcome', writes.outcomes),
    labelled('counter', 'write_errors_total', 'Writes that failed', 'code', writes.errors),
    histogram('write_committed_seconds', 'From a write to its commit', writes.committedMs),
    histogram('write_applied_seconds', 'From a write to its result', writes.appliedMs),
  ]
}

function transportFamilies({ transport, formats }: NodeMetrics): Family[] {
  const { peers, certificateEndsMs } = transport
  const perPeer = (of: (peer: (typeof peers)[number]) => number | null): Counts =>
    Object.fromEntries(peers.map((peer) => [peer.nodeId, of(peer) ?? Number.NaN]))
  return [
    gauge('peers', 'Members that this node is connected with', transport.connectedPeers),
    labelled('gauge', 'peer_is_connected', 'Whether that member is connected', 'peer', {
      ...perPeer(({ isConnected }) => Number(isConnected)),
    }),
    labelled('gauge', 'peer_rtt_seconds', 'Round trip to that member', 'peer', {
      ...perPeer(({ rttMs }) => (rttMs === null ? null : rttMs / 1_000)),
    }),
    labelled('counter', 'transport_bytes_total', 'Bytes between members', 'direction', {
      sent: transport.sentBytes,
      received: transport.receivedBytes,
    }),
    counter('transport_reconnects_total', 'Connections made anew', transport.reconnects),
    gauge(
      'certificate_expiry_timestamp_seconds',
      "When this node's certificate is good no more, NaN without one",
      certificateEndsMs === null ? Number.NaN : certificateEndsMs / 1_000,
    ),
    gauge('format_skew', 'Whether members can write different formats', Number(formats.isSkewed)),
    gauge('command_format_local', 'The newest format that this node reads', formats.local),
    gauge('command_format_effective', 'The newest that the cluster writes', formats.effective),
    counter('format_rejects_total', 'Connections without a format in common', formats.rejects),
  ]
}

function databaseFamilies({ databases, memory }: NodeMetrics): Family[] {
  const perDatabase = (of: (database: (typeof databases)[number]) => number): Counts =>
    Object.fromEntries(databases.map((database) => [database.name, of(database)]))
  const sizes = perDatabase(({ sizeBytes }) => sizeBytes)
  const wals = perDatabase(({ walBytes }) => walBytes)
  return [
    labelled('gauge', 'database_size_bytes', 'A database on disk', 'database', sizes),
    labelled('gauge', 'database_wal_bytes', 'Its write-ahead file', 'database', wals),
    labelled('gauge', 'process_memory_bytes', 'Memory of the whole process', 'kind', {
      rss: memory.rssBytes,
      heap_used: memory.heapUsedBytes,
      external: memory.externalBytes,
    }),
  ]
}

export function gauge(name: string, help: string, value: number): Family {
  return { name: `colmena_${name}`, type: 'gauge', help, samples: [{ value, labels: {} }] }
}

export function counter(name: string, help: string, value: number): Family {
  return { name: `colmena_${name}`, type: 'counter', help, samples: [{ value, labels: {} }] }
}

export function labelled(
  type: 'gauge' | 'counter',
  name: string,
  help: string,
  label: string,
  counts: Counts,
): Family {
  const samples = Object.entries(counts).map(([key, value]) => ({
    value,
    labels: { [label]: key },
  }))
  return { name: `colmena_${name}`, type, help, samples }
}

function histogram(name: string, help: string, value: Histogram): Family {
  return { ...histogramFamily(name, help), samples: toSamples(name, value, {}) }
}

function histogramFamily(name: string, help: string): Omit<Family, 'samples'> {
  return { name: `colmena_${name}`, type: 'histogram', help }
}

function toSamples(name: string, value: Histogram, labels: Labels): Sample[] {
  const metricName = `colmena_${name}_bucket`
  return [
    ...value.bounds.map((boundMs, at) => ({
      metricName,
      labels: { le: boundMs / 1_000, ...labels },
      value: value.counts[at] ?? value.count,
    })),
    { metricName, labels: { le: '+Inf', ...labels }, value: value.count },
    { metricName: `colmena_${name}_sum`, labels, value: value.sum / 1_000 },
    { metricName: `colmena_${name}_count`, labels, value: value.count },
  ]
}
