/** Locks and `once` on one node: who has them, who waits, and what writes depend on them. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import {
  type ColmenaNode,
  type Database,
  isColmenaError,
  type Lease,
  type OpenOptions,
  open,
} from '../../src/index.ts'
import { readRows } from '../database/log-maker.ts'
import { until } from '../processes/wait.ts'
import { temporaryDirectory } from './temporary.ts'

const TTL_MS = 20_000

interface Opened {
  readonly dataDir: string
  readonly node: ColmenaNode
  readonly db: Database
}

async function openHere(t: TestContext, more: Partial<OpenOptions> = {}): Promise<Opened> {
  const { dataDir = temporaryDirectory(t) } = more
  const node = await open({ dataDir, ...more })
  t.after(() => node.close())
  const db = node.database()
  await db.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
  return { dataDir, node, db }
}

async function values(db: Database): Promise<unknown[]> {
  return (await db.execute('SELECT v FROM t ORDER BY id')).rows.map((row) => row['v'])
}

const LIVE = 'SELECT key FROM _colmena_leases WHERE ended_index IS NULL'
const INSERT = 'INSERT INTO t (v) VALUES (?)'

suite('a lock', () => {
  test('is had by one at a time, the first to ask being the first to have it', async (t) => {
    const { node } = await openHere(t)
    const had: string[] = []
    const first = await node.lock('a', { ttlMs: TTL_MS })
    const others = ['second', 'third', 'fourth'].map(async (name) => {
      await using lock = await node.lock('a', { ttlMs: TTL_MS })
      assert.equal(lock.isHeld, true)
      had.push(name)
    })
    const other = await node.lock('b', { ttlMs: TTL_MS })
    assert.ok(other.token > first.token)
    assert.deepEqual(had, [])
    assert.equal(await first.release(), true)
    assert.equal(await first.release(), false)
    assert.equal(first.isHeld, false)
    await Promise.all(others)
    assert.deepEqual(had, ['second', 'third', 'fourth'])
  })

  test('names who has it once the wait is over', async (t) => {
    const { node } = await openHere(t, { nodeId: 'holder' })
    await node.lock('a', { ttlMs: TTL_MS })
    const busy = { code: 'ERR_BUSY', retryable: true, message: /node holder has it/ }
    await assert.rejects(node.lock('a', { ttlMs: TTL_MS, waitMs: 0 }), busy)
    await assert.rejects(node.lock('a', { ttlMs: TTL_MS, waitMs: 60 }), busy)
  })

  test('is waited for until the signal ends that, and the next in line has its turn', async (t) => {
    const { node } = await openHere(t)
    const first = await node.lock('a', { ttlMs: TTL_MS })
    const giving = new AbortController()
    const second = node.lock('a', { ttlMs: TTL_MS, signal: giving.signal })
    const third = node.lock('a', { ttlMs: TTL_MS })
    giving.abort(new Error('enough'))
    await assert.rejects(second, { code: 'ERR_ABORTED' })
    await first.release()
    assert.equal((await third).isHeld, true)
  })

  test('is renewed for as long as it is held, and no longer', async (t) => {
    const { node, dataDir } = await openHere(t)
    const lock = await node.lock('a', { ttlMs: 3000 })
    const endsMs = (): unknown =>
      readRows(join(dataDir, 'db'), 'system', 'SELECT ends_ms FROM _colmena_leases').flat()[0]
    const firstMs = endsMs()
    await until('the lock is renewed', () => (endsMs() as bigint) > (firstMs as bigint))
    assert.equal(lock.isHeld, true)
    await lock.release()
    await node.lock('b', { ttlMs: 100 })
    const rows = (): unknown[] => readRows(join(dataDir, 'db'), 'system', LIVE).flat()
    assert.deepEqual(rows(), ['b'])
  })

  test('waits for no transaction, though all writes of a database do', async (t) => {
    const { node, db } = await openHere(t)
    const transaction = await db.transaction()
    await transaction.execute(INSERT, ['tried'])
    const lock = await node.lock('a', { ttlMs: TTL_MS })
    assert.equal(await node.once('a', { ttlMs: TTL_MS }, () => 'done'), 'done')
    assert.equal(await lock.release(), true)
    await transaction.commit()
    assert.deepEqual(await values(db), ['tried'])
  })

  test('is let go by a node that closes', async (t) => {
    const { node, dataDir } = await openHere(t)
    const lock = await node.lock('a', { ttlMs: TTL_MS })
    await node.close()
    assert.equal(lock.isHeld, false)
    assert.deepEqual(readRows(join(dataDir, 'db'), 'system', LIVE), [])
    await assert.rejects(node.lock('a', { ttlMs: TTL_MS }), { code: 'ERR_CLOSED' })
  })

  test('of an earlier open ends with the next one', async (t) => {
    const dataDir = temporaryDirectory(t)
    const { node } = await openHere(t, { dataDir })
    const lock = await node.lock('a', { ttlMs: TTL_MS })
    // As if it had died: nothing is released.
    Object.assign(lock, { release: () => Promise.resolve(true) })
    await node.close()
    const again = await open({ dataDir })
    t.after(() => again.close())
    const next = await again.lock('a', { ttlMs: TTL_MS })
    assert.ok(next.token > lock.token)
    await assert.rejects(again.database().execute(INSERT, ['old'], { fence: lock }), {
      code: 'ERR_FENCED',
    })
  })

  test('refuses what no lock can be', async (t) => {
    const { node, db } = await openHere(t)
    const invalid = { code: 'ERR_INVALID_ARGUMENT' }
    for (const key of ['', 'a'.repeat(513), '\ud800', 7]) {
      await assert.rejects(node.lock(key as string, { ttlMs: TTL_MS }), invalid)
    }
    for (const options of [undefined, {}, { ttlMs: 99 }, { ttlMs: 1e9 }, { ttlMs: 100.5 }]) {
      await assert.rejects(node.lock('a', options as never), invalid)
    }
    const misspelt = node.lock('a', { ttlMs: TTL_MS, waitMS: 1 } as never)
    await assert.rejects(misspelt, { ...invalid, message: /is 'waitMs' meant/ })
    for (const fence of [null, 7, {}, { token: 0 }, { token: '1' }]) {
      await assert.rejects(db.execute(INSERT, [1], { fence } as never), invalid)
    }
  })
})

suite('a fence', () => {
  test('lets every kind of write through while the lock is held, and none after', async (t) => {
    const { node, db } = await openHere(t)
    const lock = await node.lock('a', { ttlMs: TTL_MS })
    const ways: readonly ((v: string) => Promise<unknown>)[] = [
      (v) => db.execute(INSERT, [v], { fence: lock }),
      (v) => db.batch([[INSERT, [v]]], { fence: lock }),
      (v) => db.migrate([[INSERT, [v]]], { fence: { token: lock.token } }),
      (v) => db.transaction((tx) => tx.execute(INSERT, [v]), { fence: lock }),
      (v) => db.executeMultiple(`INSERT INTO t (v) VALUES ('${v}')`, { fence: lock }),
      (v) =>
        db.executeMultiple(`BEGIN; INSERT INTO t (v) VALUES ('${v}'); COMMIT`, { fence: lock }),
    ]
    for (const [at, way] of ways.entries()) await way(`held ${at}`)
    const held = ways.map((_, at) => `held ${at}`)
    assert.deepEqual(await values(db), held)
    await lock.release()
    for (const way of ways) {
      await assert.rejects(way('late'), (error) => {
        assert.ok(isColmenaError(error))
        assert.deepEqual([error.code, error.outcome], ['ERR_FENCED', 'not-applied'])
        assert.match(error.message, new RegExp(`token ${lock.token} `))
        return true
      })
    }
    assert.deepEqual(await values(db), held)
  })

  test('concerns its own calls alone, in whatever command they leave', async (t) => {
    const { node, db } = await openHere(t)
    const lock = await node.lock('a', { ttlMs: TTL_MS })
    const old = await node.lock('b', { ttlMs: TTL_MS })
    await old.release()
    const fences = [undefined, lock, old, lock, undefined, old, undefined]
    const ended = await Promise.allSettled(
      fences.map((fence, at) => db.execute(INSERT, [at], fence && { fence })),
    )
    assert.deepEqual(
      ended.map(({ status }) => status === 'fulfilled'),
      fences.map((fence) => fence !== old),
    )
    assert.deepEqual(await values(db), [0, 1, 3, 4, 6])
  })
})

suite('once', () => {
  test('runs one of many callers, whose result they share', async (t) => {
    const { node } = await openHere(t)
    let runs = 0
    const result = { sum: 10n, at: new Date(7), bytes: new Uint8Array([1]), list: [undefined] }
    const call = (): Promise<typeof result> =>
      node.once('a', { ttlMs: TTL_MS }, async () => {
        runs += 1
        await node.database().execute('SELECT 1', [], { consistency: 'strong' })
        return result
      })
    const results = await Promise.all(Array.from({ length: 50 }, call))
    assert.equal(runs, 1)
    for (const one of results) assert.deepEqual(one, result)
    assert.notEqual(results[0], results[1])
    assert.deepEqual(await call(), result)
    assert.equal(runs, 1)
    assert.equal(await node.once('b', { ttlMs: 1 }, () => 'other'), 'other')
  })

  test('runs again once the result is old', async (t) => {
    const { node } = await openHere(t)
    let runs = 0
    const call = (): Promise<number> => node.once('a', { ttlMs: 100 }, () => ++runs)
    assert.equal(await call(), 1)
    await until('the work runs again', async () => (await call()) === 2)
  })

  test('keeps a failure only if it is asked to', async (t) => {
    const { node } = await openHere(t)
    let runs = 0
    const failing = (): never => {
      runs += 1
      throw Object.assign(new RangeError(`failure ${runs}`), { code: 'E_MINE' })
    }
    const options = { ttlMs: TTL_MS }
    await assert.rejects(node.once('a', options, failing), { message: 'failure 1' })
    await assert.rejects(node.once('a', options, failing), { message: 'failure 2' })
    const kept = { ...options, errorTtlMs: TTL_MS }
    const expected = { message: 'failure 3', code: 'E_MINE', name: 'RangeError' }
    await assert.rejects(node.once('a', kept, failing), expected)
    await assert.rejects(node.once('a', options, failing), expected)
    assert.equal(runs, 3)
  })

  test('takes what can be no result for a failure of the work', async (t) => {
    const { node } = await openHere(t)
    const options = { ttlMs: TTL_MS }
    await assert.rejects(
      node.once('a', options, () => () => {}),
      { code: 'ERR_INVALID_ARGUMENT', message: /the result of once 'a' is a function/ },
    )
    const large = 'x'.repeat(1024 * 1024)
    await assert.rejects(
      node.once('a', options, () => large),
      { code: 'ERR_TOO_LARGE' },
    )
    assert.equal(await node.once('a', options, () => 'small'), 'small')
  })

  test('keeps no lease for what can not be kept as a failure', async (t) => {
    const { dataDir, node } = await openHere(t)
    const thrown: readonly unknown[] = [
      Object.create(null),
      Object.assign(new Error(), { message: 5 }),
      Object.assign(new Error(), { name: Symbol('s') }),
      Object.defineProperty(new Error(), 'own', { enumerable: true, get: () => assert.fail() }),
      Object.assign(new Error(), { name: 'x'.repeat(2 ** 21) }),
    ]
    for (const [at, value] of thrown.entries()) {
      const kept = node.once(`k${at}`, { ttlMs: TTL_MS, errorTtlMs: TTL_MS }, () => {
        throw value
      })
      await assert.rejects(kept, (error) => error === value)
      const again = node.once(`k${at}`, { ttlMs: TTL_MS }, () => assert.fail('it is kept'))
      await assert.rejects(again, { name: at === 4 ? /^x+$/ : /./ })
    }
    assert.deepEqual(readRows(join(dataDir, 'db'), 'system', LIVE), [])
  })

  test('ends with its node, for who runs and for who waits', async (t) => {
    const { node } = await openHere(t)
    const begun = Promise.withResolvers<void>()
    const never = (): Promise<never> => {
      begun.resolve()
      return new Promise(() => {})
    }
    const calls = [1, 2].map(() => node.once('k', { ttlMs: TTL_MS, waitMs: TTL_MS * 100 }, never))
    const ended = calls.map((call) =>
      assert.rejects(call, { code: 'ERR_CLOSED', outcome: 'unknown' }),
    )
    await begun.promise
    await node.close()
    await Promise.all(ended)
  })

  test('goes on when those who wait give up, its own caller too', async (t) => {
    const { node } = await openHere(t)
    const { promise: going, resolve: go } = Promise.withResolvers<string>()
    const started = Promise.withResolvers<void>()
    const giving = new AbortController()
    const { signal } = giving
    const work = (): Promise<string> => {
      started.resolve()
      return going
    }
    const running = node.once('a', { ttlMs: TTL_MS, signal }, work)
    await started.promise
    const waiting = node.once('a', { ttlMs: TTL_MS, signal }, work)
    const impatient = node.once('a', { ttlMs: TTL_MS, waitMs: 10 }, work)
    await assert.rejects(impatient, { code: 'ERR_BUSY', retryable: true })
    giving.abort()
    await assert.rejects(running, { code: 'ERR_ABORTED', outcome: 'unknown' })
    await assert.rejects(waiting, { code: 'ERR_ABORTED', outcome: 'not-applied' })
    const patient = node.once('a', { ttlMs: TTL_MS }, () => 'run again')
    go('done')
    assert.equal(await patient, 'done')
  })

  test('gives its work a lease, which its writes can stand on', async (t) => {
    const { node, db } = await openHere(t)
    let lease: Lease | null = null
    await node.once('a', { ttlMs: TTL_MS }, async (given) => {
      lease = given
      await db.execute(INSERT, ['inside'], { fence: given })
    })
    assert.ok(lease !== null)
    const late = db.execute(INSERT, ['after'], { fence: lease })
    await assert.rejects(late, { code: 'ERR_FENCED' })
    assert.deepEqual(await values(db), ['inside'])
  })

  test('is still how one hears an event once', async (t) => {
    const { node } = await openHere(t)
    assert.ok(node instanceof EventEmitter)
    const closed = once(node, 'closed')
    const heard = new Promise((resolve) => node.once('closed', resolve))
    await node.close()
    assert.deepEqual(await heard, { reason: 'requested' })
    await closed
  })
})

test('a committed write may come to nothing, which a read after its index tells', async (t) => {
  const { node, db } = await openHere(t, { requestTimeoutMs: 800 })
  await db.execute(INSERT, ['first'])
  const lock = await node.lock('k', { ttlMs: TTL_MS })
  await lock.release()
  // In another database: what comes after it leaves at once, and is run once it is over.
  const slow = node.database('slow').execute(`CREATE TABLE slow AS WITH RECURSIVE n (i) AS (
    VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 12000000) SELECT max(i) AS i FROM n`)
  const caught = (error: unknown): unknown => error
  const errors = await Promise.all([
    slow.catch(caught),
    db.execute(INSERT, ['under no lock'], { fence: lock }).catch(caught),
    db.execute('INSERT INTO t (id, v) VALUES (1, ?)', ['as well']).catch(caught),
  ])
  const indexes = errors.map((error) => {
    assert.ok(isColmenaError(error))
    assert.deepEqual([error.code, error.outcome], ['ERR_TIMEOUT', 'committed'])
    return error.index ?? 0
  })
  const after = Math.max(...indexes)
  const { rows } = await until('it is there', () => {
    return db.execute('SELECT v FROM t', [], { after }).catch(() => null)
  })
  assert.deepEqual(
    rows.map(({ v }) => v),
    ['first'],
  )
})
