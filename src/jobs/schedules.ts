import { Cron } from 'croner'
import type { CallOptions, Database, InputStatement, InputValue } from '../index.ts'
import { type EnqueueOptions, toEnqueueConfig } from './enqueue-options.ts'
import { checkKeys, checkText, invalid, show } from './invalid.ts'
import { INSERT, insertArgs } from './job.ts'
import { NOW } from './schema.ts'

/** Which of the ticks that came while nobody was there run: one for all of them, each, or none. */
export type CatchUp = 'one' | 'all' | 'none'

export interface ScheduleOptions
  extends Omit<EnqueueOptions, 'runAt' | 'delayMs' | 'uniqueKey' | 'after' | 'afterFailure'> {
  /** An IANA name, as 'Europe/Berlin'. @defaultValue 'UTC' */
  readonly timeZone?: string | undefined
  /** @defaultValue 'one' */
  readonly catchUp?: CatchUp | undefined
}

export interface ScheduleInfo {
  readonly id: string
  readonly type: string
  readonly args: unknown
  readonly pattern: string
  readonly timeZone: string
  readonly catchUp: CatchUp
  /** The times to come, at most five; none where it was unscheduled, or has no more. */
  readonly next: readonly Date[]
  readonly lastAt: Date | null
  /** The job of the last tick. */
  readonly lastJobId: string | null
  /** How many ticks made a job. */
  readonly fired: number
}

interface ScheduleRow {
  readonly id: string
  readonly type: string
  readonly args: string
  readonly pattern: string
  readonly time_zone: string
  readonly catch_up: CatchUp
  readonly options: string
  readonly next_at: number | null
  readonly last_at: number | null
  readonly last_job: string | null
  readonly fired: number
}

const COLUMNS = `id, type, args, pattern, time_zone, catch_up, options, next_at, last_at, last_job,
  fired`
const SHOWN = 5
/** A tick that is found later than that was missed. */
const MISSED_MS = 60_000
/** So many ticks are made up for in one entry. */
const TICKS_MAX = 100
const CATCH_UPS: readonly unknown[] = ['one', 'all', 'none']

/**
 * Sets a schedule, or changes the one of that id: the next tick is counted from now on, unless the
 * pattern and the zone are what they were.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT
 */
export function scheduleStatement(
  id: string,
  pattern: string,
  type: string,
  json: string,
  { timeZone = 'UTC', catchUp = 'one', ...options }: ScheduleOptions,
): InputStatement {
  checkText('the id of a schedule', id, 128)
  if (!CATCH_UPS.includes(catchUp)) {
    throw invalid(`catchUp is 'one', 'all' or 'none', not ${show(catchUp)}`)
  }
  toEnqueueConfig(options)
  const nextAt = toCron(pattern, timeZone).nextRun()?.getTime() ?? null
  if (nextAt === null) throw invalid(`'${pattern}' never comes again`)
  const sql = `INSERT INTO colmena_job_schedules
      (id, type, args, pattern, time_zone, catch_up, options, next_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (id) DO UPDATE SET
      type = excluded.type, args = excluded.args, pattern = excluded.pattern,
      time_zone = excluded.time_zone, catch_up = excluded.catch_up, options = excluded.options,
      next_at = CASE WHEN pattern = excluded.pattern AND time_zone = excluded.time_zone
        THEN coalesce(next_at, excluded.next_at) ELSE excluded.next_at END`
  const args = [id, type, json, pattern, timeZone, catchUp, JSON.stringify(options), nextAt]
  return { sql, args }
}

/** Its row stays, with what it did. */
export function unscheduleStatement(id: string): InputStatement {
  checkText('the id of a schedule', id, 128)
  const sql = `UPDATE colmena_job_schedules SET next_at = NULL
    WHERE id = ? AND next_at IS NOT NULL RETURNING id`
  return { sql, args: [id] }
}

export async function listSchedules(
  database: Database,
  options: CallOptions,
): Promise<readonly ScheduleInfo[]> {
  const sql = `SELECT ${COLUMNS} FROM colmena_job_schedules ORDER BY id`
  const { rows } = await database.execute<ScheduleRow>(sql, [], options)
  return rows.map((row) => ({
    id: row.id,
    type: row.type,
    args: JSON.parse(row.args),
    pattern: row.pattern,
    timeZone: row.time_zone,
    catchUp: row.catch_up,
    next: nextOf(row),
    lastAt: row.last_at === null ? null : new Date(row.last_at),
    lastJobId: row.last_job,
    fired: row.fired,
  }))
}

