/** What never ends: the cluster says which statement it is, saves what was there, and skips it. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { notePath } from '../../src/database/generation.ts'
import type { SlowApply } from '../../src/index.ts'
import { Cluster, nameNode } from './cluster.ts'
import type { NodeHandle, RemoteError } from './node-handle.ts'
import { until } from './wait.ts'

const ENDLESS_READ =
  'WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT 2 FROM c) SELECT x FROM c WHERE x > 2'
const ENDLESS = `INSERT INTO t SELECT x FROM (${ENDLESS_READ})`

test('a write that never ends is named, and can be left behind', async (t) => {
  const cluster = await Cluster.start({ requestTimeoutMs: 1_500 })
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

  const index = named[0]?.index ?? 0
  // The leader, or another one, may be at it: nobody knows what it would come to there.
  await assert.rejects(other.call('skip', index), /and may be at it: .* end its process/)

  // A node that died twice of it stands still with all that was acknowledged, which can be copied.
  // What was applied together with others takes one death more: the first one names the group.
  let isHalted = false
  for (let deaths = 1; deaths <= 3 && !isHalted; deaths += 1) {
    await Promise.all(cluster.running.map((node) => node.kill()))
    await Promise.all(cluster.nodes.map((_, at) => cluster.startNode(at)))
    const halted = await Promise.all(
      cluster.running.map((node, at) => untilTriedOrHalted(node, cluster.dataDir(at))),
    )
    isHalted = halted.every((one) => one)
  }
  assert.ok(isHalted, 'all nodes have stopped applying')
  const copy = join(cluster.directory, 'copy.db')
  await cluster.node(0).call('copyTo', copy)
  const db = new DatabaseSync(copy, { readOnly: true })
  const rows = db.prepare('SELECT a FROM t').all()
  // The write before it may have been an entry of its own, and is applied by itself then.
  const values = rows.map(({ a }) => a).filter((value) => value !== 1)
  assert.deepEqual(values, ['acknowledged'])
  db.close()
  await skipEntry(cluster, index)
})

/** What nobody can apply is passed over by all, and everything behind it is applied. */
async function skipEntry(cluster: Cluster, index: number): Promise<void> {
  const asked = cluster.node(0)
  await cluster.leader()
  const termBefore = Math.max(...(await cluster.terms()))
  const refused = (at: number): Promise<string> =>
    asked.call('skip', at).then(
      () => 'it was skipped',
      (error: RemoteError) => error.message,
    )
  const { commitIndex } = await asked.call('status')
  assert.match(await refused(commitIndex + 100), /the log is committed up to entry/)
  assert.match(await refused(1), /the leader has applied it/)
  // The newest is a leader's first one, or of an open that introduced itself.
  assert.match(await refused(commitIndex), /no write/)
  await cluster.node(2).kill()
  assert.match(await refused(index), /node-3 does not answer .*: start it, or/)

  const away = await cluster.startNode(2)
  await until('it stands still again', async () => {
    return (await away.call('status')).haltedReason?.includes('colmena skip')
  })
  // They don't hand leadership round and round, as each stands still.
  const terms = Math.max(...(await cluster.terms())) - termBefore
  assert.ok(terms < 20, `${terms} terms`)
  await asked.call('skip', index)
  await cluster.untilEqual()
  for (const node of cluster.running) await node.call('execute', "INSERT INTO t VALUES ('after')")
  const { rows } = await asked.call('execute', 'SELECT a FROM t')
  const values = rows.map(({ a }) => a)
  assert.equal(values[0], 'acknowledged')
  assert.deepEqual(values.slice(-4), [3, 'after', 'after', 'after'])
  const { differing, undecided } = await asked.call('verify')
  assert.deepEqual([differing, undecided], [[], []])

  // A restart does not meet it again.
  await cluster.node(1).kill()
  await cluster.startNode(1)
  await cluster.untilEqual()
  assert.match(await refused(index), /the leader has applied it/)

  // Nor does a new member, as it is in no log any more.
  await until('the logs begin behind it', async () => {
    return (await cluster.statuses()).every(({ compactedIndex }) => compactedIndex >= index)
  })
  await cluster.node(2).kill()
  await cluster.node(0).call('changeMember', 'remove', nameNode(2))
  rmSync(cluster.dataDir(2), { recursive: true })
  await cluster.startNode(2)
  await cluster.untilEqual()
}

