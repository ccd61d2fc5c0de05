import type { Value } from '../../index.ts'
import { invalid } from './failure.ts'

/** What the protocol can bind; of numbers, a bigint is an integer and a number a double. */
export type BoundValue = null | bigint | number | string | Uint8Array

/** A value as JSON carries it. */
export type HranaValue =
  | { readonly type: 'null' }
  | { readonly type: 'integer'; readonly value: string }
  | { readonly type: 'float'; readonly value: unknown }
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'blob'; readonly base64: string }

const INTEGER = /^-?\d{1,19}$/
const INTEGER_MIN = -(2n ** 63n)
const INTEGER_MAX = 2n ** 63n - 1n
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/** @throws ColmenaError ERR_INVALID_ARGUMENT; `where` names the value. */
export function decodeValue(input: Readonly<Record<string, unknown>>, where: string): BoundValue {
  const { type, value, base64 } = input
  if (type === 'null') return null
  if (type === 'integer') return decodeInteger(value, where)
  // As in libsql's own server a whole one is a double too: a column's affinity makes it an integer.
  if (type === 'float' && Number.isFinite(value)) return value as number
  if (type === 'text' && typeof value === 'string') return value
  if (type === 'blob' && typeof base64 === 'string' && isBase64(base64)) {
    return Buffer.from(base64, 'base64')
  }
  throw invalid(
    `${where} is no value: { type: 'null' }, { type: 'integer', value: text }, { type: 'float', ` +
      "value: number }, { type: 'text', value } and { type: 'blob', base64 } are",
  )
}

function decodeInteger(value: unknown, where: string): bigint {
  if (typeof value === 'string' && INTEGER.test(value)) {
    const integer = BigInt(value)
    if (integer >= INTEGER_MIN && integer <= INTEGER_MAX) return integer
  }
  throw invalid(`${where} is no integer: its value is the digits of 64 bits, as text`)
}

function isBase64(text: string): boolean {
  return BASE64.test(text) && text.replace(/=+$/, '').length % 4 !== 1
}

/** The value of a result that was asked for with exact numbers. */
export function encodeValue(value: Value): HranaValue {
  if (value === null) return { type: 'null' }
  if (typeof value === 'bigint') return { type: 'integer', value: String(value) }
  if (typeof value === 'number') return { type: 'float', value: encodeDouble(value) }
  if (typeof value === 'string') return { type: 'text', value }
  // Without padding, as libsql's server has it: some clients take nothing else.
  return { type: 'blob', base64: Buffer.from(value).toString('base64').replace(/=+$/, '') }
}

/** About how many bytes a value takes as JSON. */
export function valueSizeBytes(value: Value): number {
  if (typeof value === 'string') return 32 + Buffer.byteLength(value)
  return value instanceof ArrayBuffer ? 32 + Math.ceil(value.byteLength / 3) * 4 : 48
}

const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown }

/** JSON.stringify writes null for infinity and 0 for -0; JSON itself has room for both. */
function encodeDouble(value: number): unknown {
  if (Object.is(value, -0)) return rawJSON('-0.0')
  if (Number.isFinite(value)) return value
  return rawJSON(value > 0 ? '1e999' : '-1e999')
}
