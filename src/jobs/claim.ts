import type { InputStatement, InputValue } from '../index.ts'
import { dense, NOW } from './schema.ts'

/** More at once would only make the entry long; limits of types count up to here as well. */
export const CLAIM_MAX = 256
/** A statement has so many parts at most. */
export const TYPES_MAX = 400

const RUNNING = "state = 'running'"

/** What is left of a limit, where there is one. */
function left(max: string, used: string): string {
  return `coalesce(${max} - (${used}), ${CLAIM_MAX})`
}

/** How many of a type may start now, by what the whole cluster has running and has started. */
function roomOfType(type: string): string {
  const running = `SELECT count(*) FROM colmena_jobs WHERE ${RUNNING} AND type = t.type`
  const starts = `SELECT count(*) FROM colmena_job_starts AS s
    WHERE s.type = t.type AND s.at > ${NOW} - t.rate_ms`
  return `coalesce((
    SELECT CASE WHEN t.is_paused THEN 0
      ELSE min(${left('t.concurrency', running)}, ${left('t.rate_max', starts)}) END
    FROM colmena_job_types AS t WHERE t.type = ${type}), ${CLAIM_MAX})`
}

/** The same for the concurrency key of the row `j`, before any other of the key is counted. */
function roomOfLane(): string {
  const running = `SELECT count(*) FROM colmena_jobs AS r
    WHERE r.${RUNNING} AND r.type = j.type AND r.lane = j.lane`
  const starts = `SELECT count(*) FROM colmena_job_starts AS s
    WHERE s.type = j.type AND s.lane = j.lane AND s.at > ${NOW} - t.lane_rate_ms`
  return `min(${left('t.lane_concurrency', running)}, ${left('t.lane_rate_max', starts)})`
}

/** Whether the concurrency keys of a type count at all: asked once for all of its rows. */
function limitsLanes(type: string): string {
  return `EXISTS (SELECT 1 FROM colmena_job_types WHERE type = ${type}
    AND (lane_concurrency IS NOT NULL OR lane_rate_max IS NOT NULL))`
}

/**
 * What may start now of one type, in its order. Where its keys count, each row is looked at with
 * its place among those of its key; where they don't, no more rows are read than are wanted. A
 * negative LIMIT would be none at all.
 */
function candidatesOfType(type: string, want: string): string {
  const order = 'ORDER BY priority DESC, run_at, seq'
  return `SELECT * FROM (
    SELECT * FROM (
      SELECT seq, type, priority, run_at FROM colmena_jobs
      WHERE ready = 1 AND type = ${type} AND (lane IS NULL OR NOT ${limitsLanes(type)})
      ${order} LIMIT ${want})
    UNION ALL
    SELECT j.seq, j.type, j.priority, j.run_at FROM (
      SELECT *, row_number() OVER (PARTITION BY lane ${order}) AS place FROM colmena_jobs
      WHERE ${limitsLanes(type)} AND ready = 1 AND type = ${type} AND lane IS NOT NULL) AS j
    JOIN colmena_job_types AS t ON t.type = j.type
    WHERE j.place <= ${CLAIM_MAX} AND j.place <= ${roomOfLane()}
    ${order} LIMIT max(0, min(${want}, ${roomOfType(type)})))`
}

/**
 * What may start now, best first: by priority; within one, each type in its turn, beginning with
 * the one that has the least running and then with the one whose turn is the longest ago; within a
 * type by time.
 */
function candidates(types: readonly string[], want: string, first: number): string {
  const parts = types.map((_, at) => candidatesOfType(`?${first + at}`, want))
  return `SELECT c.seq FROM (
      SELECT *, row_number() OVER (PARTITION BY type, priority ORDER BY run_at, seq) AS place
      FROM (${parts.join(' UNION ALL ')})) AS c
    LEFT JOIN colmena_job_types AS t ON t.type = c.type
    ORDER BY c.priority DESC,
      c.place + (SELECT count(*) FROM colmena_jobs AS r WHERE r.${RUNNING} AND r.type = c.type),
      t.turn, c.run_at, c.seq
    LIMIT ${want}`
}

