/** What a database has because libsql's `Client` has it: integers, sync, reconnect, errors. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { SharedState } from '../../src/base/shared-state.ts'
import type { EngineWorkerData } from '../../src/engine/engine.ts'
import { type ColmenaNode, type IntMode, SqlError } from '../../src/index.ts'
import { openFake } from './fake-node.ts'
import { shareNode } from './shared-node.ts'

async function openHere(): Promise<ColmenaNode> {
  const { node } = await shareNode()
  await node.database().execute('CREATE TABLE t (id INTEGER PRIMARY KEY, n)')
  return node
}

const BIG = 2n ** 53n

suite('intMode', () => {
  const expected: Readonly<Record<Exclude<IntMode, 'number'>, readonly unknown[]>> = {
    auto: [1, BIG, 0.5],
    bigint: [1n, BIG, 0.5],
    string: ['1', String(BIG), 0.5],
  }

  for (const [intMode, values] of Object.entries(expected)) {
    test(`'${intMode}' holds for every way to a row`, async () => {
      const node = await openHere()
      const db = node.database('main', { intMode: intMode as IntMode })
      const select = `SELECT 1, ${BIG}, 0.5`
      const insert = `INSERT INTO t (n) VALUES (0) RETURNING 1, ${BIG}, 0.5`
      const answers = [
        await db.execute(select),
        await db.execute(insert),
        await db.execute(select, [], { isolated: true }),
        ...(await db.batch([select, select])),
        ...(await db.batch([insert, select])),
        ...(await db.migrate([insert])),
        await db.withConsistency('strong').execute(select),
        await db.transaction((tx) => tx.execute(insert)),
        await db.transaction((tx) => tx.execute(select), { mode: 'read' }),
      ]
      for (const { rows } of answers) assert.deepEqual(Array.from(rows[0] ?? []), values)
      const exact = await db.execute(select, [], { exactNumbers: true })
      assert.deepEqual(Array.from(exact.rows[0] ?? []), expected.bigint)
    })
  }

  test("'number' fails where a number is not exact, and says that a write was made", async () => {
    const node = await openHere()
    const db = node.database('main', { intMode: 'number' })
    const least = await db.execute(`SELECT ${BIG - 1n} AS n, -${BIG - 1n} AS m`)
    assert.deepEqual(least.rows, [{ n: 2 ** 53 - 1, m: -(2 ** 53) + 1 }])
    const tooLarge = { code: 'ERR_TOO_LARGE', outcome: 'not-applied' }
    await assert.rejects(db.execute(`SELECT ${BIG}`), tooLarge)
    await assert.rejects(db.batch(['SELECT 1', `SELECT -${BIG}`]), tooLarge)
    const write = db.execute(`INSERT INTO t (n) VALUES (${BIG}) RETURNING n`)
    await assert.rejects(write, { code: 'ERR_TOO_LARGE', outcome: 'committed' })
    const { rows } = await node.database().execute('SELECT n FROM t')
    assert.deepEqual(rows, [{ n: BIG }])
  })

  test("'number' leaves a transaction whole when it can't read an answer", async () => {
    const node = await openHere()
    const db = node.database('main', { intMode: 'number' })
    await db.transaction(async (tx) => {
      const insert = `INSERT INTO t (n) VALUES (${BIG}) RETURNING n`
      await assert.rejects(tx.batch([insert, insert]), { code: 'ERR_TOO_LARGE' })
    })
    const { rows } = await db.execute('SELECT count(*) AS count FROM t')
    assert.deepEqual(rows, [{ count: 2 }])
  })

  test('is one of four', async () => {
    const node = await openHere()
    const options = { intMode: 'biginteger' } as unknown as { intMode: IntMode }
    const said = { code: 'ERR_INVALID_OPTION', message: /biginteger.*'auto', 'number', 'bigint'/ }
    assert.throws(() => node.database('main', options), said)
  })
})

suite('sync', () => {
  test('waits for what the leader had committed when asked', async (t) => {
    const { node, engine, storage } = await openFake(t)
    const shared = new SharedState((engine.data as EngineWorkerData).shared)
    const files = { generation: 1, databasesEpoch: 1, isDivergent: false, walBytes: 0 }
    shared.publishStorage({ applied: 3, ...files })
    const synced = node.database('main', { consistency: 'none' }).sync()
    let isSynced = false
    const noted = synced.then(() => {
      isSynced = true
    })
    await Promise.race([engine.heard('read'), noted])
    const asked = engine.received.find((message) => message.kind === 'read')
    assert.equal(asked?.level, 'weak')
    engine.say({ kind: 'readAnswer', id: asked.id, index: 9, error: null })
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(isSynced, false)
    shared.publishStorage({ applied: 10, ...files })
    storage.say({ kind: 'applied', index: 10 })
    assert.deepEqual(await synced, { frame_no: 10, frames_synced: 7 })
  })
})

suite('reconnect', () => {
  test('opens a closed handle again, while its node is open', async () => {
    const node = await openHere()
    const db = node.database()
    db.close()
    await assert.rejects(db.execute('SELECT 1'), { code: 'ERR_CLOSED' })
    await assert.rejects(db.sync(), { code: 'ERR_CLOSED' })
    db.reconnect()
    assert.equal(db.closed, false)
    assert.equal((await db.execute('SELECT 1 AS one')).rows[0]?.['one'], 1)
    assert.equal(typeof (await db.sync()).frame_no, 'number')
    await node.close()
    assert.throws(() => db.reconnect(), { code: 'ERR_CLOSED' })
    assert.equal(db.closed, true)
  })
})

suite('an error of SQLite', () => {
  test("has the fields of libsql's errors", async () => {
    const db = (await openHere()).database()
    await db.batch([
      'CREATE TABLE p (a TEXT UNIQUE NOT NULL, b CHECK (b > 0), c REFERENCES t (id))',
      "INSERT INTO p VALUES ('x', 1, NULL)",
    ])
    const expected = new Map([
      ["INSERT INTO p VALUES ('x', 1, NULL)", ['SQLITE_CONSTRAINT_UNIQUE', 2067]],
      ['INSERT INTO p VALUES (NULL, 1, NULL)', ['SQLITE_CONSTRAINT_NOTNULL', 1299]],
      ["INSERT INTO p VALUES ('y', 0, NULL)", ['SQLITE_CONSTRAINT_CHECK', 275]],
      ["INSERT INTO p VALUES ('y', 1, 7)", ['SQLITE_CONSTRAINT_FOREIGNKEY', 787]],
      ['INSERT INTO t (id) VALUES (1), (1)', ['SQLITE_CONSTRAINT_PRIMARYKEY', 1555]],
      ["INSERT INTO t (id) VALUES ('x')", ['SQLITE_MISMATCH', 20]],
      ['SELECT * FROM nowhere', ['SQLITE_ERROR', 1]],
    ])
    for (const [sql, [extendedCode, rawCode]] of expected) {
      const error = await db.execute(sql).catch((thrown: unknown) => thrown)
      assert.ok(error instanceof SqlError, sql)
      assert.deepEqual(
        [error.code, error.extendedCode, error.rawCode],
        ['ERR_SQL', extendedCode, rawCode],
      )
    }
    const batch = db.batch(['SELECT 1', "INSERT INTO p VALUES ('x', 1, NULL)"])
    await assert.rejects(batch, { statementIndex: 1, rawCode: 2067 })
  })
})
