import type { DatabaseSync } from 'node:sqlite'
import { requireSqlite } from './runtime.ts'

const SQLITE_BUSY = 5

/** A lock that its process holds until it is released, or until the process ends in any way. */
export interface FileLock {
  /** Frees the lock; calling it twice does nothing. */
  release(): void
}

/**
 * Takes the exclusive lock of a file that is made if it is missing, or answers null if another
 * connection holds it, in this process or in any other. Node.js has no file lock, and a file with a
 * process id in it lies in containers, where every process is number 1; SQLite's own lock is freed
 * by the kernel. Nothing may open that file through `fs`: closing it would drop the lock.
 */
export function acquireFileLock(path: string): FileLock | null {
  const { DatabaseSync } = requireSqlite()
  const database = new DatabaseSync(path, { timeout: 0, allowExtension: false, defensive: true })
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (isBusy(error)) return null
    throw error
  }
  return { release: () => closeOnce(database) }
}

function closeOnce(database: DatabaseSync): void {
  if (database.isOpen) database.close()
}

function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' && (code & 0xff) === SQLITE_BUSY
}
