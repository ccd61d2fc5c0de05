import type { MemberId } from './types.ts'

/**
 * Quorum arithmetic. A configuration is joint when it has two halves; a decision then needs a
 * majority of both (thesis §4.3). An empty half decides nothing and so never stands in the way.
 */

export type VoteResult = 'pending' | 'lost' | 'won'

/** How many of `voterCount` voters make a majority. */
export function quorumSize(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1
}

/**
 * The highest index that a majority has reached, given one index per voter. Sorts its argument,
 * which is a scratch array of the caller: this runs for every acknowledgement.
 */
export function majorityIndex(reached: number[]): number {
  const count = reached.length
  if (count === 0) return Number.POSITIVE_INFINITY
  for (let i = 1; i < count; i++) {
    const value = reached[i]!
    let at = i
    while (at > 0 && reached[at - 1]! > value) {
      reached[at] = reached[at - 1]!
      at--
    }
    reached[at] = value
  }
  return reached[count - quorumSize(count)]!
}

/** As {@link majorityIndex}, looking each voter up; a voter that never reported counts as 0. */
export function committedIndex(
  voters: readonly MemberId[],
  reachedBy: (id: MemberId) => number | undefined,
): number {
  return majorityIndex(voters.map((id) => reachedBy(id) ?? 0))
}

/** What both halves of a joint configuration have reached. */
export function jointCommittedIndex(
  incoming: readonly MemberId[],
  outgoing: readonly MemberId[],
  reachedBy: (id: MemberId) => number | undefined,
): number {
  return Math.min(committedIndex(incoming, reachedBy), committedIndex(outgoing, reachedBy))
}

/** Whether a majority said yes, can no longer do so, or may still. No voters at all: won. */
export function voteResult(
  voters: readonly MemberId[],
  voteOf: (id: MemberId) => boolean | undefined,
): VoteResult {
  if (voters.length === 0) return 'won'
  let granted = 0
  let missing = 0
  for (const id of voters) {
    const vote = voteOf(id)
    if (vote === undefined) missing++
    else if (vote) granted++
  }
  const needed = quorumSize(voters.length)
  if (granted >= needed) return 'won'
  return granted + missing >= needed ? 'pending' : 'lost'
}

/** Won only if both halves won, lost as soon as one half lost. */
export function jointVoteResult(
  incoming: readonly MemberId[],
  outgoing: readonly MemberId[],
  voteOf: (id: MemberId) => boolean | undefined,
): VoteResult {
  const first = voteResult(incoming, voteOf)
  const second = voteResult(outgoing, voteOf)
  if (first === second) return first
  return first === 'lost' || second === 'lost' ? 'lost' : 'pending'
}
