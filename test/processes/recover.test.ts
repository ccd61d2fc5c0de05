/** A cluster whose majority is gone for good, with processes that were killed amid writes. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { run } from '../cli/command.ts'
import { Cluster, nameNode } from './cluster.ts'
import { until } from './wait.ts'

it('goes on with the one node that is left, and others join it anew', async () => {
  const cluster = await Cluster.start()
  const dataDir = cluster.dataDir(0)
  try {
    await cluster.makeLedger()
    // The one that is left was no leader, and may hold what it does not know to be committed.
    await cluster.node(0).call('transferLeadership', nameNode(1))
    // Whatever it acknowledged it has applied.
    await cluster.startWriters(0, 4, { restMs: 10 })
    await cluster.untilAcknowledged(50)
    await Promise.all([0, 1].map((at) => cluster.node(at).kill()))
    rmSync(cluster.dataDir(1), { recursive: true })
    // With that one it would be a majority, which needs no repair.
    const early = await run(['recover', '--data-dir', dataDir, '--yes'])
    assert.equal(early.code, 1)
    assert.match(early.out, new RegExp(`SOMETHING ANSWERS for ${nameNode(2)} at 127\\.0\\.0\\.1:`))
    assert.match(early.err, /nothing was changed: with those that answer this node has a majority/)
    await cluster.node(2).kill()

    const identity = readFileSync(join(dataDir, 'identity.json'), 'utf8')
    const asked = await run(['recover', '--data-dir', dataDir])
    assert.equal(asked.code, 1)
    assert.match(asked.err, /nothing was changed/)
    assert.match(asked.out, /LOST is whatever the others had beyond entry \d+/)
    for (const at of [1, 2]) assert.match(asked.out, new RegExp(`${nameNode(at)}, voter, at `))
    assert.equal(readFileSync(join(dataDir, 'identity.json'), 'utf8'), identity)
    const done = await run(['recover', '--data-dir', dataDir, '--yes'])
    assert.equal(done.code, 0, done.err)
    assert.match(done.out, /RECOVERED: node 'node-1' is cluster/)

    const node = await cluster.startNode(0)
    const { rows } = await node.call('execute', 'SELECT id FROM writes')
    const ids = rows.map(({ id }) => String(id))
    cluster.ledger.check(ids, 'the node that is left')

    // One comes back that was of the old cluster: it is refused until it comes with nothing.
    const old = await cluster.startNode(2)
    await until('it is told', () =>
      old.eventsOf('warning').some(({ message }) => /move its data directory away/.test(message)),
    )
    assert.equal((await old.call('leader')).leader, null)
    await old.kill()
    rmSync(cluster.dataDir(2), { recursive: true })
    await Promise.all([1, 2].map((at) => cluster.startNode(at)))
    await cluster.untilVoters(3)
    for (const at of [0, 1, 2]) await cluster.startWriters(at, 1, { restMs: 10 })
    await cluster.untilAcknowledged(20)
    await cluster.stopWriters()
    await cluster.checkContents()
  } finally {
    await cluster.end()
  }
})
