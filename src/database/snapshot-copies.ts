import { join } from 'node:path'
import { ColmenaError } from '../base/errors.ts'
import { removeDirectory } from './generation.ts'
import type { PinnedSnapshot } from './snapshot.ts'
import type { SnapshotCopy } from './storage-protocol.ts'
import { asFailure, type Failure } from './trouble.ts'

/** A copy, or why there is none. */
export interface CopyAnswer {
  readonly error: Failure | null
  readonly value: SnapshotCopy | null
}

/** Where copies are made, under the data directory. */
const SNAPSHOTS = 'snapshot'

/** The copies of snapshots that peers are sent from, each in a directory of its own. */
export class SnapshotCopies {
  readonly #dataDir: string
  readonly #pin: () => PinnedSnapshot | null
  readonly #underWay = new Map<string, PinnedSnapshot>()

  /** Removes what an earlier process left: copies are for peers of the process that made them. */
  constructor(dataDir: string, pin: () => PinnedSnapshot | null) {
    this.#dataDir = dataDir
    this.#pin = pin
    removeDirectory(join(dataDir, SNAPSHOTS))
  }

  /** `directory` is relative to the data directory; a copy that fails leaves nothing in it. */
  async #copy(directory: string): Promise<SnapshotCopy> {
    const snapshot = this.#pin()
    if (snapshot === null) {
      throw new ColmenaError('ERR_LAGGING', 'the databases are at different indexes for now')
    }
    this.#underWay.set(directory, snapshot)
    try {
      const files = await snapshot.copyTo(join(this.#dataDir, directory))
      const { index, term, confState, clockMs, digests } = snapshot
      const copied = files.map(({ name, sizeBytes, sha256 }) => ({
        name,
        sizeBytes,
        sha256: new Uint8Array(Buffer.from(sha256, 'hex')),
      }))
      return { index, term, confState, clockMs, digests, files: copied }
    } catch (error) {
      removeDirectory(join(this.#dataDir, directory))
      throw error
    } finally {
      this.#underWay.delete(directory)
      snapshot.release()
    }
  }

  /** Whatever stopped it is an answer: a copy is no part of the state. */
  make(directory: string, done: (answer: CopyAnswer) => void): void {
    this.#copy(directory).then(
      (value) => done({ error: null, value }),
      (error: unknown) => {
        const failed = { code: 'ERR_FAILED', message: String(error), retryable: true }
        done({ error: asFailure(error) ?? failed, value: null })
      },
    )
  }

  /** Deletes a copy; one under way ends with an error first. */
  remove(directory: string): void {
    const snapshot = this.#underWay.get(directory)
    if (snapshot === undefined) removeDirectory(join(this.#dataDir, directory))
    else snapshot.release()
  }

  close(): void {
    for (const snapshot of this.#underWay.values()) snapshot.release()
  }
}
