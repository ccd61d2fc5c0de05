/**
 * A hash of all that happens in a simulated life, in its order: two lives of one seed have the same
 * one, on any machine and any Node.js, or something in them came from outside of the simulation.
 */
export class Trace {
  readonly #float = new Float64Array(1)
  readonly #floatBytes = new Uint8Array(this.#float.buffer)
  #low = 0x811c9dc5
  #high = 0x1b873593

  number(value: number): void {
    this.#float[0] = value
    this.bytes(this.#floatBytes)
  }

  bytes(bytes: Uint8Array): void {
    let low = this.#low
    let high = this.#high
    for (const byte of bytes) {
      // FNV-1a beside itself: another prime and start make the second half independent enough.
      low = Math.imul(low ^ byte, 0x01000193)
      high = Math.imul(high ^ byte, 0x85ebca6b) + 1
    }
    this.#low = low
    this.#high = high
  }

  get hash(): string {
    return [this.#high, this.#low]
      .map((half) => (half >>> 0).toString(16).padStart(8, '0'))
      .join('')
  }
}
