import type {
  AttemptInfo,
  JobInfo,
  JobPage,
  JobState,
  JobsMetrics,
  ScheduleInfo,
  TypeStats,
} from '../jobs/jobs.ts'
import type { ApiClient } from './client.ts'
import { CliError } from './failure.ts'
import { toInteger } from './numbers.ts'
import { escapeControls, renderTable, toJsonText } from './table.ts'

/** What came as JSON has its dates as text. */
type Sent<T> = T extends Date
  ? string
  : T extends object
    ? { readonly [Name in keyof T]: Sent<T[Name]> }
    : T

export interface ListFlags extends JsonFlag {
  readonly state?: string
  readonly type?: string
  readonly tag?: string
  readonly search?: string
  readonly limit: string
  readonly before?: string
}

interface JsonFlag {
  readonly json?: boolean
}

const STATES: Readonly<Record<JobState, true>> = {
  waiting: true,
  pending: true,
  running: true,
  succeeded: true,
  failed: true,
  dead: true,
  cancelled: true,
}
export const JOB_STATES: readonly string[] = Object.keys(STATES)

/** The rest of a long error is for `show`. */
const ERROR_LENGTH_MAX = 60

export async function runJobs(client: ApiClient, flags: ListFlags): Promise<void> {
  const query = new URLSearchParams()
  for (const name of ['state', 'type', 'tag', 'search'] as const) {
    const value = flags[name]
    if (value !== undefined) query.set(name, value)
  }
  query.set('limit', String(toInteger('--limit', flags.limit, 1, 1_000)))
  if (flags.before !== undefined) {
    const before = toInteger('--before', flags.before, 0, Number.MAX_SAFE_INTEGER)
    query.set('before', String(before))
  }
  const page = await client.get<Sent<JobPage>>(`jobs?${query}`)
  print(flags, page, () => {
    const head = ['id', 'type', 'state', 'attempts', 'time', 'error']
    const table = renderTable(head, page.jobs.map(toRow))
    return page.next === null ? table : `${table}\nthere are more: --before ${page.next}`
  })
}

function toRow(job: Sent<JobInfo>): readonly string[] {
  const [error = ''] = (job.error ?? '').split('\n')
  const attempts = `${job.attempt} of ${job.maxAttempts}`
  return [job.id, job.type, job.state, attempts, timeOf(job), error.slice(0, ERROR_LENGTH_MAX)]
}

function timeOf({ state, runAt, startedAt, finishedAt }: Sent<JobInfo>): string {
  if (finishedAt !== null) return `ended ${finishedAt}`
  if (state === 'running') return `began ${startedAt}`
  return state === 'waiting' ? 'after others' : `due ${runAt}`
}

export async function runJob(client: ApiClient, id: string, flags: JsonFlag): Promise<void> {
  interface Shown {
    readonly job: Sent<JobInfo>
    readonly attempts: readonly Sent<AttemptInfo>[]
  }
  const shown = await client.get<Shown>(`jobs/job/${encodeURIComponent(id)}`)
  const { job, attempts } = shown
  print(flags, shown, () => [describeJob(job), ...attempts.map(describeAttempt)].join('\n\n'))
}

/** A line for each thing that is known of it. */
function describeJob(job: Sent<JobInfo>): string {
  const known: readonly (readonly [name: string, value: string | null])[] = [
    ['id', job.id],
    ['type', job.type],
    ['state', job.state],
    ['arguments', JSON.stringify(job.args)],
    ['priority', String(job.priority)],
    ['attempts', `${job.attempt} of ${job.maxAttempts}, of ${job.timeoutMs} ms each`],
    ['unique key', job.uniqueKey],
    ['concurrency key', job.concurrencyKey],
    ['tags', job.tags.join(', ') || null],
    ['after', job.after.join(', ') || null],
    ['enqueued', job.enqueuedAt],
    ['due', job.runAt],
    ['began', job.startedAt],
    ['ended', job.finishedAt],
    ['node', job.nodeId],
    ['progress', job.progress === null ? null : JSON.stringify(job.progress)],
    ['result', job.state === 'succeeded' ? JSON.stringify(job.result) : null],
    ['error', job.error],
  ]
  return describe(known)
}

