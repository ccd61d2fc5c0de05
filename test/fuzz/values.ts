/** Values of the words that all rooms share. */
import fc from 'fast-check'
import type { SqlValue } from '../../src/command/command.ts'
import type { ConfState } from '../../src/raft/types.ts'

/** Without the null prototypes that fast-check mixes in: decoders make plain objects. */
export function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true })
}

export function optional<T, Rest>(
  model: { [K in keyof T]: fc.Arbitrary<T[K]> },
  rest: { [K in keyof Rest]: fc.Arbitrary<Rest[K]> },
): fc.Arbitrary<T & Partial<Rest>> {
  const requiredKeys = Object.keys(model) as never[]
  return fc.record({ ...model, ...rest }, { noNullPrototype: true, requiredKeys }) as never
}

export const u53: fc.Arbitrary<number> = fc.maxSafeNat()
export const u32: fc.Arbitrary<number> = fc.nat(0xffff_ffff)
/** Text that UTF-8 holds. */
export const text: fc.Arbitrary<string> = fc.string({ unit: 'binary', maxLength: 12 })
export const data: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 40 })
export const hex32: fc.Arbitrary<string> = hex(16)
const ids = fc.array(u53, { maxLength: 4 })

export function hex(bytes: number): fc.Arbitrary<string> {
  const content = fc.uint8Array({ minLength: bytes, maxLength: bytes })
  return content.map((made) => Buffer.from(made).toString('hex'))
}

export const sqlValue: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double(),
  text,
  data,
)

export const confState: fc.Arbitrary<ConfState> = record({
  voters: ids,
  learners: ids,
  votersOutgoing: ids,
  learnersNext: ids,
  autoLeave: fc.boolean(),
})
