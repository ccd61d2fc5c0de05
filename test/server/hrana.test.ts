import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  batch,
  errorOf,
  execute,
  integer,
  not,
  ok,
  openStreams,
  resultOf,
  step,
  type ToldBatch,
} from './hrana-fixture.ts'

suite('a value', () => {
  test('is what it was, there and back', async (t) => {
    const { send } = await openStreams(t)
    const values = [
      { type: 'null' },
      integer(0),
      integer(-(2n ** 63n)),
      integer(2n ** 63n - 2n),
      { type: 'float', value: 1.5 },
      { type: 'float', value: 1 },
      { type: 'text', value: 'ä\u0000\u2028' },
      { type: 'blob', base64: '/+8' },
      { type: 'blob', base64: '' },
    ]
    const sql = `SELECT ${values.map(() => '?').join(', ')}`
    assert.deepEqual(resultOf(await send([execute(sql, ...values)])).rows, [values])
  })

  test('may be a double that JSON.stringify does not know', async (t) => {
    const { db, streams } = await openStreams(t)
    const requests = [execute('SELECT 9e999, -9e999, -0.0')]
    const context = { database: db, mayWrite: true, version: 3 } as const
    const answer = await streams.pipeline({ requests }, context)
    const [row] = resultOf(JSON.parse(JSON.stringify(answer))).rows
    const values = row?.map(({ value }) => value) as number[]
    assert.deepEqual(values.map(String), ['Infinity', '-Infinity', '0'])
    assert.ok(Object.is(values[2], -0))
  })

  test('that is a whole double is one, unless the type of its column says otherwise', async (t) => {
    const { send } = await openStreams(t)
    const one = { type: 'float', value: 1 }
    const answer = await send([
      execute('SELECT ?1, typeof(?1)', one),
      execute('CREATE TABLE t (a INTEGER, b TEXT, c REAL, d)'),
      execute('INSERT INTO t VALUES (?1, ?1, ?1, ?1) RETURNING *', one),
      execute('SELECT a FROM t LIMIT ?', one),
    ])
    assert.deepEqual(resultOf(answer).rows, [[one, { type: 'text', value: 'real' }]])
    assert.deepEqual(resultOf(answer, 2).rows, [
      [integer(1), { type: 'text', value: '1.0' }, one, one],
    ])
    assert.deepEqual(resultOf(answer, 3).rows, [[integer(1)]])
  })
})

