import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { open } from '../../src/index.ts'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'
import { until } from '../processes/wait.ts'
import { damageRows, FILL_ROWS } from './damaged-rows.ts'
import { temporaryDirectory } from './temporary.ts'

async function openDamaged(t: TestContext): Promise<Awaited<ReturnType<typeof open>>> {
  const dataDir = temporaryDirectory(t)
  const whole = await open({ dataDir, requestTimeoutMs: 1_000 })
  await whole.database().batch(FILL_ROWS)
  await whole.close()
  damageRows(dataDir)
  const node = await open({ dataDir, requestTimeoutMs: 1_000 })
  t.after(() => node.close())
  return node
}

test('a read of a damaged file fails as this machine, not as its SQL', async (t) => {
  const db = (await openDamaged(t)).database()
  const damaged = {
    name: 'ColmenaError',
    code: 'ERR_FAILED',
    retryable: false,
    message: /malformed/,
  }
  await assert.rejects(db.execute('SELECT sum(length(b)) FROM t'), damaged)
  // More often than there are connections to borrow: each comes back.
  for (let i = 0; i < 10; i += 1) {
    await assert.rejects(db.batch(['SELECT sum(length(b)) FROM t']), damaged)
  }
  const read = db.reader.prepare('SELECT length(b) FROM t')
  assert.throws(() => read.all(), damaged)
  assert.throws(() => [...read.iterate()], damaged)
  await assert.rejects(db.execute('SELECT nothing FROM t'), { code: 'ERR_SQL' })
})

test('a write to a damaged file halts, and calls say so', async (t) => {
  const node = await openDamaged(t)
  const db = node.database()
  await assert.rejects(db.execute('UPDATE t SET b = 1'), {
    code: 'ERR_TIMEOUT',
    outcome: 'committed',
    message: /malformed/,
  })
  assert.match((await node.status()).haltedReason ?? '', /malformed/)
  await assert.rejects(db.execute('CREATE TABLE u (a)'), {
    code: 'ERR_APPLY_HALTED',
    outcome: 'not-applied',
    message: /malformed/,
  })
  await assert.rejects(db.execute('SELECT 1'), { code: 'ERR_APPLY_HALTED', message: /malformed/ })
  assert.equal((await db.execute('SELECT 1', [], { consistency: 'none' })).rows.length, 1)
})

test('a node whose files another program wrote to answers nothing from them', async (t) => {
  const dataDir = temporaryDirectory(t)
  const node = await open({ dataDir, requestTimeoutMs: 1_000 })
  t.after(() => node.close())
  const db = node.database()
  await db.execute('CREATE TABLE t (a)')
  const { DatabaseSync } = requireSqlite()
  const foreign = new DatabaseSync(join(dataDir, 'db', '1', 'main.db'))
  foreign.exec('INSERT INTO t VALUES (666)')
  foreign.close()
  // Nobody writes: the node must find it by itself.
  await until('it is noticed', async () => (await node.status()).haltedReason !== null)
  const refused = { code: 'ERR_APPLY_HALTED', retryable: false, message: /another program/ }
  const reads = [() => db.execute('SELECT * FROM t', [], { consistency: 'none' })]
  const calls = [
    ...reads,
    () => db.execute('INSERT INTO t VALUES (2)'),
    () => db.batch(['SELECT 1']),
  ]
  for (const call of calls) await assert.rejects(call, refused)
  assert.throws(() => db.reader.prepare('SELECT * FROM t'), refused)

  await node.close()
  const reopened = await open({ dataDir, requestTimeoutMs: 1_000 })
  t.after(() => reopened.close())
  await assert.rejects(
    reopened.database().execute('SELECT * FROM t', [], { consistency: 'none' }),
    refused,
  )
})

test('a closed node leaves ordinary files, with nothing beside them', async (t) => {
  const dataDir = temporaryDirectory(t)
  const node = await open({ dataDir })
  await node.database().execute('CREATE TABLE t (a)')
  await node.database().execute('SELECT * FROM t')
  await node.close()
  const files = readdirSync(join(dataDir, 'db', '1')).filter((name) => name.includes('.db'))
  assert.deepEqual(files.sort(), ['main.db', 'system.db'])
})
