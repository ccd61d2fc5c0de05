import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { JobsMetrics } from '../../src/jobs/jobs.ts'
import type { Cluster } from './cluster.ts'
import { JobTables, judgeHistory } from './job-judge.ts'
import type { NodeHandle } from './node-handle.ts'
import type { JobType } from './protocol.ts'
import { JOBS_OPTIONS, runJobs, startJobsCluster, untilIdle } from './scenarios/jobs.ts'
import { runUniqueJobs } from './scenarios/unique-jobs.ts'
import { DEADLINE_MS, until } from './wait.ts'

it('runs each job to one success, within all limits, while leaders are killed', async (t) => {
  for (const line of await runJobs({ jobs: 240, killEvery: 80 })) t.diagnostic(line)
})

it('never has two unfinished jobs of one unique key, from whichever nodes they come', async (t) => {
  t.diagnostic(await runUniqueJobs({ enqueues: 300, keys: 10 }))
})

const NS = [0, 1, 2, 3]

async function count(node: NodeHandle): Promise<JobsMetrics> {
  return (await node.call('jobs', 'metrics')) as JobsMetrics
}

/** Jobs of a type on the node that alone runs any, once it runs all of them. */
async function runAll(node: NodeHandle, type: JobType, options = {}): Promise<void> {
  await node.call('enqueueChunk', { id: type, type, ns: NS, ...options })
  await until('it runs all of them', async () => (await count(node)).running === NS.length)
}

/** The rows of what the jobs of a cluster left, all of whose processes are ended for it. */
async function endWith(cluster: Cluster, sql: string): Promise<readonly unknown[]> {
  await cluster.untilEqual()
  await cluster.stop()
  const tables = new JobTables(cluster.dataDir(0))
  try {
    const { made, succeeded } = judgeHistory(tables.history())
    assert.equal(made, succeeded)
    return tables.rows(sql)
  } finally {
    tables.close()
  }
}

it('applies nothing of what is said after an attempt timed out, or was lost', async (t) => {
  const cluster = await startJobsCluster({}, [1])
  t.after(() => cluster.end())
  const stopped = cluster.node(1)
  await runAll(stopped, 'stubborn', { timeoutMs: 200, backoff: { baseMs: 1 } })
  await until('each first attempt has said that it succeeded', async () => {
    const { rows } = await stopped.call('execute', 'SELECT attempt FROM ends')
    return rows.length === NS.length
  })
  await untilIdle(cluster)

  const { executed } = await count(stopped)
  await runAll(stopped, 'link')
  for (const at of [0, 2]) await cluster.node(at).call('startJobs', JOBS_OPTIONS)
  process.kill(stopped.pid, 'SIGSTOP')
  try {
    await untilIdle(cluster)
  } finally {
    process.kill(stopped.pid, 'SIGCONT')
  }
  await until('it has told how its attempts ended', async () => {
    return (await count(stopped)).executed === executed + NS.length
  })
  const sql = `SELECT j.type, s.attempt, a.attempt AS failed, a.outcome FROM successes AS s
    JOIN colmena_jobs AS j ON j.id = s.job JOIN colmena_job_attempts AS a ON a.job = j.id
    ORDER BY j.seq`
  const left = { attempt: 2, failed: 1 }
  assert.deepEqual(await endWith(cluster, sql), [
    ...NS.map(() => ({ type: 'stubborn', ...left, outcome: 'timed out' })),
    ...NS.map(() => ({ type: 'link', ...left, outcome: 'lost' })),
  ])
})

it('tells handlers when their leases end, though no renewal gets through', async (t) => {
  const transactionMs = 10 * DEADLINE_MS
  const waits = { transactionMs, transactionIdleMs: transactionMs, requestTimeoutMs: transactionMs }
  const cluster = await startJobsCluster({}, [0], { ...waits, count: 1 })
  t.after(() => cluster.end())
  const node = cluster.node(0)
  await runAll(node, 'link')
  // All other writes wait for the end of this one, for longer than the test does.
  const transaction = await node.call('begin', 'write')
  await node.call('executeIn', transaction, 'INSERT INTO own VALUES (1)')
  await until('none runs any more', async () => (await count(node)).running === 0)
  await node.call('end', transaction, 'rollback')
})
