/**
 * Makes files that were created, renamed or removed in a directory survive a power loss. Windows
 * can't sync a directory: a new name may be lost with the power there, which only brings back what
 * was before.
 */
import fs from 'node:fs'

const canSyncDirectories = process.platform !== 'win32'

/** Completes by callback, never before it returned. */
export function syncDirectory(path: string, done: (error: Error | null) => void): void {
  if (!canSyncDirectories) {
    process.nextTick(done, null)
    return
  }
  fs.open(path, 'r', (error, descriptor) => {
    if (error !== null) return done(error)
    fs.fsync(descriptor, (syncError) => {
      fs.close(descriptor, (closeError) => done(syncError ?? closeError ?? null))
    })
  })
}

/** The same, waiting for the disk in this thread. */
export function syncDirectoryNow(path: string): void {
  if (!canSyncDirectories) return
  const descriptor = fs.openSync(path, 'r')
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
