import { NOW } from './schema.ts'

/** What a renewal answers of an attempt that still holds. */
export interface RenewedRow {
  readonly id: string
  readonly attempt: number
  readonly is_cancelled: number
}

export const RENEW: string = `UPDATE colmena_jobs AS j SET
    lease_until = ${NOW} + ?2, progress = coalesce(e.progress, j.progress)
  FROM (SELECT value ->> 'id' AS id, value ->> 'attempt' AS attempt,
      value ->> 'progress' AS progress FROM json_each(?1)) AS e
  WHERE j.id = e.id AND j.attempt = e.attempt AND j.state = 'running'
  RETURNING id, attempt, is_cancelled`

/** What claims got whose answers were lost. */
export const FIND_CLAIMS = `SELECT id, type, attempt, max_attempts, failures, args, timeout_ms,
    backoff, after, enqueued_at
  FROM colmena_jobs WHERE state = 'running' AND claim IN (SELECT value FROM json_each(?1))`
