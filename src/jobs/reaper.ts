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

/** Removes finished jobs that nothing keeps. @returns how many */
export async function reap(
  database: Database,
  { keepMs, keepCount }: JobsConfig['retention'],
  signal: AbortSignal,
): Promise<number> {
  let count = 0
  if (keepMs >= 0) count += await removeAll(database, OLD, keepMs, signal)
  count += await removeAll(database, BEYOND, keepCount, signal)
  await database.execute(
    `DELETE FROM colmena_job_starts WHERE seq IN (
       SELECT seq FROM colmena_job_starts WHERE at < ${NOW} - coalesce((
         SELECT max(max(coalesce(rate_ms, 0), coalesce(lane_rate_ms, 0)))
         FROM colmena_job_types), ${STARTS_MS_MAX})
       LIMIT 10000)`,
    [],
    { signal },
  )
  return count
}

/** A look at this node's own file first: most of the time there is nothing to do. */
async function removeAll(
  database: Database,
  which: string,
  bound: number,
  signal: AbortSignal,
): Promise<number> {
  for (let count = 0; ; ) {
    const here = { consistency: 'none', signal } as const
    const found = await database.execute(`SELECT count(*) AS jobs FROM (${which})`, [bound], here)
    if (Number(found.rows[0]?.['jobs']) === 0) return count
    const removed = await database.batch(removal(which, bound), { mode: 'write', signal })
    count += removed.at(-1)?.rowsAffected ?? 0
  }
}

function removal(which: string, bound: number): readonly InputStatement[] {
  const args = [bound]
  return [
    { sql: `DELETE FROM colmena_job_attempts WHERE job IN (${which})`, args },
    { sql: `DELETE FROM colmena_job_steps WHERE job IN (${which})`, args },
    { sql: `DELETE FROM colmena_jobs WHERE id IN (${which})`, args },
  ]
}
