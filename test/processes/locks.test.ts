/** Locks and `once` among three processes, some of which die or stand still. */
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { Cluster, nameNode } from './cluster.ts'
import { until } from './wait.ts'

const CALLERS = 50
const NODES = [0, 1, 2]

async function start(t: TestContext): Promise<Cluster> {
  const cluster = await Cluster.start({ heartbeatMs: 50, electionTimeoutMs: 400 })
  t.after(() => cluster.end())
  await cluster.node(0).call('execute', 'CREATE TABLE runs (id INTEGER PRIMARY KEY, node)')
  return cluster
}

async function runs(cluster: Cluster, at: number): Promise<readonly unknown[]> {
  const sql = 'SELECT node FROM runs ORDER BY id'
  const { rows } = await cluster.node(at).call('execute', sql, [], { consistency: 'strong' })
  return rows.map((row) => row['node'])
}

it('runs the work of 50 callers on each of three nodes once', async (t) => {
  const cluster = await start(t)
  const options = { key: 'a', callers: CALLERS, ttlMs: 60_000 }
  const calls = NODES.map((at) => cluster.node(at).call('once', options))
  const results = (await Promise.all(calls)).flat()
  assert.equal(results.length, CALLERS * NODES.length)
  for (const result of results) assert.deepEqual(result, { id: 1 })
  assert.equal((await runs(cluster, 0)).length, 1)
})

it('runs the work once more when the node that ran it is killed', async (t) => {
  const cluster = await start(t)
  const leader = await cluster.leader()
  const others = NODES.filter((at) => at !== leader)
  const options = { key: 'a', callers: CALLERS, ttlMs: 60_000, leaseMs: 1500 }
  const lost = cluster.node(leader).call('once', { ...options, isEndless: true })
  lost.catch(() => {})
  await until('the work runs', async () => (await runs(cluster, leader)).length === 1)
  const calls = others.map((at) => cluster.node(at).call('once', options))
  await cluster.node(leader).kill()
  for (const result of (await Promise.all(calls)).flat()) assert.deepEqual(result, { id: 2 })
  const [first, second, ...more] = await runs(cluster, others[0] as number)
  assert.deepEqual([first, more], [nameNode(leader), []])
  assert.notEqual(second, first)
  await assert.rejects(lost)
})

it('refuses the writes of a holder that stood still past the end of its lock', async (t) => {
  const cluster = await start(t)
  const leader = await cluster.leader()
  const [stopped, other] = NODES.filter((at) => at !== leader).map((at) => cluster.node(at))
  assert.ok(stopped !== undefined && other !== undefined)
  const insert = 'INSERT INTO runs (node) VALUES (?)'
  // Nobody takes the one, and another node the other, which ends later.
  const tokens = [
    await stopped.call('lock', 'left', { ttlMs: 2000 }),
    await stopped.call('lock', 'taken', { ttlMs: 6000 }),
  ]
  for (const token of tokens) await stopped.call('execute', insert, ['held'], { fence: { token } })
  process.kill(stopped.pid, 'SIGSTOP')
  try {
    const token = await other.call('lock', 'taken', { ttlMs: 60_000 })
    assert.ok(token > Math.max(...tokens))
    // What it does first when it wakes.
    const late = tokens.map((old) =>
      stopped.call('execute', insert, ['late'], { fence: { token: old } }),
    )
    const refused = late.map((call) => assert.rejects(call, { code: 'ERR_FENCED' }))
    await other.call('execute', insert, ['taken'], { fence: { token } })
    process.kill(stopped.pid, 'SIGCONT')
    await Promise.all(refused)
    assert.deepEqual(await runs(cluster, leader), ['held', 'held', 'taken'])
  } finally {
    process.kill(stopped.pid, 'SIGCONT')
  }
})
