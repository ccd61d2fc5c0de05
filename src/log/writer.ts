/**
 * The one writer of the log. At most one write is in flight; what arrives meanwhile is gathered
 * into the next one, so that a busy log needs few syncs. Appends complete in their order.
 *
 * A relaxed log writes without syncing, and what is to be durable is synced behind the write, with
 * all before it. A flush does so while further writes go on, but for those that must be synced
 * themselves: these wait for it.
 *
 * Nothing is ever tried again after a failed write or sync: the system may have dropped the data,
 * marked the pages clean and report success the next time. The log is then failed for good.
 */
import { assert } from '../base/assert.ts'
import { ColmenaError } from '../base/errors.ts'
import { Histogram } from '../base/histogram.ts'
import type { Done } from '../base/ports.ts'
import type { DiskFile } from './disk.ts'
import { HEADER_BYTES } from './format.ts'
import { type LogConfig, UNSYNCED_ENTRIES_MAX } from './options.ts'
import {
  encodeRecords,
  type LogRecord,
  RECORD_HEADER_BYTES,
  recordBytes,
  recordsBytes,
} from './record.ts'
import type { Segments } from './segments.ts'
import { Spare } from './spare.ts'
import type { Stream } from './stream.ts'
import { Tail } from './tail.ts'

/** One write takes no more than this, beyond its first append: latency of those behind it. */
const WRITE_BYTES_MAX = 4 * 1024 * 1024
/** Unsynced bytes are kept in memory and written again with the next sync: not too many. */
const UNSYNCED_BYTES_MAX = 64 * 1024

/** One append in the queue. */
interface Pending {
  readonly records: readonly LogRecord[]
  readonly sizeBytes: number
  readonly mustSync: boolean
  readonly done: Done
}

/** Where the active segment stands: what recovery found, or what a new segment begins with. */
export interface ActiveFile {
  readonly file: DiskFile
  readonly chain: number
  /** False while the segment's begin record is still to be written. */
  readonly isBegun: boolean
}

export class Writer {
  readonly #config: LogConfig
  readonly #segments: Segments
  readonly #stream: Stream
  readonly #spare: Spare
  /** Called after each write, before the appends that it carried are told. */
  readonly #written: () => void
  #active: ActiveFile
  #chain: number
  #isBegun: boolean
  /** Where the active segment's first batch goes; up to here it can't be rotated out. */
  #freshEnd: number
  /** Everything below is durable. From here to the segment's end, unless relaxed: `#unsynced`. */
  #syncedEnd: number
  /** Everything below is in the system's hands. */
  #writtenEnd: number
  readonly #unsynced = new Tail()
  #queue: Pending[] = []
  #flying: readonly Pending[] = []
  #isBusy = false
  #isFlushing = false
  /** True while a synced write is under way. */
  #isSyncing = false
  /** True while callbacks run: what they append is to share one write. */
  #isNotifying = false
  #failure: ColmenaError | null = null
  #closed: Done | null = null
  writeCount = 0
  appendCount = 0
  writtenBytes = 0
  /** Entries that are written but not durable; relaxed alone leaves any. */
  unsyncedEntries = 0
  /** How long each synced write took, and each flush. */
  readonly syncMs: Histogram = new Histogram()

