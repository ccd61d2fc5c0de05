import { DecodeError } from '../base/bytes.ts'
import {
  ColmenaError,
  type ErrorCode,
  isColmenaError,
  type Outcome,
  SqlError,
} from '../base/errors.ts'
import { decodeJson, encodeJson } from '../base/json-values.ts'

/** What a handler threw, as it travels. */
interface CarriedError {
  readonly name: string
  readonly message: string
  readonly stack: string
  /** Its own fields, such as `code`, those that travel. */
  readonly fields: Readonly<Record<string, unknown>>
  readonly cause: CarriedError | undefined
}

const TEXT_CHARS_MAX = 8_000
const FIELD_BYTES_MAX = 64 * 1024
const FIELDS_MAX = 32
const CAUSES_MAX = 4
const UNTOLD = 'what was thrown has no text'
const OUTCOMES: readonly unknown[] = ['not-applied', 'committed', 'unknown']
const SKIPPED_FIELDS = ['name', 'message', 'stack', 'cause']

/** Any thrown value in bytes: never fails, whatever its getters do, and is bounded. */
export function encodeError(error: unknown): Uint8Array<ArrayBuffer> {
  const bounds = { what: 'an error', bytesMax: Number.MAX_VALUE }
  try {
    return encodeJson(carry(error, CAUSES_MAX), bounds)
  } catch {
    const untold = { name: 'Error', message: UNTOLD, stack: '', fields: {}, cause: undefined }
    return encodeJson(untold, bounds)
  }
}

/** The error as it was thrown, of our classes or Error's. @throws DecodeError */
export function decodeError(bytes: Uint8Array): Error {
  return rebuild(readCarried(decodeJson(bytes), CAUSES_MAX))
}

/** @throws DecodeError for anything but what {@link carry} makes. */
function readCarried(value: unknown, causesLeft: number): CarriedError {
  const { name, message, stack, fields, cause } = readObject(value)
  const texts = [name, message, stack]
  if (!texts.every((each) => typeof each === 'string')) throw new DecodeError('no thrown error')
  if (cause !== undefined && causesLeft === 0) throw new DecodeError('a cause too many')
  const entries = Object.entries(readObject(fields))
  return {
    ...({ name, message, stack } as Pick<CarriedError, 'name' | 'message' | 'stack'>),
    fields: Object.fromEntries(entries.filter(([key]) => !SKIPPED_FIELDS.includes(key))),
    cause: cause === undefined ? undefined : readCarried(cause, causesLeft - 1),
  }
}

function readObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  throw new DecodeError('no thrown error')
}

function carry(error: unknown, causesLeft: number): CarriedError {
  if (!(error instanceof Error)) {
    const fields = travels(error) ? { thrown: error } : {}
    return { name: 'Error', message: text(error), stack: '', fields, cause: undefined }
  }
  const { name, message, stack = '', cause } = error
  const fields = Object.entries(error)
    .filter(([key, value]) => !SKIPPED_FIELDS.includes(key) && travels(value))
    .slice(0, FIELDS_MAX)
  return {
    name: text(name),
    message: text(message),
    stack: text(stack),
    fields: Object.fromEntries(fields),
    cause: cause === undefined || causesLeft === 0 ? undefined : carry(cause, causesLeft - 1),
  }
}

function rebuild({ name, message, stack, fields, cause }: CarriedError): Error {
  const options = cause === undefined ? {} : { cause: rebuild(cause) }
  const error = ofOurs(message, { ...fields, ...options }) ?? new Error(message, options)
  if (!isColmenaError(error)) {
    Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true })
    for (const [key, value] of Object.entries(fields)) {
      Object.defineProperty(error, key, { value, enumerable: true, configurable: true })
    }
  }
  if (stack !== '') error.stack = stack
  return error
}

function ofOurs(message: string, fields: Readonly<Record<string, unknown>>): ColmenaError | null {
  const { code, retryable, outcome, index, cause, sqliteCode, sqliteMessage, statementIndex } =
    fields
  if (typeof code !== 'string' || !OUTCOMES.includes(outcome)) return null
  if (typeof retryable !== 'boolean') return null
  if (index !== undefined && typeof index !== 'number') return null
  const options = { retryable, outcome: outcome as Outcome, index, cause }
  if (typeof sqliteCode !== 'number') return new ColmenaError(code as ErrorCode, message, options)
  return new SqlError(message, {
    ...options,
    sqliteCode,
    sqliteMessage: String(sqliteMessage),
    statementIndex: Number(statementIndex),
  })
}

function travels(value: unknown): boolean {
  try {
    encodeJson(value, { what: 'a field', bytesMax: FIELD_BYTES_MAX })
    return true
  } catch {
    return false
  }
}

function text(value: unknown): string {
  try {
    return String(value).slice(0, TEXT_CHARS_MAX)
  } catch {
    return UNTOLD
  }
}
