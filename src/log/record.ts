/** One record: from the wish to write it, to bytes, and back with every checksum looked at. */
import { crc32 } from 'node:zlib'
import type { EntryType } from '../raft/types.ts'
import { readU53, writeU53 } from './format.ts'

export const RECORD_HEADER_BYTES = 48

/** Numbers are on disk: never reuse one. */
const TYPE_NUMBERS = {
  begin: 1,
  entry: 2,
  hardState: 3,
  snapshotMark: 4,
  truncateTo: 5,
  compactTo: 6,
  seal: 7,
} as const
const ENTRY_TYPE_NUMBERS = { normal: 0, confChange: 1, confChangeV2: 2 } as const

export type RecordType = keyof typeof TYPE_NUMBERS

const TYPES = new Map<number, RecordType>(
  Object.entries(TYPE_NUMBERS).map(([name, number]) => [number, name as RecordType]),
)
const ENTRY_TYPES = new Map<number, EntryType>(
  Object.entries(ENTRY_TYPE_NUMBERS).map(([name, number]) => [number, name as EntryType]),
)

const FLAG_ENDS_BATCH = 1
const FLAG_RESETS = 2
const NO_BODY = new Uint8Array(0)

export interface LogRecord {
  readonly type: RecordType
  readonly index: number
  readonly term: number
  readonly body: Uint8Array
  /** Only an entry's counts. */
  readonly entryType: EntryType
  /** The last record of one append: an append survives a crash whole or not at all. */
  endsBatch: boolean
  /** A snapshot mark that puts itself in the place of all entries. */
  readonly resets: boolean
}

/** Where in which segment records go, and what they are checked against. */
export interface RecordPlace {
  readonly salt: number
  readonly offset: number
  /** The header crc of the record before. */
  readonly chain: number
  readonly ackedUpTo: number
}

export interface FoundRecord extends LogRecord {
  readonly offset: number
  readonly endOffset: number
  readonly headerCrc: number
}

export function makeRecord(
  type: RecordType,
  index: number,
  term: number,
  body: Uint8Array = NO_BODY,
  resets = false,
): LogRecord {
  return { type, index, term, body, entryType: 'normal', endsBatch: false, resets }
}

export function recordBytes(bodyBytes: number): number {
  return RECORD_HEADER_BYTES + bodyBytes + padBytes(bodyBytes)
}

function padBytes(bodyBytes: number): number {
  return -bodyBytes & 7
}

export function recordsBytes(records: readonly LogRecord[]): number {
  let sum = 0
  for (const { body } of records) sum += recordBytes(body.length)
  return sum
}

/**
 * Writes consecutive records to the beginning of `bytes`, which has room for {@link recordsBytes}
 * of them. Returns the header crc of the last.
 */
export function encodeRecords(
  records: readonly LogRecord[],
  place: RecordPlace,
  bytes: Buffer,
): number {
  let chain = place.chain
  let at = 0
  for (const record of records) {
    const { body } = record
    bytes.set(body, at + RECORD_HEADER_BYTES)
    const end = at + RECORD_HEADER_BYTES + body.length
    const next = end + padBytes(body.length)
    bytes.fill(0, end, next)
    bytes.writeUInt32LE(crc32(body, place.salt), at + 4)
    bytes.writeUInt32LE(chain, at + 8)
    bytes.writeUInt32LE(body.length, at + 12)
    bytes[at + 16] = TYPE_NUMBERS[record.type]
    bytes[at + 17] = (record.endsBatch ? FLAG_ENDS_BATCH : 0) | (record.resets ? FLAG_RESETS : 0)
    bytes[at + 18] = ENTRY_TYPE_NUMBERS[record.entryType]
    bytes[at + 19] = 0
    bytes.writeUInt32LE((place.offset + at) / 8, at + 20)
    writeU53(bytes, record.index, at + 24)
    writeU53(bytes, record.term, at + 32)
    writeU53(bytes, place.ackedUpTo, at + 40)
    chain = sumHeader(bytes, at, place.salt)
    bytes.writeUInt32LE(chain, at)
    at = next
  }
  return chain
}

/** What stands at `at` of `bytes`, which begin at `fileOffset` of their file; null if not valid. */
export function decodeRecord(
  bytes: Buffer,
  at: number,
  salt: number,
  fileOffset = 0,
): FoundRecord | null {
  if (!isRecordHeader(bytes, at, salt, fileOffset)) return null
  const bodyBytes = bytes.readUInt32LE(at + 12)
  const bodyAt = at + RECORD_HEADER_BYTES
  if (bodyAt + bodyBytes > bytes.length) return null
  const body = bytes.subarray(bodyAt, bodyAt + bodyBytes)
  const type = TYPES.get(bytes[at + 16] as number)
  const entryType = ENTRY_TYPES.get(bytes[at + 18] as number)
  if (type === undefined || entryType === undefined) return null
  if (crc32(body, salt) !== bytes.readUInt32LE(at + 4)) return null
  const flags = bytes[at + 17] as number
  return {
    type,
    index: readU53(bytes, at + 24),
    term: readU53(bytes, at + 32),
    body,
    entryType,
    endsBatch: (flags & FLAG_ENDS_BATCH) !== 0,
    resets: (flags & FLAG_RESETS) !== 0,
    offset: fileOffset + at,
    endOffset: fileOffset + at + recordBytes(bodyBytes),
    headerCrc: bytes.readUInt32LE(at),
  }
}

/** The header crc that the record at `at` claims for the one before it. */
export function readChain(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 8)
}

export function readAckedUpTo(bytes: Buffer, at: number): number {
  return readU53(bytes, at + 40)
}

/** The index that a header at `at` states, for messages about a record whose body is broken. */
export function readStatedIndex(bytes: Buffer, at: number, salt: number): number | null {
  return isRecordHeader(bytes, at, salt, 0) ? readU53(bytes, at + 24) : null
}

/** True if the 48 bytes at `at` were once written here as a record header, whatever follows. */
export function isRecordHeader(
  bytes: Buffer,
  at: number,
  salt: number,
  fileOffset: number,
): boolean {
  if (at + RECORD_HEADER_BYTES > bytes.length) return false
  if (bytes.readUInt32LE(at + 20) !== (fileOffset + at) / 8) return false
  return bytes.readUInt32LE(at) === sumHeader(bytes, at, salt)
}

function sumHeader(bytes: Buffer, at: number, salt: number): number {
  return crc32(bytes.subarray(at + 4, at + RECORD_HEADER_BYTES), salt)
}
