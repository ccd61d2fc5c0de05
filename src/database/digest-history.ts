import type { Digest } from './digest.ts'

/**
 * More than two groups of entries: whoever asks for an index learned from the end of one group that
 * it is applied, and is answered after the next.
 */
const NOTED_MAX = 2048

/**
 * What a file's digest was after each of its latest writes. Members are hardly ever at the same
 * index at the same moment, so each remembers what it was at an index that others are asked about.
 */
export class DigestHistory {
  /** From here up to the first write noted, the digest was the one that the file began with. */
  readonly #sinceIndex: number
  readonly #begin: bigint
  #indexes: Float64Array | null = null
  #digests: BigInt64Array | null = null
  /** Ever noted; a write is at its number modulo {@link NOTED_MAX}. */
  #count = 0

  constructor(sinceIndex: number, begin: bigint) {
    this.#sinceIndex = sinceIndex
    this.#begin = begin
  }

  /** The digest after the write at `index`; one that is rolled back is noted anew when it stays. */
  note(index: number, digest: Digest): void {
    // Most databases are never written to again.
    this.#indexes ??= new Float64Array(NOTED_MAX)
    this.#digests ??= new BigInt64Array(NOTED_MAX)
    this.#indexes[this.#count % NOTED_MAX] = index
    this.#digests[this.#count % NOTED_MAX] = digest.value
    this.#count += 1
  }

  /** The digest as it was at `index`, which is applied; null where that is forgotten. */
  at(index: number): bigint | null {
    const oldest = Math.max(0, this.#count - NOTED_MAX)
    for (let number = this.#count - 1; number >= oldest; number -= 1) {
      if (this.#indexOf(number) > index) continue
      return this.#digests?.[number % NOTED_MAX] ?? null
    }
    return oldest === 0 && index >= this.#sinceIndex ? this.#begin : null
  }

  #indexOf(number: number): number {
    return this.#indexes?.[number % NOTED_MAX] ?? 0
  }
}
