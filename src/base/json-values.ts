import { types } from 'node:util'
import { DecodeError } from './bytes.ts'
import { ColmenaError } from './errors.ts'

/**
 * What users' code hands from one node to another: JSON, with the values that JSON loses kept. A
 * value that would arrive as another one is refused, with its place, instead of changed.
 *
 * Kept values are objects of one key that begins with a single `$`; keys of the user's own that
 * begin with `$` get one more, so that neither is taken for the other.
 */
const BIGINT = '$bigint'
const DATE = '$date'
const BYTES = '$bytes'
const UNDEFINED = '$undefined'
const MINUS_ZERO = '$minusZero'

/** Deeper than this is taken for a circle. */
const DEPTH_MAX = 200

export interface JsonBounds {
  /** What is encoded, as errors call it. */
  readonly what: string
  readonly bytesMax: number
}

/**
 * @throws ColmenaError ERR_INVALID_ARGUMENT for what does not travel, with its place; ERR_TOO_LARGE
 * beyond `bytesMax`.
 */
export function encodeJson(
  value: unknown,
  { what, bytesMax }: JsonBounds,
): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(JSON.stringify(pack(value, what, 0)))
  if (bytes.length <= bytesMax) return bytes
  throw new ColmenaError(
    'ERR_TOO_LARGE',
    `${what} takes ${bytes.length} bytes, at most ${bytesMax} travel: send less at a time`,
  )
}

/** @throws DecodeError */
export function decodeJson(bytes: Uint8Array): unknown {
  try {
    return unpack(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), 0)
  } catch (cause) {
    if (cause instanceof DecodeError) throw cause
    throw new DecodeError('not a value that was encoded', { cause })
  }
}

function pack(value: unknown, place: string, depth: number): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (Object.is(value, -0)) return { [MINUS_ZERO]: true }
      if (Number.isFinite(value)) return value
      throw untravelled(place, String(value))
    case 'bigint':
      return { [BIGINT]: String(value) }
    case 'undefined':
      return { [UNDEFINED]: true }
    case 'object':
      return value === null ? null : packObject(value, place, depth)
    default:
      throw untravelled(place, `a ${typeof value}`)
  }
}

function packObject(value: object, place: string, depth: number): unknown {
  if (depth >= DEPTH_MAX) throw untravelled(place, `more than ${DEPTH_MAX} levels deep`)
  if (Array.isArray(value)) {
    return Array.from(value, (item, index) => pack(item, `${place}[${index}]`, depth + 1))
  }
  if (types.isDate(value)) {
    const timeMs = value.getTime()
    if (Number.isNaN(timeMs)) throw untravelled(place, 'no valid date')
    return { [DATE]: timeMs }
  }
  if (types.isUint8Array(value)) {
    const { buffer, byteOffset, byteLength } = value
    return { [BYTES]: Buffer.from(buffer, byteOffset, byteLength).toString('base64') }
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  // Also of another realm, such as a test runner's.
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null
  if (!isPlain) throw untravelled(place, `of class ${value.constructor?.name ?? 'unknown'}`)
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.startsWith('$') ? `$${key}` : key,
      pack(item, `${place}.${key}`, depth + 1),
    ]),
  )
}

function unpack(value: unknown, depth: number): unknown {
  // JSON has numbers that are beyond all of ours.
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new DecodeError(`${value} does not travel`)
  }
  if (typeof value !== 'object' || value === null) return value
  if (depth > DEPTH_MAX) throw new DecodeError(`more than ${DEPTH_MAX} levels deep`)
  if (Array.isArray(value)) return value.map((item) => unpack(item, depth + 1))
  const entries = Object.entries(value)
  const [first] = entries
  if (first !== undefined && /^\$(?!\$)/.test(first[0])) return unpackKept(...first)
  return Object.fromEntries(
    entries.map(([key, item]) => [
      key.startsWith('$') ? key.slice(1) : key,
      unpack(item, depth + 1),
    ]),
  )
}

function unpackKept(key: string, kept: unknown): unknown {
  if (key === BIGINT && typeof kept === 'string') return BigInt(kept)
  if (key === DATE && typeof kept === 'number') return unpackDate(kept)
  if (key === BYTES && typeof kept === 'string') return new Uint8Array(Buffer.from(kept, 'base64'))
  if (key === UNDEFINED) return undefined
  if (key === MINUS_ZERO) return -0
  throw new DecodeError(`no value is kept as '${key}'`)
}

function unpackDate(timeMs: number): Date {
  const date = new Date(timeMs)
  if (Number.isNaN(date.getTime())) throw new DecodeError(`no date is ${timeMs} ms after 1970`)
  return date
}

function untravelled(place: string, what: string): ColmenaError {
  return new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    `${place} is ${what}, which does not travel between nodes: plain objects and arrays of text, ` +
      'finite numbers, booleans, null, undefined, bigint, Date and Uint8Array do',
  )
}
