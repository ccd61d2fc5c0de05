/** What is kept of jobs that are over stays as small as was asked for, and so does the file. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Cluster } from './cluster.ts'
import { startJobsCluster } from './scenarios/jobs.ts'
import { until } from './wait.ts'

const KEPT = 50
/** The first round needs more room than any other does. */
const JOBS = [600, 150, 150, 150]

const COUNTS = `SELECT
  (SELECT count(*) FROM colmena_jobs WHERE finished_at IS NULL) AS live,
  (SELECT count(*) FROM colmena_jobs WHERE finished_at IS NOT NULL) AS finished,
  (SELECT count(*) FROM colmena_job_attempts) AS attempts,
  (SELECT count(*) FROM colmena_job_steps) AS steps,
  (SELECT count(*) FROM colmena_job_starts) AS starts,
  (SELECT count(*) FROM colmena_job_attempts WHERE job NOT IN (SELECT id FROM colmena_jobs))
    + (SELECT count(*) FROM colmena_job_steps WHERE job NOT IN (SELECT id FROM colmena_jobs))
    AS orphans,
  (SELECT page_count FROM pragma_page_count) AS pages`

interface Counts {
  readonly live: number
  readonly finished: number
  readonly attempts: number
  readonly steps: number
  readonly starts: number
  readonly orphans: number
  readonly pages: number
}

async function countRows(cluster: Cluster): Promise<Counts> {
  const { rows } = await cluster.node(1).call('execute', COUNTS, [], { consistency: 'none' })
  return rows[0] as unknown as Counts
}

it('keeps the tables and the file at their bounded size, round after round', async (t) => {
  const retention = { keepMs: -1, keepCount: KEPT, everyMs: 200 }
  const cluster = await startJobsCluster({ retention })
  t.after(() => cluster.end())
  await cluster.node(0).call('execute', 'DROP TRIGGER history_of_new')
  await cluster.node(0).call('execute', 'DROP TRIGGER history_of_old')
  // A rate that never holds anything back, so that starts are counted.
  const rate = { max: 1_000_000, perMs: 1 }
  await cluster.node(0).call('jobs', 'limit', 'short', { rate })
  const pages: number[] = []
  for (const [round, jobs] of JOBS.entries()) {
    const ns = Array.from({ length: jobs }, (_, n) => n)
    const backoff = { baseMs: 1, maxMs: 1, jitter: false }
    const chunk = { id: `round ${round}`, type: 'short', ns, backoff } as const
    await cluster.node(round % 3).call('enqueueChunk', chunk)
    const counts = await until(`round ${round} is over and most of it gone`, async () => {
      const { live, finished, starts, ...rest } = await countRows(cluster)
      return live === 0 && finished === KEPT && starts === 0 ? rest : null
    })
    // One step and at most two attempts of each.
    assert.deepEqual([counts.steps, counts.orphans], [KEPT, 0])
    assert.ok(counts.attempts >= KEPT && counts.attempts <= 2 * KEPT, `${counts.attempts}`)
    pages.push(counts.pages)
  }
  t.diagnostic(`pages of the file after rounds of ${JOBS.join(', ')} jobs: ${pages.join(', ')}`)
  const [first = 0, ...others] = pages
  for (const count of others) assert.ok(count <= first, `${count} pages, ${first} at first`)
})