/**
 * Whether a claim would find anything, or make anything due, asked of this node's own file with the
 * types as arguments.
 */
export function hasClaimable(types: readonly string[]): string {
  const due = `SELECT seq FROM colmena_jobs WHERE ready = 0 AND run_at <= ${NOW} LIMIT 1`
  const sql = `SELECT * FROM (${due}) UNION ALL SELECT * FROM (${candidates(types, '1', 1)})`
  return dense(sql)
}

export interface Claim {
  /** Of this claim alone. */
  readonly token: string
  readonly nodeId: string
  readonly types: readonly string[]
  readonly want: number
  readonly leaseMs: number
}

/** A job as its claim answers it. */
export interface ClaimedRow {
  readonly id: string
  readonly type: string
  readonly attempt: number
  readonly max_attempts: number
  readonly failures: number
  readonly args: string
  readonly timeout_ms: number
  readonly backoff: string
  readonly after: string | null
  readonly enqueued_at: number
}

/**
 * The statements of a claim, which decide on the state at their place in the log: so no two nodes
 * run one attempt, and limits hold for all nodes together. The answer is that of the one at
 * {@link CLAIM_AT}.
 */
export function claimStatements(claim: Claim): readonly InputStatement[] {
  const { token, nodeId, types, want, leaseMs } = claim
  const args: InputValue[] = [want, token, nodeId, leaseMs, ...types]
  return [
    { sql: MAKE_DUE },
    { sql: claimSql(types), args },
    { sql: NOTE_STARTS, args: [token] },
    { sql: NOTE_TURN, args: [token] },
  ]
}

export const CLAIM_AT = 1

/** SQLite looks at the value of a bare parameter of LIMIT to plan, and so plans at every run. */
const WANT = 'CAST(?1 AS INTEGER)'

/** Of the number of types that a node has: a long text, and made for each claim it would cost. */
let kept = { types: 0, sql: '' }

function claimSql(types: readonly string[]): string {
  if (kept.types === types.length) return kept.sql
  const sql = dense(`UPDATE colmena_jobs SET
      state = 'running', ready = NULL, attempt = attempt + 1, claim = ?2, node = ?3,
      lease_until = ${NOW} + ?4, started_at = ${NOW}, progress = NULL
    WHERE seq IN (${candidates(types, WANT, 5)})
    RETURNING id, type, attempt, max_attempts, failures, args, timeout_ms, backoff, after,
      enqueued_at`)
  kept = { types: types.length, sql }
  return sql
}

const DUE_MAX = 1_000

/** Jobs whose time has come stand in line with the others from now on. */
const MAKE_DUE = dense(`UPDATE colmena_jobs SET ready = 1 WHERE seq IN (
  SELECT seq FROM colmena_jobs WHERE ready = 0 AND run_at <= ${NOW}
  ORDER BY run_at LIMIT ${DUE_MAX})`)

/** Only of types whose rate is limited does anybody count starts. */
const NOTE_STARTS = dense(`INSERT INTO colmena_job_starts (type, lane, at)
  SELECT j.type, j.lane, j.started_at FROM colmena_jobs AS j
  JOIN colmena_job_types AS t ON t.type = j.type
  WHERE j.${RUNNING} AND j.claim = ?1 AND (t.rate_max IS NOT NULL OR t.lane_rate_max IS NOT NULL)`)

const NOTE_TURN = dense(`INSERT INTO colmena_job_types (type, turn)
  SELECT DISTINCT type, 1 + coalesce((SELECT max(turn) FROM colmena_job_types), 0)
  FROM colmena_jobs WHERE ${RUNNING} AND claim = ?1
  ON CONFLICT (type) DO UPDATE SET turn = excluded.turn`)
