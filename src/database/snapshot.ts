import { ColmenaError } from '../base/errors.ts'
import type { ConfState } from '../raft/types.ts'
import { type ConnectionSettings, Reader } from '../sqlite/sqlite.ts'
import {
  type CopiedFile,
  databasePath,
  GradualSync,
  hashCopy,
  makeDirectory,
} from './generation.ts'

/** Little enough that a write of the log waits for a few milliseconds at most. */
const SYNC_BYTES = 4 * 1024 * 1024

interface SnapshotSource {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  readonly clockMs: number
  /** As `digestsAt` has them. */
  readonly digests: ReadonlyMap<string, string>
  readonly generationDirectory: string
  /** Of each database by its name. */
  readonly settings: ReadonlyMap<string, ConnectionSettings>
}

/**
 * Every database held at one index by a read transaction of its own. Entries go on applying while
 * it is copied, and WALs can't start anew until it is released, so release it soon.
 */
export class PinnedSnapshot {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  readonly clockMs: number
  readonly digests: ReadonlyMap<string, string>
  readonly #readers: ReadonlyMap<string, Reader>
  #isReleased = false
  #copying = 0

  private constructor(source: SnapshotSource, readers: ReadonlyMap<string, Reader>) {
    this.index = source.index
    this.term = source.term
    this.confState = source.confState
    this.clockMs = source.clockMs
    this.digests = source.digests
    this.#readers = readers
  }

  /** Must be called between two groups: that makes it one cut. */
  static pin(source: SnapshotSource): PinnedSnapshot {
    const readers = new Map<string, Reader>()
    try {
      for (const [name, settings] of source.settings) {
        const reader = new Reader(databasePath(source.generationDirectory, name), settings)
        readers.set(name, reader)
        reader.pin()
      }
    } catch (error) {
      for (const reader of readers.values()) reader.close()
      throw error
    }
    return new PinnedSnapshot(source, readers)
  }

  /**
   * Writes a complete generation into `directory`, which is made anew. The copying itself runs
   * beside this thread. A copy is for peers of this process: it need not survive a power loss.
   *
   * @throws ColmenaError ERR_ABORTED if the snapshot is released meanwhile.
   */
  async copyTo(directory: string): Promise<readonly CopiedFile[]> {
    makeDirectory(directory)
    const files: CopiedFile[] = []
    this.#copying += 1
    try {
      for (const [name, reader] of this.#readers) {
        this.#refuseReleased()
        await copyDatabase(reader, databasePath(directory, name))
        files.push(await hashCopy(directory, `${name}.db`))
      }
    } finally {
      this.#copying -= 1
      if (this.#isReleased) this.#close()
    }
    this.#refuseReleased()
    return files
  }

  /** Lets the WALs start anew. A copy under way ends with an error after its present file. */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    // A connection can't be closed under a copy: the copy then closes it.
    if (this.#copying === 0) this.#close()
  }

  #close(): void {
    for (const reader of this.#readers.values()) reader.close()
  }

  #refuseReleased(): void {
    if (this.#isReleased) throw new ColmenaError('ERR_ABORTED', 'the snapshot was released')
  }
}

async function copyDatabase(reader: Reader, toPath: string): Promise<void> {
  const sync = new GradualSync(toPath, SYNC_BYTES)
  try {
    await reader.backup(toPath, (bytes) => sync.wrote(bytes))
  } finally {
    await sync.end()
  }
}
