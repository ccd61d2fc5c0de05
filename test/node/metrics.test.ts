import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, type TestContext, test } from 'node:test'
import { type ColmenaNode, type HistogramValue, type OpenOptions, open } from '../../src/index.ts'
import { temporaryDirectory } from './temporary.ts'

async function openHere(t: TestContext, more: Partial<OpenOptions> = {}): Promise<ColmenaNode> {
  const dataDir = temporaryDirectory(t)
  const node = await open({ dataDir, logSegmentBytes: 1024 * 1024, ...more })
  t.after(() => node.close())
  return node
}

function checkHistogram({ bounds, counts, count, sum }: HistogramValue): void {
  assert.equal(counts.length, bounds.length)
  assert.deepEqual(
    counts.toSorted((a, b) => a - b),
    counts,
  )
  assert.ok((counts.at(-1) as number) <= count)
  assert.ok(sum > 0 && count > 0)
}

suite('metrics', () => {
  test('count what a single node does, as plain JSON', async (t) => {
    const node = await openHere(t)
    const db = node.database()
    await db.execute('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await db.execute('INSERT INTO t VALUES (1)')
    await assert.rejects(db.execute('INSERT INTO t VALUES (1)'), { code: 'ERR_SQL' })
    await db.execute('SELECT * FROM t', [], { consistency: 'none' })
    await db.batch(['SELECT 1', 'SELECT 2'], { mode: 'read', consistency: 'strong' })
    await assert.rejects(db.execute("SELECT json('{')"), { code: 'ERR_SQL' })
    db.reader.prepare('SELECT 1').get()

    const metrics = await node.metrics()
    assert.deepEqual(JSON.parse(JSON.stringify(metrics)), metrics)
    const { raft, log, apply, reads, writes } = metrics
    assert.equal(raft.role, 'leader')
    assert.equal(raft.isLearner, false)
    assert.equal(raft.lastLeaderContactMs, 0)
    assert.equal(raft.leaderChanges, 1)
    assert.ok(raft.elections >= 1)
    assert.equal(raft.appliedIndex, raft.commitIndex)
    // Three writes, and this node's own registration.
    assert.equal(raft.proposals, 4)
    assert.equal(raft.forwards, 0)
    assert.ok(log.appendedEntries >= 4 && log.appendedBytes > 0 && log.sizeBytes > 0)
    assert.equal(log.isFull, false)
    checkHistogram(log.syncMs)
    assert.ok(log.syncMs.count <= log.writes)
    assert.ok(apply.entries >= 4 && apply.groupMs.count <= apply.entries)
    checkHistogram(apply.groupMs)
    assert.deepEqual([apply.lagEntries, apply.lagMs, apply.isHalted], [0, 0, false])
    const outcomes = { acknowledged: 2, 'not-applied': 1, committed: 0, unknown: 0 }
    assert.deepEqual(writes.outcomes, outcomes)
    assert.deepEqual(writes.errors, { ERR_SQL: 1 })
    checkHistogram(writes.committedMs)
    checkHistogram(writes.appliedMs)
    assert.equal(writes.appliedMs.count, 3)
    assert.deepEqual(reads.counts, { none: 2, lease: 0, weak: 1, strong: 1 })
    assert.deepEqual(reads.errors, { ERR_SQL: 1 })
    assert.deepEqual(
      [reads.latencyMs.none.count, reads.latencyMs.weak.count, reads.latencyMs.strong.count],
      [1, 0, 1],
    )
    assert.deepEqual(
      metrics.databases.map(({ name }) => name),
      ['main'],
    )
    assert.ok(metrics.databases.every(({ sizeBytes, walBytes }) => sizeBytes > walBytes))
    assert.ok(metrics.memory.rssBytes > metrics.memory.heapUsedBytes)
    assert.deepEqual(metrics.transport.peers, [])
    assert.deepEqual(metrics.formats, { local: 1, effective: 1, isSkewed: false, rejects: 0 })
  })

  test('count what goes between members, copies of databases included', async (t) => {
    const leader = await openHere(t, {
      nodeId: 'leader',
      bind: '127.0.0.1:0',
      bootstrap: true,
      logSegmentBytes: 64 * 1024,
      logRetainBytes: 0,
    })
    const db = leader.database()
    await db.execute('CREATE TABLE t (v)')
    const row = ['x'.repeat(20_000)]
    const isShort = async (): Promise<boolean> => (await leader.metrics()).raft.snapshotIndex > 1
    while (!(await isShort())) await db.execute('INSERT INTO t VALUES (?)', row)

    const other = await openHere(t, {
      nodeId: 'other',
      bind: '127.0.0.1:0',
      join: leader.address,
      joinAs: 'learner',
    })
    const { index, term, timing } = await other.database().execute('INSERT INTO t VALUES (1)')
    while ((await leader.status()).appliedIndex < index) await once(leader, 'progress')

    assert.equal(term, (await leader.status()).term)
    assert.ok(timing !== undefined && timing.committedMs > 0)
    assert.ok(timing.appliedMs >= timing.committedMs)

    const [sender, receiver] = [await leader.metrics(), await other.metrics()]
    assert.deepEqual([sender.snapshots.sent, receiver.snapshots.received], [1, 1])
    assert.ok(sender.snapshots.sentBytes > 20_000)
    assert.equal(receiver.snapshots.receivedBytes, sender.snapshots.sentBytes)
    assert.ok(sender.transport.sentBytes > sender.snapshots.sentBytes)
    assert.ok(receiver.transport.receivedBytes > receiver.snapshots.receivedBytes)
    assert.equal(receiver.raft.isLearner, true)
    assert.ok(receiver.raft.forwards > 0)
    assert.equal(receiver.raft.proposals, 0)
    assert.equal(receiver.transport.connectedPeers, 1)
    assert.deepEqual(
      receiver.transport.peers.map(({ nodeId, isConnected }) => [nodeId, isConnected]),
      [['leader', true]],
    )
    assert.ok(receiver.transport.peers.every(({ lastContactMs }) => lastContactMs !== null))
    assert.equal(receiver.transport.reconnects, 0)
    assert.deepEqual(receiver.formats, sender.formats)
  })
})
