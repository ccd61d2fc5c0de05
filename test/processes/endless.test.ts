/** A write that never ends: the cluster says which one it is, and what was there is saved. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { SlowApply } from '../../src/index.ts'
import { Cluster } from './cluster.ts'
import type { NodeHandle, RemoteError } from './node-handle.ts'
import { until } from './wait.ts'

const ENDLESS = `INSERT INTO t SELECT x FROM
  (WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT 2 FROM c) SELECT x FROM c WHERE x > 2)`

test('a write that never ends is named, and can be left behind', async (t) => {
  const cluster = await Cluster.start({ requestTimeoutMs: 5_000 })
  t.after(() => cluster.end())
  const node = cluster.node(1)
  await node.call('execute', 'CREATE TABLE t (a)')
  await node.call('execute', "INSERT INTO t VALUES ('acknowledged')")
  // Together, so that they are applied together: the right one of them must be named.
  const together = ['INSERT INTO t VALUES (1)', ENDLESS, 'INSERT INTO t VALUES (2)']
  const answers = Promise.all(
    together.map((sql) => node.call('execute', sql).catch((error: RemoteError) => error)),
  )
  const other = cluster.node(2)
  await until('it is committed', async () => (await other.call('status')).lagEntries > 0)
  // Consensus goes on: what is written now is committed, and no node applies it.
  const late = other.call('execute', 'INSERT INTO t VALUES (3)').catch((error) => error)
  assert.equal(((await answers)[1] as RemoteError).code, 'ERR_TIMEOUT')
  const { code, outcome } = (await late) as RemoteError
  assert.deepEqual([code, outcome], ['ERR_TIMEOUT', 'committed'])

  const named = await Promise.all(cluster.running.map(untilNamed))
  for (const { database, sql, index } of named) {
    assert.equal(database, 'main')
    assert.ok(sql.includes('WITH RECURSIVE c (x)'), sql)
    assert.equal(index, named[0]?.index)
  }
  await until('and a warning', () =>
    cluster.running.every((running) =>
      running.eventsOf('warning').some(({ message }) => /entry \d+ .*'main': /.test(message)),
    ),
  )

  // A node that died twice of it stands still with all that was acknowledged, which can be copied.
  await restartAll(cluster)
  await Promise.all(cluster.running.map(untilNamed))
  await restartAll(cluster)
  for (const halted of cluster.nodes) {
    await until('it has stopped applying', async () => {
      const { haltedReason } = await halted.call('status')
      return haltedReason?.includes('died twice while it applied entry')
    })
  }
  const copy = join(cluster.directory, 'copy.db')
  await cluster.node(0).call('copyTo', copy)
  const db = new DatabaseSync(copy, { readOnly: true })
  assert.deepEqual(
    db
      .prepare('SELECT a FROM t')
      .all()
      .map(({ a }) => a),
    ['acknowledged'],
  )
  db.close()
})

function untilNamed(node: NodeHandle): Promise<SlowApply> {
  return until('its status names it', async () => (await node.call('status')).slowApply)
}

async function restartAll(cluster: Cluster): Promise<void> {
  await Promise.all(cluster.running.map((node) => node.kill()))
  await Promise.all(cluster.nodes.map((_, at) => cluster.startNode(at)))
}
