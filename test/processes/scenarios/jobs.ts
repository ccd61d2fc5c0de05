import assert from 'node:assert/strict'
import type { Consistency } from '../../../src/index.ts'
import type { JobsOptions } from '../../../src/jobs/jobs.ts'
import { Cluster, type ClusterOptions } from '../cluster.ts'
import { readHash } from '../content.ts'
import { JOBS_SCHEMA } from '../job-handlers.ts'
import { type HistoryFigures, JobTables, judgeHistory, judgeRuns } from '../job-judge.ts'
import type { JobChunk, JobType } from '../protocol.ts'
import { until } from '../wait.ts'

export interface JobsForm {
  readonly jobs: number
  /** So many jobs succeed between two kills of the leader. */
  readonly killEvery: number
  readonly progress?: ((line: string) => void) | undefined
}

const NODES = [0, 1, 2]
/** As short as may be: what a killed worker held is found soon. */
export const JOBS_OPTIONS = { workers: 8, leaseMs: 2_000, pollMs: 200, drainMs: 1_000 } as const
const CHUNK = 25
const LANES = 7
const STUBBORN = 2
/** What a rate lets start takes its time. */
const IDLE_MS_MAX = 600_000
const LIMITS = {
  concurrency: { capped: 5 },
  keyConcurrency: { keyed: 2 },
  rate: { rated: { max: 20, perMs: 1_000 } },
} as const
const SCHEDULES = [
  { id: 'each', pattern: '* * * * * *', everyMs: 1_000, catchUp: 'all' },
  { id: 'even', pattern: '*/2 * * * * *', everyMs: 2_000, catchUp: 'one' },
] as const

/**
 * Three nodes of eight workers each run jobs that fail, ask to be called later or take too long,
 * while schedules fire and whoever leads is killed and started again, over and over. Each job must
 * succeed once by the tables of its handlers, no limit may be exceeded at any entry of the log, and
 * no tick may be lost or come twice.
 */
export async function runJobs(form: JobsForm): Promise<string[]> {
  const cluster = await startJobsCluster()
  try {
    await setLimits(cluster)
    const startedMs = performance.now()
    const enqueued = enqueueAll(cluster, planChunks(form.jobs))
    enqueued.catch(() => {})
    const kills = await killLeaders(cluster, form)
    await enqueued
    for (const { id } of SCHEDULES) await cluster.node(0).call('jobs', 'unschedule', id)
    await untilIdle(cluster)
    const seconds = (performance.now() - startedMs) / 1000
    // Jobs write by themselves, and what they write while nodes close not all of them apply.
    for (const at of NODES) await cluster.node(at).call('jobs', 'close')
    await cluster.untilEqual()
    await cluster.stop()
    const hashes = new Set(NODES.map((at) => readHash(cluster.dataDir(at))))
    assert.equal(hashes.size, 1, 'all nodes have the same content')
    return [`${kills} leaders killed in ${seconds.toFixed(1)} s`, ...judge(cluster, form)]
  } finally {
    await cluster.end()
  }
}

/** Three nodes whose jobs leave a history; those that are named run them. */
export async function startJobsCluster(
  options: JobsOptions = {},
  runners: readonly number[] = NODES,
  own: ClusterOptions = {},
): Promise<Cluster> {
  const cluster = await Cluster.start({ heartbeatMs: 50, electionTimeoutMs: 400, ...own })
  try {
    for (const at of runners) {
      const node = cluster.node(at)
      await node.call('startJobs', { ...JOBS_OPTIONS, ...options })
      await node.call('jobs', 'ready')
      if (at !== runners[0]) continue
      for (const sql of JOBS_SCHEMA) await node.call('execute', sql)
    }
    return cluster
  } catch (error) {
    await cluster.end()
    throw error
  }
}

