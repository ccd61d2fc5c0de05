/** Calls for the leader, from every node, while it changes and dies. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster, nameNode } from './cluster.ts'
import type { Place } from './handlers.ts'
import { until } from './wait.ts'

const EVERY_NODE = [0, 1, 2]

test('a call runs on the leader, wherever it is made, and once if that dies', async (t) => {
  const cluster = await Cluster.start({ electionTimeoutMs: 500 })
  t.after(() => cluster.end())
  await cluster.node(0).call('execute', 'CREATE TABLE ran (id TEXT, node TEXT)')

  const leader = await cluster.leader()
  const other = (leader + 1) % 3
  await assert.rejects(cluster.node(other).call('forward', 'place', 1), {
    code: 'ERR_NO_HANDLER',
    outcome: 'not-applied',
    message: new RegExp(`node '${nameNode(leader)}', which leads, has no handler 'place'`),
  })

  for (const at of EVERY_NODE) await cluster.node(at).call('handle', 'place')
  const request = { big: 2n ** 64n, at: new Date(5), bytes: new Uint8Array(3 * 1024 * 1024 - 99) }
  for (const at of EVERY_NODE) {
    const place = (await cluster.node(at).call('forward', 'place', request)) as Place
    assert.deepEqual([place.nodeId, place.from], [nameNode(leader), nameNode(at)])
    assert.deepEqual(place.request, request)
  }

  await cluster.node(other).call('transferLeadership', nameNode(other))
  for (const at of EVERY_NODE) {
    const place = (await cluster.node(at).call('forward', 'place', at)) as Place
    assert.equal(place.nodeId, nameNode(other))
  }

  for (const at of EVERY_NODE) await cluster.node(at).call('handle', 'hang')
  const caller = (other + 1) % 3
  const hanging = cluster.node(caller).call('forward', 'hang', 'id', { timeoutMs: 60_000 })
  const lost = assert.rejects(hanging, {
    code: 'ERR_NO_LEADER',
    outcome: 'unknown',
    message: /'hang': the leader was lost before its answer came/,
  })
  const ran = async (): Promise<unknown> => {
    const sql = 'SELECT id, node FROM ran'
    return (await cluster.node(caller).call('execute', sql, [], { consistency: 'strong' })).rows
  }
  await until('the handler runs', async () => ((await ran()) as unknown[]).length > 0)
  await cluster.node(other).kill()
  await lost
  const place = (await cluster.node(caller).call('forward', 'place', 1)) as Place
  assert.notEqual(place.nodeId, nameNode(other))
  assert.deepEqual(await ran(), [{ id: 'id', node: nameNode(other) }])

  await cluster
    .node(leader)
    .call('transferLeadership', nameNode(caller))
    .catch(() => {})
  await until('the last node leads', async () => (await cluster.leader()) === caller)
  await cluster.node(leader).kill()
  await assert.rejects(cluster.node(caller).call('forward', 'place', 1, { timeoutMs: 3_000 }), {
    code: 'ERR_NO_LEADER',
    outcome: 'not-applied',
  })
})
