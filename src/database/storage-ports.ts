import type { Clock } from '../base/ports.ts'
import type { SharedState } from '../base/shared-state.ts'
import type { ContentHashesOptions } from './content-hashes.ts'
import type { WriterSource } from './generation-files.ts'
import type { HashSource } from './hash-thread.ts'
import type { PinnedSnapshot } from './snapshot.ts'
import type { CopyAnswer } from './snapshot-copies.ts'
import type { StorageToEngine, StorageToUser } from './storage-protocol.ts'

/** What `Storage` runs on; a simulator brings its own. */
export interface StoragePorts extends Pick<WriterSource, 'openWriter'> {
  readonly clock: Pick<Clock, 'nowMs' | 'setTimer'>
  readonly shared: SharedState
  /** Runs `turn` after the events that are waiting now. */
  defer(turn: () => void): void
  tellEngine(message: StorageToEngine): void
  tellUser(message: StorageToUser, transfer?: readonly ArrayBuffer[]): void
  /** Copies are made beside this machine, which goes on. */
  createCopies(pin: () => PinnedSnapshot | null): SnapshotMaker
  createHashes(options: ContentHashesOptions): ContentHasher
  /** Nothing is told or heard any more. */
  closed(): void
}

/** Makes copies of all databases at one index; `directory` is relative to the data directory. */
export interface SnapshotMaker {
  make(directory: string, done: (answer: CopyAnswer) => void): void
  /** One under way ends with an error first. */
  remove(directory: string): void
  close(): void
}

/** Hashes all content behind an entry that is expected. */
export interface ContentHasher {
  /** While true nothing may be applied. */
  readonly isPinning: boolean
  expect(key: string): void
  begin(key: string, source: HashSource): void
  close(): void
}
