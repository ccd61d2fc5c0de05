import type { Database, InputStatement } from '../index.ts'
import type { JobsConfig } from './options.ts'
import { NOW } from './schema.ts'

/** One entry removes no more, so that no other waits for it. */
const REAP_MAX = 500
/** Of rates nobody counts longer ago. */
const STARTS_MS_MAX = 30 * 86_400_000

/** What others still wait for, or read the result of, stays. */
const FREE = 'NOT EXISTS (SELECT 1 FROM colmena_job_waits AS w WHERE w.after = j.id)'
const OLD = `SELECT j.id FROM colmena_jobs AS j
  WHERE j.finished_at < ${NOW} - ?1 AND ${FREE} ORDER BY j.finished_at LIMIT ${REAP_MAX}`
const BEYOND = `SELECT j.id FROM colmena_jobs AS j
  WHERE j.finished_at IS NOT NULL AND ${FREE} ORDER BY j.finished_at
  LIMIT min(${REAP_MAX}, max(0,
    (SELECT count(*) FROM colmena_jobs WHERE finished_at IS NOT NULL) - ?1))`

/** What no rate counts any more. */
const STARTS = `SELECT seq FROM colmena_job_starts WHERE at < ${NOW} - coalesce((
    SELECT max(max(coalesce(rate_ms, 0), coalesce(lane_rate_ms, 0))) FROM colmena_job_types), ?1)
  LIMIT 10000`

/** Removes finished jobs that nothing keeps. @returns how many */
export async function reap(
  database: Database,
  { keepMs, keepCount }: JobsConfig['retention'],
  signal: AbortSignal,
): Promise<number> {
  let count = 0
  if (keepMs >= 0) count += await removeAll(database, OLD, keepMs, signal)
  count += await removeAll(database, BEYOND, keepCount, signal)
  if (await isThere(database, STARTS, STARTS_MS_MAX, signal)) {
    const sql = `DELETE FROM colmena_job_starts WHERE seq IN (${STARTS})`
    await database.execute(sql, [STARTS_MS_MAX], { signal })
  }
  return count
}

/** By this node's own file: most of the time there is nothing to do, and no entry is made. */
async function isThere(
  database: Database,
  which: string,
  bound: number,
  signal: AbortSignal,
): Promise<boolean> {
  const sql = `SELECT EXISTS (SELECT 1 FROM (${which})) AS found`
  const { rows } = await database.execute(sql, [bound], { consistency: 'none', signal })
  return rows[0]?.['found'] === 1
}

async function removeAll(
  database: Database,
  which: string,
  bound: number,
  signal: AbortSignal,
): Promise<number> {
  let count = 0
  while (await isThere(database, which, bound, signal)) {
    const removed = await database.batch(removal(which, bound), { mode: 'write', signal })
    count += removed.at(-1)?.rowsAffected ?? 0
  }
  return count
}

function removal(which: string, bound: number): readonly InputStatement[] {
  const args = [bound]
  return [
    { sql: `DELETE FROM colmena_job_attempts WHERE job IN (${which})`, args },
    { sql: `DELETE FROM colmena_job_steps WHERE job IN (${which})`, args },
    { sql: `DELETE FROM colmena_jobs WHERE id IN (${which})`, args },
  ]
}
