import type { GroupOutcome } from './outcome.ts'
import type { Replica } from './replica.ts'
import type { AppliedReport, ReplicaState } from './storage-protocol.ts'

/** What the engine is told of files that were opened, or took the place of others. */
export function replicaState(replica: Replica, memberId: number): ReplicaState {
  const { highestApplied, confState, confIndex, members, fingerprints, format } = replica
  const origin = replica.originOf(memberId)
  const sequences = replica.ownSequences()
  const { lastVoid } = replica.note
  const cluster = { confState, confIndex, members, fingerprints, format, lastVoid }
  return { applied: replica.appliedIndex, highestApplied, ...cluster, origin, sequences }
}

/** What a group came to, as far as the engine is concerned; `origin` where that is a new one. */
export function appliedReport(
  replica: Replica,
  { appliedIndex, ownSequences, confIndex, originsChanged }: GroupOutcome,
  origin: string | null,
): AppliedReport {
  return {
    applied: appliedIndex,
    sequences: ownSequences,
    origin,
    fingerprints: originsChanged ? replica.fingerprints : null,
    format: replica.format,
    confIndex,
    members: confIndex === null ? null : replica.members,
  }
}

/** Of entries that the files had already. */
export function nothingNew({ appliedIndex: applied, format }: Replica): AppliedReport {
  const nothing = { origin: null, fingerprints: null, confIndex: null, members: null }
  return { applied, sequences: [], format, ...nothing }
}
