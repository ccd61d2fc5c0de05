import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { syncDirectoryNow } from '../base/directory-sync.ts'
import { deleteState, type Identity, STATE_FOLDERS, writeIdentity } from './identity.ts'
import { filesIn, foldersIn } from './recovery-files.ts'

/** Where a restore brings copies and makes the new files: on the disk that they belong on. */
const WORK = 'restoring'

export function restorePath(dataDir: string): string {
  return join(dataDir, WORK)
}

/** An empty folder for the copies, as a generation. */
export function makeCopiesFolder(dataDir: string, generation: number): string {
  endRestore(dataDir)
  const copies = join(restorePath(dataDir), 'db', String(generation))
  mkdirSync(copies, { recursive: true, mode: 0o700 })
  return copies
}

/** Whatever is there is of a restore that came to nothing. The caller holds the lock. */
export function endRestore(dataDir: string): void {
  const work = restorePath(dataDir)
  if (existsSync(work)) rmSync(work, { recursive: true, force: true })
}

/**
 * Makes the files this directory's: they survive a loss of power before it names them, and the one
 * step that decides is the last. Until then it is one that was never established, which the next
 * open begins anew.
 */
export async function switchOverRestored(dataDir: string, identity: Identity): Promise<void> {
  const work = restorePath(dataDir)
  await syncTree(work)
  writeIdentity(dataDir, { ...identity, state: 'new' })
  deleteState(dataDir)
  for (const folder of STATE_FOLDERS) renameSync(join(work, folder), join(dataDir, folder))
  syncDirectoryNow(dataDir)
  writeIdentity(dataDir, { ...identity, state: 'established' })
}

/** Of gigabytes it takes a while, in which others go on. No database in it is open. */
async function syncTree(directory: string): Promise<void> {
  for (const path of filesIn(directory)) {
    const file = await open(path, 'r+')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }
  for (const path of foldersIn(directory)) syncDirectoryNow(path)
}
