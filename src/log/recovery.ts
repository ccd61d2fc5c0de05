/**
 * What a directory of segments amounts to after any kind of stop.
 *
 * Files are trusted in their order: each must be sealed before the next was begun. In the first
 * that is not sealed, what a crash tore off is dropped and the rest is copied into a new file of
 * the same name, because a file that may have had a failed sync is never written again, and what
 * is read of it now may be gone after the next power loss. Anything bad that was once durable is
 * an error: a node that forgot what it promised must not vote.
 */
import { AssertionFailure } from '../base/assert.ts'
import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Done } from '../base/ports.ts'
import type { Entry } from '../raft/types.ts'
import { type Disk, readErrorCode } from './disk.ts'
import {
  decodeHeader,
  encodeHeader,
  FORMAT_VERSION,
  HEADER_BYTES,
  nameSegment,
  parseSegmentName,
  type SegmentHeader,
} from './format.ts'
import { forEachInOrder } from './in-order.ts'
import { Memory } from './memory.ts'
import type { LogConfig } from './options.ts'
import { corruptError } from './reader.ts'
import { encodeRecords, type FoundRecord, type LogRecord, recordsBytes } from './record.ts'
import { type Scan, scanSegment } from './scan.ts'
import { makeSegmentFile } from './segment-file.ts'
import { Segment, Segments } from './segments.ts'
import { Stream } from './stream.ts'
import type { ActiveFile } from './writer.ts'

/** Everything that a log is made of. */
export interface LogParts {
  readonly segments: Segments
  readonly stream: Stream
  readonly memory: Memory
  readonly active: ActiveFile
  readonly confChanges: readonly Entry[]
}

export type PartsDone = (error: Error | null, parts: LogParts | null) => void

/** What the directory holds. */
export interface LogFiles {
  /** Ascending. */
  readonly seqs: readonly number[]
  readonly drafts: readonly string[]
}

export function listLogFiles(
  disk: Disk,
  directory: string,
  done: (error: Error | null, files: LogFiles) => void,
): void {
  disk.list(directory, (error, names) => {
    const seqs = names.map(parseSegmentName).filter((seq) => seq !== null)
    const drafts = names.filter((name) => name.endsWith('.wal.tmp'))
    done(error, { seqs: seqs.sort((a, b) => a - b), drafts })
  })
}

export function recoverLog(config: LogConfig, done: PartsDone): void {
  listLogFiles(config.disk, config.directory, (error, files) => {
    if (error !== null) return done(readErrorCode(error) === 'ENOENT' ? noLog(config) : error, null)
    if (files.seqs.length === 0) return done(noLog(config), null)
    new Recovery(config, files).run(done)
  })
}

/** The bytes of a segment whose records are all durable by the time it has its name. */
export function encodeSegment(
  config: LogConfig,
  seq: number,
  records: readonly LogRecord[],
): { readonly bytes: Buffer; readonly salt: number; readonly chain: number } {
  const salt = config.random.u32()
  const place = { salt, offset: HEADER_BYTES, chain: salt, ackedUpTo: HEADER_BYTES }
  const bytes = Buffer.allocUnsafeSlow(recordsBytes(records))
  const chain = encodeRecords(records, place, bytes)
  const { clusterId, memberId } = config
  const durableUpTo = HEADER_BYTES + bytes.length
  const header = encodeHeader({ salt, clusterId, memberId, seq, durableUpTo })
  return { bytes: Buffer.concat([header, bytes]), salt, chain }
}

interface OpenSegment {
  readonly seq: number
  readonly records: readonly FoundRecord[]
}

class Recovery {
  readonly #config: LogConfig
  readonly #segments = new Segments()
  readonly #stream = new Stream()
  readonly #memory: Memory
  readonly #drafts: readonly string[]
  /** The newest files without a gap; what is before a gap was deleted in part, by compaction. */
  readonly #seqs: readonly number[]
  readonly #leftOver: readonly number[]
  /** The last sealed segment, and what it holds but for the seal. */
  #sealed: OpenSegment | null = null
  /** The segment that the log goes on in, and what it holds. */
  #open: OpenSegment | null = null
  #isFirst = true
  readonly #confChanges: Entry[] = []

  constructor(config: LogConfig, files: LogFiles) {
    this.#config = config
    this.#memory = new Memory(config.readCacheBytesMax)
    this.#drafts = files.drafts
    let from = files.seqs.length - 1
    while (from > 0 && files.seqs[from - 1] === (files.seqs[from] as number) - 1) from -= 1
    this.#leftOver = files.seqs.slice(0, from)
    this.#seqs = files.seqs.slice(from)
  }

