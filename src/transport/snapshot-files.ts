import { createHash, type Hash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { assert } from '../base/assert.ts'
import { syncDirectory } from '../base/directory-sync.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Done } from '../base/ports.ts'
import { equalBytes } from './hello.ts'
import type { SnapshotFile } from './port.ts'
import type { Chunk } from './snapshot-wire.ts'

/** Says which snapshot the bytes in a directory belong to; gone once all of them are checked. */
const OFFER_NAME = '.offer'
const HASHED_BYTES = 256 * 1024
const SYNC_BYTES = 4 * 1024 * 1024

type FileDone = (error: Error | null, descriptor: number) => void

/**
 * The files of a snapshot that is coming in, in their directory. Chunks come in order, one at a
 * time. Nothing here trusts a length of a file for its content: after a power cut a file may be
 * long and empty, so every file is read back and hashed before it counts.
 */
export class SnapshotFiles {
  readonly #directory: string
  readonly #offer: Uint8Array
  readonly #files: readonly SnapshotFile[]
  /** How much of each file is there. */
  readonly #haveBytes: number[]
  #open: { readonly file: number; readonly descriptor: number } | null = null
  #unsyncedBytes = 0

  constructor(directory: string, offer: Uint8Array, files: readonly SnapshotFile[]) {
    this.#directory = directory
    this.#offer = offer
    this.#files = files
    this.#haveBytes = files.map(() => 0)
  }

  get haveBytes(): readonly number[] {
    return this.#haveBytes
  }

  get isComplete(): boolean {
    return this.#files.every(({ sizeBytes }, i) => this.#haveBytes[i] === sizeBytes)
  }

  /** Why this chunk is not the next one; null if it is. */
  checkChunk({ file, offsetBytes, data }: Chunk): string | null {
    const next = this.#haveBytes.findIndex((have, i) => have < (this.#files[i]?.sizeBytes ?? 0))
    if (file !== next || offsetBytes !== this.#haveBytes[file]) return 'a chunk is out of order'
    const sizeBytes = this.#files[file]?.sizeBytes ?? 0
    if (data.length === 0 || offsetBytes + data.length > sizeBytes) return 'a chunk is too long'
    return null
  }

  /** Makes the directory, and keeps in it only what belongs to this very snapshot. */
  prepare(done: Done): void {
    const marker = path.join(this.#directory, OFFER_NAME)
    fs.mkdir(this.#directory, { recursive: true, mode: 0o700 }, (failure) => {
      if (failure !== null) {
        done(failure)
        return
      }
      fs.readFile(marker, (error, known) => {
        if (error === null && equalBytes(known, this.#offer)) this.#measure(0, done)
        else this.#clear(() => fs.writeFile(marker, this.#offer, done), done)
      })
    })
  }

  #clear(next: () => void, done: Done): void {
    fs.readdir(this.#directory, (error, names) => {
      if (error !== null) {
        done(error)
        return
      }
      const removeNext = (): void => {
        const name = names.pop()
        if (name === undefined) {
          next()
          return
        }
        fs.rm(path.join(this.#directory, name), { recursive: true, force: true }, (failure) => {
          if (failure === null) removeNext()
          else done(failure)
        })
      }
      removeNext()
    })
  }

  #measure(file: number, done: Done): void {
    const wanted = this.#files[file]
    if (wanted === undefined) {
      done(null)
      return
    }
    fs.stat(path.join(this.#directory, wanted.name), (error, stats) => {
      if (error === null && stats.size <= wanted.sizeBytes) this.#haveBytes[file] = stats.size
      this.#measure(file + 1, done)
    })
  }

  /** Writes one chunk that {@link checkChunk} has let through. */
  write(chunk: Chunk, done: Done): void {
    assert(this.checkChunk(chunk) === null, 'chunks are written in order')
    this.#openFile(chunk.file, (error, descriptor) => {
      if (error !== null) done(error)
      else this.#writeRest(descriptor, chunk, 0, done)
    })
  }

  #writeRest(descriptor: number, chunk: Chunk, from: number, done: Done): void {
    const { file, offsetBytes, data } = chunk
    const rest = data.length - from
    fs.write(descriptor, data, from, rest, offsetBytes + from, (error, count) => {
      if (error !== null) {
        done(error)
        return
      }
      this.#haveBytes[file] = offsetBytes + from + count
      this.#unsyncedBytes += count
      if (count < rest) this.#writeRest(descriptor, chunk, from + count, done)
      else this.#syncSome(descriptor, done)
    })
  }

  /**
   * Bit by bit: all of it in one sync at the end would stand before the syncs of this member's log,
   * or of a leader's on the same disk.
   */
  #syncSome(descriptor: number, done: Done): void {
    if (this.#unsyncedBytes < SYNC_BYTES) {
      done(null)
      return
    }
    this.#unsyncedBytes = 0
    fs.fdatasync(descriptor, done)
  }

  #openFile(file: number, done: FileDone): void {
    if (this.#open?.file === file) {
      done(null, this.#open.descriptor)
      return
    }
    this.release(() => {
      const target = path.join(this.#directory, this.#files[file]?.name as string)
      const flags = fs.constants.O_RDWR | fs.constants.O_CREAT
      fs.open(target, flags, 0o600, (error, descriptor) => {
        if (error !== null) {
          done(error, -1)
          return
        }
        this.#open = { file, descriptor }
        // A file that is too long is begun anew: what is beyond its end must go.
        fs.ftruncate(descriptor, this.#haveBytes[file], (failure) => done(failure, descriptor))
      })
    })
  }

  /** Closes what is open. */
  release(done: () => void): void {
    if (this.#open === null) {
      done()
      return
    }
    const { descriptor } = this.#open
    this.#open = null
    fs.close(descriptor, () => done())
  }

  /**
   * Reads every file back, compares its hash, and makes all of them durable. A file with another
   * hash is deleted, so that the next try fetches it whole. `progressed` is called often, and can
   * stop the work by returning false.
   */
  seal(progressed: () => boolean, done: Done): void {
    this.#sealFile(0, progressed, done)
  }

  #sealFile(file: number, progressed: () => boolean, done: Done): void {
    const wanted = this.#files[file]
    if (wanted === undefined) {
      this.release(() => this.#sealDirectory(done))
      return
    }
    this.#openFile(file, (error, descriptor) => {
      if (error !== null) {
        done(error)
        return
      }
      this.#hashRest(descriptor, createHash('sha256'), 0, progressed, (failure, digest) => {
        if (failure !== null) done(failure)
        else if (equalBytes(digest, wanted.sha256)) {
          fs.fsync(descriptor, (unsynced) => {
            if (unsynced === null) this.#sealFile(file + 1, progressed, done)
            else done(unsynced)
          })
        } else this.#discard(file, done)
      })
    })
  }

  #hashRest(
    descriptor: number,
    hash: Hash,
    offsetBytes: number,
    progressed: () => boolean,
    done: (error: Error | null, digest: Uint8Array) => void,
  ): void {
    const buffer = Buffer.allocUnsafe(HASHED_BYTES)
    fs.read(descriptor, buffer, 0, buffer.length, offsetBytes, (error, count) => {
      if (error !== null) done(error, new Uint8Array(0))
      else if (count === 0) done(null, hash.digest())
      else if (!progressed()) done(new Error('stopped'), new Uint8Array(0))
      else {
        hash.update(buffer.subarray(0, count))
        this.#hashRest(descriptor, hash, offsetBytes + count, progressed, done)
      }
    })
  }

  #discard(file: number, done: Done): void {
    const name = this.#files[file]?.name as string
    const message = `the content of ${name} does not match its hash; it was deleted`
    this.release(() => {
      fs.rm(path.join(this.#directory, name), { force: true }, () => {
        done(new ColmenaError('ERR_FAILED', message, { retryable: true }))
      })
    })
  }

  #sealDirectory(done: Done): void {
    fs.rm(path.join(this.#directory, OFFER_NAME), { force: true }, (error) => {
      if (error !== null) {
        done(error)
        return
      }
      syncDirectory(this.#directory, done)
    })
  }
}
