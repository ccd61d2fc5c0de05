/** Handlers on one node, which leads: what reaches them, what comes back, and what is refused. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import {
  ColmenaError,
  type ColmenaNode,
  handler,
  type OpenOptions,
  open,
  SqlError,
} from '../../src/index.ts'
import { openFake } from './fake-node.ts'
import { temporaryDirectory } from './temporary.ts'

interface Charge {
  readonly cents: bigint
  readonly at: Date
  readonly image: Uint8Array
  readonly note?: string | undefined
}

const charge = handler<Charge, { receipt: string; charge: Charge }>('charge')
const anything = handler<unknown, unknown>('anything')

async function openHere(t: TestContext, more: Partial<OpenOptions> = {}): Promise<ColmenaNode> {
  const node = await open({ dataDir: temporaryDirectory(t), nodeId: 'one', ...more })
  t.after(() => node.close())
  return node
}

async function rejection(promise: Promise<unknown>): Promise<ColmenaError> {
  const error = await promise.then(
    () => assert.fail('it resolved'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof ColmenaError, String(error))
  return error
}

suite('a handler', () => {
  test('gets the request as it was, and its answer comes back as it was', async (t) => {
    const node = await openHere(t)
    const request = { cents: 2n ** 65n, at: new Date(7), image: new Uint8Array([1, 2]) }
    node.handle(charge, async (got, context) => {
      assert.deepEqual(got, request)
      assert.notEqual(got, request, 'also on the leader it is a copy')
      assert.equal(context.nodeId, 'one')
      assert.equal(context.signal.aborted, false)
      return { receipt: 'r1', charge: { ...got, note: undefined } }
    })
    const answer = await node.forward(charge, request)
    assert.deepEqual(answer, { receipt: 'r1', charge: { ...request, note: undefined } })
    node.handle(anything, () => undefined)
    assert.equal(await node.forward(anything, undefined), undefined)
  })

  test('writes through its node, and may forward itself', async (t) => {
    const node = await openHere(t)
    const db = node.database()
    await db.execute('CREATE TABLE t (n)')
    const inner = handler<number, number>('inner')
    node.handle(
      inner,
      async (n) => (await db.execute('INSERT INTO t VALUES (?)', [n])).rowsAffected,
    )
    node.handle(anything, (n) => node.forward(inner, n as number))
    assert.deepEqual(await Promise.all([1, 2, 3].map((n) => node.forward(anything, n))), [1, 1, 1])
    assert.deepEqual((await db.execute('SELECT sum(n) AS n FROM t')).rows, [{ n: 6 }])
  })

  test('is one for a key and version: a second is an error at once', async (t) => {
    const node = await openHere(t)
    const stop = node.handle(charge, () => assert.fail('never called'))
    const second = handler<number, number>('charge')
    assert.throws(() => node.handle(second, (n) => n), {
      code: 'ERR_INVALID_ARGUMENT',
      message: "this node handles 'charge' already; a key has one handler",
    })
    const newer = handler<number, number>('charge', { version: 2 })
    node.handle(newer, (n) => n + 1)
    assert.equal(await node.forward(newer, 1), 2)
    stop()
    stop()
    node.handle(second, (n) => n - 1)
    stop()
    assert.equal(await node.forward(second, 1), 0)
  })

  test('that is not there is said clearly, with what is', async (t) => {
    const node = await openHere(t)
    const missing = { code: 'ERR_NO_HANDLER', retryable: true, outcome: 'not-applied' }
    await assert.rejects(node.forward(anything, 1), {
      ...missing,
      message:
        /^handler 'anything': node 'one', which leads, has no handler 'anything'; it has none/,
    })
    node.handle(charge, () => assert.fail('never called'))
    await assert.rejects(node.forward(anything, 1), {
      ...missing,
      message: /it has 'charge' \(version 1\)\. Does it run another version of your program/,
    })
    await assert.rejects(node.forward(handler<number, number>('charge', { version: 3 }), 1), {
      ...missing,
      message:
        /no handler 'charge' \(version 3\); it has 'charge' \(version 1\): the two run different/,
    })
  })

  test('that throws: its error comes with what it is made of', async (t) => {
    const node = await openHere(t)
    const thrown = [
      Object.assign(new TypeError('declined', { cause: new Error('by the bank') }), {
        code: 'CARD_DECLINED',
        cents: 5n,
        socket: () => {},
      }),
      new SqlError('no such table: t', {
        sqliteCode: 1,
        sqliteMessage: 'no such table: t',
        statementIndex: 2,
        index: 7,
      }),
      new ColmenaError('ERR_BUSY', 'try again', { retryable: true }),
      'a word',
      { toString: () => assert.fail('it has no text') },
      Object.defineProperty(new Error(), 'own', { enumerable: true, get: () => assert.fail() }),
    ]
    node.handle(anything, (at) => {
      throw thrown[at as number]
    })
    const errors: ColmenaError[] = []
    for (const at of thrown.keys()) errors.push(await rejection(node.forward(anything, at)))
    for (const error of errors) {
      assert.equal(error.code, 'ERR_HANDLER_FAILED')
      assert.equal(error.outcome, 'unknown', 'it may have done something before')
      assert.equal(error.retryable, false)
    }
    assert.equal(errors[0]?.message, "handler 'anything' failed on the leader: declined")
    const [declined, sql, busy, word] = errors.map(
      ({ cause }) => cause as Error & { code?: string },
    )
    assert.equal(declined?.name, 'TypeError')
    assert.equal(declined?.code, 'CARD_DECLINED')
    assert.equal((declined as unknown as { cents: bigint }).cents, 5n)
    assert.equal('socket' in (declined ?? {}), false)
    assert.match(declined?.stack ?? '', /forwarding\.test\.ts/)
    assert.equal((declined as Error).cause instanceof Error, true)
    assert.match(String((declined as Error).cause), /by the bank/)
    assert.ok(sql instanceof SqlError && sql.statementIndex === 2 && sql.index === 7)
    assert.ok(busy instanceof ColmenaError && busy.retryable && busy.code === 'ERR_BUSY')
    assert.equal(word?.message, 'a word')
    assert.match(errors.at(-1)?.message ?? '', /what was thrown has no text/)
  })

  test('whose answer does not travel has failed, for it has run', async (t) => {
    const node = await openHere(t)
    const answers = [{ n: Number.NaN }, () => 1, 'x'.repeat(5 * 1024 * 1024)]
    node.handle(anything, (at) => answers[at as number])
    for (const [at, message] of [
      /the answer of 'anything'\.n is NaN/,
      /the answer of 'anything' is a function/,
      /the answer of 'anything' takes 5242882 bytes, at most 4194304 travel/,
    ].entries()) {
      await assert.rejects(node.forward(anything, at), {
        code: 'ERR_HANDLER_FAILED',
        outcome: 'unknown',
        message,
      })
    }
  })

  test('that never returns ends in time for its caller, and is told', async (t) => {
    const node = await openHere(t)
    const aborted = Promise.withResolvers<unknown>()
    node.handle(anything, (_request, { signal }) => {
      signal.addEventListener('abort', () => aborted.resolve(signal.reason))
      return new Promise(() => {})
    })
    await assert.rejects(node.forward(anything, 1, { timeoutMs: 2_000 }), {
      code: 'ERR_TIMEOUT',
      outcome: 'unknown',
      message: /^handler 'anything': it did not return within \d+ ms, and may still be running/,
    })
    assert.equal(((await aborted.promise) as ColmenaError).code, 'ERR_TIMEOUT')
  })

  test('outlasts the common deadline where its caller wants that', async (t) => {
    const node = await openHere(t, { requestTimeoutMs: 2_000 })
    const release = Promise.withResolvers<void>()
    node.handle(anything, () => release.promise)
    await assert.rejects(node.forward(anything, 1), { code: 'ERR_TIMEOUT', outcome: 'unknown' })
    const patient = node.forward(anything, 1, { timeoutMs: 60_000 })
    await assert.rejects(node.forward(anything, 1), { code: 'ERR_TIMEOUT' })
    release.resolve()
    assert.equal(await patient, undefined)
  })

  test('goes on when its caller stops waiting', async (t) => {
    const node = await openHere(t)
    const called = Promise.withResolvers<AbortSignal>()
    const release = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<void>()
    node.handle(anything, async (_request, { signal }) => {
      called.resolve(signal)
      await release.promise
      ended.resolve()
    })
    const stop = new AbortController()
    const forwarded = node.forward(anything, 1, { signal: stop.signal })
    const signal = await called.promise
    stop.abort(new Error('enough'))
    await assert.rejects(forwarded, { code: 'ERR_ABORTED', outcome: 'unknown' })
    release.resolve()
    await ended.promise
    assert.equal(signal.aborted, false)
    await assert.rejects(node.forward(anything, 1, { signal: stop.signal }), {
      code: 'ERR_ABORTED',
      outcome: 'not-applied',
    })
  })

  test('is not called for what does not travel, or is asked wrongly', async (t) => {
    const node = await openHere(t)
    node.handle(anything, () => assert.fail('never called'))
    const bad: readonly (readonly [() => unknown, string, RegExp])[] = [
      [
        () => node.forward(anything, { by: new Map() }),
        'ERR_INVALID_ARGUMENT',
        /'anything'\.by is/,
      ],
      [() => node.forward(anything, 'x'.repeat(5e6)), 'ERR_TOO_LARGE', /takes 5000002 bytes/],
      [() => node.forward('anything' as never, 1), 'ERR_INVALID_ARGUMENT', /as in handler\(/],
      [() => node.forward(anything, 1, { timeoutMs: 0 }), 'ERR_INVALID_ARGUMENT', /timeoutMs is 0/],
      [() => node.forward(anything, 1, { wait: 1 } as object), 'ERR_INVALID_ARGUMENT', /'wait'/],
      [async () => node.handle(anything, 1 as never), 'ERR_INVALID_ARGUMENT', /takes a function/],
      [async () => handler(''), 'ERR_INVALID_ARGUMENT', /1 to 200 letters/],
      [async () => handler('k', { version: 0 }), 'ERR_INVALID_ARGUMENT', /version of .* is 0/],
      [
        async () => handler('k', { versoin: 1 } as object),
        'ERR_INVALID_ARGUMENT',
        /'version' meant/,
      ],
    ]
    for (const [call, code, message] of bad) {
      await assert.rejects(call() as Promise<unknown>, { code, message })
    }
  })

  test('has no more calls than it may have, whatever never returns', async (t) => {
    const node = await openHere(t)
    const release = Promise.withResolvers<void>()
    const slow = handler<number, void>('slow')
    node.handle(slow, () => release.promise)
    node.handle(charge, (got) => ({ receipt: '', charge: got }))
    const late = Array.from({ length: 1_024 }, (_, at) =>
      node.forward(slow, at, { timeoutMs: 4_000 }),
    )
    for (const { status } of await Promise.allSettled(late)) assert.equal(status, 'rejected')
    const request = { cents: 1n, at: new Date(), image: new Uint8Array() }
    await assert.rejects(node.forward(charge, request), {
      code: 'ERR_BUSY',
      retryable: true,
      outcome: 'not-applied',
      message: /1024 calls run on the leader already, 1024 of them past their time/,
    })
    release.resolve()
    await node.forward(charge, request)
  })

  test('is told when its node ends, and its caller does not know', async (t) => {
    const node = await openHere(t, { electionTimeoutMs: 300 })
    const begun = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<void>()
    node.handle(anything, (_request, { signal }) => {
      begun.resolve()
      signal.addEventListener('abort', () => aborted.resolve())
      return new Promise(() => {})
    })
    const forwarded = rejection(node.forward(anything, 1))
    await begun.promise
    await node.close()
    await aborted.promise
    const { code, outcome } = await forwarded
    assert.deepEqual([code, outcome], ['ERR_CLOSED', 'unknown'])
    await assert.rejects(node.forward(anything, 1), { code: 'ERR_CLOSED', outcome: 'not-applied' })
    assert.throws(() => node.handle(charge, () => assert.fail()), { code: 'ERR_CLOSED' })
  })
})

suite('a call of another version of colmena', () => {
  test('is refused and says so', async (t) => {
    const { engine } = await openFake(t)
    const answered = engine.heard('handled')
    const bytes = new Uint8Array([9, 1, 2, 3])
    engine.say({ kind: 'handle', id: 5, from: 'two', leader: 'one', bytes })
    await answered
    const handled = engine.received.find(({ kind }) => kind === 'handled')
    assert.ok(handled?.kind === 'handled' && handled.id === 5)
    assert.equal(handled.error?.code, 'ERR_UNSUPPORTED_FORMAT')
    assert.match(handled.error?.message ?? '', /runs another version of colmena/)
  })
})
