import type { ColmenaError } from '../index.ts'

/** What a node knows of its backup, as plain JSON. */
export interface BackupStatus {
  /** `shipping` on the leader; `following` on the others, which keep the log for it. */
  readonly role: 'shipping' | 'following'
  readonly targets: readonly TargetStatus[]
  /** Entries behind this one are kept in this node's log; null where none are kept. */
  readonly heldAfter: number | null
  readonly drill: DrillStatus
}

/** A target as the node that ships knows it; on others all of it is of when they last did. */
export interface TargetStatus {
  readonly label: string
  readonly generation: string | null
  /** The last entry that is there; null while that is not known. */
  readonly lastIndex: number | null
  /** Entries that were applied when it was last looked, and are not there. */
  readonly lagEntries: number
  /** Since all that was applied was there: what a disaster now would lose; null before that. */
  readonly lagMs: number | null
  /** When the last snapshot was taken, in milliseconds since 1970. */
  readonly lastSnapshotMs: number | null
  readonly shippedBytes: number
  readonly failuresInRow: number
  readonly error: FailureReport | null
}

export interface FailureReport {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}

export interface DrillStatus {
  /** When the last one ended, in milliseconds since 1970. */
  readonly endedMs: number | null
  /** Up to which entry it restored. */
  readonly index: number | null
  readonly failuresInRow: number
  readonly error: FailureReport | null
}

/** What fails again and again. */
export interface Failing {
  /** The target's label. */
  readonly target: string
  readonly what: 'shipping' | 'drill'
  readonly inRow: number
  readonly error: ColmenaError
}

export interface BackupEvents {
  /** Entries are in a target. */
  shipped: [{ readonly target: string; readonly first: number; readonly last: number }]
  /** A snapshot is in a target. */
  snapshot: [{ readonly target: string; readonly index: number }]
  /** A generation begins in a target: what lies between it and the one before is in no backup. */
  generation: [{ readonly target: string; readonly generation: string; readonly reason: string }]
  failed: [{ readonly target: string; readonly error: ColmenaError; readonly inRow: number }]
  /** It goes on after failures. */
  resumed: [{ readonly target: string }]
  alert: [Failing]
  drilled: [{ readonly target: string; readonly index: number }]
}

export function reportFailure({ code, message, retryable }: ColmenaError): FailureReport {
  return { code, message, retryable }
}
