import type { Clock } from '../base/ports.ts'
import type { MemberId, Raft } from '../raft/raft.ts'

const LOOK_MS = 5

/** Hands leadership to the active voter whose log is furthest; false if there is none. */
export function transferAway(raft: Raft, isVoter: (id: MemberId) => boolean): boolean {
  let best: { id: MemberId; match: number } | null = null
  for (const { id, match, recentActive } of raft.status().progress) {
    if (id === raft.id || !recentActive || !isVoter(id)) continue
    if (best === null || match > best.match) best = { id, match }
  }
  if (best === null) return false
  return raft.transferLeader(best.id) === 'ok'
}

/** Calls `done` once this node no longer leads, or with false after `waitMs`. */
export function awaitDeposition(
  raft: Raft,
  clock: Clock,
  waitMs: number,
  done: (isDeposed: boolean) => void,
): void {
  const deadlineMs = clock.nowMs() + waitMs
  const look = (): void => {
    if (raft.role !== 'leader') done(true)
    else if (clock.nowMs() >= deadlineMs) done(false)
    else clock.setTimer(LOOK_MS, look)
  }
  look()
}

/** If others hand it back, a node that stands still at an entry leads for so long at least. */
const HAND_OVER_AGAIN_MS = 10_000

export interface HandingOverCore {
  readonly raft: Pick<Raft, 'role'>
  transferAway(): boolean
}

/** Whoever can't store or apply should not be the one that all wait for. */
export class HandingOver {
  readonly #core: HandingOverCore
  readonly #clock: Clock
  #startedMs = Number.NEGATIVE_INFINITY

  constructor(core: HandingOverCore, clock: Clock) {
    this.#core = core
    this.#clock = clock
  }

  tick(isHalted: boolean, isFull: boolean): void {
    if (this.#core.raft.role !== 'leader' || !(isHalted || isFull)) return
    // All may stand at one entry that none can apply: then nobody would ever lead for long enough
    // to have it skipped.
    const isPatient = isHalted && !isFull
    if (isPatient && this.#clock.nowMs() - this.#startedMs < HAND_OVER_AGAIN_MS) return
    if (this.#core.transferAway()) this.#startedMs = this.#clock.nowMs()
  }
}