suite('a statement', () => {
  test('answers its columns, rows and counts', async (t) => {
    const { send } = await openStreams(t)
    const answer = await send([
      execute('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)'),
      execute("INSERT INTO t VALUES (7, 'a'), (8, 'b')"),
      execute('SELECT id, name AS n, 1 + 1 AS two FROM t WHERE id > ?', integer(7)),
      { type: 'execute', stmt: { sql: 'SELECT * FROM t', want_rows: false } },
      {
        type: 'execute',
        stmt: { sql: 'SELECT :a AS a', named_args: [{ name: ':a', value: integer(3) }] },
      },
    ])
    const inserted = resultOf(answer, 1)
    assert.deepEqual([inserted.affected_row_count, inserted.last_insert_rowid], [2, '8'])
    const read = resultOf(answer, 2)
    assert.deepEqual(read.cols, [
      { name: 'id', decltype: 'INTEGER' },
      { name: 'n', decltype: 'TEXT' },
      { name: 'two', decltype: null },
    ])
    assert.deepEqual(read.rows, [[integer(8), { type: 'text', value: 'b' }, integer(2)]])
    assert.deepEqual([read.affected_row_count, read.last_insert_rowid], [0, null])
    assert.deepEqual(resultOf(answer, 3).rows, [])
    assert.equal(resultOf(answer, 3).cols.length, 2)
    assert.deepEqual(resultOf(answer, 4).rows, [[integer(3)]])
  })

  test('that fails says so in its place, with the code that libsql has', async (t) => {
    const { send } = await openStreams(t)
    const answer = await send([
      execute('CREATE TABLE t (a UNIQUE)'),
      execute('INSERT INTO t VALUES (1)'),
      execute('INSERT INTO t VALUES (1)'),
      execute('SELECT * FROM nowhere'),
      execute('VACUUM'),
      execute('SELECT 1'),
    ])
    assert.deepEqual(errorOf(answer, 2), {
      message: 'SQLite error: UNIQUE constraint failed: t.a',
      code: 'SQLITE_CONSTRAINT',
      retryable: false,
      outcome: 'not-applied',
    })
    assert.equal(errorOf(answer, 3).code, 'SQLITE_ERROR')
    assert.equal(errorOf(answer, 4).code, 'ERR_REFUSED_SQL')
    assert.deepEqual(resultOf(answer, 5).rows, [[integer(1)]])
  })

  test('is done no more once the client is gone', async (t) => {
    const { db, send } = await openStreams(t)
    const context = { signal: AbortSignal.abort() }
    const answer = await send([execute('CREATE TABLE t (a)')], null, context)
    assert.equal(errorOf(answer).code, 'ERR_ABORTED')
    await assert.rejects(db.execute('SELECT * FROM t'), { code: 'ERR_SQL' })
  })

  test('whose rows are too many says so, and whether it is applied', async (t) => {
    const { db, send, lines } = await openStreams(t, { answerBytesMax: 10_000 })
    await db.execute('CREATE TABLE t (a)')
    const many = `
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100)
      SELECT i, 'abc' FROM n`
    const once = await send([execute(many)])
    assert.equal(resultOf(once).rows.length, 100)
    const twice = await send([execute(many), execute(many)])
    assert.deepEqual(
      [errorOf(twice, 1).code, errorOf(twice, 1).outcome],
      ['ERR_TOO_LARGE', 'not-applied'],
    )
    const text = { type: 'text', value: 'x'.repeat(10_001) }
    const write = errorOf(await send([execute('INSERT INTO t VALUES (?) RETURNING a', text)]))
    assert.deepEqual([write.code, write.outcome], ['ERR_TOO_LARGE', 'committed'])
    assert.match(write.message, /committed: .* do not repeat/)
    assert.deepEqual((await db.execute('SELECT count(*) AS n FROM t')).rows, [{ n: 1 }])
    // A cursor sends what it has, so it is bounded by the step.
    assert.equal((await lines([step(many), step(many)])).length, 1 + 2 * 102)
  })
})

suite('a token that may only read', () => {
  test('reads, and writes in no way', async (t) => {
    const { db, send } = await openStreams(t)
    await db.batch(['CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)'])
    const transaction = (sql: string): unknown =>
      batch(step('BEGIN'), step(sql, ok(0)), step('COMMIT', ok(1)), step('ROLLBACK', not(ok(2))))
    const requests = [
      execute('SELECT a FROM t'),
      transaction('SELECT a FROM t'),
      execute('INSERT INTO t VALUES (2)'),
      execute('SELECT * FROM nowhere'),
      { type: 'sequence', sql: 'DELETE FROM t' },
      transaction('DELETE FROM t'),
      batch(step('DELETE FROM t')),
      batch(
        step('PRAGMA foreign_keys=off'),
        step('BEGIN'),
        step('DELETE FROM t', ok(1)),
        step('COMMIT', ok(2)),
        step('ROLLBACK', not(ok(3))),
        step('PRAGMA foreign_keys=on'),
      ),
    ]
    const answer = await send(requests, null, { mayWrite: false })
    assert.deepEqual(resultOf(answer).rows, [[integer(1)]])
    assert.deepEqual(resultOf<ToldBatch>(answer, 1).step_results[1]?.rows, [[integer(1)]])
    assert.equal(errorOf(answer, 2).code, 'ERR_FORBIDDEN')
    assert.equal(errorOf(answer, 3).code, 'SQLITE_ERROR')
    assert.equal(errorOf(answer, 4).code, 'ERR_FORBIDDEN')
    assert.equal(resultOf<ToldBatch>(answer, 5).step_errors[0]?.code, 'ERR_FORBIDDEN')
    assert.equal(resultOf<ToldBatch>(answer, 6).step_errors[0]?.code, 'ERR_FORBIDDEN')
    assert.equal(resultOf<ToldBatch>(answer, 7).step_errors[1]?.code, 'ERR_FORBIDDEN')
    assert.deepEqual((await db.execute('SELECT a FROM t')).rows, [{ a: 1 }])
  })
})

