/* What stands in the documents of a backup. Indexes are of the log, times in ms since 1970. */

/** `backup.json`: one cluster writes to a target, and it alone. */
export interface Owner {
  readonly clusterId: string
  /** The newest one: all before it are of the past. */
  readonly generation: string
  readonly sinceMs: number
  /** Clusters that it took over from: what they left can be restored to by time. */
  readonly formerIds: readonly string[]
}

/**
 * `manifest.json` of a generation: one history of one cluster, applied by one build of SQLite,
 * without a gap from its first snapshot on. What breaks any of that begins another one.
 */
export interface Manifest {
  readonly generation: string
  readonly clusterId: string
  /** What the nodes run SQL with: the log gives the same content where that is the same. */
  readonly fingerprint: string
  /** Of its first snapshot. */
  readonly firstIndex: number
  readonly beganMs: number
  /** Why it was begun. */
  readonly reason: string
}

/** `head.json` of a generation, written after what it tells of: so that nothing goes unmissed. */
export interface Head {
  /** The last entry. */
  readonly last: number
  /** The rolling digest behind it, hexadecimal. */
  readonly digest: string
  /** When it was written, by the clock of the node that did it. */
  readonly shippedMs: number
  /** All that are kept, in their order. */
  readonly snapshots: readonly TakenSnapshot[]
}

export interface TakenSnapshot {
  readonly index: number
  readonly takenMs: number
}

/** `snapshot.json`, put last of a snapshot. */
export interface Snapshot {
  readonly index: number
  /** The time of the latest entry that was given one, as all nodes have it; 0 before. */
  readonly timeMs: number
  readonly takenMs: number
  readonly files: readonly SnapshotFile[]
}

export interface SnapshotFile {
  /** `system` is the cluster's own. */
  readonly database: string
  /** Of the object. */
  readonly name: string
  /** Of the SQLite file that it holds, which may be compressed and sealed. */
  readonly sizeBytes: number
  readonly sha256: string
}