  run(done: PartsDone): void {
    const fail = (error: Error): void => done(error, null)
    forEachInOrder(
      this.#seqs,
      (seq, next) => this.#readFile(seq, next),
      (error) => {
        const problem = error ?? this.#check()
        if (problem !== null) return fail(problem)
        this.#rewrite((rewriteError, active) => {
          if (rewriteError !== null || active === null) return fail(rewriteError as Error)
          this.#tidy((tidyError) => {
            if (tidyError !== null) return active.file.close(() => fail(tidyError))
            const [segments, stream, memory] = [this.#segments, this.#stream, this.#memory]
            done(null, { segments, stream, memory, active, confChanges: this.#confChanges })
          })
        })
      },
    )
  }

  #path(seq: number): string {
    return `${this.#config.directory}/${nameSegment(seq)}`
  }

  #readFile(seq: number, done: Done): void {
    const { disk } = this.#config
    disk.open(this.#path(seq), 'read', (error, file) => {
      if (error !== null) return done(error)
      const close = (failure: Error | null): void => file.close((e) => done(failure ?? e))
      file.size((sizeError, sizeBytes) => {
        if (sizeError !== null) return close(sizeError)
        file.read(0, sizeBytes, (readError, bytes) => {
          if (readError !== null) return close(readError)
          const failure = this.#judge(
            seq,
            Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
          )
          // What was just read may so far be in the system's cache alone.
          if (failure !== null) close(failure)
          else file.sync(close)
        })
      })
    })
  }

  #judge(seq: number, file: Buffer): ColmenaError | null {
    const header = this.#readHeader(seq, file)
    if (header instanceof ColmenaError) return header
    const scan = scanSegment(file, header)
    if (this.#open !== null) return this.#judgeUnused(seq, scan)
    if (scan.loss !== null) {
      const { offset, index } = scan.loss
      return corruptError(this.#path(seq), offset, index, 'what was durable here is gone')
    }
    const failure = this.#replay(seq, file.length, header, scan)
    if (failure !== null) return failure
    if (scan.isSealed) this.#sealed = { seq, records: scan.records.slice(0, -1) }
    else this.#open = this.#findOpen(seq, scan)
    return null
  }

  /**
   * Only what follows a seal proves that it was ever durable: a process that ended of a failed
   * write leaves one that the system shows and the disk lacks (ATC'20), with what was written with
   * it. So the log goes on in the segment before one that was never begun, of which a copy is made.
   */
  #findOpen(seq: number, { records, hasRest }: Scan): OpenSegment {
    const isBegun = records.length > 0 || hasRest
    return isBegun || this.#sealed === null ? { seq, records } : this.#sealed
  }

  /**
   * A header was durable before its file had a name. Of a file without one nothing tells whether
   * it was begun, even where nothing is left behind it.
   */
  #readHeader(seq: number, file: Buffer): SegmentHeader | ColmenaError {
    const header = decodeHeader(file)
    const path = this.#path(seq)
    if (header === null) return corruptError(path, 0, null, 'its header is not valid')
    if ('newerVersion' in header) return newerFormat(path, header.newerVersion)
    const { clusterId, memberId } = this.#config
    if (!Buffer.from(clusterId).equals(header.clusterId) || header.memberId !== memberId) {
      return new ColmenaError('ERR_OTHER_CLUSTER', describeOther(path, header, this.#config))
    }
    if (header.seq !== seq) return corruptError(path, 48, null, `it is segment ${header.seq}`)
    return header
  }

  /** A segment is begun only after the one before was sealed. */
  #judgeUnused(seq: number, scan: Scan): ColmenaError | null {
    if (scan.records.length === 0 && !scan.hasRest) return null
    const open = this.#open as { readonly seq: number }
    const { end } = this.#segments.active
    return corruptError(this.#path(open.seq), end, null, `segment ${seq} follows, yet no seal`)
  }

  #replay(seq: number, sizeBytes: number, header: SegmentHeader, scan: Scan): ColmenaError | null {
    if (scan.records.length === 0) {
      if (!this.#isFirst) return null
      return corruptError(this.#path(seq), HEADER_BYTES, null, 'its first record is not there')
    }
    this.#segments.list.push(new Segment(seq, header.salt, sizeBytes, scan.end))
    for (const record of scan.records) {
      try {
        this.#replayRecord(record)
      } catch (cause) {
        if (!(cause instanceof AssertionFailure || cause instanceof DecodeError)) throw cause
        const { offset, index } = record
        return corruptError(this.#path(seq), offset, index, cause.message, cause)
      }
    }
    if (scan.isSealed) this.#stream.seal(scan.chain)
    this.#memory.tail.evict(this.#config.cacheBytesMax, Number.POSITIVE_INFINITY)
    return null
  }

  #replayRecord(record: FoundRecord): void {
    const { index, term, offset } = record
    const stream = this.#stream
    const memory = this.#memory
    // Behind each index there is another one.
    if (index >= Number.MAX_SAFE_INTEGER || term > Number.MAX_SAFE_INTEGER) {
      throw new DecodeError(`index ${index} and term ${term} are none that are ever reached`)
    }
    if (record.resets && record.type !== 'snapshotMark') {
      throw new DecodeError(`a ${record.type} that resets the log`)
    }
    if (this.#isFirst) {
      if (record.type !== 'begin') throw new DecodeError(`the log begins with a ${record.type}`)
      stream.adopt(record)
      memory.reset(stream.last, stream.lastTerm)
      this.#isFirst = false
      return
    }
    const isBegin = offset === HEADER_BYTES
    if (isBegin !== (record.type === 'begin'))
      throw new DecodeError(`a ${record.type} out of place`)
    stream.apply(record)
    this.#segments.apply(record, offset)
    if (record.type === 'entry') {
      memory.append({ index, term, type: record.entryType, data: record.body })
      if (record.entryType !== 'normal') {
        // A copy: what it is a view of is a whole segment.
        this.#confChanges.push({ index, term, type: record.entryType, data: record.body.slice() })
      }
    } else if (record.type === 'truncateTo') {
      memory.truncateTo(index, term)
    } else if (record.resets) {
      memory.reset(index, term)
    }
  }

  /** Whether all segments together hold what they must. */
  #check(): ColmenaError | null {
    const { last, compacted, hardState } = this.#stream
    const missing = this.#memory.terms.base
    const first = this.#seqs[0] as number
    if (missing > compacted) {
      const what = `entries ${compacted + 1} to ${missing} are missing, with the segments before it`
      return corruptError(this.#path(first), 0, missing, what)
    }
    if (this.#open === null) {
      const newest = this.#seqs[this.#seqs.length - 1] as number
      return corruptError(this.#path(newest + 1), 0, last + 1, 'this segment is missing')
    }
    if (hardState.commit > last) {
      const { seq } = this.#open
      const what = `entries up to ${hardState.commit} were committed, it ends at ${last}`
      return corruptError(this.#path(seq), this.#segments.active.end, last + 1, what)
    }
    this.#memory.compactTo(compacted)
    return null
  }

  /** Puts a copy of what survived of the open segment into its place. */
  #rewrite(done: (error: Error | null, active: ActiveFile | null) => void): void {
    const { seq, records } = this.#open as { seq: number; records: readonly FoundRecord[] }
    const isBegun = records.length > 0
    const config = this.#config
    const content = encodeSegment(config, seq, isBegun ? records : [this.#stream.makeBegin()])
    const old = isBegun ? this.#segments.list.pop() : undefined
    const sizeBytes = Math.max(config.segmentBytes, content.bytes.length)
    const segment = new Segment(seq, content.salt, sizeBytes, content.bytes.length)
    if (old !== undefined) {
      // The records are the same ones in the same order, so they stand where they stood.
      segment.first = old.first
      segment.offsets = old.offsets
      segment.liveEnd = old.liveEnd
    }
    this.#segments.list.push(segment)
    makeSegmentFile(
      config,
      seq,
      content.bytes,
      () => false,
      (error) => {
        if (error !== null) return done(error, null)
        config.disk.open(this.#path(seq), 'write', (openError, file) => {
          done(openError, { file, chain: content.chain, isBegun: true })
        })
      },
    )
  }

  /** Deletes drafts and what an interrupted compaction left. An unused spare is made anew. */
  #tidy(done: Done): void {
    const { disk, directory } = this.#config
    const open = this.#open as { readonly seq: number }
    const draft = `${nameSegment(open.seq)}.tmp`
    const names = this.#leftOver
      .map(nameSegment)
      .concat(this.#drafts.filter((name) => name !== draft))
    const remove = (name: string, next: Done): void => disk.remove(`${directory}/${name}`, next)
    forEachInOrder(names, remove, (error) => {
      if (error !== null) return done(error)
      disk.syncDirectory(directory, done)
    })
  }
}

function noLog(config: LogConfig): ColmenaError {
  const message = `there is no log in ${config.directory}: was the directory emptied?`
  return new ColmenaError('ERR_LOG_CORRUPT', message)
}

function newerFormat(path: string, version: number): ColmenaError {
  const message =
    `${path} has log format ${version}; this version of colmena reads formats up to ` +
    `${FORMAT_VERSION}. Update colmena on this node`
  return new ColmenaError('ERR_UNSUPPORTED_FORMAT', message)
}

function describeOther(path: string, header: SegmentHeader, config: LogConfig): string {
  const theirs = Buffer.from(header.clusterId).toString('hex')
  const ours = Buffer.from(config.clusterId).toString('hex')
  return (
    `${path} belongs to member ${header.memberId} of cluster ${theirs}, ` +
    `this node is member ${config.memberId} of cluster ${ours}`
  )
}
