/**
 * A rolling digest over what commands did: equal logs give equal digests, whatever the grouping.
 * Two 32-bit lanes, since additions of BigInts would cost more than the rows they count.
 */
export class Digest {
  #high: number
  #low: number

  constructor(value = 0n) {
    this.#high = 0
    this.#low = 0
    this.reset(value)
  }

  reset(value: bigint): void {
    this.#high = Number((value >> 32n) & 0xffff_ffffn)
    this.#low = Number(value & 0xffff_ffffn)
  }

  /** As a signed 64-bit integer, which SQLite can hold. */
  get value(): bigint {
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(this.#low))
  }

  /** Takes in a safe integer. */
  mix(value: number): void {
    this.#mixWord(value >>> 0)
    this.#mixWord(Math.floor(value / 0x1_0000_0000) >>> 0)
  }

  mixBigint(value: bigint): void {
    this.#mixWord(Number(value & 0xffff_ffffn))
    this.#mixWord(Number((value >> 32n) & 0xffff_ffffn))
  }

  #mixWord(word: number): void {
    const high = Math.imul((this.#high ^ word) + 0x7f4a7c15, 0x9e3779b1)
    const low = Math.imul((this.#low ^ word) + 0x165667b1, 0x85ebca6b)
    // Each lane takes part of the other, so that two lanes are worth more than one.
    this.#high = (high ^ (low >>> 15)) >>> 0
    this.#low = (low ^ (high >>> 13)) >>> 0
  }
}
