/**
 * What one machine's log holds for sure, whatever happens next: its records on the bare disk. Or
 * what it holds as long as the system lives, which is all that a relaxed one says.
 */
import { AssertionFailure } from '../../src/base/assert.ts'
import { DecodeError } from '../../src/base/bytes.ts'
import { decodeHeader, HEADER_BYTES, parseSegmentName } from '../../src/log/format.ts'
import {
  decodeRecord,
  type FoundRecord,
  type LogRecord,
  readAckedUpTo,
  readChain,
} from '../../src/log/record.ts'
import { Stream } from '../../src/log/stream.ts'
import type { HardState } from '../../src/raft/types.ts'
import type { SimulatedDisk } from './disk.ts'
import type { Inode } from './inode.ts'
import type { SeededRandom } from './random.ts'

export type Which = 'durable' | 'seen'

/** The records of one file. They never change, so each is decoded once. */
class FoundSegment {
  readonly path: string
  readonly inode: Inode
  readonly #which: Which
  readonly records: FoundRecord[] = []
  /** How many of them have been taken in. */
  taken = 0
  chain = 0
  /** The file itself says that it was durable up to there. */
  provenUpTo = HEADER_BYTES
  #salt: number | null = null
  #version = -1
  #end = HEADER_BYTES

  constructor(path: string, inode: Inode, which: Which) {
    this.#which = which
    this.path = path
    this.inode = inode
  }

  get isSealed(): boolean {
    return this.records.at(-1)?.type === 'seal'
  }

  read(): void {
    const { inode } = this
    const isDurable = this.#which === 'durable'
    const version = isDurable ? inode.durableVersion : inode.seenVersion
    if (version === this.#version || this.isSealed) return
    this.#version = version
    const image = isDurable ? inode.readDurable() : inode.read(0, inode.sizeBytes)
    const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength)
    if (this.#salt === null) {
      const header = decodeHeader(bytes)
      if (header === null || 'newerVersion' in header) return
      this.#salt = header.salt
      this.chain = header.salt
      this.provenUpTo = header.durableUpTo
    }
    const append: FoundRecord[] = []
    let { chain } = this
    for (let at = this.#end; ; ) {
      const record = decodeRecord(bytes, at, this.#salt)
      if (record === null || readChain(bytes, at) !== chain) return
      append.push(record)
      const ackedUpTo = readAckedUpTo(bytes, at)
      at = record.endOffset
      chain = record.headerCrc
      if (!record.endsBatch) continue
      this.records.push(...append.splice(0))
      this.chain = chain
      this.provenUpTo = Math.max(this.provenUpTo, ackedUpTo)
      this.#end = at
      if (record.type === 'seal') return
    }
  }
}

/**
 * Reads the disk itself, not what the log says of it, and goes on from where it stopped. A hole is
 * its end: what is durable behind one is of no use to anybody.
 */
export class DurableLog {
  readonly #disk: SimulatedDisk
  readonly #directory: string
  readonly #which: Which
  #isFrozen = false
  #segments: FoundSegment[] = []
  #stream = new Stream()
  #terms: number[] = []

  constructor(disk: SimulatedDisk, directory: string, which: Which = 'durable') {
    this.#disk = disk
    this.#directory = directory
    this.#which = which
  }

  get hardState(): HardState {
    return this.#stream.hardState
  }

  /** Entries up to here are in the databases for good. */
  get compacted(): number {
    return this.#stream.compacted
  }

  get last(): number {
    return this.#stream.last
  }

  /** The term of an entry that is there, or null. */
  term(index: number): number | null {
    return this.#terms[index] ?? null
  }

  /** What was said stays said, whatever becomes of the disk. */
  freeze(): void {
    this.refresh()
    this.#isFrozen = true
  }

  /** Returns the hard states that have become durable since, in order; some may come again. */
  refresh(): readonly HardState[] {
    if (this.#isFrozen) return []
    const before = this.#segments
    this.#segments = this.#list().map(
      ({ name, inode }) =>
        before.find((segment) => segment.inode === inode) ??
        new FoundSegment(`${this.#directory}/${name}`, inode, this.#which),
    )
    const wasTaken = before.filter(({ taken }) => taken > 0)
    if (!wasTaken.every((segment, i) => segment === this.#segments[i])) this.#restart()
    const found: HardState[] = []
    for (const segment of this.#segments) {
      segment.read()
      for (const record of segment.records.slice(segment.taken)) {
        if (!this.#take(record)) return found
        segment.taken += 1
        const isState = record.type === 'hardState' || record.type === 'begin'
        if (isState) found.push(this.#stream.hardState)
      }
      if (!segment.isSealed) break
      this.#stream.seal(segment.chain)
    }
    return found
  }

  /**
   * Bytes whose loss can't go unnoticed: later ones say that they were durable. What was written
   * last, batches and all, looks torn once it is damaged, and nothing tells the two apart.
   */
  rottable(random: SeededRandom): { path: string; from: number; to: number } | null {
    this.refresh()
    const begun = this.#segments.filter(({ provenUpTo }) => provenUpTo > HEADER_BYTES)
    if (begun.length === 0) return null
    const { path, provenUpTo } = random.pick(begun)
    return { path, from: HEADER_BYTES, to: provenUpTo }
  }

  /** As recovery does: what is before a gap was being deleted. */
  #list(): { readonly name: string; readonly inode: Inode }[] {
    const bySeq = new Map<number, { readonly name: string; readonly inode: Inode }>()
    for (const file of this.#disk.filesOf(this.#directory, this.#which)) {
      const seq = parseSegmentName(file.name)
      if (seq !== null) bySeq.set(seq, file)
    }
    const files: { readonly name: string; readonly inode: Inode }[] = []
    let seq = Math.max(0, ...bySeq.keys())
    for (let file = bySeq.get(seq); file !== undefined; file = bySeq.get(seq)) {
      files.unshift(file)
      seq -= 1
    }
    return files
  }

  #restart(): void {
    this.#stream = new Stream()
    this.#terms = []
    for (const segment of this.#segments) segment.taken = 0
  }

  #take(record: LogRecord): boolean {
    const isFirst = this.#segments[0]?.taken === 0
    try {
      if (isFirst) this.#stream.adopt(record)
      else this.#stream.apply(record)
    } catch (error) {
      if (error instanceof AssertionFailure || error instanceof DecodeError) return false
      throw error
    }
    const { last, lastTerm } = this.#stream
    if (record.resets) this.#terms = []
    this.#terms.length = last + 1
    this.#terms[last] = lastTerm
    return true
  }
}
