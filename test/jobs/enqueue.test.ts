/** How jobs are made: alone, together, with rows of their own, once a key; and what is refused. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { EnqueueOptions, StandardSchema } from '../../src/jobs/jobs.ts'
import { createJobs, type Job, job } from '../../src/jobs/jobs.ts'
import { until } from '../processes/wait.ts'
import { Gate, openJobs, stateOf, untilState } from './fixture.ts'

interface Page {
  readonly url: string
}

const scrape = job<Page, number>('scrape')

suite('a job', () => {
  test('is there with its options, and what its type says of them', async (t) => {
    const { jobs } = await openJobs(t)
    const key = job<Page>('page', { defaults: { maxAttempts: 2, tags: ['web'], timeoutMs: 7 } })
    const runAt = new Date(Date.now() + 60_000)
    const options = { runAt, priority: 'high', timeoutMs: 8, concurrencyKey: 'k' } as const
    const { id, created } = await jobs.enqueue(key, { url: 'x' }, options)
    assert.equal(created, true)
    const { enqueuedAt: _, ...rest } = (await jobs.find(id)) ?? {}
    assert.deepEqual(rest, {
      ...{ id, type: 'page', state: 'pending', args: { url: 'x' }, priority: 10, runAt },
      ...{ attempt: 0, maxAttempts: 2, timeoutMs: 8, uniqueKey: null, concurrencyKey: 'k' },
      ...{ tags: ['web'], after: [], nodeId: null, progress: null, result: null, error: null },
      ...{ startedAt: null, finishedAt: null },
    })
    assert.equal(await jobs.find('none'), null)
  })

  test('is one as long as one of its key is not finished', async (t) => {
    const { jobs } = await openJobs(t)
    const gate = new Gate()
    jobs.handle(scrape, async () => {
      await gate.pass()
      return 1
    })
    const keyed = { uniqueKey: 'k' }
    const made = await Promise.all([1, 2, 3].map(() => jobs.enqueue(scrape, { url: 'x' }, keyed)))
    const [first] = made
    assert.equal(new Set(made.map(({ id }) => id)).size, 1)
    assert.equal(made.filter(({ created }) => created).length, 1)
    await until('it runs', () => gate.arrived === 1)
    const running = await jobs.enqueue(scrape, { url: 'x' }, keyed)
    assert.deepEqual(running, { id: first?.id, created: false })
    const other = await jobs.enqueue(job<Page>('other'), { url: 'x' }, keyed)
    assert.equal(other.created, true)
    gate.open()
    await jobs.waitFor(first?.id ?? '')
    const next = await jobs.enqueue(scrape, { url: 'x' }, keyed)
    assert.ok(next.created && next.id !== first?.id)
  })

  test('commits with the rows of its transaction, or is not there either', async (t) => {
    const { db, jobs } = await openJobs(t)
    await db.execute('CREATE TABLE orders (id INTEGER PRIMARY KEY)')
    await jobs.ready()
    let id = ''
    const order = async (isGood: boolean): Promise<void> => {
      await db.transaction(async (tx) => {
        await tx.execute('INSERT INTO orders DEFAULT VALUES')
        id = (await jobs.enqueue(scrape, { url: 'x' }, { tx })).id
        await jobs.enqueueAll(scrape, [{ url: 'y' }, { url: 'z' }], { tx })
        if (!isGood) throw new Error('changed my mind')
      })
    }
    await assert.rejects(order(false), /changed my mind/)
    assert.equal(await stateOf(jobs, id), 'none')
    await order(true)
    assert.equal(await stateOf(jobs, id), 'pending')
    assert.equal((await jobs.list()).jobs.length, 3)
    assert.equal((await db.execute('SELECT * FROM orders')).rows.length, 1)
  })

  test('makes its tables in its transaction, which takes them back too', async (t) => {
    const { db, jobs } = await openJobs(t)
    let id = ''
    const order = (isGood: boolean): Promise<void> => {
      return db.transaction(async (tx) => {
        await tx.execute('CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)')
        id = (await jobs.enqueue(scrape, { url: 'x' }, { tx })).id
        await jobs.enqueueAll(scrape, [{ url: 'y' }, { url: 'z' }], { tx })
        if (!isGood) throw new Error('changed my mind')
      })
    }
    await assert.rejects(order(false), /changed my mind/)
    const tables = "SELECT name FROM sqlite_schema WHERE name LIKE 'colmena_job%'"
    assert.deepEqual((await db.execute(tables)).rows, [])
    await order(true)
    assert.equal(await stateOf(jobs, id), 'pending')
    assert.equal((await jobs.list()).jobs.length, 3)
  })

  test('joins a batch as a statement, which a failure of the batch takes back', async (t) => {
    const { db, jobs } = await openJobs(t)
    await jobs.ready()
    const { id, ...statement } = scrape.statement({ url: 'x' }, { uniqueKey: 'k' })
    await assert.rejects(db.batch([statement, 'INSERT INTO nowhere VALUES (1)'], 'write'))
    assert.equal(await stateOf(jobs, id), 'none')
    await db.batch([statement, 'CREATE TABLE somewhere (a)'], 'write')
    assert.equal(await stateOf(jobs, id), 'pending')
  })

  test('made with many others costs one entry', async (t) => {
    const { node, jobs } = await openJobs(t)
    await jobs.ready()
    const { appliedIndex } = await node.status()
    const pages = Array.from({ length: 2_000 }, (_, at) => ({ url: `${at}` }))
    const made = await jobs.enqueueAll(scrape, pages, { priority: 5 })
    assert.equal((await node.status()).appliedIndex, appliedIndex + 1)
    const last = await jobs.find(made.at(-1)?.id ?? '')
    assert.deepEqual([last?.args, last?.priority], [{ url: '1999' }, 5])
    assert.deepEqual(await jobs.enqueueAll(scrape, []), [])
  })
})

/** Takes numbers in text, after a while or at once. */
function numbers(isLate: boolean): StandardSchema<{ n: number }> {
  const validate = (
    value: unknown,
  ): ReturnType<StandardSchema<{ n: number }>['~standard']['validate']> => {
    const { n } = Object(value)
    const validated =
      Number.isInteger(Number(n)) && n !== ''
        ? { value: { n: Number(n) } }
        : { issues: [{ message: 'no number', path: ['n'] }] }
    return isLate ? Promise.resolve(validated) : validated
  }
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

suite('a schema', () => {
  for (const isLate of [false, true]) {
    test(`is asked at enqueue and before it runs, late: ${isLate}`, async (t) => {
      const { db, jobs } = await openJobs(t)
      const sum = job<{ n: number }, number>('sum', { schema: numbers(isLate) })
      jobs.handle(sum, ({ n }) => n + 1)
      const text = { n: '41' } as unknown as { n: number }
      assert.equal(await jobs.waitFor((await jobs.enqueue(sum, text)).id), 42)
      const wrong = { n: 'x' } as unknown as { n: number }
      const refused = { code: 'ERR_INVALID_ARGUMENT', message: /'sum'.*n: no number/ }
      await assert.rejects(jobs.enqueue(sum, wrong), refused)
      const { id } = await jobs.enqueue(sum, { n: 1 }, { delayMs: 3_600_000 })
      await db.execute(`UPDATE colmena_jobs SET args = '{"n":"y"}' WHERE id = ?`, [id])
      await jobs.runNow(id)
      await untilState(jobs, id, 'failed')
      assert.match((await jobs.find(id))?.error ?? '', /n: no number/)
      if (isLate) assert.throws(() => sum.statement({ n: 1 }), { message: /takes its time/ })
      else assert.throws(() => sum.statement(wrong), refused)
    })
  }
})

suite('what is refused', () => {
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  const payloads: readonly (readonly [string, unknown, RegExp])[] = [
    ['a bigint', { n: 1n }, /\.n: 1n is no JSON/],
    ['what is no number', [Number.NaN], /\[0\]: NaN is no JSON/],
    ['a date', { at: new Date() }, /\.at: an object of Date is no JSON/],
    ['a function', () => {}, /a function is no JSON/],
    ['a circle', circle, /\.self: it contains itself/],
    ['a hole', [undefined], /\[0\]: undefined is no JSON/],
  ]
  for (const [what, payload, message] of payloads) {
    test(`as arguments: ${what}`, async (t) => {
      const { jobs } = await openJobs(t)
      const code = 'ERR_INVALID_ARGUMENT'
      await assert.rejects(jobs.enqueue(job<unknown>('any'), payload), { code, message })
      assert.throws(() => job<unknown>('any').statement(payload), { code, message })
    })
  }

  test('as arguments: more than a MiB', async (t) => {
    const { jobs } = await openJobs(t)
    const large = 'x'.repeat(1_048_577)
    await assert.rejects(jobs.enqueue(job<string>('any'), large), { code: 'ERR_TOO_LARGE' })
  })

  const options: readonly (readonly [EnqueueOptions | object, RegExp])[] = [
    [{ prio: 1 }, /no option 'prio'; it has priority/],
    [{ priority: 'urgent' }, /'low', 'normal', 'high' or a number, not "urgent"/],
    [{ priority: 0.5 }, /priority is a whole number/],
    [{ runAt: new Date('x') }, /runAt is a Date.*Invalid Date/],
    [{ runAt: 1e15 }, /up to the year 2200; not 1000000000000000/],
    [{ runAt: 'tomorrow' }, /runAt is a Date/],
    [{ runAt: 1, delayMs: 1 }, /runAt or delayMs, not both/],
    [{ delayMs: -1 }, /delayMs is a whole number from 0/],
    [{ maxAttempts: 0 }, /maxAttempts is a whole number from 1/],
    [{ timeoutMs: 0 }, /timeoutMs is a whole number from 1/],
    [{ uniqueKey: '' }, /uniqueKey is well-formed text/],
    [{ uniqueKey: '\ud800' }, /uniqueKey is well-formed text/],
    [{ backoff: { baseMs: -1 } }, /baseMs is a whole number/],
    [{ backoff: 5 }, /the options of backoff are an object/],
    [{ tags: 'web' }, /tags is an array of up to 20/],
    [{ after: [1] }, /after is well-formed text/],
    [{ afterFailure: 'wait' }, /'fail' or 'run', not "wait"/],
  ]
  for (const [option, message] of options) {
    test(`as options: ${JSON.stringify(option)}`, () => {
      const code = 'ERR_INVALID_ARGUMENT'
      assert.throws(() => scrape.statement({ url: 'x' }, option), { code, message })
    })
  }

  test('in a transaction of another database, which gets no tables', async (t) => {
    const { node, jobs } = await openJobs(t)
    const other = node.database('other')
    const code = 'ERR_INVALID_ARGUMENT'
    await other.transaction(async (tx) => {
      const message = /transaction of the database 'main', not one of 'other'/
      await assert.rejects(jobs.enqueue(scrape, { url: 'x' }, { tx }), { code, message })
      await assert.rejects(jobs.enqueueAll(scrape, [{ url: 'x' }], { tx }), { code, message })
    })
    const { rows } = await other.execute('SELECT name FROM sqlite_schema')
    assert.deepEqual(rows, [])
    await assert.rejects(jobs.enqueue(scrape, { url: 'x' }, { tx: {} as never }), { code })
  })

  test('as a type, a handler, a node or an option of createJobs', async (t) => {
    const { node, jobs } = await openJobs(t)
    const code = 'ERR_INVALID_ARGUMENT'
    for (const type of ['', 'a b', 'x'.repeat(129), 7, null]) {
      assert.throws(() => job(type as string), { code, message: /the type of a job/ })
    }
    jobs.handle(scrape, () => 1)
    assert.throws(() => jobs.handle(scrape, () => 1), { code, message: /has a handler here/ })
    assert.throws(() => jobs.handle({} as Job<Page, number>, () => 1), { code })
    assert.throws(() => jobs.handle(job('b'), 'x' as unknown as () => void), { code })
    assert.throws(() => createJobs({} as typeof node), { code, message: /the node that open gave/ })
    for (const wrong of [
      { workers: -1 },
      { leaseMs: 1 },
      { retention: { keepMs: -2 } },
      { w: 1 },
    ]) {
      assert.throws(() => createJobs(node, wrong as object), { code })
    }
    await assert.rejects(jobs.limit(scrape, { rate: { max: 0, perMs: 1 } }), { code })
    await assert.rejects(jobs.limit('scrape', { cap: 1 } as object), { code })
    await assert.rejects(jobs.list({ state: 'done' as 'dead' }), {
      code,
      message: /one of waiting/,
    })
    await assert.rejects(jobs.waitFor('none'), { code: 'ERR_NOT_FOUND' })
    const gone = AbortSignal.abort(new Error('enough'))
    const { id } = await jobs.enqueue(job('never'))
    await assert.rejects(jobs.waitFor(id, { signal: gone }), { code: 'ERR_ABORTED' })
  })
})
