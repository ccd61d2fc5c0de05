/**
 * A segment file, all numbers little-endian. `<seq>.wal`, sixteen hex digits: the first index is
 * not in the name, as a name and a content that can disagree some day will.
 *
 *     0      header, 4,096 bytes, durable before the file got its name, never changed after
 *              0 u32 crc of bytes 4 … 4095     4 u32 zero         8 magic 'COLMENAL'
 *             16 u32 format version           20 u32 salt        24 cluster id, 16 bytes
 *             40 u64 member id                48 u64 seq         56 u64 durableUpTo
 *     4096   records, each at a multiple of 8, then zeros, written ahead
 *              0 u32 headerCrc of bytes 4 … 47, seeded with the salt
 *              4 u32 bodyCrc, seeded with the salt
 *              8 u32 headerCrc of the record before (of the first: the salt)
 *             12 u32 body length              16 u8 type         17 u8 flags
 *             18 u8 entry type                19 u8 zero         20 u32 own offset / 8
 *             24 u64 index                    32 u64 term        40 u64 ackedUpTo
 *             48 body, padded with zeros to a multiple of 8
 *
 * Crc and version keep their places in every later format: that is how an older release can tell
 * "newer" from "broken".
 *
 * The header crc makes a record header valid on its own, so a scan can go on behind a hole; the
 * chain finds what is lost or out of order; the salt disowns bytes of an earlier use of the disk
 * blocks and the own offset those written to the wrong place. `ackedUpTo` is the offset up to
 * which the file was durable when the record was made, and `durableUpTo` the same for the whole
 * file when it got its name: they are the evidence that a bad record was once good.
 *
 * | type         | index           | term               | body                             |
 * | begin        | last index + 1  | of the last index  | what the records before amount to |
 * | entry        | its index       | its term           | its data, as on the wire          |
 * | hardState    | 0               | 0                  | term, vote, commit                |
 * | snapshotMark | of the snapshot | of the snapshot    | generation, configuration         |
 * | truncateTo   | last to stay    | of that index      | none                              |
 * | compactTo    | last to go      | of that index      | none                              |
 * | seal         | last index      | of that index      | none; the file's last record      |
 */
import { crc32 } from 'node:zlib'

export const FORMAT_VERSION = 1
export const HEADER_BYTES = 4096

const MAGIC = Buffer.from('COLMENAL', 'latin1')

export interface SegmentHeader {
  readonly salt: number
  readonly clusterId: Uint8Array
  readonly memberId: number
  readonly seq: number
  /** Everything below this offset was durable before the file got its name. */
  readonly durableUpTo: number
}

export function nameSegment(seq: number): string {
  return `${seq.toString(16).padStart(16, '0')}.wal`
}

/** The sequence number in a segment's name, or null for another kind of file. */
export function parseSegmentName(name: string): number | null {
  const match = /^([0-9a-f]{16})\.wal$/.exec(name)
  return match === null ? null : Number.parseInt(match[1] as string, 16)
}

/** The name of a segment that is still being made: such a file may be deleted at any time. */
export function nameDraft(seq: number): string {
  return `${nameSegment(seq)}.tmp`
}

export function encodeHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.set(MAGIC, 8)
  bytes.writeUInt32LE(FORMAT_VERSION, 16)
  bytes.writeUInt32LE(header.salt, 20)
  bytes.set(header.clusterId, 24)
  writeU53(bytes, header.memberId, 40)
  writeU53(bytes, header.seq, 48)
  writeU53(bytes, header.durableUpTo, 56)
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0)
  return bytes
}

/** The header, the newer version that wrote it, or null where the bytes are none. */
export function decodeHeader(
  file: Buffer,
): SegmentHeader | { readonly newerVersion: number } | null {
  if (file.length < HEADER_BYTES) return null
  const bytes = file.subarray(0, HEADER_BYTES)
  if (bytes.readUInt32LE(0) !== crc32(bytes.subarray(4))) return null
  if (!bytes.subarray(8, 16).equals(MAGIC)) return null
  const version = bytes.readUInt32LE(16)
  if (version > FORMAT_VERSION) return { newerVersion: version }
  return {
    salt: bytes.readUInt32LE(20),
    clusterId: bytes.subarray(24, 40),
    memberId: readU53(bytes, 40),
    seq: readU53(bytes, 48),
    durableUpTo: readU53(bytes, 56),
  }
}

export function writeU53(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value >>> 0, at)
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4)
}

/** May exceed 2^53 where the bytes are garbage: read only what a checksum vouches for. */
export function readU53(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * 0x1_0000_0000 + bytes.readUInt32LE(at)
}
