import type { MemberStatus } from '../index.ts'

/** A vote that somebody took by hand is not offered again for so long. */
const REST_MS = 3_600_000
/** Whoever had no leader within this time may have lost its vote to that, and not to a person. */
const LEADERLESS_MS = 60_000

/**
 * Whether this node offers to vote. A leader asks those alone who offer: so a node that was opened
 * as a plain learner stays one, and so does, for an hour, one whose vote was taken while it ran: by
 * hand, as the cluster itself takes votes only of those that leave or that it has not heard for
 * long. Whoever has just started may hear only now what was taken before.
 */
export class Willingness {
  #hadVote = false
  #wasLeaderless = false
  #leaderlessMs: number | null = null
  #takenMs: number | null = null
  #isLeaving = false

  /** From now on it never offers. */
  leave(): void {
    this.#isLeaving = true
  }

  /** At each look: what this node is by its own knowledge, and whether it has a leader. */
  offers(own: MemberStatus | undefined, isLed: boolean, nowMs: number): boolean {
    const hasVote = own?.role === 'voter'
    this.#leaderlessMs ??= nowMs
    // Between two leaders there is always a moment without one.
    if (!isLed && this.#wasLeaderless) this.#leaderlessMs = nowMs
    this.#wasLeaderless = !isLed
    if (hasVote) this.#takenMs = null
    else if (this.#hadVote && nowMs - this.#leaderlessMs >= LEADERLESS_MS) this.#takenMs = nowMs
    this.#hadVote = hasVote
    const rests = this.#takenMs !== null && nowMs - this.#takenMs < REST_MS
    const isAsked = own?.wantedRole === 'voter'
    return own !== undefined && !hasVote && !isAsked && !rests && !this.#isLeaving
  }
}
