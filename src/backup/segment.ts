import { setImmediate } from 'node:timers/promises'
import { createZstdCompress, createZstdDecompress } from 'node:zlib'
import { isColmenaError, rollLog } from '../index.ts'
import { damaged } from './damage.ts'
import type { Keys } from './keys.ts'
import type { SegmentName } from './names.ts'
import type { Objects } from './objects.ts'
import { seal, unseal } from './sealing.ts'
import { type Bytes, readWhole, through } from './streams.ts'

/** Entries of the log without a gap, as they stand in a target. */
export interface Segment {
  readonly first: number
  readonly last: number
  /** The rolling digest before the first entry and behind the last, hexadecimal. */
  readonly before: string
  readonly after: string
  /** What the databases' digests are behind the last entry, as far as they are known. */
  readonly digests: Readonly<Record<string, string>>
  /** When it was put, by the clock of the node that did it. */
  readonly shippedMs: number
  /** As `node.shipping.read` gave them. */
  readonly chunks: readonly Uint8Array[]
}

/** No memory is given for more; what is put has at most a quarter of it. */
const CONTENT_BYTES_MAX = 256 * 1024 * 1024

/**
 * A segment's bytes: the length of a header in JSON, the header, then chunks behind their lengths;
 * compressed with zstd, and sealed under its name.
 */
export function encodeSegment(name: string, segment: Segment, keys: Keys): Bytes {
  const { chunks, ...header } = segment
  const head = Buffer.from(JSON.stringify({ ...header, chunks: chunks.length }))
  const parts = [lengthOf(head), head, ...chunks.flatMap((chunk) => [lengthOf(chunk), chunk])]
  return seal(name, through(each(parts), createZstdCompress()), keys.current)
}

/** @throws ColmenaError ERR_BACKUP_DAMAGED, and what the source throws */
export async function readSegment(
  target: Pick<Objects, 'label'>,
  { name, first, last }: SegmentName,
  source: Bytes,
  keys: Keys,
): Promise<Segment> {
  const refuse = (what: string, cause?: unknown) => damaged(target, name, what, cause)
  const plain = through(unseal(target, name, source, keys), createZstdDecompress())
  let bytes: Uint8Array
  try {
    bytes = await readWhole(plain, CONTENT_BYTES_MAX, () => refuse('is larger than any segment'))
  } catch (error) {
    if (isColmenaError(error)) throw error
    throw refuse('can not be decompressed', error)
  }
  const segment = decode(bytes, refuse)
  if (segment.first !== first || segment.last !== last) {
    throw refuse(`holds entries ${segment.first} to ${segment.last}`)
  }
  const digest = await rollSegment(segment).catch((error) => {
    throw refuse('holds what are no entries', error)
  })
  if (digest !== segment.after) throw refuse('holds other entries than its digest tells of')
  return segment
}

/** The rolling digest behind the last entry: one chunk in a turn, as others have work too. */
export async function rollSegment({
  before,
  chunks,
}: Pick<Segment, 'before' | 'chunks'>): Promise<string> {
  let digest: Uint8Array = Buffer.from(before, 'hex')
  for (const chunk of chunks) {
    digest = rollLog(digest, chunk)
    await setImmediate()
  }
  return Buffer.from(digest).toString('hex')
}

function decode(bytes: Uint8Array, refuse: (what: string, cause?: unknown) => Error): Segment {
  try {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    let at = 0
    const next = (): Buffer => {
      const length = view.readUInt32LE(at)
      const part = view.subarray(at + 4, at + 4 + length)
      if (part.length !== length) throw new RangeError('a part is cut short')
      at += 4 + length
      return part
    }
    const header = JSON.parse(next().toString('utf8')) as Omit<Segment, 'chunks'> & {
      readonly chunks: number
    }
    const chunks: Uint8Array[] = []
    while (at < view.length) chunks.push(next())
    if (chunks.length !== header.chunks) throw new RangeError('a part is missing')
    const texts = [header.before, header.after, ...Object.values(header.digests)]
    if (!texts.every((text) => typeof text === 'string')) throw new TypeError('a digest is none')
    return { ...header, chunks }
  } catch (error) {
    throw refuse('is no segment', error)
  }
}

function lengthOf(part: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(part.length)
  return length
}

async function* each(parts: readonly Uint8Array[]): Bytes {
  yield* parts
}
