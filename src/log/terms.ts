/** The term of every retained index, as runs: a log of a million entries has few terms. */
import { assert } from '../base/assert.ts'

export class Terms {
  /** Invariant: starts ascend, starts[0] is the base, terms ascend with them. */
  #starts: number[] = [0]
  #terms: number[] = [0]
  #last = 0

  /** The lowest index with a known term: that of the last compacted entry. */
  get base(): number {
    return this.#starts[0] as number
  }

  get last(): number {
    return this.#last
  }

  get baseTerm(): number {
    return this.#terms[0] as number
  }

  get lastTerm(): number {
    return this.#terms[this.#terms.length - 1] as number
  }

  /** Forgets everything but one index. */
  reset(index: number, term: number): void {
    this.#starts = [index]
    this.#terms = [term]
    this.#last = index
  }

  append(index: number, term: number): void {
    assert(index === this.#last + 1, `entry ${index} follows entry ${this.#last}`)
    assert(term >= this.lastTerm, `the term ${term} of entry ${index} is below the one before`)
    if (term !== this.lastTerm) {
      this.#starts.push(index)
      this.#terms.push(term)
    }
    this.#last = index
  }

  /** `last` becomes the last index. */
  truncateTo(last: number): void {
    assert(last >= this.base && last <= this.#last, `cannot truncate to ${last}`)
    this.#last = last
    while ((this.#starts[this.#starts.length - 1] as number) > last) {
      this.#starts.pop()
      this.#terms.pop()
    }
  }

  /** `base` becomes the base. */
  compactTo(base: number): void {
    assert(base >= this.base && base <= this.#last, `cannot compact to ${base}`)
    const at = this.#find(base)
    this.#starts.splice(0, at)
    this.#terms.splice(0, at)
    this.#starts[0] = base
  }

  at(index: number): number | 'compacted' | 'unavailable' {
    if (index < this.base) return 'compacted'
    if (index > this.#last) return 'unavailable'
    return this.#terms[this.#find(index)] as number
  }

  /** The run that holds `index`. Most questions are about the newest entries. */
  #find(index: number): number {
    let low = 0
    let high = this.#starts.length - 1
    if ((this.#starts[high] as number) <= index) return high
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#starts[middle] as number) <= index) low = middle
      else high = middle - 1
    }
    return low
  }
}
