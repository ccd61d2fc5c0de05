import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { ColmenaError, type Outcome } from '../base/errors.ts'
import { readError, writeError } from './error-wire.ts'

/** What a request or a reply adds to its body, at most (errors aside). */
export const CALL_HEADER_BYTES = 5

const OUTCOMES: readonly Outcome[] = ['not-applied', 'committed', 'unknown']
const SUCCESS = 0
const FAILURE = 1

export interface Request {
  readonly id: number
  readonly kind: number
  readonly body: Uint8Array
}

export interface Response {
  readonly id: number
  readonly error: ColmenaError | null
  readonly body: Uint8Array
}

export function encodeRequest({ id, kind, body }: Request): Uint8Array[] {
  return [new ByteWriter(CALL_HEADER_BYTES).u32(id).u8(kind).finish(), body]
}

/** @throws DecodeError */
export function decodeRequest(bytes: Uint8Array): Request {
  const reader = new ByteReader(bytes)
  return { id: reader.u32(), kind: reader.u8(), body: reader.raw(reader.remaining) }
}

export function encodeResponse({ id, error, body }: Response): Uint8Array[] {
  if (error === null) {
    return [new ByteWriter(CALL_HEADER_BYTES).u32(id).u8(SUCCESS).finish(), body]
  }
  const writer = new ByteWriter().u32(id).u8(FAILURE)
  writeError(writer, error)
  writer
    .u8(OUTCOMES.indexOf(error.outcome))
    .flag(error.index !== undefined)
    .u53(error.index ?? 0)
  return [writer.finish()]
}

/** @throws DecodeError */
export function decodeResponse(bytes: Uint8Array): Response {
  const reader = new ByteReader(bytes)
  const id = reader.u32()
  const status = reader.u8()
  if (status === SUCCESS) return { id, error: null, body: reader.raw(reader.remaining) }
  if (status !== FAILURE) throw new DecodeError(`an unknown reply status ${status}`)
  const { code, message, retryable } = readError(reader)
  const outcome = OUTCOMES[reader.u8()]
  if (outcome === undefined) throw new DecodeError('an unknown outcome')
  const hasIndex = reader.flag()
  const index = reader.u53()
  reader.end()
  if (!hasIndex && index > 0) throw new DecodeError('an index that is none')
  const options = { retryable, outcome, index: hasIndex ? index : undefined }
  return { id, error: new ColmenaError(code, message, options), body: new Uint8Array(0) }
}
