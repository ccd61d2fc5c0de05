import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Cluster } from './cluster.ts'
import type { NodeHandle } from './node-handle.ts'
import { runChanges } from './scenarios/changes.ts'
import { until } from './wait.ts'

it('tells every change once, in order, while readers are killed and leaders change', async (t) => {
  t.diagnostic(await runChanges({ kills: 5, durationMsMax: 180_000 }))
})

it('applies what comes while a listener stands still', async () => {
  const cluster = await Cluster.start()
  try {
    const [writer, listener] = [cluster.node(0), cluster.node(1)]
    await writer.call('execute', 'CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await cluster.untilEqual()
    const still = listener.call('standStill', 't', 50)
    // It listens once this is answered.
    await listener.call('leader')
    for (let id = 1; id <= 50; id += 1)
      await writer.call('execute', 'INSERT INTO t VALUES (?)', [id])
    assert.equal(await still, 50)
  } finally {
    await cluster.end()
  }
})

const SCHEMA = 'CREATE TABLE t (id INTEGER PRIMARY KEY)'

async function insert(node: NodeHandle, from: number, to: number): Promise<void> {
  for (let id = from; id <= to; id += 1) {
    await node.call('execute', 'INSERT INTO t VALUES (?)', [id])
  }
}

/** What it took the databases of is the leader; its own had nothing wrong. */
async function reinstall(cluster: Cluster, at: number): Promise<void> {
  await cluster.node(at).call('reinstall')
  await until('it has the databases of another', async () => {
    const { divergence, haltedReason } = await cluster.node(at).call('status')
    return divergence.reinstalls === 1 && divergence.reason === null && haltedReason === null
  })
}

it('goes on where it was, on a node that took the databases of another', async () => {
  const cluster = await Cluster.start()
  try {
    const leader = await cluster.leader()
    const [writer, at] = [cluster.node(leader), (leader + 1) % 3]
    await writer.call('makeKept', SCHEMA)
    await insert(writer, 1, 10)
    await cluster.untilEqual()
    const reader = cluster.node(at)
    await reader.call('startChanges', 't', 0)
    await until('some changes are read', () => reader.changes.length >= 11)
    await reinstall(cluster, at)
    await insert(writer, 11, 20)
    await until('all changes are read', () => reader.changes.length >= 21)
    const ids = reader.changes.map(({ after, error }) => error?.code ?? after?.['id'] ?? null)
    assert.deepEqual(ids, [null, ...Array.from({ length: 20 }, (_, before) => before + 1)])
    assert.deepEqual((await reader.call('verify')).differing, [])
  } finally {
    await cluster.end()
  }
})

it('knows of a gap where the databases that a node took have no changed rows', async () => {
  const cluster = await Cluster.start()
  try {
    const leader = await cluster.leader()
    const [writer, at] = [cluster.node(leader), (leader + 1) % 3]
    await writer.call('execute', SCHEMA)
    await cluster.untilEqual()
    const reader = cluster.node(at)
    const { appliedIndex } = await reader.call('status')
    await reader.call('startChanges', 't', appliedIndex)
    // Its storage thread has heard of the listener once this is answered.
    await reader.call('status')
    await insert(writer, 1, 5)
    await until('changes are read', () => reader.changes.length >= 5)
    // Only one member keeps changed rows: that is no other content.
    assert.deepEqual((await reader.call('verify')).differing, [])
    await reinstall(cluster, at)
    await insert(writer, 6, 10)
    await until('the rest is read by who had read all', () => reader.changes.length >= 10)
    const ids = reader.changes.map(({ after, error }) => error?.code ?? after?.['id'])
    assert.deepEqual(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    await reader.call('startChanges', 't', appliedIndex)
    await until('who had not is told', () => reader.changes.length >= 11)
    assert.equal(reader.changes[10]?.error?.code, 'ERR_FELL_BEHIND')
  } finally {
    await cluster.end()
  }
})