async function setLimits(cluster: Cluster): Promise<void> {
  const node = cluster.node(0)
  await node.call('jobs', 'limit', 'capped', { concurrency: LIMITS.concurrency.capped })
  await node.call('jobs', 'limit', 'keyed', { keyConcurrency: LIMITS.keyConcurrency.keyed })
  await node.call('jobs', 'limit', 'rated', { rate: LIMITS.rate.rated })
  for (const { id, pattern, catchUp } of SCHEDULES) {
    await node.call('jobs', 'schedule', id, pattern, 'tick', { n: 0 }, { catchUp, ...PATIENCE })
  }
}

/** Attempts of killed nodes count as well: no job may die of them. */
const PATIENCE = {
  maxAttempts: 1_000,
  timeoutMs: 1_000,
  backoff: { baseMs: 20, maxMs: 200, jitter: false },
} as const

function planChunks(jobs: number): readonly JobChunk[] {
  const chunks: { id: string; type: JobType; ns: number[]; concurrencyKey?: string }[] = []
  const open = new Map<string, (typeof chunks)[number]>()
  for (let n = 0; n < jobs; n += 1) {
    const type = typeOf(n)
    const lane = type === 'keyed' ? `lane-${n % LANES}` : ''
    let chunk = open.get(type + lane)
    if (chunk === undefined || chunk.ns.length === CHUNK) {
      const id = `chunk ${chunks.length}`
      chunk = { id, type, ns: [], ...(lane === '' ? {} : { concurrencyKey: lane }) }
      chunks.push(chunk)
      open.set(type + lane, chunk)
    }
    chunk.ns.push(n)
  }
  const ns = Array.from({ length: STUBBORN }, (_, at) => at)
  const stubborn = { id: 'stubborn', type: 'stubborn', ns, ...PATIENCE, timeoutMs: 200 } as const
  // First more than the rate lets start at once: there is a worker free for each of them.
  chunks.sort((a, b) => Number(b.type === 'rated') - Number(a.type === 'rated'))
  return [...chunks.map((chunk) => ({ ...chunk, ...PATIENCE })), stubborn]
}

function typeOf(n: number): JobType {
  const at = n % 40
  if (at < 6) return 'capped'
  if (at < 12) return 'keyed'
  return at < 15 ? 'rated' : 'free'
}

/** Through all nodes in turn; what came of one that failed is not known: it is said again. */
async function enqueueAll(cluster: Cluster, chunks: readonly JobChunk[]): Promise<void> {
  for (const [at, chunk] of chunks.entries()) {
    let turn = at
    await until(`${chunk.id} is there`, () => {
      const node = cluster.node(turn++ % NODES.length)
      return node.call('enqueueChunk', chunk).then(
        () => true,
        () => false,
      )
    })
  }
}

async function killLeaders(
  cluster: Cluster,
  { jobs, killEvery, progress }: JobsForm,
): Promise<number> {
  let kills = 0
  const startedMs = performance.now()
  for (let goal = killEvery; goal < jobs; goal += killEvery) {
    await until(`${goal} jobs succeeded`, async () => (await countSucceeded(cluster)) >= goal)
    const at = await cluster.leader()
    await cluster.node(at).kill()
    kills += 1
    // The two others have to find a leader by themselves.
    await cluster.leader()
    const node = await cluster.startNode(at)
    await node.call('startJobs', JOBS_OPTIONS)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0)
    if (kills % 10 === 0) progress?.(`${kills} leaders killed, ${goal} jobs done, ${seconds} s`)
  }
  return kills
}

async function ask(cluster: Cluster, sql: string, consistency: Consistency): Promise<number> {
  const [node] = cluster.running
  // Whoever is asked may be about to be killed, or have no leader to ask.
  const answer = await node?.call('execute', sql, [], { consistency }).catch(() => null)
  return Number(answer?.rows[0]?.['count'] ?? Number.NaN)
}

/** None is ever removed: the newest one's number is how many there are. */
function countSucceeded(cluster: Cluster): Promise<number> {
  return ask(cluster, 'SELECT max(rowid) AS count FROM successes', 'none')
}