suite('a batch', () => {
  test('runs each step on its condition', async (t) => {
    const { send } = await openStreams(t)
    const no = { type: 'error', step: 0 }
    const answer = await send([
      batch(
        step('SELECT 1'),
        step('SELEC 2'),
        step('SELECT 3', ok(1)),
        step('SELECT 4', { type: 'error', step: 1 }),
        step('SELECT 5', { type: 'and', conds: [ok(0), not(ok(1)), not(ok(2))] }),
        step('SELECT 6', { type: 'or', conds: [no, ok(2)] }),
        step('SELECT 7', { type: 'or', conds: [no, ok(4)] }),
        step('SELECT 8', not({ type: 'is_autocommit' })),
        step('SELECT 9', { type: 'is_autocommit' }),
      ),
    ])
    const { step_results: results, step_errors: errors } = resultOf<ToldBatch>(answer)
    const rows = results.map((result) => result?.rows[0]?.[0]?.value ?? null)
    assert.deepEqual(rows, ['1', null, null, '4', '5', null, '7', null, '9'])
    assert.deepEqual(
      errors.map((error) => error?.code ?? null),
      [null, 'SQLITE_ERROR', null, null, null, null, null, null, null],
    )
  })

  test('that is a transaction applies all or nothing', async (t) => {
    const { db, send } = await openStreams(t)
    await db.execute('CREATE TABLE t (a UNIQUE)')
    const transaction = (begin: string, ...values: readonly number[]): unknown => {
      const inside = (at: number): unknown => ({
        type: 'and',
        conds: [ok(at), not({ type: 'is_autocommit' })],
      })
      const count = values.length
      return batch(
        step(begin),
        ...values.map((value, at) => step('INSERT INTO t VALUES (?)', inside(at), integer(value))),
        step('COMMIT', inside(count)),
        step('ROLLBACK', not(ok(count + 1))),
      )
    }
    const answer = await send([
      transaction('BEGIN IMMEDIATE', 1, 2),
      transaction('begin deferred transaction;', 3, 1, 4),
      transaction('BEGIN'),
      transaction('BEGIN TRANSACTION READONLY', 5),
    ])
    const shape = ({ step_results, step_errors }: ToldBatch): unknown =>
      step_results.map((result, at) => (result ? 'ok' : (step_errors[at]?.code ?? null)))
    const [all, failed, empty, reading] = [0, 1, 2, 3].map((at) => resultOf<ToldBatch>(answer, at))
    assert.deepEqual(shape(all as ToldBatch), ['ok', 'ok', 'ok', 'ok', null])
    assert.deepEqual(
      all?.step_results.map((result) => result?.affected_row_count),
      [0, 1, 1, 0, undefined],
    )
    const constraint = 'SQLITE_CONSTRAINT'
    assert.deepEqual(shape(failed as ToldBatch), ['ok', 'ok', constraint, null, null, 'ok'])
    assert.deepEqual(shape(empty as ToldBatch), ['ok', 'ok', null])
    const [begin] = shape(reading as ToldBatch) as string[]
    assert.equal(begin, 'ERR_INVALID_ARGUMENT')
    assert.equal(reading?.step_results[1], null)
    const { rows } = await db.execute('SELECT a FROM t ORDER BY a')
    assert.deepEqual(rows, [{ a: 1 }, { a: 2 }])
  })

  test('of any other form is a transaction of its stream, step by step', async (t) => {
    const { db, send } = await openStreams(t)
    await db.execute('CREATE TABLE t (a INTEGER PRIMARY KEY)')
    const count = async (): Promise<unknown> =>
      (await db.execute('SELECT count(*) AS n FROM t')).rows[0]?.['n']
    const insert = 'INSERT INTO t (a) VALUES (NULL)'
    const inside = not({ type: 'is_autocommit' })
    const whole = batch(
      step(' -- x\n /* y */ begin'),
      step(insert, ok(0)),
      step(insert, inside),
      step('COMMIT', ok(1)),
      step(insert, inside),
    )
    const done = resultOf<ToldBatch>(await send([whole]))
    assert.deepEqual(done?.step_errors, [null, null, null, null, null])
    assert.equal(done?.step_results[4], null, 'it was over by then')
    assert.equal(await count(), 2)
    // Nobody comes back for what was left open.
    await send([batch(step('BEGIN IMMEDIATE'), step(insert, ok(0))), { type: 'close' }])
    assert.equal(await count(), 2)
    const wrong = resultOf<ToldBatch>(
      await send([batch(step('COMMIT'), step('ROLLBACK'), step('BEGIN'), step('BEGIN'))]),
    )
    assert.deepEqual(
      wrong?.step_errors.map((error) => error?.code),
      ['SQLITE_ERROR', 'SQLITE_ERROR', undefined, 'SQLITE_ERROR'],
    )
    const refused = resultOf<ToldBatch>(await send([batch(step('SAVEPOINT a'))]))
    assert.equal(refused?.step_errors[0]?.code, 'ERR_REFUSED_SQL')
  })
})

