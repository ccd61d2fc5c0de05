/**
 * The log: entries, hard state and snapshot marks in one ordered stream of checksummed segments.
 *
 * Promises: an append whose callback got no error survives any crash, whole; one that did not
 * complete survives whole or not at all; appends complete in their order. What is read back has
 * passed its checksums. After the first failed write nothing more is promised and nothing retried.
 * A log that lost anything it once promised does not open. A relaxed log promises entries only from
 * the next flush on, and loses none before one that it kept.
 *
 * Assumes that a crash during a write leaves the bytes around it alone (as SQLite does).
 * Leaves to others: what entries mean, when to compact, whether the databases are ahead of the
 * log at start, and the lock on the directory.
 */
import { assert } from '../base/assert.ts'
import { ColmenaError } from '../base/errors.ts'
import type { HistogramValue } from '../base/histogram.ts'
import type { Done } from '../base/ports.ts'
import type { Entry, HardState } from '../raft/types.ts'
import { encodeHardState, encodeMark } from './body.ts'
import { nameSegment } from './format.ts'
import { forEachInOrder } from './in-order.ts'
import { Memory } from './memory.ts'
import {
  type AppendBatch,
  configureLog,
  type LogConfig,
  type LogOptions,
  type LogStatus,
  type SnapshotMark,
} from './options.ts'
import { Reader } from './reader.ts'
import { type LogRecord, makeRecord } from './record.ts'
import { encodeSegment, type LogParts, listLogFiles, recoverLog } from './recovery.ts'
import { makeSegmentFile } from './segment-file.ts'
import { Segment, Segments } from './segments.ts'
import { Stream } from './stream.ts'
import { Writer } from './writer.ts'

export type { Disk, DiskFile, FileMode } from './disk.ts'
export type { AppendBatch, Durability, LogOptions, LogStatus, SnapshotMark } from './options.ts'
export { UNSYNCED_ENTRIES_MAX } from './options.ts'
export { openRealDisk, type RealDiskOptions } from './real-disk.ts'
export { rehomeLog } from './rehoming.ts'

/** An open log and what the node last made durable beside its entries. */
export interface Recovered {
  readonly log: Log
  readonly hardState: HardState
  /** The newest mark, or null if there never was one. */
  readonly snapshot: SnapshotMark | null
  /** The changes of the configuration in what was read, also those that were cut off later. */
  readonly confChanges: readonly Entry[]
}

export type OpenDone = (error: ColmenaError | null, recovered: Recovered | null) => void

/** Tells whether {@link createLog} has been done here: false after a crash in the midst of it. */
export function hasLog(
  options: Pick<LogOptions, 'disk' | 'directory'>,
  done: (error: Error | null, exists: boolean) => void,
): void {
  options.disk.makeDirectory(options.directory, (error) => {
    if (error !== null) return done(error, false)
    listLogFiles(options.disk, options.directory, (listError, files) => {
      done(listError, listError === null && files.seqs.length > 0)
    })
  })
}

/**
 * Makes the log of a new member. It begins after `genesis`, or at index 1.
 *
 * Fails with ERR_DATA_DIR if there is a log already, or if the disk does not take it.
 */
export function createLog(
  options: LogOptions,
  genesis: SnapshotMark | null,
  hardState: HardState,
  done: OpenDone,
): void {
  const config = configureLog(options)
  const { disk, directory } = config
  const fail = (message: string, cause?: unknown): void =>
    done(new ColmenaError('ERR_DATA_DIR', `${directory}: ${message}`, { cause }), null)
  hasLog(options, (error, exists) => {
    if (error !== null) return fail(error.message, error)
    if (exists) return fail('there is a log already')
    const slash = directory.lastIndexOf('/')
    disk.syncDirectory(slash < 0 ? '' : directory.slice(0, slash), (syncError) => {
      if (syncError !== null) return fail(syncError.message, syncError)
      createFirstSegment(config, genesis, hardState, (createError, parts) => {
        if (createError !== null) return fail(createError.message, createError)
        done(null, makeRecovered(config, parts as LogParts))
      })
    })
  })
}

function createFirstSegment(
  config: LogConfig,
  genesis: SnapshotMark | null,
  hardState: HardState,
  done: (error: Error | null, parts: LogParts | null) => void,
): void {
  const stream = new Stream()
  const memory = new Memory(config.readCacheBytesMax)
  const records = [stream.makeBegin(), makeRecord('hardState', 0, 0, encodeHardState(hardState))]
  if (genesis !== null) {
    records.push(makeRecord('snapshotMark', genesis.index, genesis.term, encodeMark(genesis), true))
    memory.reset(genesis.index, genesis.term)
  }
  const last = records[records.length - 1] as LogRecord
  last.endsBatch = true
  const content = encodeSegment(config, 1, records)
  for (const record of records.slice(1)) stream.apply(record)
  const segments = new Segments()
  segments.list.push(new Segment(1, content.salt, config.segmentBytes, content.bytes.length))
  makeSegmentFile(
    config,
    1,
    content.bytes,
    () => false,
    (error) => {
      if (error !== null) return done(error, null)
      config.disk.open(`${config.directory}/${nameSegment(1)}`, 'write', (openError, file) => {
        const active = { file, chain: content.chain, isBegun: true }
        done(openError, { segments, stream, memory, active, confChanges: [] })
      })
    },
  )
}

