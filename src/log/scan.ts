/**
 * Reads a segment from front to end and judges how it ends: sealed, torn by a crash, or broken.
 * A torn end was never acknowledged and may go; a broken one was, and nothing may be dropped.
 */
import { HEADER_BYTES, type SegmentHeader } from './format.ts'
import {
  decodeRecord,
  type FoundRecord,
  isRecordHeader,
  RECORD_HEADER_BYTES,
  readAckedUpTo,
  readChain,
  readStatedIndex,
} from './record.ts'

export interface Scan {
  /** Those of complete batches: an append is there whole or not at all. */
  readonly records: readonly FoundRecord[]
  readonly end: number
  readonly chain: number
  readonly isSealed: boolean
  /** What was durable once and is not there: the offset, and the index if the record tells it. */
  readonly loss: { readonly offset: number; readonly index: number | null } | null
  /** True if anything behind the end was once written as a record of this segment. */
  readonly hasRest: boolean
}

export function scanSegment(file: Buffer, header: SegmentHeader): Scan {
  const { salt } = header
  const records: FoundRecord[] = []
  let complete = 0
  let end = HEADER_BYTES
  let chain = salt
  let at = HEADER_BYTES
  let last = salt
  let isSealed = false
  while (!isSealed) {
    const record = decodeRecord(file, at, salt)
    if (record === null || readChain(file, at) !== last) break
    records.push(record)
    at = record.endOffset
    last = record.headerCrc
    if (!record.endsBatch) continue
    complete = records.length
    end = at
    chain = last
    isSealed = record.type === 'seal'
  }
  records.length = complete
  if (isSealed) return { records, end, chain, isSealed, loss: null, hasRest: false }
  const rest = scanRest(file, at, salt)
  const wasDurable = Math.max(header.durableUpTo, rest.ackedUpTo) > end
  const loss = wasDurable ? { offset: at, index: readStatedIndex(file, at, salt) } : null
  return { records, end, chain, isSealed, loss, hasRest: rest.hasRecords || at > end }
}

/** What the records behind a hole say about the hole. */
function scanRest(
  file: Buffer,
  from: number,
  salt: number,
): { readonly ackedUpTo: number; readonly hasRecords: boolean } {
  let ackedUpTo = 0
  let hasRecords = false
  for (let at = from; at + RECORD_HEADER_BYTES <= file.length; at += 8) {
    if (!isRecordHeader(file, at, salt, 0)) continue
    hasRecords = true
    ackedUpTo = Math.max(ackedUpTo, readAckedUpTo(file, at))
  }
  return { ackedUpTo, hasRecords }
}
