/** The disk port on this machine's file system. */
import fs from 'node:fs'
import { syncDirectory } from '../base/directory-sync.ts'
import type { Done } from '../base/ports.ts'
import type { Disk, DiskFile, FileMode } from './disk.ts'

export interface RealDiskOptions {
  /**
   * How durable writes are made: `sync` in this thread, which waits for the disk; `async` on the
   * thread pool, which the rest of the process shares.
   *
   * @defaultValue 'sync'
   */
  readonly writeMode?: 'async' | 'sync' | undefined
}

/** A write that is durable when it returns, without a second call. Windows has no such flag. */
const O_DSYNC: number | undefined = fs.constants.O_DSYNC
/**
 * On macOS neither the flag nor fsync reaches the platters; Node.js's own fsync and fdatasync do,
 * by F_FULLFSYNC. So they are called there instead.
 */
const hasDurableWrites = O_DSYNC !== undefined && process.platform !== 'darwin'

/** The disk below `root`, a directory that exists. */
export function openRealDisk(root: string, options: RealDiskOptions = {}): Disk {
  const writeMode = options.writeMode ?? 'sync'
  const at = (path: string): string => (path === '' ? root : `${root}/${path}`)
  return {
    open(path, mode, done) {
      fs.open(at(path), openFlags(mode), 0o600, (error, fd) => {
        if (error !== null) return done(error, new RealFile(-1, null, writeMode))
        if (mode !== 'write' || !hasDurableWrites) {
          return done(null, new RealFile(fd, null, mode === 'write' ? writeMode : 'async'))
        }
        const flags = fs.constants.O_RDWR | (O_DSYNC as number)
        fs.open(at(path), flags, (durableError, durableFd) => {
          if (durableError === null) return done(null, new RealFile(fd, durableFd, writeMode))
          fs.close(fd, () => done(durableError, new RealFile(-1, null, writeMode)))
        })
      })
    },
    list(path, done) {
      fs.readdir(at(path), (error, names) => done(error, names ?? []))
    },
    rename(from, to, done) {
      fs.rename(at(from), at(to), done)
    },
    remove(path, done) {
      fs.unlink(at(path), done)
    },
    syncDirectory(path, done) {
      syncDirectory(at(path), done)
    },
    makeDirectory(path, done) {
      fs.mkdir(at(path), { recursive: true, mode: 0o700 }, (error) => done(error))
    },
  }
}

function openFlags(mode: FileMode): number {
  const { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC } = fs.constants
  if (mode === 'create') return O_RDWR | O_CREAT | O_TRUNC
  return mode === 'read' ? O_RDONLY : O_RDWR
}

class RealFile implements DiskFile {
  readonly #fd: number
  /** The same file, opened so that a write returns when it is durable; null without that flag. */
  readonly #durableFd: number | null
  readonly #writeMode: 'async' | 'sync'

  constructor(fd: number, durableFd: number | null, writeMode: 'async' | 'sync') {
    this.#fd = fd
    this.#durableFd = durableFd
    this.#writeMode = writeMode
  }

  write(bytes: Uint8Array, offset: number, options: { readonly sync: boolean }, done: Done): void {
    const isDurable = options.sync && this.#durableFd !== null
    const fd = isDurable ? (this.#durableFd as number) : this.#fd
    const mustSync = options.sync && !isDurable
    if (this.#writeMode === 'sync') {
      // Behind what this turn sends, which leaves in an immediate as well: peers work on it while
      // this thread waits for the disk, instead of afterwards.
      setImmediate(() => done(attempt(() => writeNow(fd, bytes, offset, mustSync))))
      return
    }
    writeAll(fd, bytes, offset, (error) => {
      if (error !== null || !mustSync) done(error)
      else fs.fdatasync(fd, done)
    })
  }

  read(
    offset: number,
    length: number,
    done: (error: Error | null, bytes: Uint8Array) => void,
  ): void {
    const bytes = Buffer.allocUnsafeSlow(length)
    readAll(this.#fd, bytes, 0, offset, (error, count) => done(error, bytes.subarray(0, count)))
  }

  sync(done: Done): void {
    fs.fdatasync(this.#fd, done)
  }

  size(done: (error: Error | null, sizeBytes: number) => void): void {
    fs.fstat(this.#fd, (error, stats) => done(error, error === null ? stats.size : 0))
  }

  close(done: Done): void {
    fs.close(this.#fd, (error) => {
      if (this.#durableFd === null) return done(error ?? null)
      fs.close(this.#durableFd, (durableError) => done(error ?? durableError ?? null))
    })
  }
}

function attempt(action: () => void): Error | null {
  try {
    action()
    return null
  } catch (error) {
    return error as Error
  }
}

/** The system may take fewer bytes than it was given; what is left is given again. */
function writeNow(fd: number, bytes: Uint8Array, offset: number, mustSync: boolean): void {
  let written = 0
  while (written < bytes.length) {
    written += fs.writeSync(fd, bytes, written, bytes.length - written, offset + written)
  }
  if (mustSync) fs.fdatasyncSync(fd)
}

function writeAll(fd: number, bytes: Uint8Array, offset: number, done: Done): void {
  fs.write(fd, bytes, 0, bytes.length, offset, (error, written) => {
    if (error !== null || written === bytes.length) return done(error)
    writeAll(fd, bytes.subarray(written), offset + written, done)
  })
}

function readAll(
  fd: number,
  bytes: Buffer,
  from: number,
  offset: number,
  done: (error: Error | null, count: number) => void,
): void {
  fs.read(fd, bytes, from, bytes.length - from, offset + from, (error, count) => {
    if (error !== null) return done(error, from)
    const end = from + count
    if (count === 0 || end === bytes.length) return done(null, end)
    readAll(fd, bytes, end, offset, done)
  })
}
