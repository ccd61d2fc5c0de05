import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { hasKind, readEnvelope, writeEnvelope } from './envelope.ts'
import { commandKind } from './kind.ts'
import { decodeWriteHeader, type RoutedWrite, writeTimeMs } from './write.ts'

/** Less is not worth the time. */
const PACKED_BYTES_MIN = 4_096
/** Far more than a command ever has: what is packed must not unpack without end. */
const UNPACKED_BYTES_MAX = 64 * 1024 * 1024
const FASTEST = 1

/**
 * A write command, deflated: large ones take less of the log and of the network. The bytes as they
 * are where that gains nothing, or where not all members read it: `format` is what they all do.
 */
export function packWrite(bytes: Uint8Array<ArrayBuffer>, format: number): Uint8Array<ArrayBuffer> {
  if (bytes.length < PACKED_BYTES_MIN || !hasKind(format, 'packedWrite')) return bytes
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

/** When an entry's payload was proposed, in milliseconds since 1970; null where it does not say. */
export function commandTimeMs(data: Uint8Array): number | null {
  switch (commandKind(data)) {
    case 'write':
    case 'leases':
      return writeTimeMs(data)
    case 'packedWrite':
      return writeTimeMs(unpackWrite(data))
    default:
      return null
  }
}

/** What an entry's payload says where it is a write, packed or not; null for any other. */
export function routedWrite(data: Uint8Array): RoutedWrite | null {
  switch (commandKind(data)) {
    case 'write':
    case 'leases':
      return decodeWriteHeader(data)
    case 'packedWrite':
      return decodeWriteHeader(unpackWrite(data))
    default:
      return null
  }
}