test('a statement of a transaction that never ends is named, and holds up one node', async (t) => {
  const cluster = await Cluster.start({ requestTimeoutMs: 40_000, transactionMs: 3_000 })
  t.after(() => cluster.end())
  const stuck = await cluster.leader()
  const [owner, other] = [0, 1, 2].filter((at) => at !== stuck) as [number, number]
  await cluster.node(owner).call('execute', 'CREATE TABLE t (a)')
  const statements = ["INSERT INTO t VALUES ('never')", `SELECT count(*) FROM (${ENDLESS_READ})`]
  const tried = cluster.node(owner).call('transaction', statements)
  // It waits at the gate, and is answered where it can be applied.
  const waiting = cluster.node(other).call('execute', "INSERT INTO t VALUES ('waited')")
  await assert.rejects(tried, {
    code: 'ERR_TX_ABORTED',
    outcome: 'not-applied',
    message: new RegExp(`${nameNode(owner)} was not done within 3000 ms \\(transactionMs\\)`),
  })
  const { slowTransaction, slowApply } = await until('its status names it', async () => {
    const status = await cluster.node(stuck).call('status')
    return status.slowTransaction === null ? null : status
  })
  assert.deepEqual(slowTransaction, {
    database: 'main',
    nodeId: nameNode(owner),
    sql: statements[1],
  })
  assert.equal(slowApply, null, 'no entry is blamed for it')
  const warnings = cluster.node(stuck).eventsOf('warning')
  const told = warnings.filter(({ code }) => code === 'ERR_SLOW_TRANSACTION')
  assert.equal(told.length, 1)
  assert.match(told[0]?.message ?? '', /of node node-\d .* in database 'main': SELECT count/)

  const { index } = await waiting
  await until('another node leads', async () => (await cluster.leader()) !== stuck)
  await cluster.node(owner).call('execute', "INSERT INTO t VALUES ('and on')")
  await until('consensus goes on there too', async () => {
    const { commitIndex } = await cluster.node(stuck).call('status')
    return commitIndex >= index
  })

  // Nothing of it is in the log: to end the process once is enough.
  await cluster.node(stuck).kill()
  await cluster.startNode(stuck)
  await cluster.untilEqual()
  const { rows } = await cluster.node(stuck).call('execute', 'SELECT a FROM t')
  assert.deepEqual(
    rows.map(({ a }) => a),
    ['waited', 'and on'],
  )
  assert.equal((await cluster.node(stuck).call('status')).slowTransaction, null)
})

function untilNamed(node: NodeHandle): Promise<SlowApply> {
  return until('its status names it', async () => (await node.call('status')).slowApply)
}

/** Whether it has stopped applying; else it is at the entry again, and can be ended amid it. */
function untilTriedOrHalted(node: NodeHandle, dataDir: string): Promise<boolean> {
  return until('it tries the entry, or does not any more', async () => {
    const { haltedReason, lagEntries } = await node.call('status')
    if (haltedReason?.includes('died twice while it applied entry')) return { isHalted: true }
    return lagEntries > 0 && isApplying(dataDir) ? { isHalted: false } : null
  }).then(({ isHalted }) => isHalted)
}

/** By the note of what a death would be blamed on, which is written before. */
function isApplying(dataDir: string): boolean {
  const databases = join(dataDir, 'db')
  // One that was replaced at the start may be there as well, and has a note that nobody writes.
  return readdirSync(databases).some((generation) => {
    const note = readFileSync(notePath(join(databases, generation)))
    return note.readDoubleLE(0) > 0
  })
}
