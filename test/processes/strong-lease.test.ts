/** Strong reads by lease, on real nodes: with nobody to ask, and from one leader to the next. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from './cluster.ts'
import type { Executed } from './protocol.ts'
import { until } from './wait.ts'

const STRONG = { consistency: 'strong' } as const
const READ = 'SELECT count(*) AS count FROM t'

function untilLease(cluster: Cluster, at: number, leastMs: number): Promise<unknown> {
  return until(`node ${at} has a lease`, async () => {
    return (await cluster.node(at).call('status')).strongLeaseMs > leastMs
  })
}

test('the leader answers while it can ask nobody, and no longer than was promised', async (t) => {
  const cluster = await Cluster.start({
    strongReads: 'lease',
    electionTimeoutMs: 5_000,
    requestTimeoutMs: 4_500,
  })
  t.after(() => cluster.end())
  await cluster.node(0).call('execute', 'CREATE TABLE t (a)')
  const leader = await cluster.leader()
  const others = [0, 1, 2].filter((at) => at !== leader)
  await untilLease(cluster, leader, 4_000)
  for (const at of others) process.kill(cluster.node(at).pid, 'SIGSTOP')
  try {
    const answered: Executed = await cluster.node(leader).call('execute', READ, [], STRONG)
    assert.equal(answered.consistency, 'strong')
    await until('the lease is over', async () => {
      return (await cluster.node(leader).call('status')).strongLeaseMs === 0
    })
    await assert.rejects(cluster.node(leader).call('execute', READ, [], STRONG), {
      code: /ERR_TIMEOUT|ERR_NO_LEADER/,
    })
  } finally {
    for (const at of others) process.kill(cluster.node(at).pid, 'SIGCONT')
  }
})

test('nothing is missed while leaders are killed, stopped and started again', async (t) => {
  const cluster = await Cluster.start({ strongReads: 'lease' })
  t.after(() => cluster.end())
  await cluster.node(0).call('execute', 'CREATE TABLE t (a)')
  let written = 0
  const write = async (): Promise<void> => {
    const { rowsAffected } = await until('a write is done', async () => {
      const [node] = cluster.running.filter((_, at) => at === written % cluster.running.length)
      return await node?.call('execute', 'INSERT INTO t VALUES (1)').catch(() => null)
    })
    written += rowsAffected
  }
  const check = async (): Promise<void> => {
    for (const node of cluster.running) {
      const rows = await until('a strong read', () => {
        return node.call('execute', READ, [], STRONG).then(
          ({ rows }) => rows,
          () => null,
        )
      })
      const count = Number(rows[0]?.['count'])
      assert.ok(count >= written, `${count} of ${written}`)
      // One that failed may have been done all the same.
      written = count
    }
  }
  for (let round = 0; round < 3; round += 1) {
    const leader = await cluster.leader()
    await untilLease(cluster, leader, 0)
    await write()
    await check()
    await cluster.node(leader).kill()
    await write()
    await check()
    await cluster.startNode(leader)
    await write()
    await check()
    await cluster.node(await cluster.leader()).call('transferLeadership', `node-${leader + 1}`)
    await write()
    await check()
  }
})
