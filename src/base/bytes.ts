/**
 * A growing writer and a bounded reader for little-endian binary formats. Integers up to 2^53 − 1
 * travel as `u53` (eight bytes); a reader never reads past its end and never trusts a length.
 */

/** Bytes that do not hold what their format says. */
export class DecodeError extends Error {
  override readonly name: string = 'DecodeError'
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Gives back the memory of bytes that nobody reads any more, unless they are a part of something
 * larger. As garbage it would pile up by tens of megabytes: V8 collects by what is on its heap, and
 * has little notion of what hangs on that.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) buffer.transfer(0)
}

export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #view: DataView
  #length = 0

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(capacityBytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  get length(): number {
    return this.#length
  }

  /** A byte that is 1 or 0, for {@link ByteReader.flag}. */
  flag(isSet: boolean): this {
    return this.u8(isSet ? 1 : 0)
  }

  u8(value: number): this {
    // Growing replaces the view, so the place comes first.
    const at = this.#reserve(1)
    this.#view.setUint8(at, value)
    return this
  }

  u16(value: number): this {
    const at = this.#reserve(2)
    this.#view.setUint16(at, value, true)
    return this
  }

  u32(value: number): this {
    const at = this.#reserve(4)
    this.#view.setUint32(at, value, true)
    return this
  }

  /** A non-negative safe integer. */
  u53(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a u53: ${value}`)
    const at = this.#reserve(8)
    this.#view.setUint32(at, value >>> 0, true)
    this.#view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
    return this
  }

  i64(value: bigint): this {
    const at = this.#reserve(8)
    this.#view.setBigInt64(at, value, true)
    return this
  }

  f64(value: number): this {
    const at = this.#reserve(8)
    this.#view.setFloat64(at, value, true)
    return this
  }

  /** Bytes as they are; the reader must know how many. */
  raw(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }

  /** All that another writer holds, whose memory is given back: it is empty afterwards. */
  drain(other: ByteWriter): this {
    this.raw(other.#bytes.subarray(0, other.#length))
    release(other.#bytes)
    other.#length = 0
    other.#use(new Uint8Array(0))
    return this
  }

  /** A u32 length and the bytes. */
  blob(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes)
  }

  /** A u32 length and UTF-8. */
  text(value: string): this {
    const at = this.#reserve(4)
    // A UTF-16 unit never needs more than three bytes of UTF-8.
    this.#ensure(value.length * 3)
    const target = this.#bytes.subarray(this.#length)
    const written = encoder.encodeInto(value, target).written
    this.#length += written
    this.#view.setUint32(at, written, true)
    return this
  }

  /**
   * The bytes written so far, in a buffer of their own that can be transferred. The writer is empty
   * afterwards.
   */
  finish(): Uint8Array<ArrayBuffer> {
    // A transfer gives memory back at once: see release.
    const bytes = new Uint8Array(this.#bytes.buffer.transfer(this.#length))
    this.#length = 0
    this.#use(new Uint8Array(0))
    return bytes
  }

  #reserve(count: number): number {
    this.#ensure(count)
    const at = this.#length
    this.#length += count
    return at
  }

  #ensure(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    this.#use(new Uint8Array(this.#bytes.buffer.transfer(Math.max(needed, this.#bytes.length * 2))))
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get position(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  u53(): number {
    const at = this.#take(8)
    const high = this.#view.getUint32(at + 4, true)
    if (high > 0x1f_ffff) throw new DecodeError(`integer beyond 2^53 at byte ${at}`)
    return high * 0x1_0000_0000 + this.#view.getUint32(at, true)
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  /** What no writer of ours made is no flag. */
  flag(): boolean {
    const byte = this.u8()
    if (byte > 1) throw new DecodeError(`a flag is neither 0 nor 1, but ${byte}`)
    return byte === 1
  }

  /** `count` bytes, as a view of the input: copy what must outlive it. */
  raw(count: number): Uint8Array {
    const at = this.#take(count)
    return this.#bytes.subarray(at, at + count)
  }

  /** A view of length-prefixed bytes: copy what must outlive the input. */
  blob(): Uint8Array {
    return this.raw(this.u32())
  }

  text(): string {
    const bytes = this.blob()
    try {
      return decoder.decode(bytes)
    } catch (cause) {
      throw new DecodeError(`text at byte ${this.#at - bytes.length} is not UTF-8`, { cause })
    }
  }

  /** A count of items of at least `itemBytesMin` each; more than could follow is an error. */
  count(itemBytesMin: number): number {
    const count = this.u32()
    if (count * itemBytesMin > this.remaining) {
      throw new DecodeError(`${count} items announced, ${this.remaining} bytes left`)
    }
    return count
  }

  /** Asserts that every byte was read. */
  end(): void {
    if (this.remaining > 0) throw new DecodeError(`${this.remaining} bytes left over`)
  }

  #take(count: number): number {
    if (count > this.remaining) {
      throw new DecodeError(`needs ${count} bytes at ${this.#at}, has ${this.remaining}`)
    }
    const at = this.#at
    this.#at += count
    return at
  }
}
