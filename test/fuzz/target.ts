/** What is fuzzed: how its input is made, and what must hold whatever the input is. */
import assert from 'node:assert/strict'
import { inspect, isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { DecodeError } from '../../src/base/bytes.ts'
import { isColmenaError } from '../../src/base/errors.ts'
import { gather } from './fields.ts'
import { heldBytes } from './held-memory.ts'
import { breakBytes, type Mutation, mutations } from './mutations.ts'

export interface Target<Input = never> {
  readonly name: string
  /** What it is worth in cases: `npm test` has half of them, the long form goes by time. */
  readonly runs: number
  readonly input: fc.Arbitrary<Input>
  /** Inputs that are always among them. */
  readonly examples?: readonly Input[] | undefined
  /** Throws where a rule is broken. */
  readonly check: (input: Input) => void | Promise<void>
  /** Once before the first case; what it answers is called after the last. */
  readonly open?: (() => Promise<() => Promise<void> | void>) | undefined
}

/** Targets of all inputs in one list. */
// biome-ignore lint/suspicious/noExplicitAny: an input goes to the check of its own target alone
export type AnyTarget = Target<any>

export interface Codec<Value> {
  readonly name: string
  readonly runs?: number | undefined
  readonly value: fc.Arbitrary<Value>
  readonly examples?: readonly Value[] | undefined
  readonly encode: (value: Value) => Uint8Array | readonly Uint8Array[]
  /** @throws what `isRefusal` knows */
  readonly decode: (bytes: Uint8Array) => Value
  readonly isRefusal?: ((error: unknown) => boolean) | undefined
  /** What a decoder may allocate beyond a multiple of its input. */
  readonly allocatedBytesMax?: number | undefined
}

export interface CodecInput<Value> {
  readonly value: Value
  readonly other: Value
  readonly changes: readonly Mutation[]
}

const RUNS = 1_000
const ALLOCATED_BYTES_MAX = 1024 * 1024
/** Objects that JavaScript makes of a few bytes are that much larger. */
const ALLOCATED_FACTOR_MAX = 100

/**
 * Three rules for a codec: what was encoded comes back, what was broken decodes or is refused with
 * an error of its own, and what decodes, broken or not, is the same after another round.
 */
export function codecTarget<Value>(codec: Codec<Value>): Target<CodecInput<Value>> {
  const { name, runs = RUNS, value, encode, decode, isRefusal = isDecodeRefusal } = codec
  const parts = (made: Value): readonly Uint8Array[] => {
    const encoded = encode(made)
    return encoded instanceof Uint8Array ? [encoded] : encoded
  }
  return {
    name,
    runs,
    input: codecInput(value),
    examples: codec.examples?.map((made) => ({ value: made, other: made, changes: [] })),
    check: ({ value: made, other, changes }) => {
      const { bytes, fields } = gather(parts(made))
      const broken = breakBytes(bytes, gather(parts(other)).bytes, changes, fields)
      const input = describe(broken)
      const decoded = boundAllocation(broken.length, codec.allocatedBytesMax, input, () => {
        try {
          return { value: decode(broken) }
        } catch (error) {
          if (isRefusal(error)) return null
          throw error
        }
      })
      if (changes.length === 0)
        assertSame(decoded?.value, made, 'what was encoded comes back', input)
      if (decoded === null) return
      const again = decode(gather(parts(decoded.value)).bytes)
      assertSame(again, decoded.value, 'it means the same when encoded again', input)
    },
  }
}

export function assertSame(actual: unknown, expected: unknown, rule: string, input: string): void {
  if (isDeepStrictEqual(actual, expected)) return
  const [found, wanted] = [actual, expected].map((value) => inspect(value).slice(0, 500))
  assert.fail(`${rule}: ${found}, not ${wanted}: ${input}`)
}

function codecInput<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<CodecInput<Value>> {
  return fc.tuple(value, value, mutations).map(([made, other, changes]) => ({
    value: made,
    other,
    changes,
  }))
}

export function isDecodeRefusal(error: unknown): boolean {
  return error instanceof DecodeError || isColmenaError(error)
}

/** A process allocates by itself too; a case that allocates too much does so every time. */
const ALLOCATION_TRIES = 3

/**
 * A length or a count must never make us allocate more than what came with it is worth. Where it
 * seems so the work is done again: the least counts, and the last result.
 */
export function boundAllocation<Result>(
  inputBytes: number,
  allocatedBytesMax: number | undefined,
  input: string,
  work: () => Result,
): Result {
  const boundBytes = (allocatedBytesMax ?? ALLOCATED_BYTES_MAX) + ALLOCATED_FACTOR_MAX * inputBytes
  let leastBytes = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < ALLOCATION_TRIES; tries += 1) {
    const beforeBytes = heldBytes()
    const result = work()
    leastBytes = Math.min(leastBytes, heldBytes() - beforeBytes)
    if (leastBytes <= boundBytes) return result
  }
  assert.fail(`${inputBytes} bytes made it allocate ${leastBytes}, bound ${boundBytes}: ${input}`)
}

export function describe(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 400)).toString('hex')
}
