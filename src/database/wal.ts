import type { CheckpointResult, Writer } from '../sqlite/sqlite.ts'
import { fileSizeBytes, syncWal } from './generation.ts'
import { guardOwn, isSyncFailure, MachineTrouble } from './trouble.ts'
import type { WalBounds } from './wal-bounds.ts'

/** The write-ahead file of one database: how far it grows, and when its content is safe. */
export class Wal {
  readonly #writer: Writer
  #checkpointAtBytes = 0
  /**
   * Whether it holds pages that an earlier process wrote. A sync that fails leaves pages that count
   * as clean and are on no disk: they are read as if nothing were wrong, and no later sync saves
   * them ("Can Applications Recover from fsync Failures?", ATC 2020).
   */
  #isInherited: boolean

  /** Of a writer that has just been opened, and wrote nothing. */
  constructor(writer: Writer) {
    this.#writer = writer
    this.#isInherited = this.sizeBytes > 0
  }

  get sizeBytes(): number {
    return fileSizeBytes(this.#writer.walPath)
  }

  /**
   * Moves pages to the database file once there are enough; the WAL then starts anew with the next
   * commit. A reader that holds an old snapshot stops that, so after a try the WAL must first grow
   * by half as much again, or out of bounds. Returns its bytes, 0 where it may start anew.
   */
  checkpointOver({ checkpointBytes, bytesMax }: WalBounds): number {
    const { sizeBytes } = this
    if (sizeBytes <= checkpointBytes) {
      this.#checkpointAtBytes = 0
      return sizeBytes
    }
    if (sizeBytes < this.#checkpointAtBytes) return sizeBytes
    this.#checkpointAtBytes = Math.min(sizeBytes + checkpointBytes / 2, bytesMax)
    const result = this.#checkpoint('PASSIVE')
    return result !== null && result.checkpointed === result.log ? 0 : sizeBytes
  }

  /**
   * Moves all pages to the file, and cuts both. False where a reader is in the way, or a full disk
   * can't take the pages now.
   */
  cut(): boolean {
    const result = this.#checkpoint('TRUNCATE')
    if (result === null || result.busy) return false
    this.#isInherited = false
    return true
  }

  /**
   * Makes what is committed survive a power loss. Pages of an earlier process are written anew, to
   * the database file.
   *
   * @throws MachineTrouble where they can't be now: then nothing is known to be safe.
   */
  makeDurable(): void {
    if (this.#isInherited && !this.cut()) {
      throw new MachineTrouble(
        `${this.#writer.walPath} is of an earlier process, and can't be moved to its database ` +
          'while a read of it is open, or the disk is full; it is tried again',
        { busy: true },
      )
    }
    syncWal(this.#writer.walPath)
  }

  /** Null where a full disk can't take the pages now: the WAL still has them. */
  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): CheckpointResult | null {
    try {
      return guardOwn(this.#writer, this.#writer.path, () => this.#writer.checkpoint(mode))
    } catch (error) {
      // What a failed sync left of them nobody knows.
      if (!(error instanceof MachineTrouble) || isSyncFailure(error)) throw error
      return null
    }
  }
}
