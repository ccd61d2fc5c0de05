import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { ColmenaError } from '../base/errors.ts'

/**
 * The directory `<dataDir>/db/<generation>/`, and the only code of this room that touches files
 * other than through SQLite. It never opens a `.db` or `-shm` file that a connection may have open:
 * closing any such descriptor would drop SQLite's POSIX locks of the whole process. A `-wal` file
 * carries no locks, and may be opened.
 */

export const SYSTEM = 'system'

const NAME = /^[a-z0-9_-]{1,64}$/
const NOTE = 'applying'

/** True for a name that a user's database may have. */
export function isDatabaseName(name: string): boolean {
  return NAME.test(name) && name !== SYSTEM
}

export function generationPath(directory: string, generation: number): string {
  return join(directory, String(generation))
}

export function databasePath(generationDirectory: string, name: string): string {
  return join(generationDirectory, `${name}.db`)
}

export function notePath(generationDirectory: string): string {
  return join(generationDirectory, NOTE)
}

/** Makes an empty directory in place of whatever a creation that died half-way left. */
export function makeDirectory(path: string): void {
  fs.rmSync(path, { recursive: true, force: true })
  fs.mkdirSync(path, { recursive: true })
}

export function removeDirectory(path: string): void {
  fs.rmSync(path, { recursive: true, force: true })
}

export function hasFile(path: string): boolean {
  return fs.existsSync(path)
}

/** Names of the databases that have a file, the system's included. */
export function listDatabases(generationDirectory: string): readonly string[] {
  return fs
    .readdirSync(generationDirectory)
    .filter((file) => file.endsWith('.db'))
    .map((file) => file.slice(0, -3))
    .sort()
}

/** Removes a database's files; no connection of ours may be open on them. */
export function removeDatabase(generationDirectory: string, name: string): void {
  const path = databasePath(generationDirectory, name)
  for (const file of [path, `${path}-wal`, `${path}-shm`]) fs.rmSync(file, { force: true })
}

/** Deletes generations that `isWanted` says no to, and returns those deleted. */
export function removeGenerations(
  directory: string,
  isWanted: (generation: number) => boolean,
): readonly number[] {
  const removed: number[] = []
  for (const name of fs.readdirSync(directory)) {
    if (!/^\d+$/.test(name) || isWanted(Number(name))) continue
    fs.rmSync(join(directory, name), { recursive: true, force: true })
    removed.push(Number(name))
  }
  return removed.sort((a, b) => a - b)
}

/** Bytes of a file, 0 where there is none. It asks for the name's status and opens nothing. */
export function fileSizeBytes(path: string): number {
  return fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** Tells one file of a name from another; null where there is none. Opens nothing. */
export function fileIdentity(path: string): string | null {
  const status = fs.statSync(path, { throwIfNoEntry: false })
  return status === undefined ? null : `${status.dev}:${status.ino}`
}

/** Makes what a WAL file holds survive a power loss. */
export function syncWal(walPath: string): void {
  let file: number
  try {
    file = fs.openSync(walPath, 'r+')
  } catch (error) {
    // Without a WAL everything is in the database file, which SQLite syncs before it drops a WAL.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    fs.fdatasyncSync(file)
  } finally {
    fs.closeSync(file)
  }
}

export interface CopiedFile {
  readonly name: string
  readonly sizeBytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

/** Hashes and syncs a finished copy, on which no connection is open. */
export async function sealCopy(directory: string, name: string): Promise<CopiedFile> {
  const handle = await fs.promises.open(join(directory, name), 'r+')
  try {
    const hash = createHash('sha256')
    let sizeBytes = 0
    for await (const chunk of handle.createReadStream({ autoClose: false, start: 0 })) {
      hash.update(chunk as Buffer)
      sizeBytes += (chunk as Buffer).length
    }
    await handle.sync()
    return { name, sizeBytes, sha256: hash.digest('hex') }
  } finally {
    await handle.close()
  }
}

/** The directory of a generation, or the reason why it can't be one. */
export function requireGeneration(directory: string, generation: number): string {
  const path = generationPath(directory, generation)
  if (hasFile(databasePath(path, SYSTEM))) return path
  throw new ColmenaError('ERR_DATA_DIR', `${path} holds no ${SYSTEM}.db, so it is no generation`)
}
