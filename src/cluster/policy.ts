import type { MemberStatus } from '../index.ts'

/** How many members of a cluster should vote, and when one that is silent is given up. */
export interface Policy {
  readonly voterTarget: number
  /** 0: never. */
  readonly deadVoterTimeoutMs: number
  /** 0: never. */
  readonly deadLearnerTimeoutMs: number
}

/** What a leader sees of its cluster. */
export interface Sight {
  readonly members: readonly MemberStatus[]
  readonly ledMs: number
  /** For how long it has led and known that member, which was silent towards it for no longer. */
  readonly knownMs: (memberId: number) => number
  /** Whether discovery finds a node at that address. */
  readonly isFound: (address: string) => boolean
  /** The member ids of learners that offer to vote. */
  readonly offering: ReadonlySet<number>
}

/** One change of the members, and why. */
export interface Step {
  readonly change: 'promote' | 'demote' | 'remove'
  readonly member: MemberStatus
  readonly reason: string
}

/** Who was heard within this time is there. Members that are idle are heard once a second. */
export const HEARD_MS = 3_000
/** A learner that lacks no more entries has caught up: it votes as soon as the core lets it. */
const LACKING_ENTRIES_MAX = 1_000

/**
 * What a leader should change next, null for nothing:
 *
 * - A voter that has been silent for `deadVoterTimeoutMs` stops voting if a learner that has caught
 *   up can vote in its place, or if without the silent ones more of the others may fail. It stays
 *   as a learner: what it has is still good when it comes back.
 * - While fewer than `voterTarget` members vote or are about to, the one that has most of the log
 *   is asked to, of the learners that offer. The core lets them vote in pairs, so that the number
 *   of voters stays odd. More voters than that are left alone: somebody wanted them.
 * - A learner that has been silent for `deadLearnerTimeoutMs` is removed, unless discovery finds
 *   it.
 */
export function nextStep(policy: Policy, sight: Sight): Step | null {
  return demotion(policy, sight) ?? promotion(policy, sight) ?? removal(policy, sight)
}

/**
 * Whether a voter that is about to leave can give its vote to a learner. null: that is not known
 * yet, as whoever has just begun to lead has not heard all of them.
 */
export function canBeReplaced(policy: Policy, sight: Sight, voter: MemberStatus): boolean | null {
  const { length } = votersOf(sight)
  const hasVote = voter.role === 'voter' && length > 1 && length >= policy.voterTarget
  if (!hasVote) return false
  if (bestCandidate(sight) !== null) return true
  return sight.ledMs < HEARD_MS && sight.members.some((member) => isOffered(member, sight))
    ? null
    : false
}

function demotion({ voterTarget, deadVoterTimeoutMs }: Policy, sight: Sight): Step | null {
  if (deadVoterTimeoutMs === 0) return null
  const voters = votersOf(sight)
  const dead = voters.filter((member) => silentMs(member, sight) >= deadVoterTimeoutMs)
  const [longest] = dead.sort((a, b) => silentMs(b, sight) - silentMs(a, sight))
  const live = voters.length - dead.length
  if (longest === undefined || live <= voters.length / 2) return null
  const seconds = Math.round(silentMs(longest, sight) / 1000)
  const silent = `'${longest.nodeId}' votes no more: it has been silent for ${seconds} s`
  if (live < voterTarget && bestCandidate(sight) !== null) {
    return { change: 'demote', member: longest, reason: `${silent}, and another can` }
  }
  // Of an odd number one less makes the majority no smaller, two less do.
  if (Math.floor(live / 2) >= Math.floor(voters.length / 2)) return null
  const reason = `${silent}, and a majority of ${live} is smaller than one of ${voters.length}`
  return { change: 'demote', member: longest, reason }
}

function promotion({ voterTarget }: Policy, sight: Sight): Step | null {
  const voters = votersOf(sight)
  const waiting = sight.members.filter(isWaiting)
  const ready = waiting.filter((member) => isReady(member, sight))
  if (voters.length + ready.length >= voterTarget) return null
  const best = bestCandidate(sight)
  if (best === null) return null
  const stale = waiting.find((member) => !ready.includes(member))
  if (stale !== undefined && voters.length + waiting.length >= voterTarget) {
    const reason = `'${stale.nodeId}' is not to vote: it does not catch up, and another has`
    return { change: 'demote', member: stale, reason }
  }
  const count = `${voters.length + ready.length} of ${voterTarget}`
  const reason = `'${best.nodeId}' is to vote: ${count} voters are there`
  return { change: 'promote', member: best, reason }
}

function removal({ deadLearnerTimeoutMs }: Policy, sight: Sight): Step | null {
  if (deadLearnerTimeoutMs === 0) return null
  const gone = sight.members.find(
    (member) =>
      member.role === 'learner' &&
      silentMs(member, sight) >= deadLearnerTimeoutMs &&
      !sight.isFound(member.address),
  )
  if (gone === undefined) return null
  const seconds = Math.round(silentMs(gone, sight) / 1000)
  const reason = `'${gone.nodeId}' is removed: silent for ${seconds} s, and found nowhere`
  return { change: 'remove', member: gone, reason }
}

function votersOf({ members }: Sight): MemberStatus[] {
  return members.filter(({ role }) => role === 'voter')
}

/** It is to vote, and does not yet. */
function isWaiting({ role, wantedRole }: MemberStatus): boolean {
  return role === 'learner' && wantedRole === 'voter'
}

function bestCandidate(sight: Sight): MemberStatus | null {
  const candidates = sight.members.filter(
    (member) => isOffered(member, sight) && isReady(member, sight),
  )
  const [best = null] = candidates.sort(
    (a, b) => matchOf(b) - matchOf(a) || a.memberId - b.memberId,
  )
  return best
}

function isOffered({ role, wantedRole, memberId }: MemberStatus, { offering }: Sight): boolean {
  return role === 'learner' && wantedRole === 'learner' && offering.has(memberId)
}

function isReady(member: MemberStatus, sight: Sight): boolean {
  const { lastContactMs } = member
  if (lastContactMs === null || lastContactMs > HEARD_MS) return false
  const furthest = Math.max(...sight.members.map(matchOf))
  return matchOf(member) >= Math.max(0, furthest - LACKING_ENTRIES_MAX)
}

function matchOf({ match }: MemberStatus): number {
  return match ?? -1
}

function silentMs({ isLeader, lastContactMs, memberId }: MemberStatus, { knownMs }: Sight): number {
  return isLeader ? 0 : Math.min(lastContactMs ?? Number.POSITIVE_INFINITY, knownMs(memberId))
}
