import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'

/** A request on its way to the leader's user; engines carry it unread. */
export interface ForwardCall {
  readonly key: string
  readonly version: number
  /** How long its caller still waits. */
  readonly timeoutMs: number
  /** The request, encoded. */
  readonly payload: Uint8Array
}

/** What a handler came to: its answer, or the error that it threw, encoded. */
export interface ForwardAnswer {
  readonly isFailure: boolean
  readonly payload: Uint8Array
}

/** Of a request or an answer, encoded: the rest of what one message between nodes holds is ours. */
export const PAYLOAD_BYTES_MAX: number = 4 * 1024 * 1024

const FORMAT = 1

export function encodeCall(call: ForwardCall): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(64 + call.payload.length)
  writer.u8(FORMAT).text(call.key).u32(call.version).u53(call.timeoutMs)
  return writer.raw(call.payload).finish()
}

/** @throws ColmenaError ERR_UNSUPPORTED_FORMAT for what another version of colmena sent. */
export function decodeCall(bytes: Uint8Array): ForwardCall {
  return readable(() => {
    const reader = new ByteReader(bytes)
    readFormat(reader)
    const [key, version, timeoutMs] = [reader.text(), reader.u32(), reader.u53()]
    return { key, version, timeoutMs, payload: reader.raw(reader.remaining) }
  })
}

export function encodeAnswer({ isFailure, payload }: ForwardAnswer): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(8 + payload.length)
  return writer.u8(FORMAT).flag(isFailure).raw(payload).finish()
}

/** @throws ColmenaError ERR_UNSUPPORTED_FORMAT */
export function decodeAnswer(bytes: Uint8Array): ForwardAnswer {
  return readable(() => {
    const reader = new ByteReader(bytes)
    readFormat(reader)
    const isFailure = reader.flag()
    return { isFailure, payload: reader.raw(reader.remaining) }
  })
}

/** Runs a decoder; what it can't read is of another version. */
export function readable<T>(decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause
    throw new ColmenaError(
      'ERR_UNSUPPORTED_FORMAT',
      `the other node runs another version of colmena, whose calls this one can't read ` +
        `(${cause.message}): bring all nodes to one version`,
      { cause },
    )
  }
}

function readFormat(reader: ByteReader): void {
  const format = reader.u8()
  if (format !== FORMAT) throw new DecodeError(`format ${format}`)
}
