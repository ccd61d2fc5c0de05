/** Which entry stands where. Invariant: the live ranges of the segments ascend without a gap. */
import { type LogRecord, recordBytes } from './record.ts'

export class Segment {
  readonly seq: number
  readonly salt: number
  sizeBytes: number
  /** Where the next record goes. */
  end: number
  /** The index of the entry at `offsets[0]`. */
  first = 0
  /** Of the entries that count; those cut off later are gone from here. */
  offsets: number[] = []
  /** No byte from here on belongs to an entry that counts. */
  liveEnd = 0

  constructor(seq: number, salt: number, sizeBytes: number, end: number) {
    this.seq = seq
    this.salt = salt
    this.sizeBytes = sizeBytes
    this.end = end
  }

  /** The last entry that counts, or 0. */
  get last(): number {
    return this.offsets.length === 0 ? 0 : this.first + this.offsets.length - 1
  }

  append(index: number, offset: number, endOffset: number): void {
    if (this.offsets.length === 0) this.first = index
    this.offsets.push(offset)
    this.liveEnd = endOffset
  }

  truncateTo(last: number): void {
    const count = Math.max(0, last + 1 - this.first)
    if (count >= this.offsets.length) return
    this.liveEnd = this.offsets[count] as number
    this.offsets.length = count
  }
}

export class Segments {
  readonly list: Segment[] = []

  get active(): Segment {
    return this.list[this.list.length - 1] as Segment
  }

  /** What a record of the active segment changes. */
  apply(record: LogRecord, offset: number): void {
    if (record.type === 'entry') {
      this.active.append(record.index, offset, offset + recordBytes(record.body.length))
    } else if (record.type === 'truncateTo') {
      this.#truncateTo(record.index)
    } else if (record.resets) {
      for (const segment of this.list) segment.truncateTo(0)
    }
  }

  /** The segment that holds an entry. */
  find(index: number): Segment | undefined {
    return this.list.findLast((s) => s.offsets.length > 0 && s.first <= index && index <= s.last)
  }

  /** Sealed segments at the front of which nothing above `index` counts. */
  droppable(index: number): Segment[] {
    const sealed = this.list.slice(0, -1)
    const keep = sealed.findIndex((segment) => segment.last > index)
    return keep < 0 ? sealed : sealed.slice(0, keep)
  }

  /** The highest index that can be given up while the segments after it have `bytes`; or 0. */
  indexRetaining(bytes: number): number {
    let kept = 0
    for (let i = this.list.length - 1; i > 0; i -= 1) {
      kept += (this.list[i] as Segment).sizeBytes
      const older = this.list[i - 1] as Segment
      if (kept >= bytes && older.last > 0) return older.last
    }
    return 0
  }

  #truncateTo(last: number): void {
    for (let i = this.list.length - 1; i >= 0; i -= 1) {
      const segment = this.list[i] as Segment
      if (segment.offsets.length > 0 && segment.last <= last) break
      segment.truncateTo(last)
    }
  }
}