  constructor(
    config: LogConfig,
    segments: Segments,
    stream: Stream,
    active: ActiveFile,
    written: () => void,
  ) {
    this.#config = config
    this.#segments = segments
    this.#stream = stream
    this.#active = active
    this.#chain = active.chain
    this.#isBegun = active.isBegun
    this.#syncedEnd = segments.active.end
    this.#writtenEnd = segments.active.end
    this.#freshEnd = HEADER_BYTES
    this.#written = written
    this.#spare = new Spare(config, {
      ready: () => this.#pump(),
      full: () => this.#pump(),
      failed: (error) => this.#fail(error),
    })
    this.#spare.make(segments.active.seq + 1)
  }

  get failure(): ColmenaError | null {
    return this.#failure
  }

  get spare(): Spare {
    return this.#spare
  }

  get queuedAppends(): number {
    return this.#queue.length
  }

  /** The lowest entry that an append not yet written carries, or Infinity. */
  get unwrittenFrom(): number {
    let lowest = Number.POSITIVE_INFINITY
    for (const pendings of [this.#flying, this.#queue]) {
      for (const { records } of pendings) {
        const entry = records.find((record) => record.type === 'entry')
        if (entry !== undefined) lowest = Math.min(lowest, entry.index)
      }
    }
    return lowest
  }

  append(records: readonly LogRecord[], mustSync: boolean, done: Done): void {
    const refusal = this.#failure ?? (this.#closed === null ? null : closedError())
    if (refusal !== null) {
      done(refusal)
      return
    }
    const last = records[records.length - 1]
    assert(last !== undefined, 'an append has something to write')
    last.endsBatch = true
    this.#queue.push({ records, sizeBytes: recordsBytes(records), mustSync, done })
    this.#pump()
  }

  flush(): void {
    if (this.#isFlushing || this.#failure !== null || this.#closed !== null) return
    const end = this.#writtenEnd
    // A synced write takes all before it along.
    if (end <= this.#syncedEnd || this.#isSyncing) return
    const entries = this.unsyncedEntries
    const { clock } = this.#config
    const sinceMs = clock.nowMs()
    this.#isFlushing = true
    this.#active.file.sync((error) => {
      this.#isFlushing = false
      if (error !== null) {
        this.#fail(error)
      } else {
        this.syncMs.record(clock.nowMs() - sinceMs)
        this.#syncedEnd = end
        this.unsyncedEntries -= entries
      }
      this.#pump()
    })
  }

  /** Writes what is queued, then `last`: its place is proof of all before it. */
  close(last: LogRecord, done: Done): void {
    assert(this.#closed === null, 'the log is closed once')
    this.append([last], true, () => {})
    this.#closed = done
    this.#pump()
  }

  #pump(): void {
    if (this.#isBusy || this.#isNotifying) return
    if (this.#failure === null && this.#queue.length > 0) {
      const group = this.#gather()
      if (group.length > 0) this.#write(group)
      else if (!this.#isFlushing) this.#rotate()
    } else if (this.#closed !== null && !this.#isFlushing) {
      this.#closeFiles(this.#closed)
    }
  }

  /** The appends at the front of the queue that fit into the active segment and into one write. */
  #gather(): Pending[] {
    const segment = this.#segments.active
    const beginBytes = this.#isBegun ? 0 : recordBytes(this.#stream.makeBegin().body.length)
    const room = segment.sizeBytes - segment.end - beginBytes - RECORD_HEADER_BYTES
    let bytes = 0
    let count = 0
    for (const { sizeBytes } of this.#queue) {
      // An append larger than a whole segment makes an empty one longer.
      const isTooLarge = count === 0 && sizeBytes > room && segment.end <= this.#freshEnd
      if (bytes + sizeBytes > room && !isTooLarge) break
      if (count > 0 && bytes + sizeBytes > WRITE_BYTES_MAX) break
      bytes += sizeBytes
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  #write(group: readonly Pending[]): void {
    const entries = countEntries(group)
    const mustSync = group.some((pending) => pending.mustSync) || this.#isTooMuch(entries)
    if (mustSync && this.#isFlushing) {
      this.#queue = [...group, ...this.#queue]
      return
    }
    const records: LogRecord[] = []
    if (!this.#isBegun) records.push(this.#stream.makeBegin())
    for (const pending of group) for (const record of pending.records) records.push(record)
    if (!this.#isBegun) this.#freshEnd += recordBytes((records[0] as LogRecord).body.length)
    this.#isBegun = true
    this.#flying = group
    this.#writeRecords(records, mustSync, () => {
      this.unsyncedEntries = mustSync ? 0 : this.unsyncedEntries + entries
      this.#flying = []
      this.appendCount += group.length
      this.#written()
      this.#isNotifying = true
      for (const pending of group) pending.done(this.#failure)
      this.#isNotifying = false
      this.#pump()
    })
  }

  /** Whether more would wait for the next sync than may be lost, or be written twice. */
  #isTooMuch(entries: number): boolean {
    if (this.#config.isRelaxed) return this.unsyncedEntries + entries > UNSYNCED_ENTRIES_MAX
    return this.#segments.active.end - this.#syncedEnd > UNSYNCED_BYTES_MAX
  }

  /**
   * Unsynced bytes are written again with the next synced write: a synced write makes no other
   * bytes durable than its own, and a hole before an acknowledged record would be a lost log.
   */
  #writeRecords(records: readonly LogRecord[], mustSync: boolean, done: () => void): void {
    const segment = this.#segments.active
    const start = segment.end
    const bytes = this.#unsynced.extend(recordsBytes(records))
    const place = {
      salt: segment.salt,
      offset: start,
      chain: this.#chain,
      ackedUpTo: this.#syncedEnd,
    }
    this.#chain = encodeRecords(records, place, bytes)
    for (const record of records) {
      this.#stream.apply(record)
      this.#segments.apply(record, segment.end)
      segment.end += recordBytes(record.body.length)
    }
    segment.sizeBytes = Math.max(segment.sizeBytes, segment.end)
    const { clock, isRelaxed } = this.#config
    const isRewritten = mustSync && !isRelaxed
    const payload = isRewritten ? this.#unsynced.bytes : bytes
    const offset = isRewritten ? this.#syncedEnd : start
    const sinceMs = clock.nowMs()
    const written = (error: Error | null): void => {
      this.#isBusy = false
      this.#isSyncing = false
      if (error !== null || this.#failure !== null) {
        if (error === null) this.#pump()
        else this.#fail(error)
        return
      }
      this.writeCount += 1
      this.writtenBytes += payload.length
      this.#writtenEnd = segment.end
      if (mustSync) {
        this.syncMs.record(clock.nowMs() - sinceMs)
        this.#syncedEnd = segment.end
      }
      if (mustSync || isRelaxed) this.#unsynced.clear()
      done()
    }
    this.#isBusy = true
    this.#isSyncing = mustSync
    const { file } = this.#active
    file.write(payload, offset, { sync: isRewritten }, (error) => {
      if (error !== null || !mustSync || isRewritten) written(error)
      else file.sync(written)
    })
  }

  /** Seals the active segment and goes on in the spare; waits until there is one. */
  #rotate(): void {
    const next = this.#spare.take()
    if (next === null) {
      // Without room for them these appends would keep the log open for ever.
      if (this.#closed !== null && this.#spare.isFull) this.#dropQueue(closedError())
      return
    }
    const seal = this.#stream.makeSeal()
    const old = this.#active.file
    this.#writeRecords([seal], true, () => {
      this.#stream.seal(this.#chain)
      this.#segments.list.push(next.segment)
      this.#active = { file: next.file, chain: next.segment.salt, isBegun: false }
      this.#chain = next.segment.salt
      this.#isBegun = false
      this.#freshEnd = HEADER_BYTES
      this.#syncedEnd = next.segment.end
      this.#writtenEnd = next.segment.end
      this.unsyncedEntries = 0
      this.#spare.make(next.segment.seq + 1)
      old.close((error) => {
        if (error !== null) this.#fail(error)
      })
      this.#pump()
    })
  }

  #dropQueue(error: ColmenaError): void {
    for (const pending of this.#queue.splice(0)) pending.done(error)
    this.#pump()
  }

  #fail(cause: Error): void {
    if (this.#failure !== null) return
    const message = `the log can no longer be written: ${cause.message}. This node has stopped`
    this.#failure = new ColmenaError('ERR_FAILED', message, { cause, outcome: 'unknown' })
    this.#config.fatal(this.#failure)
    const waiting = [...this.#flying, ...this.#queue.splice(0)]
    this.#flying = []
    for (const pending of waiting) pending.done(this.#failure)
    this.#pump()
  }

  #closeFiles(done: Done): void {
    this.#isBusy = true
    this.#spare.close(() => this.#active.file.close(() => done(this.#failure)))
  }
}

function countEntries(group: readonly Pending[]): number {
  let count = 0
  for (const { records } of group) {
    for (const { type } of records) if (type === 'entry') count += 1
  }
  return count
}

export function closedError(): ColmenaError {
  return new ColmenaError('ERR_CLOSED', 'the log is closed')
}
