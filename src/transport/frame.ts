import { crc32 } from 'node:zlib'
import { release } from '../base/bytes.ts'

/**
 * A frame is u32 length, u32 CRC-32, u8 kind, body, little-endian. The length counts kind and
 * body, and so does the checksum.
 */
export const FRAME_HEADER_BYTES = 9
const PREFIX_BYTES = 8

/** Bytes that are no frame: the stream cannot be understood from here on. */
export class FrameError extends Error {
  override readonly name: string = 'FrameError'
}

export interface Frame {
  readonly kind: number
  readonly body: Uint8Array
}

/** The header of a frame whose body is `parts`, one after the other. */
export function encodeFrameHeader(kind: number, parts: readonly Uint8Array[]): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES)
  header[PREFIX_BYTES] = kind
  let lengthBytes = 1
  let checksum = crc32(header.subarray(PREFIX_BYTES))
  for (const part of parts) {
    lengthBytes += part.length
    checksum = crc32(part, checksum)
  }
  header.writeUInt32LE(lengthBytes, 0)
  header.writeUInt32LE(checksum, 4)
  return header
}

/**
 * Cuts a byte stream into frames. What it holds never exceeds what was received: nothing is
 * allocated on the word of a length.
 */
export class FrameReader {
  #bodyBytesMax: number
  #chunks: Buffer[] = []
  #at = 0
  #availableBytes = 0
  #neededBytes = 0

  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax
  }

  /** Applies from the next frame on. */
  setBodyBytesMax(bodyBytesMax: number): void {
    this.#bodyBytesMax = bodyBytesMax
  }

  /** The chunk is the reader's own from here on. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#availableBytes += chunk.length
  }

  /** The next whole frame, null if more bytes are needed. @throws FrameError */
  next(): Frame | null {
    if (this.#neededBytes === 0) {
      if (this.#availableBytes < PREFIX_BYTES) return null
      this.#neededBytes = PREFIX_BYTES + this.#peekLength()
    }
    if (this.#availableBytes < this.#neededBytes) return null
    const bytes = this.#take(this.#neededBytes)
    this.#neededBytes = 0
    const content = bytes.subarray(PREFIX_BYTES)
    if (crc32(content) !== bytes.readUInt32LE(4)) throw new FrameError('a checksum does not match')
    return {
      kind: content[0] as number,
      body: new Uint8Array(content.buffer, content.byteOffset + 1, content.length - 1),
    }
  }

  #peekLength(): number {
    const prefix = this.#peekPrefix()
    const lengthBytes = prefix.readUInt32LE(0)
    if (lengthBytes >= 1 && lengthBytes <= this.#bodyBytesMax + 1) return lengthBytes
    // A TLS record begins with its type (handshake 22, alert 21) and the version 3.x. Frames begin
    // like that as well, so this explains a length that is refused, and refuses none.
    if ((prefix[0] === 22 || prefix[0] === 21) && prefix[1] === 3) {
      throw new FrameError(
        'the other side speaks TLS: it has a secret or certificates, and this side has neither',
      )
    }
    throw new FrameError(
      `a frame announces ${lengthBytes} bytes, allowed are 1 to ${this.#bodyBytesMax + 1}`,
    )
  }

  #peekPrefix(): Buffer {
    const [first, ...others] = this.#chunks as [Buffer, ...Buffer[]]
    const rest = first.subarray(this.#at)
    if (rest.length >= PREFIX_BYTES) return rest
    return Buffer.concat([rest, ...others], PREFIX_BYTES)
  }

  #take(count: number): Buffer {
    const first = this.#chunks[0] as Buffer
    this.#availableBytes -= count
    if (first.length - this.#at < count) return this.#gather(count)
    const taken = first.subarray(this.#at, this.#at + count)
    this.#at += count
    if (this.#at === first.length) {
      this.#chunks.shift()
      this.#at = 0
    }
    return taken
  }

  /**
   * A frame out of several chunks, in a buffer of exactly its size: entries are views of it, and
   * keep it for long. Chunks that no earlier frame is a view of are given back.
   */
  #gather(count: number): Buffer {
    const gathered = Buffer.allocUnsafeSlow(count)
    let filled = 0
    while (filled < count) {
      const chunk = this.#chunks[0] as Buffer
      const isOurs = this.#at === 0
      const copied = chunk.copy(gathered, filled, this.#at, this.#at + count - filled)
      filled += copied
      this.#at += copied
      if (this.#at < chunk.length) break
      this.#chunks.shift()
      this.#at = 0
      if (isOurs) release(chunk)
    }
    return gathered
  }
}
