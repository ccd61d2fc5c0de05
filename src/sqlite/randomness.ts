/**
 * The random numbers of one statement: a function of the entry's seed, the unit's and statement's
 * ordinals and the number of the call, so that every node draws the same. The generator is Chris
 * Doty-Humphrey's sfc32: 128 bits of state, one of them a counter.
 */
export class StatementRandomness {
  #a = 0
  #b = 0
  #c = 0
  #counter = 1
  readonly #view = new DataView(new ArrayBuffer(8))

  /** Every part changes every bit of what follows, after 16 rounds. */
  seed(seedHigh: number, seedLow: number, unitOrdinal: number, statementOrdinal: number): void {
    this.#a = seedHigh | 0
    this.#b = seedLow | 0
    this.#c = unitOrdinal | 0
    this.#counter = Math.imul(statementOrdinal, 0x9e37_79b1) | 1
    for (let round = 0; round < 8; round += 1) this.u32()
    // Folded in twice: neighbouring ordinals must not give neighbouring states.
    this.#a = (this.#a ^ statementOrdinal) | 0
    this.#b = (this.#b ^ unitOrdinal) | 0
    for (let round = 0; round < 8; round += 1) this.u32()
  }

  u32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A signed 64-bit integer, as SQLite's `random()` gives. */
  i64(): bigint {
    this.#view.setUint32(0, this.u32(), true)
    this.#view.setUint32(4, this.u32(), true)
    return this.#view.getBigInt64(0, true)
  }

  bytes(count: number): Uint8Array {
    const blob = new Uint8Array(count)
    const words = new DataView(blob.buffer)
    let at = 0
    for (; at + 4 <= count; at += 4) words.setUint32(at, this.u32(), true)
    if (at < count) {
      for (let rest = this.u32(); at < count; at += 1, rest >>>= 8) blob[at] = rest & 0xff
    }
    return blob
  }
}
