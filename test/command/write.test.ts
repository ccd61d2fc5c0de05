import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeWrite, WriteEncoder, type WriteHeader } from '../../src/command/command.ts'

const ASKED = [undefined, false, true]
const PLACE = { kind: 'write', origin: '0'.repeat(32), database: 'main', sequence: 1 } as const
const FLAGS_AT = 4

function encode(header: WriteHeader, parts: Parameters<WriteEncoder['finish']>[1]): Uint8Array {
  const encoder = new WriteEncoder()
  encoder.add({ statements: [{ sql: 'DELETE FROM t', args: [] }] })
  return encoder.finish(header, parts)
}

test('what a write asks for and depends on comes out as it went in, in any mixture', () => {
  const seen = new Set<string>()
  for (const doubleQuotedStrings of ASKED) {
    for (const changes of ASKED) {
      for (const rejectsNonDeterminism of [undefined, true]) {
        for (const trial of [undefined, { base: 9, outcomes: [1] }]) {
          for (const fence of [undefined, 7]) {
            const asked = { doubleQuotedStrings, changes, rejectsNonDeterminism }
            const bytes = encode({ ...PLACE, ...asked }, { trial, fence })
            const read = decodeWrite(bytes)
            assert.deepEqual(
              {
                doubleQuotedStrings: read.doubleQuotedStrings,
                changes: read.changes,
                rejectsNonDeterminism: read.rejectsNonDeterminism,
              },
              asked,
            )
            assert.deepEqual([read.trial, read.fence], [trial, fence])
            seen.add(Buffer.from(bytes).toString('hex'))
          }
        }
      }
    }
  }
  assert.equal(seen.size, 3 * 3 * 2 * 2 * 2)
})

test('a flag that nobody knows is a newer format, never left aside', () => {
  for (const flags of [0b11, 0b110_0000, 0b1000_0000, 2 ** 31]) {
    const bytes = encode(PLACE, {})
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(FLAGS_AT, flags, true)
    assert.throws(() => decodeWrite(bytes), { code: 'ERR_UNSUPPORTED_FORMAT' }, `flags ${flags}`)
  }
})
