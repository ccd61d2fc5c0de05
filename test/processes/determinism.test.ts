/** Nodes with other clocks and time zones, and one content: written, replayed, and received. */
import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Cluster, nameNode } from './cluster.ts'
import { readHash } from './content.ts'
import { CORPUS, FAILING } from './corpus.ts'
import { optionsToPreload, type RemoteError } from './node-handle.ts'
import { until } from './wait.ts'

const HOUR_MS = 3_600_000
const SEGMENT_BYTES = 256 * 1024
/** Of each node. The first one leads first, so that the time of entries has somewhere to jump. */
const MACHINES = [
  { zone: 'Pacific/Kiritimati', offsetMs: -3 * HOUR_MS },
  { zone: 'America/St_Johns', offsetMs: 2 * HOUR_MS },
  { zone: 'Asia/Kathmandu', offsetMs: 0 },
]

async function startCluster(): Promise<Cluster> {
  return await Cluster.start({
    logSegmentBytes: SEGMENT_BYTES,
    logRetainBytes: 8 * SEGMENT_BYTES,
    envs: MACHINES.map(({ zone, offsetMs }) => ({
      TZ: zone,
      TEST_CLOCK_OFFSET_MS: String(offsetMs),
      // Unlike arguments of the process, it reaches the threads, which decide what time it is.
      NODE_OPTIONS: optionsToPreload(new URL('foreign-clock.ts', import.meta.url)),
    })),
  })
}

/** Through all nodes in turn, each of which leads for a third of it. */
async function runCorpus(cluster: Cluster): Promise<void> {
  for (const [at, entry] of CORPUS.entries()) {
    const third = Math.ceil(CORPUS.length / 3)
    if (at % third === 0) await lead(cluster, at / third)
    const node = cluster.node(at % 3)
    const statements = typeof entry === 'string' ? [entry] : entry
    try {
      await node.call(
        'batch',
        statements.map((sql) => [sql, []] as const),
      )
    } catch (error) {
      throw new Error(`statement ${at}, ${statements.join('; ')}`, { cause: error })
    }
  }
  for (const [at, sql] of FAILING.entries()) {
    const failed = await cluster
      .node(at % 3)
      .call('execute', sql)
      .catch((error: RemoteError) => error.outcome)
    assert.equal(failed, 'not-applied', sql)
  }
}

async function lead(cluster: Cluster, next: number): Promise<void> {
  const leader = await cluster.leader()
  if (leader !== next) {
    await cluster.node(leader).call('transferLeadership', nameNode(next))
    await until(`${nameNode(next)} leads`, async () => (await cluster.leader()) === next)
  }
  await cluster.node(0).call('execute', 'INSERT INTO clocks DEFAULT VALUES')
}

/** Of each node, once all have applied the same; the nodes run again then. */
async function hashes(cluster: Cluster, whileStopped: () => void = () => {}): Promise<string[]> {
  await cluster.untilEqual()
  await cluster.stop()
  const found = MACHINES.map((_, at) => readHash(cluster.dataDir(at)))
  whileStopped()
  await Promise.all(MACHINES.map((_, at) => cluster.startNode(at)))
  return found
}

async function valueOn(cluster: Cluster, at: number, sql: string): Promise<unknown> {
  const { rows } = await cluster.node(at).call('execute', sql, [], { consistency: 'none' })
  return rows[0]?.['value']
}

/** Keeps a node away until the log that it needs is gone. */
async function receiveSnapshot(cluster: Cluster, at: number): Promise<void> {
  const { appliedIndex } = await cluster.node(at).call('status')
  await cluster.node(at).kill()
  const other = (at + 1) % 3
  await cluster.node(other).call('execute', 'CREATE TABLE filler (body)')
  await until('the log that the absent node needs is gone', async () => {
    const body = new Uint8Array(SEGMENT_BYTES)
    await cluster.node(other).call('execute', 'INSERT INTO filler VALUES (?)', [body])
    const { compactedIndex } = await cluster.node(await cluster.leader()).call('status')
    return compactedIndex > appliedIndex
  })
  await cluster.startNode(at)
  await until('the node has received a snapshot', async () => {
    const { counters } = await cluster.node(at).call('status')
    return counters.snapshotsReceived > 0
  })
}

test('nodes with other clocks and zones have one content, replayed and received too', async (t) => {
  assert.ok(CORPUS.flat().length >= 100)
  const cluster = await startCluster()
  t.after(() => cluster.end())
  const early = join(cluster.directory, 'early')
  const files = join(cluster.dataDir(2), 'db')
  await cluster.node(0).call('execute', 'CREATE TABLE clocks (at DEFAULT CURRENT_TIMESTAMP)')
  await hashes(cluster, () => cpSync(files, early, { recursive: true }))
  // The machines are as foreign to each other as they should be: a read asks its own.
  const summer = "SELECT datetime('2024-07-01', 'localtime') AS value"
  const zones = await Promise.all(MACHINES.map((_, at) => valueOn(cluster, at, summer)))
  assert.equal(new Set(zones).size, 3)

  await runCorpus(cluster)
  const jump = 'SELECT (max(unixepoch(at)) - min(unixepoch(at))) / 3600 AS value FROM clocks'
  assert.equal(Number(await valueOn(cluster, 0, jump)), 5, 'hours from one leader to the next')

  const written = await hashes(cluster, () => {
    rmSync(files, { recursive: true })
    cpSync(early, files, { recursive: true })
    assert.notEqual(readHash(cluster.dataDir(2)), readHash(cluster.dataDir(0)))
  })
  assert.deepEqual(new Set(written).size, 1, 'as it was written')
  await cluster.untilEqual()
  assert.equal((await cluster.node(2).call('status')).counters.snapshotsReceived, 0)
  assert.deepEqual(await hashes(cluster), written, 'and as it is replayed')

  await receiveSnapshot(cluster, 1)
  for (const sql of CORPUS.flat().filter((sql) => /^(INSERT|UPDATE) .*random/.test(sql))) {
    // Some would meet the rows that they made before.
    await cluster.node(1).call('execute', sql.replace('INSERT INTO', 'INSERT OR IGNORE INTO'))
  }
  const received = await hashes(cluster)
  assert.equal(new Set(received).size, 1, 'and as it was received')
})
