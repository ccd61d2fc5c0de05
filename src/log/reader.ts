/** Reads entries back from the segments, and believes nothing that a checksum does not confirm. */
import { assert } from '../base/assert.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Entry } from '../raft/types.ts'
import type { DiskFile } from './disk.ts'
import { nameSegment } from './format.ts'
import type { Memory } from './memory.ts'
import type { LogConfig } from './options.ts'
import { decodeRecord } from './record.ts'
import type { Segment, Segments } from './segments.ts'

export type LoadDone = (error: ColmenaError | null) => void

/** A stretch of one segment. */
interface Stretch {
  readonly segment: Segment
  readonly first: number
  readonly offsets: readonly number[]
  readonly end: number
}

export class Reader {
  readonly #config: LogConfig
  readonly #segments: Segments
  readonly #memory: Memory

  constructor(config: LogConfig, segments: Segments, memory: Memory) {
    this.#config = config
    this.#segments = segments
    this.#memory = memory
  }

  /**
   * Brings entries from `lo` on into memory. Does nothing if the log changed under the read: the
   * asker looks again in any case.
   */
  load(lo: number, hi: number, bytesMax: number, done: LoadDone): void {
    const stretch = this.#locate(lo, hi, bytesMax)
    const path = `${this.#config.directory}/${nameSegment(stretch.segment.seq)}`
    const epoch = this.#memory.epoch
    this.#config.disk.open(path, 'read', (error, file) => {
      if (error !== null) return this.#end(epoch, lo, readError(path, lo, error), done)
      this.#read(file, stretch, path, (failure, entries) => {
        file.close(() => {
          if (failure === null && this.#memory.epoch === epoch) this.#memory.windows.add(entries)
          this.#end(epoch, lo, failure, done)
        })
      })
    })
  }

  /** A failure to read what was cut off or compacted meanwhile is none. */
  #end(epoch: number, lo: number, failure: ColmenaError | null, done: LoadDone): void {
    const isGone = this.#memory.epoch !== epoch || lo <= this.#memory.terms.base
    done(isGone ? null : failure)
  }

  /** As many entries as one segment has in a row, within `bytesMax`, at least one. */
  #locate(lo: number, hi: number, bytesMax: number): Stretch {
    const segment = this.#segments.find(lo)
    assert(segment !== undefined, `entry ${lo} is in a segment`)
    const from = lo - segment.first
    const start = segment.offsets[from] as number
    const limit = Math.min(segment.offsets.length, hi - segment.first)
    let to = from + 1
    while (to < limit && this.#endOf(segment, to) - start <= bytesMax) to += 1
    const offsets = segment.offsets.slice(from, to)
    return { segment, first: lo, offsets, end: this.#endOf(segment, to - 1) }
  }

  /** Where the record ends, or a little later: where the next entry begins. */
  #endOf(segment: Segment, at: number): number {
    return segment.offsets[at + 1] ?? segment.liveEnd
  }

  #read(
    file: DiskFile,
    stretch: Stretch,
    path: string,
    done: (error: ColmenaError | null, entries: Entry[]) => void,
  ): void {
    const start = stretch.offsets[0] as number
    file.read(start, stretch.end - start, (error, bytes) => {
      if (error !== null) return done(readError(path, stretch.first, error), [])
      const entries: Entry[] = []
      const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      for (const [i, offset] of stretch.offsets.entries()) {
        const index = stretch.first + i
        const record = decodeRecord(view, offset - start, stretch.segment.salt, start)
        const term = this.#memory.terms.at(index)
        const isRight = record?.type === 'entry' && record.index === index
        // A term that memory no longer has belongs to an answer that nobody will get.
        if (!isRight || (typeof term === 'number' && record.term !== term)) {
          return done(corruptError(path, offset, index, 'a checksum or number is wrong'), [])
        }
        entries.push({ index, term: record.term, type: record.entryType, data: record.body })
      }
      done(null, entries)
    })
  }
}

function readError(path: string, index: number, cause: Error): ColmenaError {
  const message = `entry ${index} can't be read from ${path}: ${cause.message}`
  return new ColmenaError('ERR_LOG_CORRUPT', message, { cause, index })
}

export function corruptError(
  path: string,
  offset: number,
  index: number | null,
  what: string,
  cause?: unknown,
): ColmenaError {
  const where = index === null ? '' : `, entry ${index}`
  const message =
    `${path} is damaged at byte ${offset}${where}: ${what}. Entries that this node acknowledged ` +
    'may be lost; remove this member and join again as a new one with an empty directory'
  return new ColmenaError('ERR_LOG_CORRUPT', message, { cause, index: index ?? undefined })
}
