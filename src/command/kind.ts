import { ByteReader } from '../base/bytes.ts'
import { type CommandKind, readEnvelope } from './envelope.ts'

/** The kind of an encoded command; throws as {@link readEnvelope} does. */
export function commandKind(bytes: Uint8Array): CommandKind {
  return readEnvelope(new ByteReader(bytes))
}

/** Commands that stand in a sequence of their origin, and begin as a write does. */
export type SequencedKind = Extract<CommandKind, 'write' | 'leases'>

export function isSequenced(kind: CommandKind): kind is SequencedKind {
  return kind === 'write' || kind === 'leases'
}
