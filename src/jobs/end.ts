import type { InputStatement } from '../index.ts'
import { dense, NOW } from './schema.ts'

/** How an attempt ended, as its worker tells it. */
export interface End {
  readonly id: string
  readonly attempt: number
  /** What the job is from now on. */
  readonly state: 'succeeded' | 'pending' | 'failed' | 'dead'
  readonly outcome: 'succeeded' | 'failed' | 'later' | 'discarded' | 'timed out' | 'released'
  /** JSON; of one that succeeded. */
  readonly result: string | null
  readonly error: string | null
  readonly log: string | null
  /** Of one that is pending: how long it rests. */
  readonly delayMs: number
  /** Whether it counts among those that it has. */
  readonly counts: boolean
}

const ENDS = `(SELECT value ->> 'id' AS id, value ->> 'attempt' AS attempt,
    value ->> 'state' AS state, value ->> 'outcome' AS outcome, value ->> 'result' AS result,
    value ->> 'error' AS error, value ->> 'log' AS log, value ->> 'delayMs' AS delay_ms,
    value ->> 'counts' AS counts
  FROM json_each(?1))`

const HOLDS = "j.id = e.id AND j.attempt = e.attempt AND j.state = 'running'"

const NOTE = dense(`INSERT OR REPLACE INTO colmena_job_attempts
    (job, attempt, node, started_at, ended_at, outcome, error, log)
  SELECT j.id, j.attempt, j.node, j.started_at, ${NOW}, e.outcome, e.error, e.log
  FROM ${ENDS} AS e JOIN colmena_jobs AS j ON ${HOLDS}
  WHERE e.outcome NOT IN ('succeeded', 'later') OR e.log IS NOT NULL`)

/** Who asked to cancel it meanwhile wins over all but a success. */
const STATE =
  "CASE WHEN j.is_cancelled AND e.state <> 'succeeded' THEN 'cancelled' ELSE e.state END"

const END = dense(`UPDATE colmena_jobs AS j SET
    state = ${STATE},
    ready = CASE ${STATE} WHEN 'pending' THEN e.delay_ms = 0 END,
    run_at = CASE ${STATE} WHEN 'pending' THEN ${NOW} + e.delay_ms ELSE j.run_at END,
    max_attempts = j.max_attempts + (e.state = 'pending' AND NOT e.counts),
    failures = j.failures + (e.state = 'pending' AND e.counts),
    claim = NULL, lease_until = NULL,
    result = e.result, error = e.error,
    finished_at = CASE ${STATE} WHEN 'pending' THEN NULL ELSE ${NOW} END
  FROM ${ENDS} AS e WHERE ${HOLDS}
  RETURNING id, attempt, state`)

/**
 * Attempts that are over already, by their lease or by somebody's word, are left as they are. The
 * last statement answers which were held.
 */
export function endStatements(ends: readonly End[]): readonly InputStatement[] {
  const end = { sql: END, args: [JSON.stringify(ends)] }
  // Most attempts leave nothing to note: a statement less for every node.
  const noted = ends.filter(({ outcome, log }) => !QUIET.includes(outcome) || log !== null)
  if (noted.length === 0) return [end]
  // What came of it is in the other one: a long result would be twice in the log.
  const notes = noted.map((one) => ({ ...one, result: null }))
  return [{ sql: NOTE, args: [JSON.stringify(notes)] }, end]
}

/** Nothing went wrong: who asks to be called later may do so for ever. */
const QUIET: readonly End['outcome'][] = ['succeeded', 'later']

/** About what an end takes in the log, in the JSON of all. */
export function sizeOf({ result, error, log }: End): number {
  return [result, error, log].reduce((sum, text) => sum + jsonBytes(text ?? ''), 200)
}

function jsonBytes(text: string): number {
  // Exact where it matters alone.
  return text.length < 1_000 ? 3 * text.length : Buffer.byteLength(JSON.stringify(text))
}

/** What the workers of a dead process held, and what nobody renewed, is free for others. */
const EXPIRED = `UPDATE colmena_jobs SET
    state = CASE WHEN is_cancelled THEN 'cancelled'
      WHEN attempt >= max_attempts THEN 'dead' ELSE 'pending' END,
    ready = CASE WHEN NOT is_cancelled AND attempt < max_attempts THEN 1 END,
    finished_at = CASE WHEN is_cancelled OR attempt >= max_attempts THEN ${NOW} END,
    error = ?1, claim = NULL, lease_until = NULL
  WHERE state = 'running' AND `

const NOTE_EXPIRED = `INSERT OR REPLACE INTO colmena_job_attempts
    (job, attempt, node, started_at, ended_at, outcome, error)
  SELECT id, attempt, node, started_at, ${NOW}, 'lost', ?1 FROM colmena_jobs
  WHERE state = 'running' AND `

const LOST = `RETURNING id, type, attempt, state, error, ${NOW} - started_at AS took_ms`
const LEASE_IS_OVER = `lease_until < ${NOW}`
const IS_OF_EARLIER_RUN = 'node = ?2 AND substr(claim, 1, length(?3)) <> ?3'

/** Frees what nobody renewed in time. */
export function sweepStatements(): readonly InputStatement[] {
  const args = ['its worker was lost: the lease of the attempt ended without an answer']
  return [
    { sql: NOTE_EXPIRED + LEASE_IS_OVER, args },
    { sql: `${EXPIRED}${LEASE_IS_OVER} ${LOST}`, args },
    { sql: FAIL_WAITING },
  ]
}

/** Frees what an earlier process of this node held: it is gone, since this one has its place. */
export function takeOverStatements(nodeId: string, run: string): readonly InputStatement[] {
  const args = ['its worker was lost: the process ended', nodeId, run]
  return [
    { sql: NOTE_EXPIRED + IS_OF_EARLIER_RUN, args },
    { sql: `${EXPIRED}${IS_OF_EARLIER_RUN} ${LOST}`, args },
  ]
}

/** Where the attempts that were lost are, in the answers of both. */
export const LOST_AT = 1

/** An attempt whose worker was lost, and what its job is now. */
export interface LostRow {
  readonly id: string
  readonly type: string
  readonly attempt: number
  readonly state: 'pending' | 'dead' | 'cancelled'
  readonly error: string
  readonly took_ms: number
}

/** Jobs that wait for one which did not succeed, and are not to run all the same. */
const FAIL_WAITING = `UPDATE colmena_jobs SET state = 'failed', finished_at = ${NOW},
    error = 'a job that it is to run after did not succeed: ' || (
      SELECT w.after FROM colmena_job_waits AS w JOIN colmena_jobs AS d ON d.id = w.after
      WHERE w.job = colmena_jobs.id AND w.is_over = 0 AND d.finished_at IS NOT NULL LIMIT 1)
  WHERE state = 'waiting' AND id IN (
    SELECT w.job FROM colmena_job_waits AS w JOIN colmena_jobs AS d ON d.id = w.after
    WHERE w.is_over = 0 AND d.finished_at IS NOT NULL)`

/** Whether the file of this node has anything for a sweep, by the clock of this node. */
export const NEEDS_SWEEP: string = `SELECT
  EXISTS (SELECT 1 FROM colmena_jobs WHERE state = 'running' AND lease_until < ${NOW})
  OR EXISTS (SELECT 1 FROM colmena_job_waits AS w JOIN colmena_jobs AS d ON d.id = w.after
    WHERE w.is_over = 0 AND d.finished_at IS NOT NULL) AS needed`
