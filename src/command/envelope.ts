import { NEWEST_FORMAT } from '../base/build.ts'
import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'

/** The first byte of every payload that this room makes. */
const MAGIC = 0xc0

/** The range of payload formats that this code reads. */
export const COMMAND_FORMAT: number = NEWEST_FORMAT
export const COMMAND_FORMAT_MIN = 1

/** What a payload is. Numbers are on disk: never reuse one. */
export const COMMAND_KINDS = {
  write: 1,
  registerOrigin: 2,
  dropDatabase: 3,
  leases: 10,
  raiseFormat: 12,
  packedWrite: 13,
  hashContent: 14,
  void: 15,
} as const

/** The format in which each kind came: who reads that, reads it. */
const SINCE: Readonly<Record<CommandKind, number>> = {
  write: 1,
  registerOrigin: 1,
  dropDatabase: 1,
  leases: 1,
  raiseFormat: 1,
  packedWrite: 2,
  hashContent: 1,
  void: 1,
}

export type CommandKind = keyof typeof COMMAND_KINDS

const KIND_NAMES = new Map<number, CommandKind>(
  Object.entries(COMMAND_KINDS)
    .map(([name, number]): [number, CommandKind] => [number, name as CommandKind])
    .filter(([, name]) => hasKind(COMMAND_FORMAT, name)),
)

/** Whether all who read that format read a payload of that kind. */
export function hasKind(format: number, kind: CommandKind): boolean {
  return SINCE[kind] <= format
}

/** Four bytes: magic, kind, and the oldest format that has it. */
export function writeEnvelope(writer: ByteWriter, kind: CommandKind): void {
  writer.u8(MAGIC).u8(COMMAND_KINDS[kind]).u16(SINCE[kind])
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
