import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'

/**
 * A value as SQLite stores it, without loss: `bigint` is a 64-bit integer, `number` a double,
 * always. What a caller passes is turned into this once, by {@link toSqlValue}.
 */
export type SqlValue = null | bigint | number | string | Uint8Array

/** What callers may bind: everything that SQLite holds, and what converts without a doubt. */
export type InputValue = null | string | number | bigint | boolean | Date | ArrayBuffer | Uint8Array

const INTEGER_MIN = -(2n ** 63n)
const INTEGER_MAX = 2n ** 63n - 1n

const TAG_NULL = 0
const TAG_INTEGER = 1
const TAG_DOUBLE = 2
const TAG_TEXT = 3
const TAG_BLOB = 4

/**
 * Converts one argument. Whole numbers become integers (SQLite would otherwise store 1 as 1.0 in a
 * TEXT column), unless numbers are meant exactly; booleans 0 or 1, dates milliseconds since 1970.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT for what SQLite can't hold; `where` names the argument.
 */
export function toSqlValue(value: unknown, where: string, exactNumbers = false): SqlValue {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
      return exactNumbers ? finite(value, where) : numberToSql(value, where)
    case 'bigint':
      if (value < INTEGER_MIN || value > INTEGER_MAX) {
        throw invalid(where, `${value}, beyond SQLite's 64-bit integers`)
      }
      return value
    case 'boolean':
      return value ? 1n : 0n
    case 'object':
      return objectToSql(value, where)
    default:
      throw invalid(where, `a value of type ${typeof value}; pass null for SQL's NULL`)
  }
}

function numberToSql(value: number, where: string): SqlValue {
  const isWhole = Number.isSafeInteger(value) && !Object.is(value, -0)
  return isWhole ? BigInt(value) : finite(value, where)
}

function finite(value: number, where: string): number {
  if (Number.isFinite(value)) return value
  throw invalid(where, `${value}, which SQLite can't hold`)
}

function objectToSql(value: object | null, where: string): SqlValue {
  if (value === null) return null
  if (value instanceof Uint8Array) return value
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (value instanceof Date) return numberToSql(value.getTime(), where)
  throw invalid(where, `an object of class ${value.constructor?.name ?? 'unknown'}`)
}

function invalid(where: string, what: string): ColmenaError {
  return new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    `${where} is ${what}; null, string, finite number, bigint, boolean, Date, ArrayBuffer and ` +
      'Uint8Array can be bound',
  )
}

export function writeValue(writer: ByteWriter, value: SqlValue): void {
  if (value === null) writer.u8(TAG_NULL)
  else if (typeof value === 'bigint') writer.u8(TAG_INTEGER).i64(value)
  else if (typeof value === 'number') writer.u8(TAG_DOUBLE).f64(value)
  else if (typeof value === 'string') writer.u8(TAG_TEXT).text(value)
  else writer.u8(TAG_BLOB).blob(value)
}

export function readValue(reader: ByteReader): SqlValue {
  const tag = reader.u8()
  switch (tag) {
    case TAG_NULL:
      return null
    case TAG_INTEGER:
      return reader.i64()
    case TAG_DOUBLE:
      return reader.f64()
    case TAG_TEXT:
      return reader.text()
    case TAG_BLOB:
      return reader.blob()
    default:
      throw new DecodeError(`unknown value tag ${tag}`)
  }
}
