import { createHash } from 'node:crypto'
import { pipeline, Readable, type Transform } from 'node:stream'
import type { ColmenaError } from '../index.ts'

export type Bytes = AsyncIterable<Uint8Array>

/** All of it, up to a bound; what is beyond it is refused. */
export async function readWhole(
  source: Bytes,
  bytesMax: number,
  refuse: () => ColmenaError,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of source) {
    bytes += piece.length
    if (bytes > bytesMax) throw refuse()
    pieces.push(piece)
  }
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces)
}

/** What comes out of a transform, such as a compressor; an error on either side ends both. */
export async function* through(source: Bytes, transform: Transform): Bytes {
  // Its errors come out of the transform as well.
  pipeline(Readable.from(source, { objectMode: false }), transform, () => {})
  try {
    for await (const piece of transform) yield piece as Uint8Array
  } finally {
    transform.destroy()
  }
}

/** Shows what passes. */
export async function* passing(source: Bytes, see: (piece: Uint8Array) => void): Bytes {
  for await (const piece of source) {
    see(piece)
    yield piece
  }
}

/** Looks at what passes; at the end `done` is told how much it was, and its SHA-256. */
export async function* counted(
  source: Bytes,
  done: (sizeBytes: number, sha256: string) => void,
): Bytes {
  const hash = createHash('sha256')
  let sizeBytes = 0
  yield* passing(source, (piece) => {
    hash.update(piece)
    sizeBytes += piece.length
  })
  done(sizeBytes, hash.digest('hex'))
}
