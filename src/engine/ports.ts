import type { Clock, Done, Random } from '../base/ports.ts'
import type { SharedState } from '../base/shared-state.ts'
import type {
  AppliedReport,
  HashedContent,
  Hold,
  Quarantine,
  ReplicaState,
  SnapshotCopy,
  TrialRequest,
} from '../database/database.ts'
import type { Disk } from '../log/log.ts'
import type { Entry } from '../raft/raft.ts'
import type { Transport, TransportHandlers, TransportOptions } from '../transport/transport.ts'
import type { EngineToUser, StorageGenesis } from './protocol.ts'

export type { AppliedReport, HashedContent, Hold, Quarantine, ReplicaState, SnapshotCopy }

/** Where committed entries go; calls are done in the order they are made. */
export interface Applier {
  apply(entries: readonly Entry[]): void
  /** Copies every database at one index into `directory`, relative to the data directory. */
  copySnapshot(
    directory: string,
    done: (error: Error | null, copy: SnapshotCopy | null) => void,
  ): void
  removeSnapshot(directory: string): void
  /** Puts generation `generation`, received whole and durable, in place of the present one. */
  install(
    generation: number,
    index: number,
    done: (error: Error | null, state: ReplicaState | null) => void,
  ): void
  /** Deletes what no log names any more. */
  deleteOtherGenerations(): void
  /** Moves idle databases to `index`, then tells up to where the files are durable. */
  makeDurable(index: number, done: (error: Error | null, durable: number) => void): void
  /** Tries statements of a transaction; `done` gets an encoded `TrialAnswer`. */
  tryStatements(
    request: TrialRequest,
    done: (error: Error | null, answer: Uint8Array | null) => void,
  ): void
  /** Leaves nothing of a trial; one that is over is nothing. */
  endTrial(database: string, key: string): void
  /** What the digests were at an index that is applied, by database. */
  digests(index: number, done: (digests: ReadonlyMap<string, string>) => void): void
  /** The files differ from the other members': nothing is applied to them or read any more. */
  diverge(reason: string): void
  /** The entry that names `key` is to be followed by a hash of all content. */
  expectHash(key: string): void
  /** The cluster has agreed that the write at that index, which is not applied, does nothing. */
  voidEntry(index: number): void
  /**
   * Where the databases stand still for good, null if nowhere. If they stand at that entry for
   * trouble that may pass, they don't try it again until it is void or released.
   */
  holdEntry(hold: Hold, done: (quarantine: Quarantine | null) => void): void
  releaseEntry(hold: Hold): void
  close(done: Done): void
}

/** What an applier tells by itself. */
export interface ApplierHandlers {
  opened(state: ReplicaState): void
  applied(report: AppliedReport): void
  /** Apply stands still on this machine's trouble and is tried again; null: it goes on. */
  halted(reason: string | null, isDivergent: boolean, quarantine: Quarantine | null): void
  hashed(hashed: HashedContent): void
}

/** Everything the engine touches; a simulator brings its own. */
export interface EnginePorts {
  readonly clock: Clock
  readonly random: Random
  readonly disk: Disk
  readonly shared: SharedState
  /** Runs `turn` after the events that are waiting now: what they bring shares one turn. */
  defer(turn: () => void): void
  toUser(message: EngineToUser): void
  /** Asks for the storage side to be started; `handlers.opened` answers. */
  openApplier(
    generation: number,
    genesis: StorageGenesis | null,
    handlers: ApplierHandlers,
  ): Applier
  openNetwork(
    options: TransportOptions,
    handlers: TransportHandlers,
    done: (error: Error | null, transport: Transport | null) => void,
  ): void
}
