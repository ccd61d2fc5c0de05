import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { Cluster, type ClusterOptions, nameNode } from './cluster.ts'
import { databaseFile } from './content.ts'
import { until } from './wait.ts'

/** Read through the node itself, as its users would. */
async function amountOn(cluster: Cluster, at: number): Promise<unknown> {
  const answer = await cluster.node(at).call('execute', 'SELECT amount FROM balances', [], {
    consistency: 'none',
  })
  return answer.rows[0]?.['amount']
}

/** A cluster with one row; the nodes named can be made to apply wrongly. */
async function start(
  t: TestContext,
  faulty: readonly number[],
  options: ClusterOptions = {},
): Promise<Cluster> {
  const threads = Object.fromEntries(faulty.map((at) => [at, 'faulty'] as const))
  const cluster = await Cluster.start({ ...options, threads })
  t.after(() => cluster.end())
  await cluster.makeLedger()
  const first = cluster.node(0)
  await first.call('execute', 'CREATE TABLE balances (id INTEGER PRIMARY KEY, amount INTEGER)')
  await first.call('execute', 'INSERT INTO balances VALUES (1, 100)')
  await cluster.untilEqual()
  return cluster
}

async function untilReinstalled(cluster: Cluster, at: number): Promise<void> {
  await until(`${nameNode(at)} has taken the databases of another`, async () => {
    const { divergence, haltedReason } = await cluster.node(at).call('status')
    return divergence.reinstalls === 1 && divergence.reason === null && haltedReason === null
  })
}

/** The amount in the files that a node keeps aside. */
function amountAside(cluster: Cluster, at: number): unknown {
  const directory = join(cluster.dataDir(at), 'db')
  const aside = readdirSync(directory).filter((name) => name.startsWith('diverged-'))
  assert.equal(aside.length, 1)
  const db = new DatabaseSync(join(directory, aside[0] as string, 'main.db'), { readOnly: true })
  try {
    return db.prepare('SELECT amount FROM balances').get()?.['amount']
  } finally {
    db.close()
  }
}

describe('a member that applied something wrong', () => {
  it('is found without another write, and takes the databases of the others', async (t) => {
    const cluster = await start(t, [2])
    const leader = await cluster.leader()
    if (leader === 2) await cluster.node(2).call('transferLeadership', nameNode(0))
    await cluster.node(2).call('breakThread', 'storage', 'misapply')
    await cluster.node(0).call('execute', 'UPDATE balances SET amount = amount - 1')
    await until('it is told', () => cluster.node(2).eventsOf('divergence').length > 0)
    await untilReinstalled(cluster, 2)

    const [event] = cluster.node(2).eventsOf('divergence')
    assert.deepEqual(event?.nodeIds, [nameNode(2)])
    assert.match(event?.reason ?? '', /database 'main' of node 'node-3' did other things/)
    await until('the others know too', () => cluster.node(0).eventsOf('divergence').length > 0)
    assert.equal(await amountOn(cluster, 2), 99)
    assert.equal(amountAside(cluster, 2), 100)
  })

  it('loses no write, while all take writes', async (t) => {
    const cluster = await start(t, [2])
    // What the wrong node answers to its own callers may be wrong too, until it is found.
    for (const at of [0, 1]) await cluster.startWriters(at, 4, { restMs: 10 })
    await cluster.untilAcknowledged(100)
    await cluster.node(2).call('breakThread', 'storage', 'misapply')
    await untilReinstalled(cluster, 2)
    await cluster.untilAcknowledged(100)
    await cluster.stopWriters()
    await cluster.checkContents()
  })

  it('hands leadership over first, if it leads', async (t) => {
    const cluster = await start(t, [0, 1, 2])
    const wrong = await cluster.leader()
    await cluster.node(wrong).call('breakThread', 'storage', 'misapply')
    const asked = (wrong + 1) % 3
    await cluster.node(asked).call('execute', 'UPDATE balances SET amount = amount - 1')
    await untilReinstalled(cluster, wrong)

    assert.notEqual(await cluster.leader(), wrong)
    for (const at of [0, 1, 2]) assert.equal(await amountOn(cluster, at), 99)
    assert.equal(amountAside(cluster, wrong), 100)
    await cluster.node(wrong).call('execute', 'UPDATE balances SET amount = amount - 1')
    assert.equal(await amountOn(cluster, wrong), 98)
  })
})

describe('voters that differ without a majority', () => {
  it('stop writes until an operator says which of them is wrong', async (t) => {
    const cluster = await start(t, [1])
    await cluster.node(2).kill()
    await cluster.leader()
    const [right, wrong] = [cluster.node(0), cluster.node(1)]
    await wrong.call('breakThread', 'storage', 'misapply')
    await right.call('execute', 'UPDATE balances SET amount = amount - 1')
    await until('both know', async () => {
      const statuses = await cluster.statuses()
      return statuses.every(({ divergence }) => divergence.undecided !== null)
    })
    for (const node of [right, wrong]) {
      await assert.rejects(node.call('execute', 'UPDATE balances SET amount = 0'), {
        code: 'ERR_APPLY_HALTED',
        outcome: 'not-applied',
      })
      assert.deepEqual(node.eventsOf('divergence')[0]?.nodeIds, [])
    }
    const statuses = await cluster.statuses()
    assert.deepEqual(
      statuses.map(({ divergence }) => divergence.reinstalls),
      [0, 0],
    )

    await wrong.call('reinstall')
    await untilReinstalled(cluster, 1)
    await until('writes go on', async () => {
      const now = await cluster.statuses()
      return now.every(({ haltedReason }) => haltedReason === null)
    })
    await wrong.call('execute', 'UPDATE balances SET amount = amount - 1')
    assert.equal(await amountOn(cluster, 1), 98)
    assert.equal(await amountOn(cluster, 0), 98)
  })
})

describe('a file that was changed while its node was stopped', () => {
  it('is found by verify(), and replaced while writes go on', async (t) => {
    const cluster = await start(t, [])
    const changed = ((await cluster.leader()) + 1) % 3
    const asked = (changed + 1) % 3
    await cluster.node(changed).call('close')
    await cluster.node(changed).kill()
    const db = new DatabaseSync(databaseFile(cluster.dataDir(changed)))
    db.exec('UPDATE balances SET amount = 1000000')
    db.close()
    await cluster.startNode(changed)
    await cluster.untilVoters(3)
    await cluster.startWriters(asked, 4, { restMs: 10 })
    await cluster.untilAcknowledged(20)
    assert.equal(await amountOn(cluster, changed), 1_000_000)

    const answer = await cluster.node(asked).call('verify')
    assert.deepEqual(answer.differing, [nameNode(changed)])
    assert.deepEqual(answer.undecided, [])
    const hashes = answer.members.map(({ hashes: held }) => held?.['main'])
    assert.equal(new Set(hashes).size, 2)
    await untilReinstalled(cluster, changed)
    await cluster.untilAcknowledged(20)

    const again = await cluster.node(changed).call('verify')
    assert.deepEqual(again.differing, [])
    assert.equal(new Set(again.members.map(({ hashes: held }) => held?.['main'])).size, 1)
    assert.equal(await amountOn(cluster, changed), 100)
    assert.equal(amountAside(cluster, changed), 1_000_000)
    await cluster.stopWriters()
    await cluster.checkContents()
  })
})
