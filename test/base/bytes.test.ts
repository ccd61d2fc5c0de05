import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ByteReader, ByteWriter, DecodeError } from '../../src/base/bytes.ts'

const item = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.integer({ min: 0, max: 0xff }) }),
  fc.record({ kind: fc.constant('u16' as const), value: fc.integer({ min: 0, max: 0xffff }) }),
  fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffff_ffff) }),
  fc.record({ kind: fc.constant('u53' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('i64' as const), value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) }),
  fc.record({ kind: fc.constant('f64' as const), value: fc.double({ noNaN: true }) }),
  fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'binary' }) }),
  fc.record({ kind: fc.constant('blob' as const), value: fc.uint8Array() }),
)

describe('bytes', () => {
  it('reads back what was written, from any starting capacity', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 40 }), fc.nat(16), (items, capacity) => {
        const writer = new ByteWriter(capacity)
        for (const { kind, value } of items) (writer[kind] as (value: unknown) => void)(value)
        const reader = new ByteReader(writer.finish())
        for (const { kind, value } of items) {
          const got = reader[kind]()
          assert.deepEqual(got, value)
        }
        reader.end()
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  it('answers any garbage with DecodeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        for (const read of ['u53', 'text', 'blob', 'i64'] as const) {
          try {
            new ByteReader(bytes)[read]()
          } catch (error) {
            assert.ok(error instanceof DecodeError, String(error))
          }
        }
      }),
      { seed: 2, numRuns: 300 },
    )
  })

  it('refuses a count that the rest could not hold', () => {
    const bytes = new ByteWriter().u32(1_000_000).u32(1).finish()
    assert.throws(() => new ByteReader(bytes).count(4), DecodeError)
  })
})
