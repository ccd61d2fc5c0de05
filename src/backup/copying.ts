import { createReadStream, createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createZstdCompress, createZstdDecompress } from 'node:zlib'
import type { CopiedDatabases } from '../index.ts'
import type { Snapshot, SnapshotFile } from './contents.ts'
import { damaged } from './damage.ts'
import { snapshotFolder, snapshotName } from './names.ts'
import { seal, unseal } from './sealing.ts'
import type { Store } from './store.ts'
import { type Bytes, counted, passing, through } from './streams.ts'

const COMPRESSED = '.zst'
const SEALED = '.sealed'

/** Puts copies of all databases into a generation; what tells of them comes last. */
export async function putSnapshot(
  store: Store,
  generation: string,
  copy: CopiedDatabases,
  { isCompressed, takenMs }: { readonly isCompressed: boolean; readonly takenMs: number },
): Promise<Snapshot> {
  const files: SnapshotFile[] = []
  for (const { name, sizeBytes, sha256 } of copy.files) {
    const path = join(copy.directory, name)
    let object = `${snapshotFolder(generation, copy.index)}${name}`
    let content = readFile(path)
    if (isCompressed) {
      object += COMPRESSED
      content = through(content, createZstdCompress())
    }
    if (store.keys.current !== null) {
      object += SEALED
      content = seal(object, content, store.keys.current)
    }
    await store.put(object, content)
    files.push({ database: name.replace(/\.db$/, ''), name: object, sizeBytes, sha256 })
  }
  const { index, timeMs } = copy
  const snapshot: Snapshot = { index, timeMs, takenMs, files }
  await store.putDocument(snapshotName(generation, index), snapshot)
  return snapshot
}

/**
 * Opens the file once somebody reads. Where a put fails before, the file may be gone by the time it
 * would be open, and an error that nobody hears ends the process.
 */
async function* readFile(path: string): Bytes {
  yield* createReadStream(path)
}

/**
 * Gets one database of a snapshot as the SQLite file that it was.
 *
 * @throws ColmenaError ERR_BACKUP_DAMAGED, ERR_NOT_FOUND, ERR_TARGET
 */
export async function getSnapshotFile(
  store: Store,
  file: SnapshotFile,
  path: string,
  got: (bytes: number) => void,
): Promise<void> {
  const { name, sizeBytes, sha256 } = file
  let content = store.get(name)
  if (name.endsWith(SEALED)) content = unseal(store.target, name, content, store.keys)
  if (name.replace(SEALED, '').endsWith(COMPRESSED)) {
    content = through(content, createZstdDecompress())
  }
  let end: { readonly sizeBytes: number; readonly sha256: string } | null = null
  const checked = counted(content, (bytes, hash) => {
    end = { sizeBytes: bytes, sha256: hash }
  })
  const seen = passing(checked, ({ length }) => got(length))
  await pipeline(seen, createWriteStream(path, { mode: 0o600 })).catch((error) => {
    throw asDamage(store, name, error)
  })
  const { sizeBytes: bytes, sha256: hash } = end ?? { sizeBytes: 0, sha256: '' }
  if (bytes === sizeBytes && hash === sha256) return
  throw damaged(store, name, `is not what was put there: it has ${bytes} bytes of ${sizeBytes}`)
}

/** What a decompressor says of bytes that are none of zstd's is damage; all else goes on. */
function asDamage(store: Store, name: string, error: Error): Error {
  const code = 'code' in error ? String(error.code) : ''
  if (!code.startsWith('ZSTD_') && !code.startsWith('Z_')) return error
  return damaged(store, name, 'can not be decompressed', error)
}
