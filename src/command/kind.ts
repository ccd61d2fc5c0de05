import { ByteReader } from '../base/bytes.ts'
import { type CommandKind, readEnvelope } from './envelope.ts'

/** The kind of an encoded command; throws as {@link readEnvelope} does. */
export function commandKind(bytes: Uint8Array): CommandKind {
  return readEnvelope(new ByteReader(bytes))
}
