/** A row of the caller's and a job by one transaction or batch, whose node dies on the way. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Cluster } from './cluster.ts'
import { JobTables, judgeHistory } from './job-judge.ts'
import type { NodeHandle } from './node-handle.ts'
import { JOBS_OPTIONS, startJobsCluster, untilIdle } from './scenarios/jobs.ts'

const INSERT = 'INSERT INTO own (id) VALUES (?)'

/** What is said to a node before it is killed, and what that may leave. */
interface Death {
  readonly name: string
  readonly leaves: 'nothing' | 'both' | 'both or neither'
  readonly work: (node: NodeHandle, id: string) => Promise<unknown>
}

async function begin(node: NodeHandle, id: string): Promise<number> {
  const transaction = await node.call('begin', 'write')
  await node.call('executeIn', transaction, INSERT, [id])
  return transaction
}

async function beginBoth(node: NodeHandle, id: string): Promise<number> {
  const transaction = await begin(node, id)
  await node.call('enqueueIn', transaction, 'short', id)
  return transaction
}

/** Not waited for: the kill comes while it is under way. */
function leave(call: Promise<unknown>): void {
  call.catch(() => {})
}

async function waitTurns(node: NodeHandle, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await node.call('leader')
}

const DEATHS: readonly Death[] = [
  { name: 'the row is there, the job is not', leaves: 'nothing', work: begin },
  {
    name: 'the job is being made',
    leaves: 'nothing',
    work: async (node, id) => {
      const transaction = await begin(node, id)
      leave(node.call('enqueueIn', transaction, 'short', id))
    },
  },
  { name: 'both are there, before the commit', leaves: 'nothing', work: beginBoth },
  // The longer it has been under way, the more of it is done.
  ...[0, 4, 32].map((turns): Death => {
    return {
      name: `the commit is under way for ${turns} turns`,
      leaves: 'both or neither',
      work: async (node, id) => {
        leave(node.call('end', await beginBoth(node, id), 'commit'))
        await waitTurns(node, turns)
      },
    }
  }),
  {
    name: 'the commit is acknowledged',
    leaves: 'both',
    work: async (node, id) => node.call('end', await beginBoth(node, id), 'commit'),
  },
  {
    name: 'a rollback is acknowledged',
    leaves: 'nothing',
    work: async (node, id) => node.call('end', await beginBoth(node, id), 'rollback'),
  },
  {
    name: 'a batch with the statement of the job is under way',
    leaves: 'both or neither',
    work: async (node, id) => {
      leave(node.call('enqueueBeside', id, 'short'))
      await waitTurns(node, 4)
    },
  },
  {
    name: 'that batch is acknowledged',
    leaves: 'both',
    work: (node, id) => node.call('enqueueBeside', id, 'short'),
  },
]

/** How many rows and jobs of that id there are, by a node that lives. */
async function count(cluster: Cluster, id: string): Promise<readonly unknown[]> {
  const sql = `SELECT (SELECT count(*) FROM own WHERE id = ?1) AS own,
    (SELECT count(*) FROM colmena_jobs AS j, json_each(j.tags) AS t WHERE t.value = ?1) AS jobs`
  const [node] = cluster.running
  const answer = await node?.call('execute', sql, [id], { consistency: 'strong' })
  return Object.values(answer?.rows[0] ?? {})
}

for (const role of ['leader', 'follower'] as const) {
  it(`leaves both or neither, wherever the ${role} dies that makes them`, async (t) => {
    const cluster = await startJobsCluster({ workers: 0 })
    t.after(() => cluster.end())
    const left: string[] = []
    // What a follower makes, the leader makes for it: every third death is enough there.
    const deaths = DEATHS.filter((_, at) => role === 'leader' || at % 3 === 1)
    for (const { name, leaves, work } of deaths) {
      const leader = await cluster.leader()
      const at = role === 'leader' ? leader : (leader + 1) % 3
      const node = cluster.node(at)
      await work(node, name)
      await node.kill()
      await cluster.leader()
      const [own, jobs] = await count(cluster, name)
      assert.equal(jobs, own, `${name}: as many jobs as rows`)
      if (leaves !== 'both or neither') assert.equal(own, leaves === 'both' ? 1 : 0, name)
      if (own === 1) left.push(name)
      await (await cluster.startNode(at)).call('startJobs', { ...JOBS_OPTIONS, workers: 0 })
    }
    t.diagnostic(`left by a ${role} that died: ${left.join('; ')}`)
    await checkAllRan(cluster, left.length)
  })
}

/** In the end workers take what is there, and no more. */
async function checkAllRan(cluster: Cluster, jobs: number): Promise<void> {
  await cluster.stop()
  for (const at of [0, 1, 2]) cluster.startProcess(at)
  await Promise.all(cluster.nodes.map((node, at) => node.call('open', cluster.optionsOf(at))))
  await cluster.node(0).call('startJobs', JOBS_OPTIONS)
  await untilIdle(cluster)
  await cluster.untilEqual()
  await cluster.stop()
  const tables = new JobTables(cluster.dataDir(0))
  try {
    const { made, succeeded } = judgeHistory(tables.history())
    assert.deepEqual({ made, succeeded }, { made: jobs, succeeded: jobs })
  } finally {
    tables.close()
  }
}