function describeAttempt(attempt: Sent<AttemptInfo>): string {
  return describe([
    ['attempt', `${attempt.attempt}, ${attempt.outcome}`],
    ['node', attempt.nodeId],
    ['began', attempt.startedAt],
    ['ended', attempt.endedAt],
    ['error', attempt.error],
    ['log', attempt.log],
  ])
}

/** Text of many lines goes below its name. */
function describe(known: readonly (readonly [name: string, value: string | null])[]): string {
  return known
    .filter(([, value]) => value !== null)
    .map(([name, value]) => {
      const lines = String(value).trimEnd().split('\n').map(escapeControls)
      return lines.length === 1 ? `${name}: ${lines[0]}` : [`${name}:`, ...lines].join('\n  ')
    })
    .join('\n')
}

export async function runJobChange(
  client: ApiClient,
  change: 'retry' | 'cancel' | 'run',
  id: string,
): Promise<void> {
  const changes = {
    retry: [`${id} is to run again`, `there is no job '${id}' that is over without success`],
    cancel: [`${id} is cancelled, or told to end`, `there is no job '${id}' that is not over`],
    run: [`${id} is to run now`, `there is no job '${id}' that waits for its time`],
  } as const
  const [done, refused] = changes[change]
  const path = `jobs/job/${encodeURIComponent(id)}/${change}`
  const { done: isDone } = await client.post<{ readonly done: boolean }>(path)
  if (!isDone) throw new CliError(`${refused}: see 'colmena jobs list'`)
  process.stdout.write(`${escapeControls(done)}\n`)
}

export async function runTypeChange(
  client: ApiClient,
  change: 'pause' | 'resume',
  type: string,
): Promise<void> {
  await client.post(`jobs/types/${encodeURIComponent(type)}/${change}`)
  const done = {
    pause: `no job of '${type}' begins any more; those that run go on`,
    resume: `jobs of '${type}' begin again`,
  }
  process.stdout.write(`${done[change]}\n`)
}

export async function runJobStats(client: ApiClient, flags: JsonFlag): Promise<void> {
  interface Stats {
    readonly types: readonly TypeStats[]
    readonly node: JobsMetrics
  }
  const stats = await client.get<Stats>('jobs/stats')
  print(flags, stats, () => {
    const head = ['type', ...JOB_STATES, 'waited', 'limits']
    const rows = stats.types.map((of) => [
      of.isPaused ? `${of.type}, paused` : of.type,
      ...JOB_STATES.map((state) => String(of.counts[state as JobState])),
      `${(of.waitedMs / 1000).toFixed(1)} s`,
      describeLimits(of.limits),
    ])
    return renderTable(head, rows)
  })
}

function describeLimits({
  concurrency,
  rate,
  keyConcurrency,
  keyRate,
}: TypeStats['limits']): string {
  const parts: string[] = []
  if (concurrency !== null) parts.push(`${concurrency} at a time`)
  if (rate !== null) parts.push(`${rate.max} in ${rate.perMs} ms`)
  if (keyConcurrency !== null) parts.push(`${keyConcurrency} at a time of a key`)
  if (keyRate !== null) parts.push(`${keyRate.max} in ${keyRate.perMs} ms of a key`)
  return parts.join(', ')
}

export async function runSchedules(client: ApiClient, flags: JsonFlag): Promise<void> {
  const body = await client.get<{ readonly schedules: readonly Sent<ScheduleInfo>[] }>(
    'jobs/schedules',
  )
  print(flags, body, () => {
    const head = ['id', 'type', 'pattern', 'zone', 'next', 'last', 'fired']
    const rows = body.schedules.map(({ id, type, pattern, timeZone, next, lastAt, fired }) => [
      ...[id, type, pattern, timeZone],
      ...[next[0] ?? 'no more', lastAt ?? 'never', String(fired)],
    ])
    return renderTable(head, rows)
  })
}

function print({ json }: JsonFlag, body: unknown, describeBody: () => string): void {
  process.stdout.write(`${json === true ? toJsonText(body, 2) : describeBody()}\n`)
}
