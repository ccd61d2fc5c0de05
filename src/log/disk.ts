/**
 * The port through which the log touches storage. Paths are relative to one root directory and
 * use forward slashes; '' is the root itself. Every call completes by callback, never before it
 * returned. Errors carry the operating system's name in `code`, such as 'ENOSPC'.
 */
import type { Done } from '../base/ports.ts'

/**
 * `create`: a new, empty file (one of the same name is emptied), to be filled, then `sync`ed.
 * `write`: an existing file for small durable writes. `read`: an existing file, not changed.
 */
export type FileMode = 'create' | 'read' | 'write'

export interface DiskFile {
  /**
   * Writes all of `bytes`, or fails, having written any part of them. With `sync` the bytes *of
   * this write* are durable when `done` is told of no error; earlier ones may still not be. The
   * caller leaves `bytes` alone until then.
   */
  write(bytes: Uint8Array, offset: number, options: { readonly sync: boolean }, done: Done): void
  /** Up to `length` bytes: fewer only where the file ends. */
  read(offset: number, length: number, done: (error: Error | null, bytes: Uint8Array) => void): void
  /**
   * Makes everything written so far durable. After an error the file must not be trusted: the
   * system may have dropped what it could not write and report success the next time.
   */
  sync(done: Done): void
  size(done: (error: Error | null, sizeBytes: number) => void): void
  close(done: Done): void
}

export interface Disk {
  open(path: string, mode: FileMode, done: (error: Error | null, file: DiskFile) => void): void
  /** The names in a directory, in no order. */
  list(path: string, done: (error: Error | null, names: readonly string[]) => void): void
  /** Atomic; replaces a file that already has the new name. */
  rename(from: string, to: string, done: Done): void
  remove(path: string, done: Done): void
  /** Makes creations, renames and removals in a directory durable, where the platform can. */
  syncDirectory(path: string, done: Done): void
  /** Makes a directory and those above it; one that exists is no error. */
  makeDirectory(path: string, done: Done): void
}

/** The operating system's name for what went wrong, or undefined. */
export function readErrorCode(error: Error | null): string | undefined {
  return (error as NodeJS.ErrnoException | null)?.code
}

/** True where waiting and making room can help. */
export function isOutOfSpace(error: Error | null): boolean {
  const code = readErrorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}
