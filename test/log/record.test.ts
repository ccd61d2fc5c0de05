import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HEADER_BYTES } from '../../src/log/format.ts'
import {
  decodeRecord,
  encodeRecords,
  isRecordHeader,
  type LogRecord,
  makeRecord,
  type RecordPlace,
  recordsBytes,
} from '../../src/log/record.ts'
import { scanSegment } from '../../src/log/scan.ts'

const salt = 0x5a17
const place: RecordPlace = { salt, offset: HEADER_BYTES, chain: salt, ackedUpTo: HEADER_BYTES }
const header = {
  salt,
  clusterId: new Uint8Array(16),
  memberId: 1,
  seq: 1,
  durableUpTo: HEADER_BYTES,
}

function encode(index: number, at: Partial<RecordPlace> = {}) {
  const record = makeRecord('entry', index, 3, new Uint8Array(20).fill(index))
  record.endsBatch = true
  return encodeNew([record], { ...place, ...at })
}

function encodeNew(records: readonly LogRecord[], at: RecordPlace) {
  const bytes = Buffer.alloc(recordsBytes(records))
  return { bytes, chain: encodeRecords(records, at, bytes) }
}

test('a record comes back as it was, beyond 32 bits too', () => {
  const body = Uint8Array.of(1, 2, 3)
  const record = { ...makeRecord('entry', 2 ** 45 + 7, 2 ** 33 + 1, body), endsBatch: true }
  const { bytes } = encodeNew([{ ...record, entryType: 'confChangeV2' }], place)
  assert.equal(bytes.length, 56)
  const found = decodeRecord(bytes, 0, salt, HEADER_BYTES)
  assert.deepEqual(
    { ...found, body: Uint8Array.from(found?.body ?? []) },
    {
      ...record,
      entryType: 'confChangeV2',
      offset: HEADER_BYTES,
      endOffset: HEADER_BYTES + 56,
      headerCrc: bytes.readUInt32LE(0),
    },
  )
})

test('a record header is valid at its own offset and under its own salt alone', () => {
  const { bytes } = encode(1)
  assert.equal(isRecordHeader(bytes, 0, salt, HEADER_BYTES), true)
  assert.equal(isRecordHeader(bytes, 0, salt, HEADER_BYTES + 8), false)
  assert.equal(isRecordHeader(bytes, 0, salt + 1, HEADER_BYTES), false)
})

test('a record that does not follow from the one before ends the log', () => {
  const first = encode(1)
  const second = encode(2, { offset: HEADER_BYTES + first.bytes.length, chain: first.chain })
  const stranger = encode(2, { offset: HEADER_BYTES + first.bytes.length, chain: 99 })
  const count = (next: Buffer): number => {
    const file = Buffer.concat([Buffer.alloc(HEADER_BYTES), first.bytes, next, Buffer.alloc(64)])
    return scanSegment(file, header).records.length
  }
  assert.equal(count(second.bytes), 2)
  assert.equal(count(stranger.bytes), 1)
})