/**
 * Opens a log after any kind of stop.
 *
 * Fails with ERR_LOG_CORRUPT, naming file, offset and index, if anything that was once durable is
 * not there; ERR_OTHER_CLUSTER for segments of another cluster or member; ERR_UNSUPPORTED_FORMAT
 * for those of a newer release; ERR_DATA_DIR if the disk does not let it be read or rewritten.
 */
export function openLog(options: LogOptions, done: OpenDone): void {
  const config = configureLog(options)
  recoverLog(config, (error, parts) => {
    if (error instanceof ColmenaError) return done(error, null)
    if (error !== null || parts === null) {
      const message = `the log in ${config.directory} can't be opened: ${error?.message}`
      return done(new ColmenaError('ERR_DATA_DIR', message, { cause: error }), null)
    }
    done(null, makeRecovered(config, parts))
  })
}

function makeRecovered(config: LogConfig, parts: LogParts): Recovered {
  const { hardState, snapshot } = parts.stream
  const { confChanges } = parts
  return { log: new Log(config, parts), hardState, snapshot, confChanges }
}

/**
 * Indexes, terms and entries answer for an append from the moment it was called, not only once it
 * is durable. Entries' data are views of larger buffers: copy what is to be transferred.
 */
export class Log {
  readonly #config: LogConfig
  readonly #segments: Segments
  readonly #memory: Memory
  readonly #reader: Reader
  readonly #writer: Writer
  #hardState: HardState
  #appendedEntries = 0
  #isClosed = false

