import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'

/** The first byte of every payload that this room makes. */
const MAGIC = 0xc0

/** The newest payload format this code writes, and the range it reads. */
export const COMMAND_FORMAT = 1
export const COMMAND_FORMAT_MIN = 1

/** What a payload is. Numbers are on disk: never reuse one. */
export const COMMAND_KINDS = {
  write: 1,
  registerOrigin: 2,
  dropDatabase: 3,
  hashContent: 13,
} as const

export type CommandKind = keyof typeof COMMAND_KINDS

const KIND_NAMES = new Map<number, CommandKind>(
  Object.entries(COMMAND_KINDS).map(([name, number]) => [number, name as CommandKind]),
)

/** Four bytes: magic, kind, format version. */
export function writeEnvelope(writer: ByteWriter, kind: CommandKind): void {
  writer.u8(MAGIC).u8(COMMAND_KINDS[kind]).u16(COMMAND_FORMAT)
}

/**
 * Reads the envelope and leaves the reader behind it.
 *
 * @throws DecodeError if the bytes are not a payload of ours.
 * @throws ColmenaError ERR_UNSUPPORTED_FORMAT for a newer format or an unknown kind: a node that
 * can't read a committed entry must stop, not guess.
 */
export function readEnvelope(reader: ByteReader): CommandKind {
  if (reader.u8() !== MAGIC) throw new DecodeError('not a command')
  const kind = reader.u8()
  const version = reader.u16()
  const name = KIND_NAMES.get(kind)
  if (version < COMMAND_FORMAT_MIN || version > COMMAND_FORMAT || name === undefined) {
    throw unsupportedFormat(`command kind ${kind} of format ${version}`)
  }
  return name
}

export function unsupportedFormat(what: string): ColmenaError {
  return new ColmenaError(
    'ERR_UNSUPPORTED_FORMAT',
    `the log holds a ${what}; this version of colmena reads formats ${COMMAND_FORMAT_MIN} to ` +
      `${COMMAND_FORMAT}. Update colmena on this node`,
  )
}
