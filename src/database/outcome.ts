import type { ColmenaError } from '../base/errors.ts'
import type { MachineTrouble, Quarantine } from './trouble.ts'

/** The answer to a request of this node's own origin to drop a database. */
export interface DropAnswer {
  readonly request: number
  readonly database: string
  readonly index: number
  /** False where there was no such database. */
  readonly dropped: boolean
}

/** The highest sequence of this node's own origin that a database has applied. */
export interface OwnSequence {
  readonly database: string
  readonly sequence: number
}

/** The answer to a command of this node's own origin. */
export interface OwnResult {
  /** Of the log entry that carried it. */
  readonly index: number
  /** An encoded `CommandResult`. */
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** 'unregistered' until the registration is applied here; 'retired' is for ever. */
export type OwnOriginState = 'unregistered' | 'registered' | 'retired'

/** Why a group could not be applied; it can be tried again as it is. */
export interface Halted {
  readonly error: ColmenaError
  /** 'busy': a moment later; 'pause': this machine needs help, so every second or so. */
  readonly retry: 'busy' | 'pause'
  /** Whether this node's files may differ from the other members'. */
  readonly isDivergent: boolean
  /** The entry that this node does not try any more, if that is why. */
  readonly quarantine: Quarantine | null
}

/** What applying one group came to. With `halted` set, everything else is as before the group. */
export interface GroupOutcome {
  readonly appliedIndex: number
  readonly appliedTerm: number
  readonly halted: Halted | null
  /** In log order per database. */
  readonly results: readonly OwnResult[]
  readonly ownSequences: readonly OwnSequence[]
  readonly drops: readonly DropAnswer[]
  /** Of all nodes, as `leaseName` says them. */
  readonly endedLeases: readonly string[]
  /** The index of the last configuration change in the group, null for none. */
  readonly confIndex: number | null
  readonly ownOrigin: OwnOriginState
  /** Whether the current origin of some member may have changed. */
  readonly originsChanged: boolean
  /** Whether a database was made or dropped. */
  readonly databasesChanged: boolean
}

/** Gathers what a group came to, over several tries if need be. */
export class OutcomeGatherer {
  readonly results: OwnResult[] = []
  readonly sequences: Map<string, number> = new Map()
  readonly drops: DropAnswer[] = []
  readonly endedLeases: string[] = []
  confIndex: number | null = null
  originsChanged = false
  databasesChanged = false

  get ownSequences(): readonly OwnSequence[] {
    return [...this.sequences].map(([database, sequence]) => ({ database, sequence }))
  }
}

export function asHalted(trouble: MachineTrouble): Halted {
  const { retry, isDivergent, quarantine } = trouble
  return { error: trouble.toError(), retry, isDivergent, quarantine }
}
