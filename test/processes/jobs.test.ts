import assert from 'node:assert/strict'
import { it } from 'node:test'
import { JobTables, judgeHistory } from './job-judge.ts'
import { runJobs, startJobsCluster } from './scenarios/jobs.ts'
import { runUniqueJobs } from './scenarios/unique-jobs.ts'
import { until } from './wait.ts'

it('runs each job to one success, within all limits, while leaders are killed', async (t) => {
  for (const line of await runJobs({ jobs: 600, killEvery: 150 })) t.diagnostic(line)
})

it('never has two unfinished jobs of one unique key, from whichever nodes they come', async (t) => {
  t.diagnostic(await runUniqueJobs({ enqueues: 600, keys: 10 }))
})

it('applies nothing of what a handler says after its attempt was given up', async (t) => {
  const cluster = await startJobsCluster()
  t.after(() => cluster.end())
  const ns = [0, 1, 2, 3]
  const chunk = { id: 'all', type: 'stubborn', ns, timeoutMs: 200, backoff: { baseMs: 1 } } as const
  await cluster.node(0).call('enqueueChunk', chunk)
  await until('each first attempt has said that it succeeded', async () => {
    const { rows } = await cluster.node(0).call('execute', 'SELECT attempt FROM ends')
    return rows.length === ns.length
  })
  await cluster.untilEqual()
  await cluster.stop()
  const tables = new JobTables(cluster.dataDir(0))
  try {
    judgeHistory(tables.history())
    const attempts = tables.rows('SELECT attempt FROM successes')
    assert.deepEqual(
      attempts,
      ns.map(() => ({ attempt: 2 })),
    )
  } finally {
    tables.close()
  }
})
