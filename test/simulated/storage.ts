import type { SharedState } from '../../src/base/shared-state.ts'
import type { CommandResult } from '../../src/command/command.ts'
import type { Entry } from '../../src/raft/types.ts'
import type { SeededRandom } from './random.ts'

export interface WrittenRow {
  readonly database: string
  readonly text: string
  /** All that is known of it: equal on all nodes, or they differ. */
  readonly whole: string
}

/** What became of a command of one's own, or of a transaction of that number. */
export type OwnAnswer = Pick<CommandResult, 'database' | 'sequence' | 'isTried' | 'index' | 'units'>

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
