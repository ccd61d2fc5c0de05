import { ColmenaError } from '../base/errors.ts'
import type { EngineStatus } from '../engine/engine.ts'

/** A node that is further behind takes no writes: their callers could only time out. */
export const APPLY_LAG_MS_MAX = 10_000

/** How this node keeps up with the log. */
export interface Applying {
  /** Why this machine applies nothing, null while it does. */
  readonly haltedReason: string | null
  /** How far apply is behind commit. */
  readonly lagMs: number
}

/** Why a write is refused at once on this node; null while it takes them. */
export function refusalOfWrites({ haltedReason, lagMs }: Applying): ColmenaError | null {
  if (haltedReason !== null) {
    return new ColmenaError(
      'ERR_APPLY_HALTED',
      `this node takes no writes until it can write its databases again: ${haltedReason}`,
      { retryable: true },
    )
  }
  if (lagMs <= APPLY_LAG_MS_MAX) return null
  return new ColmenaError(
    'ERR_LAGGING',
    `this node is ${Math.round(lagMs / 1000)} s behind the cluster and takes no writes until ` +
      'it has caught up: try again later, or through another node',
    { retryable: true },
  )
}

/**
 * Why work had better go to another node, null if this one is ready: what refuses a write here,
 * and what would keep one waiting.
 */
export function notReadyReason(
  applying: Applying,
  engine: EngineStatus,
  electionTimeoutMs: number,
): string | null {
  const refusal = refusalOfWrites(applying)
  if (refusal !== null) return refusal.message
  const { leader, lastLeaderContactMs, isLogFull, isRegistered } = engine
  if (isLogFull) return 'the disk of this node has no room for more log'
  if (leader === null) return 'this node knows of no leader'
  if (lastLeaderContactMs === null || lastLeaderContactMs > electionTimeoutMs) {
    return `the leader, ${leader.id}, was not heard within ${electionTimeoutMs} ms`
  }
  if (isRegistered) return null
  return 'this node has only just started or joined: the log has not said yet that it may write'
}