/** Resolves once no job is left that is not over. */
export async function untilIdle(cluster: Cluster): Promise<void> {
  const sql = 'SELECT count(*) AS count FROM colmena_jobs WHERE finished_at IS NULL'
  const isIdle = async (): Promise<boolean> => (await ask(cluster, sql, 'strong')) === 0
  await until('all jobs are over', isIdle, IDLE_MS_MAX)
}

function judge(cluster: Cluster, { jobs }: JobsForm): string[] {
  const tables = new JobTables(cluster.dataDir(0))
  try {
    const figures = judgeHistory(tables.history(), LIMITS)
    const runs = tables.runs()
    judgeRuns(runs, LIMITS)
    judgeSuccesses(tables, jobs)
    const ticks = judgeTicks(tables)
    const outcomes = tables.rows(
      'SELECT outcome, count(*) AS count FROM colmena_job_attempts GROUP BY 1 ORDER BY 1',
    )
    return [
      ...tell(figures, runs.length),
      ticks,
      `attempts that did not succeed: ${list(outcomes)}`,
    ]
  } finally {
    tables.close()
  }
}

function judgeSuccesses(tables: JobTables, jobs: number): void {
  const wrong = tables.rows(`SELECT j.id, j.type, j.state, count(s.job) AS successes
    FROM colmena_jobs AS j LEFT JOIN successes AS s ON s.job = j.id
    GROUP BY j.id HAVING j.state <> 'succeeded' OR count(s.job) <> 1`)
  assert.deepEqual(wrong, [], 'jobs that did not succeed once')
  const made = tables.rows(`SELECT count(*) AS count, count(DISTINCT args) AS distinct_count
    FROM colmena_jobs WHERE type NOT IN ('tick', 'stubborn')`)
  assert.deepEqual(made, [{ count: jobs, distinct_count: jobs }], 'each was made once')
}

function judgeTicks(tables: JobTables): string {
  const told = SCHEDULES.map(({ id, everyMs, catchUp }) => {
    const ids = tables.rows(`SELECT id FROM colmena_jobs WHERE id LIKE '${id}@%' ORDER BY id`)
    const times = ids.map((row) => Date.parse(String(row['id']).slice(id.length + 1)))
    assert.ok(times.length > 1, `${id} fired ${times.length} times`)
    for (const [at, time] of times.entries()) {
      assert.equal(time % everyMs, 0, `${id} fired at one of its ticks`)
      const sinceMs = time - (times[at - 1] ?? time - everyMs)
      if (catchUp === 'all') assert.equal(sinceMs, everyMs, `${id}: ticks up to ${time}`)
    }
    const [schedule] = tables.rows(
      `SELECT fired, last_job FROM colmena_job_schedules WHERE id = '${id}'`,
    )
    const last = ids.at(-1)?.['id']
    assert.deepEqual(schedule, { fired: times.length, last_job: last }, `${id} says what it did`)
    return `${id}: ${times.length}`
  })
  return `ticks that fired, each once: ${told.join(', ')}`
}

function tell(figures: HistoryFigures, runs: number): string[] {
  const { made, attempts, succeeded, most, mostOfKey } = figures
  return [
    `${made} jobs made, ${attempts} attempts, ${runs} of them seen by their handlers, ` +
      `${succeeded} succeeded, each once`,
    `at most ${most['capped']} of ${LIMITS.concurrency.capped} at a time, ` +
      `${mostOfKey['keyed']} of ${LIMITS.keyConcurrency.keyed} of one key; ` +
      `no window of ${LIMITS.rate.rated.perMs} ms with over ${LIMITS.rate.rated.max} starts`,
  ]
}

function list(outcomes: readonly Readonly<Record<string, unknown>>[]): string {
  return outcomes.map(({ outcome, count }) => `${outcome} ${count}`).join(', ')
}
