import type { Clock } from '../base/ports.ts'
import type { MemberId, Raft } from '../raft/raft.ts'

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

const LOOK_MS = 5
