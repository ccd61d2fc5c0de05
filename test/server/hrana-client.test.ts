/** The client that everybody has: what its users see. */
import assert from 'node:assert/strict'
import { createServer as createPlainServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { type Client, type Config, createClient } from '@libsql/client/http'
import { ColmenaError, type Database } from '../../src/index.ts'
import { createServer } from '../../src/server/server.ts'
import { openStreams } from './hrana-fixture.ts'

interface Connected {
  readonly db: Database
  readonly client: Client
}

async function connect(t: TestContext, config: Partial<Config> = {}): Promise<Connected> {
  const { db, node } = await openStreams(t)
  const server = await createServer(node, { port: 0 })
  t.after(() => server.close())
  const client = createClient({ url: server.url, ...config })
  t.after(() => client.close())
  return { db, client }
}

/** The least server that libsql's client speaks with, for answers that no real node gives. */
async function serve(t: TestContext, answer: (body: unknown) => Promise<unknown>): Promise<string> {
  const server = createPlainServer(async (request, response) => {
    assert.equal(request.url, '/v2/pipeline')
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const told = await answer(JSON.parse(body))
    response.setHeader('content-type', 'application/json').end(JSON.stringify(told))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

suite("libsql's own client", () => {
  test('executes, with values of every kind', async (t) => {
    const { client } = await connect(t, { intMode: 'bigint' })
    await client.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
    const inserted = await client.execute({
      sql: 'INSERT INTO t (v) VALUES (:v)',
      args: { v: 2n ** 63n - 2n },
    })
    assert.deepEqual([inserted.rowsAffected, inserted.lastInsertRowid], [1, 1n])
    const bytes = new Uint8Array([0, 255, 7])
    for (const value of ['ä\u{1F41D}', 1.5, null, bytes, -(2n ** 63n)]) {
      await client.execute('INSERT INTO t (v) VALUES (?)', [value])
    }
    const { columns, columnTypes, rows } = await client.execute('SELECT id, v FROM t ORDER BY id')
    assert.deepEqual(
      [columns, columnTypes],
      [
        ['id', 'v'],
        ['INTEGER', ''],
      ],
    )
    assert.deepEqual(
      rows.map(({ v }) => v),
      [2n ** 63n - 2n, 'ä\u{1F41D}', 1.5, null, bytes.buffer, -(2n ** 63n)],
    )
  })

  test('sends whole numbers that are found again as what they were', async (t) => {
    const { client } = await connect(t)
    await client.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, text TEXT, b)')
    await client.execute('INSERT INTO t VALUES (?, ?, ?, ?)', [1, 42, 'x', true])
    const found = await client.execute('SELECT n, b FROM t WHERE id = ? AND n = ?', [1, 42])
    assert.deepEqual({ ...found.rows[0] }, { n: 42, b: 1 })
    const kinds = 'SELECT typeof(n) AS n, typeof(b) AS b FROM t'
    assert.deepEqual({ ...(await client.execute(kinds)).rows[0] }, { n: 'integer', b: 'integer' })
    const { rows } = await client.execute('SELECT ? AS one, typeof(?) AS kind', [1, 1])
    assert.deepEqual({ ...rows[0] }, { one: 1, kind: 'real' })
  })

  test('applies a batch as a whole, or names the statement that failed', async (t) => {
    const { db, client } = await connect(t)
    const insert = 'INSERT INTO t VALUES (?)'
    const before = await client.batch(['CREATE TABLE t (a UNIQUE)', [insert, [1n]]], 'write')
    assert.deepEqual(
      before.map(({ rowsAffected }) => rowsAffected),
      [0, 1],
    )
    const { index } = await db.execute('SELECT 1')
    const [, read] = await client.batch([{ sql: insert, args: [2n] }, 'SELECT a FROM t ORDER BY a'])
    assert.deepEqual(
      read?.rows.map(({ a }) => a),
      [1, 2],
    )
    // One entry of the log for all of it.
    assert.equal((await db.execute('SELECT 1')).index, index + 1)
    const reading = await client.batch(['SELECT 1 AS a', 'SELECT 2 AS a'], 'read')
    assert.equal(reading[1]?.rows[0]?.['a'], 2)
    await assert.rejects(
      client.batch([
        [insert, [3n]],
        [insert, [1n]],
        [insert, [4n]],
      ]),
      {
        code: 'SQLITE_CONSTRAINT',
        statementIndex: 1,
        message: /UNIQUE constraint failed: t\.a/,
      },
    )
    await assert.rejects(client.batch([[insert, [5n]]], 'read'), { code: 'ERR_INVALID_ARGUMENT' })
    assert.equal((await client.execute('SELECT count(*) AS n FROM t')).rows[0]?.['n'], 2)
    assert.deepEqual(await client.batch([]), [])
  })

  test('migrates tables that others refer to', async (t) => {
    const { client } = await connect(t)
    await client.executeMultiple(`
      CREATE TABLE p (id INTEGER PRIMARY KEY);
      CREATE TABLE c (p REFERENCES p (id) ON DELETE CASCADE);
      INSERT INTO p VALUES (1); INSERT INTO c VALUES (1);
    `)
    const results = await client.migrate([
      'CREATE TABLE p2 (id INTEGER PRIMARY KEY, name TEXT)',
      { sql: 'INSERT INTO p2 SELECT id, ? FROM p', args: ['a'] },
      'DROP TABLE p',
      'ALTER TABLE p2 RENAME TO p',
    ])
    assert.deepEqual(
      results.map(({ rowsAffected }) => rowsAffected),
      [0, 1, 0, 0],
    )
    const { rows } = await client.execute('SELECT name FROM c JOIN p ON p.id = c.p')
    assert.deepEqual({ ...rows[0] }, { name: 'a' })
    assert.deepEqual(await client.migrate([]), [])
    const orphan = client.migrate(['CREATE TABLE later (a)', 'DELETE FROM p'])
    await assert.rejects(orphan, { code: 'SQLITE_CONSTRAINT', message: /row of c refers to .* p / })
    const failed = client.migrate(['CREATE TABLE later (a)', 'SELEC 1'])
    await assert.rejects(failed, { code: 'SQLITE_ERROR', statementIndex: 1 })
    await assert.rejects(client.execute('SELECT * FROM later'), { code: 'SQLITE_ERROR' })
    await assert.rejects(client.execute('INSERT INTO c VALUES (9)'), { code: 'SQLITE_CONSTRAINT' })
  })

  test('has interactive transactions, which see what they wrote', async (t) => {
    const { client } = await connect(t)
    await client.execute('CREATE TABLE t (a INTEGER PRIMARY KEY)')
    const tx = await client.transaction('write')
    const inserted = await tx.execute('INSERT INTO t VALUES (1), (2) RETURNING a')
    assert.deepEqual([inserted.rowsAffected, inserted.rows.length], [2, 2])
    await assert.rejects(tx.execute('INSERT INTO t VALUES (1)'), { code: 'SQLITE_CONSTRAINT' })
    const results = await tx.batch(['INSERT INTO t VALUES (3)', 'SELECT count(*) AS n FROM t'])
    assert.equal(results[1]?.rows[0]?.['n'], 3)
    await tx.executeMultiple('INSERT INTO t VALUES (4); INSERT INTO t VALUES (5)')
    assert.equal((await client.execute('SELECT count(*) AS n FROM t')).rows[0]?.['n'], 0)
    await tx.commit()
    assert.equal(tx.closed, true)
    const rolled = await client.transaction('write')
    await rolled.execute('DELETE FROM t')
    await rolled.rollback()
    const left = await client.transaction('write')
    await left.execute('DELETE FROM t')
    left.close()
    const reading = await client.transaction('read')
    assert.equal((await reading.execute('SELECT count(*) AS n FROM t')).rows[0]?.['n'], 5)
    await assert.rejects(reading.execute('DELETE FROM t'), /of mode 'read' writes nothing/)
    await reading.commit().catch(() => {})
    const deferred = await client.transaction('deferred')
    assert.equal((await deferred.execute('SELECT count(*) AS n FROM t')).rows[0]?.['n'], 5)
    await deferred.execute('INSERT INTO t VALUES (6)')
    await deferred.commit()
    assert.equal((await client.execute('SELECT count(*) AS n FROM t')).rows[0]?.['n'], 6)
  })

  test('hears whether to repeat a write that failed for no fault of its own', async (t) => {
    const { db, streams } = await openStreams(t)
    let outcome: ColmenaError['outcome'] = 'not-applied'
    const fail = (): Promise<never> =>
      Promise.reject(
        new ColmenaError('ERR_TIMEOUT', 'too late', {
          outcome,
          retryable: outcome === 'not-applied',
        }),
      )
    const failing = {
      name: db.name,
      execute: fail,
      batch: fail,
      migrate: fail,
      executeMultiple: fail,
    }
    const database = failing as unknown as Database
    const url = await serve(t, (body) =>
      streams.pipeline(body, { database, mayWrite: true, version: 2 }),
    )
    const client = createClient({ url })
    t.after(() => client.close())
    const expected = {
      'not-applied': /too late \(retryable: nothing was applied\)/,
      committed: /too late \(committed: /,
      unknown: /too late \(unknown outcome: .* read before you repeat it\)/,
    }
    for (const [told, message] of Object.entries(expected)) {
      outcome = told as ColmenaError['outcome']
      const error = { code: 'ERR_TIMEOUT', message }
      await assert.rejects(client.execute('DELETE FROM t'), error)
      await assert.rejects(client.batch(['DELETE FROM t', 'DELETE FROM t']), error)
      await assert.rejects(client.migrate(['DELETE FROM t']), error)
      await assert.rejects(client.executeMultiple('DELETE FROM t'), error)
    }
  })
})
