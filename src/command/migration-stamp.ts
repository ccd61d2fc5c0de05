import type { ByteReader, ByteWriter } from '../base/bytes.ts'

/** What a numbered migration is known by in the database that it has run on. */
export interface MigrationStamp {
  /** From 1 on; a database runs them in this order. */
  readonly version: number
  readonly name: string
  /** {@link CHECKSUM_BYTES} of a hash of its statements. */
  readonly checksum: Uint8Array
}

export const CHECKSUM_BYTES = 32

export function writeStamp(writer: ByteWriter, { version, name, checksum }: MigrationStamp): void {
  writer.u53(version).text(name).raw(checksum)
}

/** @throws DecodeError */
export function readStamp(reader: ByteReader): MigrationStamp {
  const version = reader.u53()
  const name = reader.text()
  // It outlives the entry that it came in.
  return { version, name, checksum: reader.raw(CHECKSUM_BYTES).slice() }
}
