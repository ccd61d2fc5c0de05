import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { readEnvelope, writeEnvelope } from './envelope.ts'

/** Less is not worth the time. */
const PACKED_BYTES_MIN = 4_096
/** Far more than a command ever has: what is packed must not unpack without end. */
const UNPACKED_BYTES_MAX = 64 * 1024 * 1024
const FASTEST = 1

/**
 * A write command, deflated: large ones take less of the log and of the network. The bytes as they
 * are where that gains nothing. Members read it from format 2 on.
 */
export function packWrite(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes.length < PACKED_BYTES_MIN) return bytes
  const deflated = deflateRawSync(bytes, { level: FASTEST })
  const writer = new ByteWriter(16 + deflated.length)
  writeEnvelope(writer, 'packedWrite')
  const packed = writer.blob(deflated).finish()
  return packed.length < bytes.length ? packed : bytes
}

/** @throws DecodeError */
export function unpackWrite(packed: Uint8Array): Uint8Array {
  const reader = new ByteReader(packed)
  if (readEnvelope(reader) !== 'packedWrite') throw new DecodeError('not a packed write')
  const deflated = reader.blob()
  reader.end()
  try {
    return inflateRawSync(deflated, { maxOutputLength: UNPACKED_BYTES_MAX })
  } catch (error) {
    throw new DecodeError(`a packed write does not unpack: ${String(error)}`)
  }
}
