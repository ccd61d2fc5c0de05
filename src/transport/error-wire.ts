import { type ByteReader, type ByteWriter, DecodeError } from '../base/bytes.ts'
import type { ColmenaError, ErrorCode } from '../base/errors.ts'

/** What a person reads of an error; more of it is cut. */
const MESSAGE_CHARS_MAX = 2_000
const CODE_PATTERN = /^ERR_[A-Z_]{1,40}$/

export type WiredError = Pick<ColmenaError, 'code' | 'message' | 'retryable'>

/** What every answer says of an error; some say more behind it. */
export function writeError(writer: ByteWriter, { code, message, retryable }: WiredError): void {
  writer.text(code).text(message.slice(0, MESSAGE_CHARS_MAX)).flag(retryable)
}

/** @throws DecodeError */
export function readError(reader: ByteReader): WiredError {
  const code = toErrorCode(reader.text())
  const message = reader.text()
  if (message.length > MESSAGE_CHARS_MAX) {
    throw new DecodeError(`an error of ${message.length} characters`)
  }
  return { code, message, retryable: reader.flag() }
}

/** A newer node may know codes that we do not: they are kept, for people match on them. */
export function toErrorCode(text: string): ErrorCode {
  return CODE_PATTERN.test(text) ? (text as ErrorCode) : 'ERR_FAILED'
}
