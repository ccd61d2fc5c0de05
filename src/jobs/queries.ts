import type { CallOptions, Database, InputValue } from '../index.ts'
import { checkKeys, checkWhole, invalid, show } from './invalid.ts'

export const STATES = [
  'waiting',
  'pending',
  'running',
  'succeeded',
  'failed',
  'dead',
  'cancelled',
] as const
export type JobState = (typeof STATES)[number]

/** A job as it is now. */
export interface JobInfo {
  readonly id: string
  readonly type: string
  readonly state: JobState
  readonly args: unknown
  readonly priority: number
  readonly runAt: Date
  /** How many attempts began. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly timeoutMs: number
  readonly uniqueKey: string | null
  readonly concurrencyKey: string | null
  readonly tags: readonly string[]
  readonly after: readonly string[]
  /** The node that runs it, or ran it last. */
  readonly nodeId: string | null
  readonly progress: unknown
  /** Of one that succeeded. */
  readonly result: unknown
  /** Of its last attempt, where that failed. */
  readonly error: string | null
  readonly enqueuedAt: Date
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
}

/** An attempt that did not succeed, or that left a log. */
export interface AttemptInfo {
  readonly attempt: number
  readonly nodeId: string | null
  readonly startedAt: Date | null
  readonly endedAt: Date
  readonly outcome: string
  readonly error: string | null
  readonly log: string | null
}

export interface ListOptions {
  readonly state?: JobState | undefined
  readonly type?: string | undefined
  readonly tag?: string | undefined
  /** A part of the id, of the unique key, of the arguments or of the error. */
  readonly search?: string | undefined
  /** @defaultValue 50 */
  readonly limit?: number | undefined
  /** Those before the last one of the page before: its `next`. */
  readonly before?: number | undefined
}

export interface JobPage {
  /** The newest first. */
  readonly jobs: readonly JobInfo[]
  /** For `before`, where there are more. */
  readonly next: number | null
}

/** What the cluster has of one type. */
export interface TypeStats {
  readonly type: string
  readonly isPaused: boolean
  readonly counts: Readonly<Record<JobState, number>>
  /** How long the oldest one that could run has waited. */
  readonly waitedMs: number
  readonly limits: {
    readonly concurrency: number | null
    readonly rate: { readonly max: number; readonly perMs: number } | null
    readonly keyConcurrency: number | null
    readonly keyRate: { readonly max: number; readonly perMs: number } | null
  }
}

interface JobRow {
  readonly seq: number
  readonly id: string
  readonly type: string
  readonly state: JobState
  readonly args: string
  readonly priority: number
  readonly run_at: number
  readonly attempt: number
  readonly max_attempts: number
  readonly timeout_ms: number
  readonly unique_key: string | null
  readonly lane: string | null
  readonly tags: string
  readonly after: string | null
  readonly node: string | null
  readonly progress: string | null
  readonly result: string | null
  readonly error: string | null
  readonly enqueued_at: number
  readonly started_at: number | null
  readonly finished_at: number | null
}

const COLUMNS = `seq, id, type, state, args, priority, run_at, attempt, max_attempts, timeout_ms,
  unique_key, lane, tags, after, node, progress, result, error, enqueued_at, started_at,
  finished_at`

export async function findJob(
  database: Database,
  id: string,
  options: CallOptions,
): Promise<JobInfo | null> {
  const sql = `SELECT ${COLUMNS} FROM colmena_jobs WHERE id = ?`
  const { rows } = await database.execute<JobRow>(sql, [id], options)
  return rows[0] === undefined ? null : toJob(rows[0])
}

