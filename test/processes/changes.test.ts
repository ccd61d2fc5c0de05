import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Cluster } from './cluster.ts'
import { runChanges } from './scenarios/changes.ts'

it('tells every change once, in order, while readers are killed and leaders change', async (t) => {
  t.diagnostic(await runChanges({ kills: 9, durationMsMax: 180_000 }))
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