  /** For {@link createLog} and {@link openLog}. */
  constructor(config: LogConfig, parts: LogParts) {
    this.#config = config
    this.#segments = parts.segments
    this.#memory = parts.memory
    this.#hardState = parts.stream.hardState
    this.#reader = new Reader(config, parts.segments, parts.memory)
    this.#writer = new Writer(config, parts.segments, parts.stream, parts.active, () => {
      this.#memory.tail.evict(config.cacheBytesMax, this.#writer.unwrittenFrom)
    })
  }

  /** One more than the last compacted index. */
  get firstIndex(): number {
    return this.#memory.terms.base + 1
  }

  get lastIndex(): number {
    return this.#memory.terms.last
  }

  /** For `firstIndex − 1` to `lastIndex`; never does IO. */
  term(index: number): number | 'compacted' | 'unavailable' {
    return this.#memory.terms.at(index)
  }

  /**
   * Entries of [lo, hi) from memory: at least one if there are any, cut where their bytes pass
   * `bytesMax` or where memory ends. 'unavailable': {@link load} them first.
   */
  entries(lo: number, hi: number, bytesMax: number): Entry[] | 'compacted' | 'unavailable' {
    return this.#memory.entries(lo, hi, bytesMax)
  }

  /**
   * Reads what `entries` of the same range needs, at least its first entry, from the segments. The
   * memory for this is bounded, so another `load` may push it out again: ask at once.
   *
   * If nothing has to be read, `done` is called before this returns. Fails with ERR_LOG_CORRUPT
   * if a file can't be read or does not hold what was written; the log goes on.
   */
  load(lo: number, hi: number, bytesMax: number, done: (error: ColmenaError | null) => void): void {
    if (this.#memory.entries(lo, hi, bytesMax) === 'unavailable') {
      this.#reader.load(lo, Math.min(hi, this.#memory.tail.first), bytesMax, done)
    } else {
      done(null)
    }
  }

  /**
   * Makes a batch durable. Appends complete in their order; those that wait for a write in flight
   * share the next one. `done` is called after this returned, except on a failed or closed log.
   */
  append(batch: AppendBatch, done: Done): void {
    const { entries, hardState, snapshot } = batch
    if (this.#isRefused(done)) return
    const mustSync = this.#mustSync(batch)
    const records: LogRecord[] = []
    // The batch's own commit index may count the very entries that it brings.
    const committed = this.#hardState.commit
    if (snapshot !== null) records.push(this.#takeSnapshot(snapshot))
    if (hardState !== null) {
      records.push(makeRecord('hardState', 0, 0, encodeHardState(hardState)))
      this.#hardState = hardState
    }
    const first = entries[0]
    if (first !== undefined && first.index <= this.lastIndex) {
      records.push(this.#truncate(first, committed))
    }
    this.#appendedEntries += entries.length
    for (const entry of entries) {
      this.#memory.append(entry)
      const { index, term, type, data } = entry
      records.push({ ...makeRecord('entry', index, term, data), entryType: type })
    }
    // An empty batch still waits for its turn: its callback stands for all before it.
    if (records.length === 0) {
      records.push(makeRecord('hardState', 0, 0, encodeHardState(this.#hardState)))
    }
    this.#writer.append(records, mustSync, done)
  }

  /** Makes durable what a relaxed log has told of, while it goes on; there may be nothing to do. */
  flush(): void {
    this.#writer.flush()
  }

  /**
   * Gives up entries up to `index`, and deletes the segments that hold nothing else. Entries above
   * stay, and the term of `index`. An index that is compacted already deletes what by now can be
   * deleted. Call it once the databases hold `index` durably. `done` comes when the deletions are
   * durable; their failure costs space alone.
   */
  compact(index: number, done: Done): void {
    if (this.#isRefused(done)) return
    if (index > this.#memory.terms.base) this.#memory.compactTo(index)
    const base = this.#memory.terms.base
    const record = makeRecord('compactTo', base, this.#memory.terms.baseTerm)
    this.#writer.append([record], true, (error) => {
      if (error !== null) return done(error)
      this.#dropSegments(base, done)
    })
  }

  /** The highest index to compact to that leaves `bytes` of log; 0 if there is less than that. */
  indexRetaining(bytes: number): number {
    return this.#segments.indexRetaining(bytes)
  }

  /** Tries again to make the next segment; compaction does so by itself. */
  retrySpace(): void {
    if (!this.#isClosed) this.#writer.spare.retry()
  }

  status(): LogStatus {
    const { list, active } = this.#segments
    const { spare } = this.#writer
    const bytes = list.reduce((sum, segment) => sum + segment.sizeBytes, 0)
    return {
      firstIndex: this.firstIndex,
      lastIndex: this.lastIndex,
      segmentCount: list.length,
      firstSegment: (list[0] as Segment).seq,
      lastSegment: active.seq,
      retainedBytes: bytes + spare.sizeBytes,
      activeFreeBytes: active.sizeBytes - active.end,
      isFull: spare.isFull,
      isFailed: this.#writer.failure !== null,
      queuedAppends: this.#writer.queuedAppends,
      cachedBytes: this.#memory.tail.bytes + this.#memory.windows.bytes,
      unsyncedEntries: this.#writer.unsyncedEntries,
      writeCount: this.#writer.writeCount,
      appendCount: this.#writer.appendCount,
      writtenBytes: this.#writer.writtenBytes,
      appendedEntries: this.#appendedEntries,
    }
  }

  /** Synced writes since the log was opened: from handing one to the disk until it was durable. */
  get syncMs(): HistogramValue {
    return this.#writer.syncMs.value()
  }

  /** Waits for the appends so far, then closes the files. Later calls fail with ERR_CLOSED. */
  close(done: Done): void {
    if (this.#isRefused(done)) return
    this.#isClosed = true
    this.#writer.close(makeRecord('hardState', 0, 0, encodeHardState(this.#hardState)), done)
  }

  #isRefused(done: Done): boolean {
    if (this.#isClosed) done(new ColmenaError('ERR_CLOSED', 'the log is closed'))
    return this.#isClosed
  }

  #mustSync({ entries, hardState, snapshot, mustSync }: AppendBatch): boolean {
    if (snapshot !== null) return true
    if (!this.#config.isRelaxed) return mustSync || entries.length > 0
    const { term, vote } = this.#hardState
    if (hardState !== null && (hardState.term !== term || hardState.vote !== vote)) return true
    // Whoever forgot that others had joined would go on without them, as they without it.
    return entries.some(({ type }) => type !== 'normal')
  }

  /** A mark of what is in the log already leaves the entries alone. */
  #takeSnapshot(mark: SnapshotMark): LogRecord {
    const { index, term } = mark
    assert(index >= this.#memory.terms.base, `snapshot ${index} is not older than the log`)
    const isKnown = this.#memory.terms.at(index) === term
    if (!isKnown) this.#memory.reset(index, term)
    return makeRecord('snapshotMark', index, term, encodeMark(mark), !isKnown)
  }

  /** Committed entries are never cut off, whoever asks (paper §5.3, leader append-only). */
  #truncate(first: Entry, committed: number): LogRecord {
    const { terms } = this.#memory
    const last = first.index - 1
    assert(last >= terms.base, `entry ${first.index} is not compacted`)
    assert(last >= committed, `entry ${first.index} is not committed`)
    const term = terms.at(last) as number
    this.#memory.truncateTo(last, term)
    return makeRecord('truncateTo', last, term)
  }

  /** What could not be deleted is left for the next start. */
  #dropSegments(index: number, done: Done): void {
    const { disk, directory } = this.#config
    const dropped = this.#segments.droppable(index)
    this.#segments.list.splice(0, dropped.length)
    const remove = (segment: Segment, next: Done): void =>
      disk.remove(`${directory}/${nameSegment(segment.seq)}`, next)
    forEachInOrder(dropped, remove, (error) => {
      if (error !== null) return done(error)
      disk.syncDirectory(directory, (syncError) => {
        this.retrySpace()
        done(syncError)
      })
    })
  }
}