suite('other requests', () => {
  test('describe, sequence and get_autocommit answer', async (t) => {
    const { db, send } = await openStreams(t)
    const answer = await send([
      { type: 'sequence', sql: 'CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1), (2);' },
      { type: 'describe', sql: 'SELECT id FROM t WHERE id = :id OR id = ?' },
      { type: 'describe', sql: 'EXPLAIN DELETE FROM t' },
      { type: 'get_autocommit' },
      { type: 'sequence', sql: 'INSERT INTO t VALUES (3); SELEC 1; DELETE FROM t' },
      { type: 'describe', sql: 'SELECT * FROM nowhere' },
    ])
    assert.deepEqual(answer.results[0], { type: 'ok', response: { type: 'sequence' } })
    assert.deepEqual(resultOf(answer, 1), {
      params: [{ name: ':id' }, { name: null }],
      cols: [{ name: 'id', decltype: 'INTEGER' }],
      is_explain: false,
      is_readonly: true,
    })
    assert.equal(resultOf<{ is_explain: boolean }>(answer, 2).is_explain, true)
    const autocommit = { type: 'get_autocommit', is_autocommit: true }
    assert.deepEqual(answer.results[3], { type: 'ok', response: autocommit })
    assert.equal(errorOf(answer, 4).code, 'SQLITE_ERROR')
    assert.equal(errorOf(answer, 5).code, 'SQLITE_ERROR')
    assert.deepEqual((await db.execute('SELECT count(*) AS n FROM t')).rows, [{ n: 3 }])
  })

  test('a cursor answers entry by entry', async (t) => {
    const { lines, send, streams } = await openStreams(t)
    const [first, ...entries] = await lines([
      step('SELECT 1 AS a UNION ALL SELECT 2'),
      step('SELEC 1'),
      step('SELECT 2', ok(1)),
      step('CREATE TABLE t (id INTEGER PRIMARY KEY)'),
      step('INSERT INTO t VALUES (5)'),
    ])
    const { baton } = first as { baton: string }
    assert.deepEqual(first, { baton, base_url: null })
    const [begin, ...rest] = entries
    assert.deepEqual(begin, { type: 'step_begin', step: 0, cols: [{ name: 'a', decltype: null }] })
    assert.deepEqual(rest.slice(0, 2), [
      { type: 'row', row: [integer(1)] },
      { type: 'row', row: [integer(2)] },
    ])
    const end = { type: 'step_end', affected_row_count: 0, last_insert_rowid: null }
    assert.deepEqual(rest[2], end)
    const { type, step: failed } = rest[3] as { type: string; step: number }
    assert.deepEqual([type, failed], ['step_error', 1])
    assert.deepEqual(rest.slice(4), [
      { type: 'step_begin', step: 3, cols: [] },
      end,
      { type: 'step_begin', step: 4, cols: [] },
      { type: 'step_end', affected_row_count: 1, last_insert_rowid: '5' },
    ])
    assert.equal(streams.count, 1)
    await send([{ type: 'close' }], baton)
    assert.equal(streams.count, 0)
  })
})
