import { invariant } from './invariant.ts'

const FIRST_CAPACITY = 16

/**
 * The append messages sent to one peer and not yet acknowledged: a ring of (last index, bytes),
 * bounded by count and by bytes. It grows on demand, as most peers never use the whole window.
 */
export class Inflights {
  readonly #countMax: number
  readonly #bytesMax: number
  #start = 0
  #count = 0
  #bytes = 0
  #indexes: number[] = []
  #sizes: number[] = []

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax
    this.#bytesMax = bytesMax
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  isFull(): boolean {
    return this.#count >= this.#countMax || this.#bytes >= this.#bytesMax
  }

  /** Indexes must be added in ascending order, and never to a full window. */
  add(lastIndex: number, sizeBytes: number): void {
    invariant(!this.isFull(), 'nothing is sent through a full window')
    if (this.#count === this.#indexes.length) this.#grow()
    let at = this.#start + this.#count
    if (at >= this.#indexes.length) at -= this.#indexes.length
    this.#indexes[at] = lastIndex
    this.#sizes[at] = sizeBytes
    this.#count++
    this.#bytes += sizeBytes
  }

  /** Frees every message whose last index is at most `index`. */
  freeUpTo(index: number): void {
    while (this.#count > 0 && this.#indexes[this.#start]! <= index) {
      this.#bytes -= this.#sizes[this.#start]!
      this.#count--
      this.#start++
      if (this.#start === this.#indexes.length) this.#start = 0
    }
    if (this.#count === 0) this.#start = 0
  }

  reset(): void {
    this.#start = 0
    this.#count = 0
    this.#bytes = 0
  }

  #grow(): void {
    const capacity = Math.min(this.#countMax, Math.max(FIRST_CAPACITY, this.#indexes.length * 2))
    const indexes: number[] = new Array(capacity).fill(0)
    const sizes: number[] = new Array(capacity).fill(0)
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#start + i) % this.#indexes.length
      indexes[i] = this.#indexes[from]!
      sizes[i] = this.#sizes[from]!
    }
    this.#indexes = indexes
    this.#sizes = sizes
    this.#start = 0
  }
}
