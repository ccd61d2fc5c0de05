/** Every process of a cluster migrates when it starts, all of them at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Migration } from '../../src/index.ts'
import { Cluster } from './cluster.ts'
import { readHash } from './content.ts'
import { findFreePorts } from './free-port.ts'

const EVERY_NODE = [0, 1, 2]

function migrations(count: number): Migration[] {
  const first = 'CREATE TABLE ran (id INTEGER PRIMARY KEY, version INTEGER)'
  return Array.from({ length: count }, (_, at) => ({
    version: at + 1,
    name: `step ${at + 1}`,
    up: `${at === 0 ? `${first};` : ''} INSERT INTO ran (version) VALUES (${at + 1})`,
  }))
}

test('three nodes that start at once run each migration once, also when one dies', async (t) => {
  const cluster = new Cluster(await findFreePorts(3), { electionTimeoutMs: 500 })
  t.after(() => cluster.end())
  const startAndMigrate = async (at: number, count: number): Promise<unknown> => {
    const node = await cluster.startNode(at)
    return node.call('migrate', migrations(count))
  }
  const told = await Promise.all(EVERY_NODE.map((at) => startAndMigrate(at, 5)))
  assert.deepEqual(told[1], told[0])
  assert.deepEqual(told[2], told[0])
  await cluster.untilVoters(3)

  const leader = await cluster.leader()
  const underWay = EVERY_NODE.map((at) => cluster.node(at).call('migrate', migrations(60)))
  const settled = Promise.allSettled(underWay)
  await cluster.node(leader).kill()
  for (const [at, result] of (await settled).entries()) {
    const reason = result.status === 'rejected' ? String(result.reason) : ''
    assert.equal(result.status, at === leader ? 'rejected' : 'fulfilled', reason)
  }
  await startAndMigrate(leader, 60)

  await cluster.stop()
  await Promise.all(EVERY_NODE.map((at) => startAndMigrate(at, 65)))
  for (const at of EVERY_NODE) {
    const { rows } = await cluster.node(at).call('execute', 'SELECT version FROM ran ORDER BY id')
    const versions = rows.map((row) => row['version'])
    assert.deepEqual(
      versions,
      migrations(65).map(({ version }) => version),
    )
  }
  await cluster.untilEqual()
  await cluster.stop()
  const hashes = new Set(EVERY_NODE.map((at) => readHash(cluster.dataDir(at))))
  assert.equal(hashes.size, 1)
})
