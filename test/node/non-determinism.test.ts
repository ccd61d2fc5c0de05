/** `nonDeterminism: 'reject'`: what a node's writes may not ask, whoever applies them. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { type ColmenaNode, type OpenOptions, open } from '../../src/index.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { temporaryDirectory } from './temporary.ts'

const REFUSED = { code: 'ERR_NON_DETERMINISTIC_SQL', outcome: 'not-applied', retryable: false }

async function openHere(t: TestContext, options: OpenOptions): Promise<ColmenaNode> {
  const node = await open(options)
  t.after(() => node.close())
  return node
}

suite("a node with nonDeterminism: 'reject'", () => {
  test('refuses in every kind of write, and changes nothing', async (t) => {
    const dataDir = temporaryDirectory(t)
    const node = await openHere(t, { dataDir, nonDeterminism: 'reject' })
    const db = node.database()
    await db.execute('CREATE TABLE t (a, b DEFAULT (random()))')
    const insert = 'INSERT INTO t VALUES (1, random())'
    await assert.rejects(db.execute(insert), REFUSED)
    await assert.rejects(db.execute('INSERT INTO t (a) VALUES (1)'), REFUSED)
    await assert.rejects(db.execute("INSERT INTO t VALUES (1, date('now'))"), REFUSED)
    await assert.rejects(db.batch(['INSERT INTO t VALUES (1, 2)', insert]), REFUSED)
    await assert.rejects(db.migrate([insert]), REFUSED)
    await db.transaction(async (tx) => {
      await assert.rejects(tx.execute(insert), REFUSED)
      // Reads of a transaction never leave the leader.
      assert.equal((await tx.execute("SELECT random(), date('now')")).rows.length, 1)
    })
    assert.equal((await db.execute("SELECT random(), date('now'), a FROM t")).rows.length, 0)
    await db.execute('INSERT INTO t VALUES (?, ?)', [1, 2])
    await node.close()

    const again = await openHere(t, { dataDir })
    assert.equal((await again.database().execute(insert)).rowsAffected, 1)
  })

  test('is judged alike by nodes that were opened otherwise', async (t) => {
    const [first, second] = (await findFreePorts(2)).map((port) => `127.0.0.1:${port}`)
    const leader = await openHere(t, {
      dataDir: temporaryDirectory(t),
      bind: first,
      bootstrap: true,
    })
    const other = await openHere(t, {
      dataDir: temporaryDirectory(t),
      bind: second,
      join: first,
      nonDeterminism: 'reject',
    })
    const [here, there] = [leader.database(), other.database()]
    await here.execute('CREATE TABLE t (a)')
    await assert.rejects(there.execute('INSERT INTO t VALUES (random())'), REFUSED)
    await there.transaction(async (tx) => {
      await assert.rejects(tx.execute('INSERT INTO t VALUES (random())'), REFUSED)
      await tx.execute('INSERT INTO t VALUES (1)')
    })
    await here.execute('INSERT INTO t VALUES (random())')
    const select = 'SELECT a FROM t ORDER BY rowid'
    const rows = (await here.execute(select)).rows
    assert.equal(rows.length, 2)
    assert.deepEqual((await there.execute(select)).rows, rows)
  })
})
