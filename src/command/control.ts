import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { readEnvelope, writeEnvelope } from './envelope.ts'
import { originBytes, originText } from './write.ts'

/**
 * Registers a member's new origin in place of `previous`, compare-and-set: it does nothing unless
 * `previous` is still the member's current origin ('' for none), so a late duplicate of an older
 * registration can't bring a retired origin back.
 */
export interface RegisterOrigin {
  readonly memberId: number
  readonly origin: string
  readonly previous: string
  /** What this open runs SQL with: members with equal ones compute the same bytes. */
  readonly fingerprint: string
  /** The newest format that this open reads. */
  readonly formatMax: number
}

/** Lets commands of a newer format into the log, if every member reads it when this applies. */
export interface RaiseFormat {
  readonly format: number
}

export interface DropDatabase {
  readonly origin: string
  readonly database: string
  /** Chosen by the origin to find the answer; drops of one origin count on their own. */
  readonly request: number
}

const NO_ORIGIN = '0'.repeat(32)

export function encodeRegisterOrigin(command: RegisterOrigin): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter()
  writeEnvelope(writer, 'registerOrigin')
  writer.u53(command.memberId).raw(originBytes(command.origin))
  writer.raw(originBytes(command.previous || NO_ORIGIN)).text(command.fingerprint)
  writer.u32(command.formatMax)
  return writer.finish()
}

export function decodeRegisterOrigin(bytes: Uint8Array): RegisterOrigin {
  const reader = new ByteReader(bytes)
  if (readEnvelope(reader) !== 'registerOrigin') throw new DecodeError('not a registration')
  const memberId = reader.u53()
  const origin = originText(reader.raw(16))
  const previous = originText(reader.raw(16))
  const fingerprint = reader.text()
  const formatMax = reader.u32()
  reader.end()
  const known = previous === NO_ORIGIN ? '' : previous
  return { memberId, origin, previous: known, fingerprint, formatMax }
}

export function encodeRaiseFormat({ format }: RaiseFormat): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter()
  writeEnvelope(writer, 'raiseFormat')
  return writer.u32(format).finish()
}

export function decodeRaiseFormat(bytes: Uint8Array): RaiseFormat {
  const reader = new ByteReader(bytes)
  if (readEnvelope(reader) !== 'raiseFormat') throw new DecodeError('not a raised format')
  const format = reader.u32()
  reader.end()
  return { format }
}

export function encodeDropDatabase(command: DropDatabase): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter()
  writeEnvelope(writer, 'dropDatabase')
  writer.raw(originBytes(command.origin)).u53(command.request).text(command.database)
  return writer.finish()
}

export function decodeDropDatabase(bytes: Uint8Array): DropDatabase {
  const reader = new ByteReader(bytes)
  if (readEnvelope(reader) !== 'dropDatabase') throw new DecodeError('not a dropped database')
  const origin = originText(reader.raw(16))
  const request = reader.u53()
  const database = reader.text()
  reader.end()
  return { origin, request, database }
}

/** Every member hashes all content as it is at this entry, under `key`: 32 hexadecimal digits. */
export function encodeHashContent(key: string): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter()
  writeEnvelope(writer, 'hashContent')
  return writer.raw(originBytes(key)).finish()
}

export function decodeHashContent(bytes: Uint8Array): string {
  const reader = new ByteReader(bytes)
  if (readEnvelope(reader) !== 'hashContent') throw new DecodeError('not a hash of content')
  const key = originText(reader.raw(16))
  reader.end()
  return key
}

/** Takes the place of all that the write at `index`, which no member can apply, would have done. */
export function encodeVoid(index: number): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter()
  writeEnvelope(writer, 'void')
  return writer.u53(index).finish()
}

/** The index of the write that an entry makes void. */
export function decodeVoid(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes)
  if (readEnvelope(reader) !== 'void') throw new DecodeError('not a void')
  const index = reader.u53()
  reader.end()
  return index
}
