/** Beyond this the memory is given back after its write: large appends are rare. */
const KEPT_BYTES_MAX = 1024 * 1024

/**
 * What is written but not synced, in one buffer that each batch uses again. A new buffer for each
 * would be garbage at once, and pile up by tens of megabytes before a collector comes.
 */
export class Tail {
  #buffer = Buffer.allocUnsafeSlow(4096)
  #length = 0

  /** A view that holds until the next call of {@link extend}. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Room for `count` more bytes behind the present ones, to be filled. */
  extend(count: number): Buffer {
    const length = this.#length + count
    if (length > this.#buffer.length) this.#grow(Math.max(length, this.#buffer.length * 2))
    const room = this.#buffer.subarray(this.#length, length)
    this.#length = length
    return room
  }

  /** All of it is durable. */
  clear(): void {
    this.#length = 0
    if (this.#buffer.length > KEPT_BYTES_MAX) this.#grow(KEPT_BYTES_MAX)
  }

  #grow(sizeBytes: number): void {
    this.#buffer = Buffer.from((this.#buffer.buffer as ArrayBuffer).transfer(sizeBytes))
  }
}
