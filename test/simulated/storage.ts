import type { SharedState } from '../../src/base/shared-state.ts'
import type { Applier, ApplierHandlers } from '../../src/engine/ports.ts'
import type { StorageGenesis } from '../../src/engine/protocol.ts'
import type { Entry } from '../../src/raft/types.ts'
import type { SeededRandom } from './random.ts'

/** What runs below the engine of a simulated process, for as long as the process lives. */
export interface SimulatedStorage extends Applier {
  /** What was written, in the order in which it was applied. */
  rows(): readonly WrittenRow[]
}

export interface WrittenRow {
  readonly database: string
  readonly text: string
  /** All that is known of it: equal on all nodes, or they differ. */
  readonly whole: string
}

/** What became of a command of one's own. */
export interface OwnAnswer {
  readonly database: string
  readonly sequence: number
  readonly index: number
  /** Why it changed nothing; null if it did. */
  readonly error: string | null
}

export interface StorageOptions {
  readonly memberId: number
  readonly ownOrigin: string
  readonly shared: SharedState
  readonly random: SeededRandom
  readonly nowMs: () => number
  /** Runs later, and never once the process is dead. */
  readonly plan: (delayMs: number, run: () => void) => () => void
  /** Every entry, as it is applied. */
  readonly saw: (entry: Entry) => void
  readonly answered: (answer: OwnAnswer) => void
  /** A snapshot took the place of what this process had. */
  readonly installed: (index: number, sequences: ReadonlyMap<string, number>) => void
}

/** The part of a machine's disk that holds databases: it outlives the machine's processes. */
export interface StorageMachine {
  /** Databases on their way between machines, by directory. */
  readonly snapshots: SnapshotFiles
  open(
    options: StorageOptions,
    generation: number,
    genesis: StorageGenesis | null,
    handlers: ApplierHandlers,
  ): SimulatedStorage
  /** The process is gone; with the power goes what was not synced, or some of it. */
  crash(losesPower: boolean, losesAll: boolean): void
  /** Somebody deleted the data directory. */
  forget(): void
  /** The life is over. */
  dispose(): void
}

export interface SnapshotFiles {
  /** Takes what lies in another machine's `directory`; false if nothing does. */
  receive(from: SnapshotFiles, directory: string, target: string): boolean
}
