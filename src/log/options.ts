/** What the log is given and what it gives back: the words of its door. */
import type { Clock, Random } from '../base/ports.ts'
import type { ConfState, Entry, HardState } from '../raft/types.ts'
import type { Disk } from './disk.ts'

export interface LogOptions {
  readonly disk: Disk
  /** Where the segments live, relative to the disk's root. */
  readonly directory: string
  /** Sixteen bytes: segments of another cluster are refused. */
  readonly clusterId: Uint8Array
  /** Segments of another member are refused. */
  readonly memberId: number
  /**
   * The size of a segment, written ahead with zeros.
   *
   * @defaultValue 16 MiB. Larger: fewer seals, more to copy at each start. Smaller: space comes
   * back sooner.
   */
  readonly segmentBytes?: number | undefined
  /**
   * How much of the newest entries stays in memory.
   *
   * @defaultValue 8 MiB. Peers that lag by more make the log read its files.
   */
  readonly cacheBytesMax?: number | undefined
  /**
   * How much of older entries, read back for slow readers, stays in memory.
   *
   * @defaultValue 8 MiB
   */
  readonly readCacheBytesMax?: number | undefined
  /**
   * `relaxed`: entries count as appended once the system has them, and {@link Log.flush} makes them
   * durable. What others may hold this node to for ever is still synced first: terms and votes,
   * changes of the configuration, snapshots.
   *
   * @defaultValue 'full'
   */
  readonly durability?: Durability | undefined
  readonly random: Random
  /** For measuring alone: the log never waits for a time. */
  readonly clock: Pick<Clock, 'nowMs'>
  /** Called once, when the log can no longer promise anything: stop the node. */
  readonly fatal: (error: Error) => void
  /**
   * Called when room for the next segment runs out, and when it is there again. While it is out
   * the active segment still takes what fits: stop proposing, so that votes and terms do.
   */
  readonly spaceChanged?: ((isFull: boolean) => void) | undefined
}

/** Whether an append is durable before it is told of: all of them, or what must never be lost. */
export type Durability = 'full' | 'relaxed'

/**
 * So many appended entries at most are not durable yet, however slow the disk is: whoever lost them
 * passes so many indexes over, and gives none of them away twice.
 */
export const UNSYNCED_ENTRIES_MAX = 4_096

/** The databases at one index; a generation is the directory that holds them. */
export interface SnapshotMark {
  readonly index: number
  readonly term: number
  readonly generation: number
  readonly confState: ConfState
}

/** What becomes durable together: after a crash all of it is there, or none. */
export interface AppendBatch {
  /** Contiguous; may begin at or below the last index, which cuts off what stood there. */
  readonly entries: readonly Entry[]
  readonly hardState: HardState | null
  /** Takes the place of all entries if it is not in the log already. */
  readonly snapshot: SnapshotMark | null
  /**
   * False for a hard state with a new commit index and nothing else: it is written but may be
   * lost with the power. With entries or a snapshot it counts as true.
   */
  readonly mustSync: boolean
}

export interface LogStatus {
  readonly firstIndex: number
  readonly lastIndex: number
  readonly segmentCount: number
  readonly firstSegment: number
  readonly lastSegment: number
  /** Bytes of all segment files, the one made ahead included. */
  readonly retainedBytes: number
  /** What the active segment can still take. */
  readonly activeFreeBytes: number
  /** True while there is no room for the next segment. */
  readonly isFull: boolean
  readonly isFailed: boolean
  /** Appends that wait for their write to begin. */
  readonly queuedAppends: number
  readonly cachedBytes: number
  /** Entries that were told of as appended and that a power loss would take. */
  readonly unsyncedEntries: number
  /** Since the log was opened. */
  readonly writeCount: number
  readonly appendCount: number
  readonly writtenBytes: number
  readonly appendedEntries: number
}

/** Options after checking, with every default in its place. */
export interface LogConfig {
  readonly disk: Disk
  readonly directory: string
  readonly clusterId: Uint8Array
  readonly memberId: number
  readonly segmentBytes: number
  readonly cacheBytesMax: number
  readonly readCacheBytesMax: number
  readonly isRelaxed: boolean
  readonly random: Random
  readonly clock: Pick<Clock, 'nowMs'>
  readonly fatal: (error: Error) => void
  readonly spaceChanged: (isFull: boolean) => void
}

const MIB = 1024 * 1024
/** A header, a few records and the seal. */
const SEGMENT_BYTES_MIN = 8192

/** @throws RangeError for sizes that no segment can have. */
export function configureLog(options: LogOptions): LogConfig {
  const segmentBytes = options.segmentBytes ?? 16 * MIB
  if (segmentBytes < SEGMENT_BYTES_MIN || segmentBytes % 8 !== 0) {
    throw new RangeError(`segmentBytes ${segmentBytes}: at least 8192, a multiple of 8`)
  }
  if (options.clusterId.length !== 16) throw new RangeError('clusterId: sixteen bytes')
  return {
    disk: options.disk,
    directory: options.directory,
    clusterId: options.clusterId,
    memberId: options.memberId,
    segmentBytes,
    cacheBytesMax: options.cacheBytesMax ?? 8 * MIB,
    readCacheBytesMax: options.readCacheBytesMax ?? 8 * MIB,
    isRelaxed: options.durability === 'relaxed',
    random: options.random,
    clock: options.clock,
    fatal: options.fatal,
    spaceChanged: options.spaceChanged ?? (() => {}),
  }
}
