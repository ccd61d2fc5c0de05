import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { errorOf, execute, integer, openStreams, resultOf } from './hrana-fixture.ts'

function store(id: number, sql: string): unknown {
  return { type: 'store_sql', sql_id: id, sql }
}

function stored(id: number): unknown {
  return { type: 'execute', stmt: { sql_id: id } }
}

suite('a stream', () => {
  test('keeps SQL texts from one request to the next', async (t) => {
    const { send } = await openStreams(t)
    const first = await send([store(3, 'SELECT 3'), stored(3), { type: 'describe', sql_id: 3 }])
    assert.deepEqual(resultOf(first, 1).rows, [[integer(3)]])
    assert.equal(first.base_url, null)
    const second = await send([stored(3), { type: 'close_sql', sql_id: 3 }, stored(3)], first.baton)
    assert.deepEqual(resultOf(second).rows, [[integer(3)]])
    assert.match(errorOf(second, 2).message, /SQL text 3 is not stored/)
    const third = await send([store(3, 'SELECT 4'), { type: 'sequence', sql_id: 3 }], second.baton)
    assert.equal(third.results[1]?.type, 'ok')
  })

  test('ends when it is closed, and answers nothing after that', async (t) => {
    const { send, streams } = await openStreams(t)
    const open = await send([store(1, 'SELECT 1')])
    assert.equal(streams.count, 1)
    const answer = await send([stored(1), { type: 'close' }, execute('SELECT 1')], open.baton)
    assert.equal(answer.baton, null)
    assert.deepEqual(resultOf(answer).rows, [[integer(1)]])
    assert.match(errorOf(answer, 2).message, /stream was closed/)
    assert.equal(streams.count, 0)
  })

  test('has a baton that is good for one request, of its own database', async (t) => {
    const { db, send, streams } = await openStreams(t)
    const { baton } = await send([store(1, 'SELECT 1')])
    const other = { name: 'other' } as typeof db
    const elsewhere = send([stored(1)], baton, { database: other })
    await assert.rejects(elsewhere, { code: 'ERR_INVALID_ARGUMENT', message: /of database/ })
    const [next, again] = await Promise.allSettled([
      send([stored(1)], baton),
      send([stored(1)], baton),
    ])
    assert.equal(next.status, 'fulfilled')
    assert.equal(again.status === 'rejected' && again.reason.code, 'ERR_INVALID_ARGUMENT')
    await assert.rejects(send([], baton), { message: /was used before/ })
    const forged = `${baton?.slice(0, 23)}${'A'.repeat(22)}`
    await assert.rejects(send([], forged), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(send([], 'x'), { code: 'ERR_INVALID_ARGUMENT' })
    assert.equal(streams.count, 1)
  })

  test('that is gone with its transaction says so: nothing runs outside of it', async (t) => {
    const { db, pass, send, lines, streams } = await openStreams(t, { streamIdleMs: 1_000 })
    await db.execute('CREATE TABLE t (a)')
    const insert = 'INSERT INTO t VALUES (1)'
    const begun = await send([execute('BEGIN'), execute(insert)])
    assert.equal(begun.results[1]?.type, 'ok')
    const going = await send([{ type: 'get_autocommit' }, execute(insert)], begun.baton)
    assert.deepEqual(going.results[0], {
      type: 'ok',
      response: { type: 'get_autocommit', is_autocommit: false },
    })
    pass(1_001)
    const lost = { code: 'ERR_TX_ABORTED', retryable: true }
    await assert.rejects(send([execute(insert)], going.baton), lost)
    assert.equal(streams.count, 0)
    const [head] = await lines([{ stmt: { sql: 'BEGIN' } }])
    pass(1_001)
    await assert.rejects(send([execute(insert)], (head as { baton: string }).baton), lost)
    // Others can write: what was dropped holds nothing up.
    await db.execute('INSERT INTO t VALUES (2)')
    assert.deepEqual((await db.execute('SELECT a FROM t')).rows, [{ a: 2 }])
  })

  test('that was idle for too long is opened anew without a word', async (t) => {
    const { pass, send, streams } = await openStreams(t, { streamIdleMs: 1_000 })
    const first = await send([store(1, 'SELECT 1')])
    pass(999)
    const second = await send([stored(1)], first.baton)
    assert.equal(second.results[0]?.type, 'ok')
    pass(1_000)
    const third = await send([execute('SELECT 2'), stored(1)], second.baton)
    assert.deepEqual(resultOf(third).rows, [[integer(2)]])
    assert.match(errorOf(third, 1).message, /not stored.*idle/)
    assert.equal(streams.count, 1)
    const fourth = await send([store(1, 'SELECT 1'), stored(1)], third.baton)
    assert.equal(fourth.results[1]?.type, 'ok')
  })

  test('gives way to younger ones where there are too many', async (t) => {
    const limits = { streamsMax: 2, storedSqlTotalBytesMax: 100, storedSqlBytesMax: 60 }
    const { send, streams } = await openStreams(t, limits)
    const first = await send([store(1, 'SELECT 1')])
    const second = await send([store(1, 'SELECT 2')])
    const third = await send([store(1, 'SELECT 3')])
    assert.equal(streams.count, 2)
    assert.equal((await send([stored(1)], first.baton)).results[0]?.type, 'error')
    assert.equal((await send([stored(1)], third.baton)).results[0]?.type, 'ok')
    assert.equal((await send([stored(1)], second.baton)).results[0]?.type, 'error')
    const large = (): Promise<unknown> => send([store(1, `SELECT '${'x'.repeat(44)}'`)])
    await large()
    assert.equal(streams.count, 2)
    await large()
    assert.equal(streams.count, 1)
  })

  test('bounds what is stored, in number and size', async (t) => {
    const limits = { storedSqlTextsMax: 2, storedSqlBytesMax: 20 }
    const { send } = await openStreams(t, limits)
    const answer = await send([
      store(1, 'SELECT 1'),
      store(1, 'SELECT 1'),
      store(2, 'SELECT 12345678'),
      store(2, 'SELECT 2'),
      store(3, 'x'),
      { type: 'close_sql', sql_id: 1 },
      store(3, 'SELECT 33'),
    ])
    assert.deepEqual(
      answer.results.map((result) => (result.type === 'error' ? result.error.code : 'ok')),
      ['ok', 'ERR_INVALID_ARGUMENT', 'ERR_TOO_LARGE', 'ok', 'ERR_TOO_LARGE', 'ok', 'ok'],
    )
  })

  test('is forgotten when the server closes', async (t) => {
    const { send, streams } = await openStreams(t)
    await send([store(1, 'SELECT 1')])
    streams.close()
    assert.equal(streams.count, 0)
    await assert.rejects(send([execute('SELECT 1')]), { code: 'ERR_CLOSED' })
  })
})

suite('a body', () => {
  const select = { sql: 'SELECT 1' }
  const inBatch = (...steps: readonly unknown[]): unknown => ({ type: 'batch', batch: { steps } })
  const value = (input: unknown): unknown => ({
    type: 'execute',
    stmt: { ...select, args: [input] },
  })
  const wrong: readonly (readonly [request: unknown, message: RegExp])[] = [
    [7, /requests\[1\] is 7; it must be an object/],
    [{ type: 'explode' }, /requests\[1\]\.type is "explode", which is no request: close, execute/],
    [{}, /type is missing/],
    [{ type: 'execute' }, /requests\[1\]\.stmt is missing/],
    [{ type: 'execute', stmt: {} }, /needs either sql or sql_id/],
    [{ type: 'execute', stmt: { sql: 'x', sql_id: 1 } }, /needs either sql or sql_id/],
    [{ type: 'execute', stmt: { sql: 7 } }, /stmt\.sql is 7; it must be text/],
    [{ type: 'execute', stmt: { ...select, args: {} } }, /stmt\.args is an object; it must be a l/],
    [{ type: 'execute', stmt: { ...select, want_rows: 1 } }, /want_rows is 1/],
    [
      {
        type: 'execute',
        stmt: { ...select, args: [integer(1)], named_args: [{ name: 'a', value: integer(1) }] },
      },
      /args and named_args/,
    ],
    [value(1), /args\[0\] is 1; it must be an object/],
    [value({ type: 'integer', value: 1 }), /is no integer/],
    [value({ type: 'integer', value: '9223372036854775808' }), /is no integer/],
    [value({ type: 'integer', value: '1e3' }), /is no integer/],
    [value({ type: 'float', value: '1' }), /args\[0\] is no value/],
    [value({ type: 'blob', base64: 'a*' }), /is no value/],
    [value({ type: 'blob', base64: 'aaaaa' }), /is no value/],
    [value({ type: 'text' }), /is no value/],
    [inBatch({ stmt: select, condition: { type: 'maybe' } }), /condition\.type is "maybe"/],
    [
      inBatch({ stmt: select, condition: { type: 'ok', step: 0 } }),
      /step is 0, which is no step b/,
    ],
    [inBatch({ stmt: select, condition: { type: 'ok', step: -1 } }), /step is -1/],
    [{ type: 'store_sql', sql_id: 1.5, sql: 'x' }, /sql_id is 1\.5/],
    [{ type: 'close_sql' }, /sql_id is missing/],
  ]

  test('that is malformed is refused as a whole, with the place', async (t) => {
    const { db, send, streams } = await openStreams(t)
    for (const [request, message] of wrong) {
      const sent = send([execute('CREATE TABLE t (a)'), request])
      await assert.rejects(sent, { code: 'ERR_INVALID_ARGUMENT', message })
    }
    const context = { database: db, mayWrite: true, version: 2 } as const
    for (const body of [undefined, '{}', [], null, { requests: 7 }, { baton: 1, requests: [] }]) {
      await assert.rejects(streams.pipeline(body, context), { code: 'ERR_INVALID_ARGUMENT' })
    }
    assert.throws(() => streams.cursor({}, context), { code: 'ERR_INVALID_ARGUMENT' })
    const args = [{ type: 'float', value: Number.POSITIVE_INFINITY }]
    const infinite = { requests: [{ type: 'execute', stmt: { sql: 'SELECT ?', args } }] }
    await assert.rejects(streams.pipeline(infinite, context), { message: /is no value/ })
    await assert.rejects(db.execute('SELECT * FROM t'), { code: 'ERR_SQL' })
    assert.equal(streams.count, 0)
  })

  test('of version 2 has nothing of version 3', async (t) => {
    const { send } = await openStreams(t)
    const condition = { type: 'not', cond: { type: 'is_autocommit' } }
    for (const request of [{ type: 'get_autocommit' }, inBatch({ stmt: select, condition })]) {
      await assert.rejects(send([request], null, { version: 2 }), {
        message: /came with version 3/,
      })
      assert.equal((await send([request])).results[0]?.type, 'ok')
    }
  })

  test('is bounded in what it asks for', async (t) => {
    const limits = { pipelineRequestsMax: 2, batchStepsMax: 2, conditionDepthMax: 3 }
    const { send } = await openStreams(t, limits)
    const step = { stmt: select }
    let deep: unknown = { type: 'ok', step: 0 }
    const nested = (): unknown => inBatch(step, { ...step, condition: deep })
    for (let depth = 1; depth < 3; depth += 1) deep = { type: 'not', cond: deep }
    assert.equal((await send([inBatch(step, step), nested()])).results.length, 2)
    deep = { type: 'not', cond: deep }
    const close = { type: 'close' }
    for (const requests of [[close, close, close], [inBatch(step, step, step)], [nested()]]) {
      await assert.rejects(send(requests), { code: 'ERR_TOO_LARGE' })
    }
  })
})
