/** What one machine's log holds for sure, whatever happens next: its records on the bare disk. */
import { AssertionFailure } from '../../src/base/assert.ts'
import { DecodeError } from '../../src/base/bytes.ts'
import { decodeHeader, HEADER_BYTES, parseSegmentName } from '../../src/log/format.ts'
import { decodeRecord, type FoundRecord, type LogRecord, readChain } from '../../src/log/record.ts'
import { Stream } from '../../src/log/stream.ts'
import type { HardState } from '../../src/raft/types.ts'
import type { SimulatedDisk } from './disk.ts'
import type { Inode } from './inode.ts'

/** The durable records of one file. They never change, so each is decoded once. */
class FoundSegment {
  readonly inode: Inode
  readonly records: FoundRecord[] = []
  /** How many of them have been taken in. */
  taken = 0
  chain = 0
  #salt: number | null = null
  #version = -1
  #end = HEADER_BYTES

  constructor(inode: Inode) {
    this.inode = inode
  }

  get isSealed(): boolean {
    return this.records.at(-1)?.type === 'seal'
  }

  read(): void {
    if (this.inode.durableVersion === this.#version || this.isSealed) return
    this.#version = this.inode.durableVersion
    const image = this.inode.readDurable()
    const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength)
    if (this.#salt === null) {
      const header = decodeHeader(bytes)
      if (header === null || 'newerVersion' in header) return
      this.#salt = header.salt
      this.chain = header.salt
    }
    const append: FoundRecord[] = []
    let { chain } = this
    for (let at = this.#end; ; ) {
      const record = decodeRecord(bytes, at, this.#salt)
      if (record === null || readChain(bytes, at) !== chain) return
      append.push(record)
      at = record.endOffset
      chain = record.headerCrc
      if (!record.endsBatch) continue
      this.records.push(...append.splice(0))
      this.chain = chain
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
  #segments: FoundSegment[] = []
  #stream = new Stream()
  #terms: number[] = []

  constructor(disk: SimulatedDisk, directory: string) {
    this.#disk = disk
    this.#directory = directory
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

  /** Returns the hard states that have become durable since, in order; some may come again. */
  refresh(): readonly HardState[] {
    const before = this.#segments
    this.#segments = this.#list().map(
      (inode) => before.find((segment) => segment.inode === inode) ?? new FoundSegment(inode),
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

  /** As recovery does: what is before a gap was being deleted. */
  #list(): Inode[] {
    const bySeq = new Map<number, Inode>()
    for (const { name, inode } of this.#disk.durableFiles(this.#directory)) {
      const seq = parseSegmentName(name)
      if (seq !== null) bySeq.set(seq, inode)
    }
    const inodes: Inode[] = []
    let seq = Math.max(0, ...bySeq.keys())
    for (let inode = bySeq.get(seq); inode !== undefined; inode = bySeq.get(seq)) {
      inodes.unshift(inode)
      seq -= 1
    }
    return inodes
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
