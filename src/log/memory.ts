/** What can be answered without touching a file: every term, the newest entries, read windows. */
import type { Entry } from '../raft/types.ts'
import { ReadWindows, TailCache } from './cache.ts'
import { Terms } from './terms.ts'

/** What an entry counts beyond its data wherever a reader bounds the bytes of an answer. */
const ENTRY_OVERHEAD_BYTES = 24

export class Memory {
  readonly terms: Terms = new Terms()
  readonly tail: TailCache = new TailCache()
  readonly windows: ReadWindows
  /** Changes when what a file says about an index may no longer be so. */
  epoch = 0

  constructor(readCacheBytesMax: number) {
    this.windows = new ReadWindows(readCacheBytesMax)
  }

  append(entry: Entry): void {
    this.terms.append(entry.index, entry.term)
    this.tail.append(entry)
  }

  /** `term` is that of `last`, for where `last` lies below all that is held here. */
  truncateTo(last: number, term: number): void {
    if (last < this.terms.base) this.terms.reset(last, term)
    else this.terms.truncateTo(last)
    this.tail.truncateTo(last)
    this.windows.truncateTo(last)
    this.epoch += 1
  }

  reset(index: number, term: number): void {
    this.terms.reset(index, term)
    this.tail.reset(index + 1)
    this.windows.reset()
    this.epoch += 1
  }

  compactTo(index: number): void {
    this.terms.compactTo(index)
    this.tail.compactTo(index)
    this.windows.compactTo(index)
  }

  get(index: number): Entry | undefined {
    return this.tail.get(index) ?? this.windows.get(index)
  }

  /** Entries of [lo, hi): at least one, cut where their bytes pass `bytesMax` or memory ends. */
  entries(lo: number, hi: number, bytesMax: number): Entry[] | 'compacted' | 'unavailable' {
    if (lo <= this.terms.base) return 'compacted'
    const end = Math.min(hi, this.terms.last + 1)
    const found: Entry[] = []
    let bytes = 0
    for (let index = lo; index < end; index += 1) {
      const entry = this.get(index)
      if (entry === undefined) return found.length === 0 ? 'unavailable' : found
      bytes += entry.data.length + ENTRY_OVERHEAD_BYTES
      if (bytes > bytesMax && found.length > 0) return found
      found.push(entry)
    }
    return found
  }
}
