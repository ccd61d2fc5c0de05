/** A database is compacted on three nodes, one of which is killed in the middle of it. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { it } from 'node:test'
import { Reader } from '../../src/sqlite/sqlite.ts'
import { Cluster } from './cluster.ts'
import { databaseFile } from './content.ts'
import { until } from './wait.ts'

const MIB = 1024 * 1024
/** What ordinary writes never take between two checkpoints, and a compaction takes here. */
const AMID_BYTES = 14 * MIB
const FILL = 'INSERT INTO filler SELECT value || hex(zeroblob(2000)) FROM json_each(?)'
const VALUES = JSON.stringify(Array.from({ length: 1_000 }, (_, at) => at))

it('keeps three nodes equal, also where one is killed in the middle of it', async (t) => {
  const cluster = await Cluster.start({ requestTimeoutMs: 30_000 })
  t.after(() => cluster.end())
  await cluster.makeLedger()
  await cluster.node(0).call('execute', 'CREATE TABLE filler (v)')
  for (const at of [0, 1]) await cluster.startWriters(at, 2, { restMs: 5 })
  await cluster.untilAcknowledged(20)
  const index = await untilKilledAmid(cluster, 2)
  const amid = sizes(cluster)
  await cluster.untilAcknowledged(20)
  await cluster.startNode(2)
  await until('the one that was killed has done it again', async () => {
    return (await cluster.node(2).call('status')).appliedIndex >= index
  })
  await until('its file is smaller as well', () => {
    return (sizes(cluster)[2] as number) < (amid[2] as number) * 0.75
  })
  t.diagnostic(`bytes when one was killed: ${amid.join(', ')}; then: ${sizes(cluster).join(', ')}`)
  const { differing, members } = await cluster.node(2).call('verify')
  assert.deepEqual([differing, members.length], [[], 3])
  await cluster.untilAcknowledged(20)
  await cluster.stopWriters()
  await cluster.checkContents()
})

/** Kills a node while it compacts, again until it was in the middle of it; with the index. */
function untilKilledAmid(cluster: Cluster, at: number): Promise<number> {
  return until(`node ${at} is killed in the middle`, async () => {
    if (!cluster.node(at).isRunning) await cluster.startNode(at)
    for (let round = 0; round < 14; round += 1) {
      await cluster.node(0).call('execute', FILL, [VALUES])
    }
    await cluster.node(0).call('execute', 'DELETE FROM filler WHERE rowid % 2')
    await cluster.untilEqual()
    const full = sizes(cluster)
    const compacting = cluster.node(0).call('compact')
    const wal = `${databaseFile(cluster.dataDir(at))}-wal`
    // Nothing else of this process may come between a look and the kill.
    const isDone = (): boolean => (sizes(cluster)[at] as number) < (full[at] as number)
    while (statSync(wal).size < AMID_BYTES && !isDone());
    await cluster.node(at).kill()
    const { index, beforeBytes, afterBytes } = await compacting
    assert.ok(afterBytes < beforeBytes * 0.75, `${beforeBytes} bytes, then ${afterBytes}`)
    for (const node of [0, 1]) {
      await until(`node ${node} has compacted its file of ${full[node]} bytes`, () => {
        return (sizes(cluster)[node] as number) < (full[node] as number) * 0.75
      })
    }
    return appliedIn(cluster.dataDir(at)) < index ? index : null
  })
}

/** What the file of a process that is gone says of itself. */
function appliedIn(dataDir: string): number {
  const reader = new Reader(databaseFile(dataDir))
  try {
    const sql = 'SELECT applied FROM _colmena_state'
    const [applied] = reader.internal(() => reader.own(sql).get()) as unknown as [bigint]
    return Number(applied)
  } finally {
    reader.close()
  }
}

/** Of each node's main file. */
function sizes(cluster: Cluster): readonly number[] {
  return [0, 1, 2].map((at) => statSync(databaseFile(cluster.dataDir(at))).size)
}
