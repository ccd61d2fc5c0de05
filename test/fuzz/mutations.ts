/** How bytes are broken: blindly at any place, and at the fields that an encoder wrote. */
import fc from 'fast-check'
import type { Field } from './fields.ts'

export type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'set'; readonly at: number; readonly value: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'drop'; readonly at: number; readonly count: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly count: number; readonly times: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  /** From here on it is the other sample, from some place of that on. */
  | { readonly kind: 'splice'; readonly at: number; readonly from: number }
  /** A number over whatever is there. */
  | { readonly kind: 'number'; readonly at: number; readonly width: Width; readonly value: bigint }
  /** A number over a field, in the width that it has. */
  | { readonly kind: 'field'; readonly at: number; readonly value: bigint }

type Width = 1 | 2 | 4 | 8

/** What lengths, counts and indexes break at. */
const NUMBERS: readonly bigint[] = [
  0n,
  1n,
  2n,
  3n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0xffffn,
  0x0100_0000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_fff0n,
  0xffff_ffffn,
  2n ** 52n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
]

const number = fc.oneof(fc.constantFrom(...NUMBERS), fc.bigInt({ min: 0n, max: 300n }))
/** Taken modulo the length, whatever it is by then. */
const place = fc.nat(0x7fff_ffff)
const count = fc.integer({ min: 1, max: 40 })

export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 6, arbitrary: make('field', { at: place, value: number }) },
  {
    weight: 3,
    arbitrary: make('number', { at: place, width: fc.constantFrom(1, 2, 4, 8), value: number }),
  },
  { weight: 2, arbitrary: make('flip', { at: place, bit: fc.nat(7) }) },
  { weight: 2, arbitrary: make('set', { at: place, value: fc.nat(255) }) },
  { weight: 2, arbitrary: make('cut', { at: place }) },
  { weight: 1, arbitrary: make('drop', { at: place, count }) },
  {
    weight: 1,
    arbitrary: make('repeat', { at: place, count, times: fc.integer({ max: 200, min: 2 }) }),
  },
  { weight: 1, arbitrary: make('insert', { at: place, bytes: fc.uint8Array({ maxLength: 20 }) }) },
  { weight: 1, arbitrary: make('splice', { at: place, from: place }) },
)

/** None at all now and then: what was encoded must come back. */
export const mutations: fc.Arbitrary<readonly Mutation[]> = fc.array(mutation, { maxLength: 3 })

function make<Kind extends Mutation['kind']>(
  kind: Kind,
  model: {
    [Key in Exclude<keyof Extract<Mutation, { kind: Kind }>, 'kind'>]: fc.Arbitrary<unknown>
  },
): fc.Arbitrary<Mutation> {
  const arbitraries = { kind: fc.constant(kind), ...model } as Record<string, fc.Arbitrary<unknown>>
  return fc.record(arbitraries, { noNullPrototype: true }) as unknown as fc.Arbitrary<Mutation>
}

/** A broken copy in a buffer of its own; `fields` say where fields of the unbroken bytes are. */
export function breakBytes(
  sample: Uint8Array,
  other: Uint8Array,
  changes: readonly Mutation[],
  fields: readonly Field[] = [],
): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(sample)
  for (const change of changes) bytes = breakOnce(bytes, other, change, fields)
  return bytes
}

function breakOnce(
  bytes: Uint8Array<ArrayBuffer>,
  other: Uint8Array,
  change: Mutation,
  fields: readonly Field[],
): Uint8Array<ArrayBuffer> {
  const { length } = bytes
  if (length === 0) return change.kind === 'insert' ? new Uint8Array(change.bytes) : bytes
  const at = change.at % length
  switch (change.kind) {
    case 'flip':
      bytes[at] = (bytes[at] as number) ^ (1 << change.bit)
      return bytes
    case 'set':
      bytes[at] = change.value
      return bytes
    case 'cut':
      return bytes.slice(0, at)
    case 'drop':
      return join(bytes.subarray(0, at), bytes.subarray(at + change.count))
    case 'repeat': {
      const piece = bytes.subarray(at, at + change.count)
      const pieces = Array.from({ length: change.times }, () => piece)
      return join(bytes.subarray(0, at), ...pieces, bytes.subarray(at + change.count))
    }
    case 'insert':
      return join(bytes.subarray(0, at), change.bytes, bytes.subarray(at))
    case 'splice':
      return join(bytes.subarray(0, at), other.subarray(change.from % (other.length + 1)))
    case 'number':
      return overwrite(bytes, at, change.width, change.value)
    case 'field': {
      const field = fields[change.at % Math.max(1, fields.length)]
      return field === undefined
        ? overwrite(bytes, at, 4, change.value)
        : overwrite(bytes, field.at, field.width, change.value)
    }
  }
}

function overwrite(
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  width: number,
  value: bigint,
): Uint8Array<ArrayBuffer> {
  for (let i = 0; i < width && at + i < bytes.length; i += 1) {
    bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn)
  }
  return bytes
}

export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts))
}
