import type { InputStatement } from '../index.ts'
import { NOW } from './schema.ts'

/** Of a job that is over without success: from the start, with as many attempts again. */
export function retryStatement(id: string): InputStatement {
  const sql = `UPDATE OR IGNORE colmena_jobs SET state = 'pending', ready = 1, run_at = ${NOW},
      max_attempts = attempt + tries, failures = 0, is_cancelled = 0, error = NULL,
      finished_at = NULL
    WHERE id = ?1 AND state IN ('failed', 'dead', 'cancelled')
    RETURNING id`
  return { sql, args: [id] }
}

/** At once where it does not run; where it runs, its handler is told, and has the last word. */
export function cancelStatement(id: string): InputStatement {
  const sql = `UPDATE colmena_jobs SET is_cancelled = 1,
      state = CASE state WHEN 'running' THEN 'running' ELSE 'cancelled' END,
      ready = NULL,
      finished_at = CASE state WHEN 'running' THEN NULL ELSE ${NOW} END
    WHERE id = ?1 AND state IN ('waiting', 'pending', 'running')
    RETURNING state`
  return { sql, args: [id] }
}

/** Now instead of at its time. */
export function runNowStatement(id: string): InputStatement {
  const sql = `UPDATE colmena_jobs SET ready = 1, run_at = ${NOW}
    WHERE id = ?1 AND ready = 0 RETURNING id`
  return { sql, args: [id] }
}