/** {@link ListOptions} after checking. */
export interface ListQuery {
  readonly limit: number
  readonly where: string
  readonly args: readonly InputValue[]
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkListOptions({ limit, ...filter }: ListOptions): ListQuery {
  return { limit: checkWhole('limit', limit ?? 50, 1, 1_000), ...toWhere(filter) }
}

export async function listJobs(
  database: Database,
  { limit, where, args }: ListQuery,
  options: CallOptions,
): Promise<JobPage> {
  const sql = `SELECT ${COLUMNS} FROM colmena_jobs ${where} ORDER BY seq DESC LIMIT ${limit + 1}`
  const { rows } = await database.execute<JobRow>(sql, [...args], options)
  const page = rows.slice(0, limit)
  const next = rows.length > limit ? (page.at(-1)?.seq ?? null) : null
  return { jobs: page.map(toJob), next }
}

export async function listAttempts(
  database: Database,
  id: string,
  options: CallOptions,
): Promise<readonly AttemptInfo[]> {
  const sql = `SELECT attempt, node, started_at, ended_at, outcome, error, log
    FROM colmena_job_attempts WHERE job = ? ORDER BY attempt`
  interface AttemptRow {
    readonly attempt: number
    readonly node: string | null
    readonly started_at: number | null
    readonly ended_at: number
    readonly outcome: string
    readonly error: string | null
    readonly log: string | null
  }
  const { rows } = await database.execute<AttemptRow>(sql, [id], options)
  return rows.map(({ attempt, node, started_at, ended_at, outcome, error, log }) => {
    const startedAt = toDate(started_at)
    return { attempt, nodeId: node, startedAt, endedAt: new Date(ended_at), outcome, error, log }
  })
}

export async function readStats(
  database: Database,
  options: CallOptions,
): Promise<readonly TypeStats[]> {
  const waiting = `SELECT type, min(run_at) AS since FROM colmena_jobs
    WHERE ready = 1 GROUP BY type`
  const known = `SELECT type, is_paused, concurrency, rate_max, rate_ms, lane_concurrency,
    lane_rate_max, lane_rate_ms FROM colmena_job_types`
  const [counts, since, types] = await database.batch([COUNTED, waiting, known], {
    mode: 'read',
    ...options,
  })
  const stats = new Map<string, MutableStats>()
  const statsOf = (type: string): MutableStats => {
    const found = stats.get(type) ?? emptyStats(type)
    stats.set(type, found)
    return found
  }
  for (const row of rowsOf<TypeRow>(types)) Object.assign(statsOf(row.type), toTypeStats(row))
  for (const { type, state, jobs } of rowsOf<CountRow>(counts)) statsOf(type).counts[state] = jobs
  const nowMs = Date.now()
  for (const { type, since: ms } of rowsOf<{ type: string; since: number }>(since)) {
    statsOf(type).waitedMs = Math.max(0, nowMs - ms)
  }
  return [...stats.values()].sort((a, b) => (a.type < b.type ? -1 : 1))
}

/** Each part by an index that has all it asks: rows with large arguments are not read. */
const COUNTED = `SELECT type, state, count(*) AS jobs FROM colmena_jobs
    WHERE finished_at IS NOT NULL GROUP BY type, state
  UNION ALL SELECT type, 'pending', sum(jobs) FROM (
    SELECT type, count(*) AS jobs FROM colmena_jobs WHERE ready = 1 GROUP BY type
    UNION ALL SELECT type, count(*) FROM colmena_jobs WHERE ready = 0 GROUP BY type) GROUP BY type
  UNION ALL SELECT type, 'running', count(*) FROM colmena_jobs WHERE state = 'running' GROUP BY type
  UNION ALL SELECT type, 'waiting', count(*) FROM colmena_jobs
    WHERE state = 'waiting' GROUP BY type`

type MutableStats = {
  -readonly [Name in keyof TypeStats]: Name extends 'counts'
    ? Record<JobState, number>
    : TypeStats[Name]
}

interface CountRow {
  readonly type: string
  readonly state: JobState
  readonly jobs: number
}

interface TypeRow {
  readonly type: string
  readonly is_paused: number
  readonly concurrency: number | null
  readonly rate_max: number | null
  readonly rate_ms: number | null
  readonly lane_concurrency: number | null
  readonly lane_rate_max: number | null
  readonly lane_rate_ms: number | null
}

function rowsOf<Row>(result: { readonly rows: readonly unknown[] } | undefined): readonly Row[] {
  return (result?.rows ?? []) as readonly Row[]
}

function emptyStats(type: string): MutableStats {
  const counts = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<JobState, number>
  const limits = { concurrency: null, rate: null, keyConcurrency: null, keyRate: null }
  return { type, isPaused: false, counts, waitedMs: 0, limits }
}

function toTypeStats(row: TypeRow): Pick<TypeStats, 'isPaused' | 'limits'> {
  return {
    isPaused: row.is_paused !== 0,
    limits: {
      concurrency: row.concurrency,
      rate: toRate(row.rate_max, row.rate_ms),
      keyConcurrency: row.lane_concurrency,
      keyRate: toRate(row.lane_rate_max, row.lane_rate_ms),
    },
  }
}

function toRate(max: number | null, perMs: number | null): TypeStats['limits']['rate'] {
  return max === null || perMs === null ? null : { max, perMs }
}

function toWhere(filter: Omit<ListOptions, 'limit'>): Omit<ListQuery, 'limit'> {
  checkKeys(filter, ['state', 'type', 'tag', 'search', 'before'], 'list')
  const { state, type, tag, search, before } = filter
  if (state !== undefined && !STATES.includes(state)) {
    throw invalid(`a state is one of ${STATES.join(', ')}, not ${show(state)}`)
  }
  if (before !== undefined) checkWhole('before', before, 0, Number.MAX_SAFE_INTEGER)
  const parts: string[] = []
  const args: InputValue[] = []
  const add = (part: string, value: InputValue | undefined): void => {
    if (value === undefined) return
    args.push(value)
    parts.push(part.replaceAll('?', `?${args.length}`))
  }
  add('state = ?', state)
  add('type = ?', type)
  add('EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)', tag)
  add(
    `(instr(id, ?) OR instr(coalesce(unique_key, ''), ?) OR instr(args, ?)
      OR instr(coalesce(error, ''), ?))`,
    search,
  )
  add('seq < ?', before)
  return { where: parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`, args }
}

function toJob(row: JobRow): JobInfo {
  return {
    id: row.id,
    type: row.type,
    state: row.state,
    args: JSON.parse(row.args),
    priority: row.priority,
    runAt: new Date(row.run_at),
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    timeoutMs: row.timeout_ms,
    uniqueKey: row.unique_key,
    concurrencyKey: row.lane,
    tags: JSON.parse(row.tags),
    after: row.after === null ? [] : JSON.parse(row.after),
    nodeId: row.node,
    progress: row.progress === null ? null : JSON.parse(row.progress),
    result: row.result === null ? null : JSON.parse(row.result),
    error: row.error,
    enqueuedAt: new Date(row.enqueued_at),
    startedAt: toDate(row.started_at),
    finishedAt: toDate(row.finished_at),
  }
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms)
}
