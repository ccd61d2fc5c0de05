import { AsyncLocalStorage } from 'node:async_hooks'
import { invalid, show } from './arguments.ts'

/**
 * What must be true before a read runs on this node's own file.
 *
 * - `none`: nothing; works without a leader.
 * - `lease`: what this node has applied is at most `electionTimeoutMs` old, as a majority
 *   confirmed; works without a leader for that long. Where it is older, the read is `weak`.
 * - `weak`: all that the leader had committed when asked is applied here.
 * - `strong`: the same, after a majority confirmed the leader: linearizable.
 */
export type Consistency = 'none' | 'lease' | 'weak' | 'strong'

/** From the weakest to the strongest. */
export const CONSISTENCY_LEVELS: readonly Consistency[] = ['none', 'lease', 'weak', 'strong']

const scope = new AsyncLocalStorage<Consistency>()

/**
 * Runs `work` with `level` for every read that is called inside it, also by libraries that know
 * nothing of it. A level given to one call wins over the scope, and so does a handle that
 * `db.withConsistency` made; the scope wins over what `open` and `database` were given.
 *
 * It follows the asynchronous context: work that a pool or a batching loader runs for somebody
 * else keeps that one's level; use `db.withConsistency(level)` there.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT for an unknown level.
 */
export function withConsistency<T>(level: Consistency, work: () => T): T {
  checkConsistency(level, 'the level of withConsistency')
  if (typeof work !== 'function') throw invalid('withConsistency takes a function after the level')
  return scope.run(level, work)
}

/** The level that the present asynchronous context asks for, if any. */
export function scopedConsistency(): Consistency | undefined {
  return scope.getStore()
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT unless `level` is one. */
export function checkConsistency(level: unknown, what: string): Consistency {
  if (CONSISTENCY_LEVELS.includes(level as Consistency)) return level as Consistency
  throw invalid(`${what} is ${show(level)}; it can be 'none', 'lease', 'weak' or 'strong'`)
}
