/** Entries in memory: the newest ones, and a few windows that slow readers asked for. */
import type { Entry } from '../raft/types.ts'

/** What an entry costs beside its data, roughly: the object and its place in an array. */
const ENTRY_BYTES = 96

export function cachedBytes(entry: Entry): number {
  return entry.data.length + ENTRY_BYTES
}

/**
 * The end of the log. Invariant: holds every index from `first` to the log's last one, so what it
 * lacks is below `first` and in the segments.
 */
export class TailCache {
  /** Empty below `#head`: a place that still held its entry would keep the data alive. */
  #entries: (Entry | undefined)[] = []
  #head = 0
  #first = 1
  #bytes = 0

  get first(): number {
    return this.#first
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Empties the cache; the next entry is `first`. */
  reset(first: number): void {
    this.#entries = []
    this.#head = 0
    this.#first = first
    this.#bytes = 0
  }

  append(entry: Entry): void {
    this.#entries.push(entry)
    this.#bytes += cachedBytes(entry)
  }

  truncateTo(last: number): void {
    if (last < this.#first) {
      this.reset(last + 1)
      return
    }
    const count = this.#head + last + 1 - this.#first
    for (const entry of this.#entries.splice(count)) this.#bytes -= cachedBytes(entry as Entry)
  }

  /** Drops the oldest entries below `below` while there are more than `bytesMax`. */
  evict(bytesMax: number, below: number): void {
    while (this.#bytes > bytesMax && this.#first < below) this.#shift()
  }

  /** Drops all entries up to `index`. */
  compactTo(index: number): void {
    while (this.#first <= index && this.#head < this.#entries.length) this.#shift()
    if (this.#first <= index) this.#first = index + 1
  }

  get(index: number): Entry | undefined {
    return index < this.#first ? undefined : this.#entries[this.#head + index - this.#first]
  }

  #shift(): void {
    this.#bytes -= cachedBytes(this.#entries[this.#head] as Entry)
    this.#entries[this.#head] = undefined
    this.#head += 1
    this.#first += 1
    if (this.#head < 1024 || this.#head * 2 < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }
}

interface Window {
  readonly first: number
  readonly entries: readonly Entry[]
  readonly bytes: number
}

/** Stretches of the log that were read back from the segments, most recently used last. */
export class ReadWindows {
  readonly #bytesMax: number
  #windows: Window[] = []

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#windows.reduce((sum, window) => sum + window.bytes, 0)
  }

  /** The newest window always fits, so that whoever asked for it can make progress. */
  add(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    const bytes = entries.reduce((sum, entry) => sum + cachedBytes(entry), 0)
    this.#windows = this.#windows.filter((window) => window.first !== first.index)
    this.#windows.push({ first: first.index, entries, bytes })
    while (this.#windows.length > 1 && this.bytes > this.#bytesMax) this.#windows.shift()
  }

  get(index: number): Entry | undefined {
    for (let i = this.#windows.length - 1; i >= 0; i -= 1) {
      const window = this.#windows[i] as Window
      const entry = index < window.first ? undefined : window.entries[index - window.first]
      if (entry === undefined) continue
      if (i < this.#windows.length - 1) this.#windows.push(...this.#windows.splice(i, 1))
      return entry
    }
    return undefined
  }

  truncateTo(last: number): void {
    this.#windows = this.#windows.filter((w) => w.first + w.entries.length - 1 <= last)
  }

  compactTo(index: number): void {
    this.#windows = this.#windows.filter((w) => w.first + w.entries.length - 1 > index)
  }

  reset(): void {
    this.#windows = []
  }
}