function nextOf({ next_at: nextAt, pattern, time_zone: zone }: ScheduleRow): readonly Date[] {
  if (nextAt === null) return []
  const first = new Date(nextAt)
  return [first, ...toCron(pattern, zone).nextRuns(SHOWN - 1, first)]
}

/**
 * Makes the jobs of the ticks that have come. Any node may try: a tick counts only where the row
 * still has it as its next one, so it makes one job, whoever leads and however often it is tried.
 *
 * @returns how many this node tried
 */
export async function fireDue(database: Database, signal: AbortSignal): Promise<number> {
  const sql = `SELECT ${COLUMNS} FROM colmena_job_schedules
    WHERE next_at <= ${NOW} ORDER BY next_at LIMIT 50`
  const here = { consistency: 'none', signal } as const
  const { rows } = await database.execute<ScheduleRow>(sql, [], here)
  for (const row of rows) {
    await database.batch(tickStatements(row, Date.now()), { mode: 'write', signal })
  }
  return rows.length
}

function tickStatements(row: ScheduleRow, nowMs: number): readonly InputStatement[] {
  const cron = toCron(row.pattern, row.time_zone)
  const dueMs = row.next_at as number
  const ticks: number[] = []
  let next: number | null = dueMs
  while (next !== null && next <= nowMs && ticks.length < TICKS_MAX) {
    ticks.push(next)
    next = cron.nextRun(new Date(next))?.getTime() ?? null
  }
  const wanted = wantedTicks(ticks, row.catch_up, nowMs)
  // Only of one that is not to catch up is it skipped that there were more than that.
  if (row.catch_up !== 'all' && next !== null && next <= nowMs) {
    next = cron.nextRun(new Date(nowMs))?.getTime() ?? null
  }
  const config = toEnqueueConfig(JSON.parse(row.options))
  const jobs = wanted.map((tick): InputStatement => {
    const id = `${row.id}@${new Date(tick).toISOString()}`
    const args = insertArgs(id, row.type, row.args, config)
    // While this is still its next tick; a number behind the others, as they have theirs.
    const sql = INSERT.replace(
      'WHERE true',
      `WHERE EXISTS (SELECT 1 FROM colmena_job_schedules WHERE id = ?15 AND next_at = ?16)
         AND NOT EXISTS (SELECT 1 FROM colmena_jobs WHERE id = ?1)`,
    )
    return { sql, args: [...args, row.id, dueMs] }
  })
  const last = wanted.at(-1) ?? null
  const move: readonly InputValue[] = [
    ...[row.id, dueMs, next, last, wanted.length],
    last === null ? null : `${row.id}@${new Date(last).toISOString()}`,
  ]
  return [...jobs, { sql: MOVE, args: [...move] }]
}

const MOVE = `UPDATE colmena_job_schedules SET
    next_at = ?3, last_at = coalesce(?4, last_at), fired = fired + ?5,
    last_job = coalesce(?6, last_job)
  WHERE id = ?1 AND next_at = ?2`

function wantedTicks(ticks: readonly number[], catchUp: CatchUp, nowMs: number): readonly number[] {
  if (catchUp === 'all') return ticks
  if (catchUp === 'one') return ticks.slice(-1)
  return ticks.filter((tick) => nowMs - tick <= MISSED_MS).slice(-1)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
function toCron(pattern: unknown, timeZone: unknown): Cron {
  checkText('a cron pattern', pattern, 128)
  checkText('timeZone', timeZone, 64)
  try {
    new Intl.DateTimeFormat('en', { timeZone: timeZone as string })
  } catch {
    throw invalid(`there is no time zone ${show(timeZone)}: it is a name as 'Europe/Berlin'`)
  }
  try {
    return new Cron(pattern as string, { timezone: timeZone as string, paused: true })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw invalid(`${show(pattern)} is no cron pattern: ${why}`)
  }
}

export function checkScheduleOptions(options: unknown): ScheduleOptions {
  const keys = ['timeZone', 'catchUp', 'priority', 'maxAttempts', 'timeoutMs', 'backoff', 'tags']
  checkKeys(options, [...keys, 'concurrencyKey'], 'schedule')
  return options as ScheduleOptions
}
