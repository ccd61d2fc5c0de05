const FIRST_BYTES = 65_536

/** A piece of an object, as large as all others but the last, as R2 wants them. */
export interface Part {
  /** Good until the next one is asked for. */
  readonly bytes: Uint8Array
  readonly isLast: boolean
}

/** Gathers pieces into parts, at least one, in one buffer that grows as far as it must. */
export async function* cutParts(
  pieces: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Part, void, void> {
  let buffer = new Uint8Array(Math.min(FIRST_BYTES, partBytes))
  let filled = 0
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      if (filled === partBytes) {
        yield { bytes: buffer, isLast: false }
        filled = 0
      }
      const taken = Math.min(piece.length - at, partBytes - filled)
      if (filled + taken > buffer.length) buffer = grow(buffer, filled + taken, partBytes)
      buffer.set(piece.subarray(at, at + taken), filled)
      filled += taken
      at += taken
    }
  }
  yield { bytes: buffer.subarray(0, filled), isLast: true }
}

/** Of bytes that are all there nothing need be gathered. */
export async function* sliceParts(
  bytes: Uint8Array,
  partBytes: number,
): AsyncGenerator<Part, void, void> {
  for (let at = 0; ; at += partBytes) {
    const isLast = at + partBytes >= bytes.length
    yield { bytes: bytes.subarray(at, at + partBytes), isLast }
    if (isLast) return
  }
}

function grow(buffer: Uint8Array, needed: number, most: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(Math.min(most, Math.max(needed, buffer.length * 2)))
  grown.set(buffer)
  return grown
}
