import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { syncDirectoryNow } from '../base/directory-sync.ts'
import { ColmenaError } from '../base/errors.ts'
import { type Identity, readIdentity, STATE_FOLDERS, writeIdentity } from './identity.ts'

/** Where a recovery makes the new files. */
const WORK = 'recovering'
/** Beside the copy: segments that a log makes as it opens. */
const SPARE_SEGMENTS = 3
const SEGMENT_BYTES_MIN = 65_536

/** What a recovery works on, and what it needs for that. */
export interface RecoverySpace {
  readonly neededBytes: number
  readonly freeBytes: number
}

export function workPath(dataDir: string): string {
  return join(dataDir, WORK)
}

/** How the folder is called that the old files are kept in. */
export function nameKept(now: Date): string {
  return `before-recovery-${now.toISOString().replaceAll(/[^0-9TZ]/g, '-')}`
}

/** The paths of what is copied: the log, and the one generation that it names. */
function stateOf(dataDir: string, generation: number): readonly [string, string] {
  return [join(dataDir, 'log'), join(dataDir, 'db', String(generation))]
}

export function measureSpace(dataDir: string, generation: number): RecoverySpace {
  const sizes = stateOf(dataDir, generation).flatMap((path) => filesIn(path).map(sizeOf))
  const { bavail, bsize } = statfsSync(dataDir)
  const spareBytes = SPARE_SEGMENTS * segmentBytesOf(dataDir)
  const neededBytes = sizes.reduce((sum, bytes) => sum + bytes, spareBytes)
  return { neededBytes, freeBytes: bavail * bsize }
}

/** How large the log's segments are; a single one may be larger. */
export function segmentBytesOf(dataDir: string): number {
  const segments = filesIn(join(dataDir, 'log')).filter((path) => path.endsWith('.wal'))
  const smallest = segments.length === 0 ? 0 : Math.min(...segments.map(sizeOf))
  // A damaged one may have any size.
  return Math.max(SEGMENT_BYTES_MIN, smallest - (smallest % 8))
}

/** Copies log and databases to where the new ones are made. Nobody may have them open. */
export function copyState(dataDir: string, generation: number): void {
  const work = workPath(dataDir)
  discardWork(dataDir)
  mkdirSync(work, { mode: 0o700 })
  const copies = stateOf(work, generation)
  for (const [at, path] of stateOf(dataDir, generation).entries()) {
    cpSync(path, copies[at] as string, { recursive: true, mode: constants.COPYFILE_FICLONE })
  }
}

/** What is made there is of no use. */
export function discardWork(dataDir: string): void {
  rmSync(workPath(dataDir), { recursive: true, force: true })
}

/**
 * From here on the new files are those of this directory: writing the identity is the one step
 * that decides. Before it all is as it was, after it {@link endRecovery} has the rest done, now or
 * when the directory is opened.
 */
export function switchOver(dataDir: string, old: Identity, next: Identity, kept: string): void {
  syncTree(workPath(dataDir))
  const keptPath = join(dataDir, kept)
  mkdirSync(keptPath, { mode: 0o700 })
  writeIdentity(keptPath, old)
  syncDirectoryNow(dataDir)
  writeIdentity(dataDir, { ...next, recovery: kept })
}

/**
 * Does what a recovery has left to do: each step shows by the files whether it is done, so that
 * whatever stops this, the next time goes on. One that had not switched over was none. The caller
 * holds the directory's lock.
 */
export function endRecovery(dataDir: string): void {
  const identity = readIdentity(dataDir)
  if (identity?.recovery !== undefined) {
    for (const folder of STATE_FOLDERS) exchange(dataDir, folder, identity.recovery)
    writeIdentity(dataDir, { ...identity, recovery: undefined })
  }
  if (identity !== null) discardWork(dataDir)
}

function exchange(dataDir: string, folder: string, kept: string): void {
  const made = join(workPath(dataDir), folder)
  const place = join(dataDir, folder)
  if (!existsSync(made)) return
  if (existsSync(place)) {
    renameSync(place, join(dataDir, kept, folder))
    syncDirectoryNow(join(dataDir, kept))
    syncDirectoryNow(dataDir)
  }
  renameSync(made, place)
  syncDirectoryNow(dataDir)
  syncDirectoryNow(workPath(dataDir))
}

/** @throws ColmenaError ERR_DATA_DIR */
export function requireSpace(dataDir: string, { neededBytes, freeBytes }: RecoverySpace): void {
  if (freeBytes >= neededBytes) return
  throw new ColmenaError(
    'ERR_DATA_DIR',
    `${dataDir} has ${freeBytes} bytes free, and the new files take up to ${neededBytes}, as the ` +
      'old ones are kept: make room, or move the whole directory to a larger disk',
  )
}

/** All of it survives a loss of power. No database in it is open. */
function syncTree(directory: string): void {
  for (const path of filesIn(directory)) {
    const file = openSync(path, 'r+')
    try {
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  }
  for (const path of foldersIn(directory)) syncDirectoryNow(path)
}

export function filesIn(directory: string): readonly string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

export function foldersIn(directory: string): readonly string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  const folders = entries.filter((entry) => entry.isDirectory())
  return [directory, ...folders.map((entry) => join(entry.parentPath, entry.name))]
}

function sizeOf(path: string): number {
  return statSync(path).size
}
