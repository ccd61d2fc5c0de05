/** Jobs of several steps, and after one another, whose node is killed in between. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type Cluster, nameNode } from './cluster.ts'
import { STEPS } from './job-handlers.ts'
import { JobTables, judgeHistory } from './job-judge.ts'
import { JOBS_OPTIONS, startJobsCluster, untilIdle } from './scenarios/jobs.ts'
import { until } from './wait.ts'

const OPTIONS = { maxAttempts: 1_000 }
const NODES = [0, 1, 2]
const LINKS = 3

/** The first value of the first row, by any node that runs. */
async function ask(cluster: Cluster, sql: string, args: readonly unknown[]): Promise<unknown> {
  const [node] = cluster.running
  const answer = await node?.call('execute', sql, args, { consistency: 'none' })
  return Object.values(answer?.rows[0] ?? {})[0]
}

/** Resolves once that attempt runs somewhere, and is where it is to be killed: then it is. */
async function killWorker(
  cluster: Cluster,
  id: string,
  attempt: number,
  isThere: () => Promise<boolean>,
): Promise<void> {
  const running = `SELECT node FROM colmena_jobs
    WHERE id = ? AND state = 'running' AND attempt = ?`
  const name = await until(`attempt ${attempt} of ${id} runs`, async () => {
    if (!(await isThere())) return null
    return ask(cluster, running, [id, attempt])
  })
  const at = NODES.findIndex((node) => nameNode(node) === name)
  await cluster.node(at).kill()
  await cluster.leader()
  await (await cluster.startNode(at)).call('startJobs', JOBS_OPTIONS)
}

async function end<T>(cluster: Cluster, look: (tables: JobTables) => T): Promise<T> {
  await untilIdle(cluster)
  await cluster.untilEqual()
  await cluster.stop()
  const tables = new JobTables(cluster.dataDir(0))
  try {
    judgeHistory(tables.history())
    return look(tables)
  } finally {
    tables.close()
  }
}

it('does each step of a job once, though its node is killed after every one', async (t) => {
  const cluster = await startJobsCluster()
  t.after(() => cluster.end())
  const { id } = await cluster.node(0).call('enqueue', 'flow', {}, OPTIONS)
  const kept = 'SELECT count(*) FROM colmena_job_steps WHERE job = ?'
  for (let step = 1; step <= STEPS; step += 1) {
    await killWorker(cluster, id, step, async () => (await ask(cluster, kept, [id])) === step)
  }
  const [effects, successes, attempts] = await end(cluster, (tables) => [
    tables.rows('SELECT step, attempt FROM effects ORDER BY rowid'),
    tables.rows('SELECT job, attempt, n FROM successes'),
    tables.rows('SELECT attempt, outcome FROM colmena_job_attempts ORDER BY attempt'),
  ])
  const steps = Array.from({ length: STEPS }, (_, before) => before + 1)
  assert.deepEqual(
    effects,
    steps.map((step) => ({ step, attempt: step })),
  )
  assert.deepEqual(successes, [{ job: id, attempt: STEPS + 1, n: STEPS }])
  assert.deepEqual(
    attempts,
    steps.map((attempt) => ({ attempt, outcome: 'lost' })),
  )
})

it('runs a chain of jobs in its order, though the node of each is killed', async (t) => {
  const cluster = await startJobsCluster()
  t.after(() => cluster.end())
  const ids: string[] = []
  for (let n = 1; n <= LINKS; n += 1) {
    const after = ids.slice(-1)
    const { id } = await cluster.node(n % 3).call('enqueue', 'link', { n }, { ...OPTIONS, after })
    ids.push(id)
  }
  for (const id of ids) await killWorker(cluster, id, 1, async () => true)
  const [successes, jobs] = await end(cluster, (tables) => [
    tables.rows('SELECT job, attempt, n FROM successes ORDER BY rowid'),
    tables.rows('SELECT id, attempt, state, result FROM colmena_jobs ORDER BY seq'),
  ])
  assert.deepEqual(
    successes,
    ids.map((job, before) => ({ job, attempt: 2, n: before + 1 })),
  )
  assert.deepEqual(
    jobs,
    ids.map((id, before) => ({ id, attempt: 2, state: 'succeeded', result: `${before + 1}` })),
  )
})
