/** Reads that run in processes of their own, with real ones. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, type TestContext, test } from 'node:test'
import { type Database, type OpenOptions, open, type SlowStatement } from '../../src/index.ts'
import { until } from '../processes/wait.ts'
import { openOrShare } from './shared-node.ts'
import { temporaryDirectory } from './temporary.ts'

const ENDLESS =
  'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c'
const ISOLATED = { isolated: true } as const

async function openHere(
  t: TestContext,
  more: Partial<OpenOptions> = {},
): Promise<{ db: Database; slow: SlowStatement[]; close: () => Promise<void> }> {
  const { node } = await openOrShare(t, more)
  const slow: SlowStatement[] = []
  node.on('slow', (statement) => slow.push(statement))
  const db = node.database()
  await db.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, value)')
  await db.execute(
    "INSERT INTO t VALUES (1, 'text'), (2, x'0102'), (3, 9007199254740993), (4, 0.5)",
  )
  return { db, slow, close: () => node.close() }
}

suite('an isolated read', () => {
  test('answers as any other does', async (t) => {
    const { db } = await openHere(t)
    const asked: [string, unknown][] = [
      ['SELECT * FROM t WHERE id > ? ORDER BY id', [0]],
      ['SELECT id, typeof(value) FROM t WHERE value = :value', { value: new Uint8Array([1, 2]) }],
      ['SELECT name FROM sqlite_schema', []],
      ['PRAGMA table_list', []],
    ]
    for (const [sql, args] of asked) {
      const here = await db.execute(sql, args as never)
      const there = await db.execute(sql, args as never, ISOLATED)
      assert.deepEqual(there, here, sql)
    }
    const exact = await db.execute('SELECT id FROM t LIMIT 1', [], {
      ...ISOLATED,
      exactNumbers: true,
    })
    assert.deepEqual(exact.rows, [{ id: 1n }])
    const batch = await db.batch(['SELECT count(*) AS n FROM t', 'SELECT 1 AS one'], {
      mode: 'read',
      ...ISOLATED,
    })
    assert.deepEqual(
      batch.map(({ rows }) => rows),
      [[{ n: 4 }], [{ one: 1 }]],
    )
  })

  test('sees what was written before it, in tables and in columns', async (t) => {
    const { db } = await openHere(t)
    for (let i = 0; i < 5; i += 1) {
      await db.execute(`ALTER TABLE t ADD COLUMN c${i}`)
      const { index } = await db.execute(`UPDATE t SET c${i} = ${i}`)
      const read = await db.execute('SELECT * FROM t WHERE id = 1', [], ISOLATED)
      assert.equal(read.columns.at(-1), `c${i}`)
      assert.equal(read.rows[0]?.[`c${i}`], i)
      assert.ok(read.index >= index)
    }
  })

  test('fails with the errors of any other', async (t) => {
    const { db } = await openHere(t)
    await assert.rejects(db.execute('SELECT * FROM absent', [], ISOLATED), {
      code: 'ERR_SQL',
      sqliteCode: 1,
      sqliteMessage: 'no such table: absent',
    })
    await assert.rejects(db.execute('SELECT * FROM _colmena_state', [], ISOLATED), {
      code: 'ERR_REFUSED_SQL',
    })
    const batch = db.batch(['SELECT 1', 'SELECT abs(-9223372036854775808)'], {
      mode: 'read',
      ...ISOLATED,
    })
    await assert.rejects(batch, { code: 'ERR_SQL', statementIndex: 1 })
  })

  test('is what a call may ask for without knowing whether it writes', async (t) => {
    const { db } = await openHere(t)
    await db.execute('CREATE TABLE kept (a)', [], ISOLATED)
    await db.batch(['INSERT INTO kept VALUES (1)', 'SELECT 1'], ISOLATED)
    await db.executeMultiple('INSERT INTO kept VALUES (2); SELECT 1', ISOLATED)
    await db.migrate(['INSERT INTO kept VALUES (3)'], ISOLATED)
    const { rows } = await db.execute('SELECT count(*) AS n FROM kept', [], ISOLATED)
    assert.deepEqual(rows, [{ n: 3 }])
    await assert.rejects(db.execute('SELECT 1', [], { isolated: 1 } as never), {
      code: 'ERR_INVALID_ARGUMENT',
      message: 'isolated must be true or false',
    })
  })

  test('ends at its time, and is told as slow', async (t) => {
    const { db, slow } = await openHere(t, { statementTimeoutMs: 1_500 })
    await assert.rejects(db.execute(ENDLESS, [], ISOLATED), {
      code: 'ERR_TIMEOUT',
      retryable: false,
      message: /statementTimeoutMs/,
    })
    assert.deepEqual((await db.execute('SELECT count(*) AS n FROM t')).rows, [{ n: 4 }])
    assert.deepEqual(slow, [
      { database: 'main', sql: ENDLESS, durationMs: 1_500, kind: 'read', index: null },
    ])
  })

  test('ends by its signal, running or waiting', async (t) => {
    const { db } = await openHere(t, { statementTimeoutMs: 600_000 })
    // One process at least is there, and runs the first call at once.
    await db.execute('SELECT 1', [], ISOLATED)
    const controller = new AbortController()
    const calls = Array.from({ length: 6 }, () =>
      db.execute(ENDLESS, [], { ...ISOLATED, signal: controller.signal }),
    )
    const ended = Promise.allSettled(calls)
    // Nothing else of the node waits for any of them.
    await db.execute("INSERT INTO t VALUES (5, 'meanwhile')")
    assert.deepEqual((await db.execute('SELECT count(*) AS n FROM t')).rows, [{ n: 5 }])
    // Behind all of them: answered only once one of them has let go of its process.
    const behind = db.execute('SELECT 1 AS one', [], ISOLATED)
    controller.abort(new Error('enough'))
    for (const result of await ended) {
      assert.equal(result.status, 'rejected')
      assert.equal(result.reason.code, 'ERR_ABORTED')
    }
    assert.deepEqual((await behind).rows, [{ one: 1 }])
  })

  test('gives no more rows than a message may hold', async (t) => {
    const { db } = await openHere(t, { statementTimeoutMs: 600_000 })
    const many =
      'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) ' +
      'SELECT zeroblob(1000000) FROM c'
    await assert.rejects(db.execute(many, [], ISOLATED), { code: 'ERR_TOO_LARGE' })
    const halves = Array.from({ length: 2 }, () => `${many} LIMIT 40`)
    await assert.rejects(db.batch(halves, { mode: 'read', ...ISOLATED }), {
      code: 'ERR_TOO_LARGE',
    })
    assert.equal((await db.execute(`${many} LIMIT 40`, [], ISOLATED)).rows.length, 40)
  })

  test('ends with its node', async (t) => {
    const { db, close } = await openHere(t, { statementTimeoutMs: 600_000 })
    const ended = assert.rejects(db.execute(ENDLESS, [], ISOLATED), { code: 'ERR_CLOSED' })
    // Its process runs: another one answers.
    await db.execute('SELECT 1', [], ISOLATED)
    await close()
    await ended
  })
})

suite('a slow statement', () => {
  const work = (rows: number): string =>
    `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ${rows}) ` +
    'SELECT sum(x) FROM c'

  test('is told and counted, as read and as write', async (t) => {
    const node = await open({ dataDir: temporaryDirectory(t), slowMs: 20 })
    t.after(() => node.close())
    const db = node.database()
    await db.execute('CREATE TABLE t (value)')
    const reads: [string, () => Promise<unknown>][] = [
      [work(1_000_000), () => db.execute(work(1_000_000))],
      [work(1_000_001), () => db.batch([work(1_000_001)], 'read')],
      [work(1_000_002), () => db.execute(work(1_000_002), [], ISOLATED)],
    ]
    for (const [sql, read] of reads) {
      const told = once(node, 'slow')
      await read()
      const [{ durationMs, ...event }] = (await told) as [SlowStatement]
      assert.deepEqual(event, { database: 'main', sql, kind: 'read', index: null })
      assert.ok(durationMs >= 20)
    }
    const before = (await node.status()).counters.slowStatements
    assert.equal(before, 3)
    const events: SlowStatement[] = []
    node.on('slow', (event) => events.push(event))
    const sql = `INSERT INTO t ${work(1_000_000)}`
    const [, written] = await db.batch(['DELETE FROM t', sql, 'SELECT 1'])
    await until('the write is told', () => events.some(({ kind }) => kind === 'write'))
    const [{ durationMs, ...event }] = events as [SlowStatement]
    assert.deepEqual(event, { database: 'main', sql, kind: 'write', index: written?.index })
    assert.ok(durationMs >= 20)
    assert.ok((await node.status()).counters.slowStatements > before)
  })

  test('is a line of the log', async (t) => {
    const lines: string[] = []
    const warn = (message: string): void => void lines.push(message)
    const node = await open({ dataDir: temporaryDirectory(t), slowMs: 20, logger: { warn } })
    t.after(() => node.close())
    await node.database().execute(work(1_000_000))
    await until('it is logged', () => lines.length > 0)
    assert.match(lines[0] ?? '', /^a read of database 'main' took \d+ ms: WITH RECURSIVE/)
  })
})
