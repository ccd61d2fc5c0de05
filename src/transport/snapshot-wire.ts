import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import { readError, writeError } from './error-wire.ts'
import type { SnapshotFile, SnapshotManifest } from './port.ts'

/** What a chunk adds to its data. */
export const CHUNK_HEADER_BYTES = 12

const MANIFEST_FORMAT = 1
const ID_BYTES = 16
const HASH_BYTES = 32
const EXTRA_BYTES_MAX = 1024 * 1024
const FILES_MAX = 4096
const FILE_ENTRY_BYTES_MIN = 4 + 1 + 8 + HASH_BYTES
/** No separator and no leading dot: a name can never leave its directory. */
const NAME_PATTERN = /^[a-z0-9_-][a-z0-9_.-]{0,95}$/

/** @throws ColmenaError `ERR_INVALID_ARGUMENT` for a manifest that no receiver would take */
export function encodeManifest(manifest: SnapshotManifest): Uint8Array {
  const writer = new ByteWriter(512)
  writer.u8(MANIFEST_FORMAT).raw(manifest.id)
  writer.u53(manifest.index).u53(manifest.term).blob(manifest.extra)
  writer.u32(manifest.files.length)
  for (const { name, sizeBytes, sha256 } of manifest.files) {
    writer.text(name).u53(sizeBytes).raw(sha256)
  }
  const bytes = writer.finish()
  try {
    decodeManifest(bytes)
  } catch (cause) {
    throw new ColmenaError('ERR_INVALID_ARGUMENT', 'not a valid snapshot manifest', { cause })
  }
  return bytes
}

/** @throws DecodeError */
export function decodeManifest(bytes: Uint8Array): SnapshotManifest {
  const reader = new ByteReader(bytes)
  if (reader.u8() !== MANIFEST_FORMAT) throw new DecodeError('an unknown manifest format')
  const id = reader.raw(ID_BYTES).slice()
  const index = reader.u53()
  const term = reader.u53()
  const extra = reader.blob().slice()
  if (extra.length > EXTRA_BYTES_MAX) throw new DecodeError('the extra part is too large')
  const count = reader.count(FILE_ENTRY_BYTES_MIN)
  if (count > FILES_MAX) throw new DecodeError(`${count} files are too many`)
  const files: SnapshotFile[] = []
  for (let i = 0; i < count; i += 1) {
    const name = reader.text()
    const sizeBytes = reader.u53()
    files.push({ name, sizeBytes, sha256: reader.raw(HASH_BYTES).slice() })
  }
  reader.end()
  const names = new Set(files.map((file) => file.name))
  if (names.size !== count) throw new DecodeError('two files have the same name')
  for (const name of names) {
    if (!NAME_PATTERN.test(name)) throw new DecodeError(`'${name}' is not a file name`)
  }
  return { id, index, term, extra, files }
}

/** How many bytes of each file the receiver has already. */
export function encodeHave(haveBytes: readonly number[]): Uint8Array {
  const writer = new ByteWriter(4 + 8 * haveBytes.length).u32(haveBytes.length)
  for (const bytes of haveBytes) writer.u53(bytes)
  return writer.finish()
}

/** @throws DecodeError also if it says more than the files hold */
export function decodeHave(bytes: Uint8Array, files: readonly SnapshotFile[]): number[] {
  const reader = new ByteReader(bytes)
  if (reader.count(8) !== files.length) throw new DecodeError('not as many files as offered')
  const haveBytes = files.map(({ sizeBytes }) => {
    const have = reader.u53()
    if (have > sizeBytes) throw new DecodeError('more bytes than the file has')
    return have
  })
  reader.end()
  return haveBytes
}

export interface Chunk {
  readonly file: number
  readonly offsetBytes: number
  readonly data: Uint8Array
}

export function encodeChunk({ file, offsetBytes, data }: Chunk): Uint8Array[] {
  return [new ByteWriter(CHUNK_HEADER_BYTES).u32(file).u53(offsetBytes).finish(), data]
}

/** @throws DecodeError */
export function decodeChunk(bytes: Uint8Array): Chunk {
  const reader = new ByteReader(bytes)
  return { file: reader.u32(), offsetBytes: reader.u53(), data: reader.raw(reader.remaining) }
}

export function encodeFailure(error: ColmenaError): Uint8Array {
  const writer = new ByteWriter()
  writeError(writer, error)
  return writer.finish()
}

/** @throws DecodeError */
export function decodeFailure(bytes: Uint8Array): ColmenaError {
  const reader = new ByteReader(bytes)
  const { code, message, retryable } = readError(reader)
  reader.end()
  return new ColmenaError(code, message, { retryable })
}
