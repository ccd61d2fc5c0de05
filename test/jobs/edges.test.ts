/** What is large, thrown, taken away or closed at the wrong moment harms no other job. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { isColmenaError } from '../../src/index.ts'
import { job, RetryLater } from '../../src/jobs/jobs.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'
import { Gate, openJobs, openJobsAlone, startJobs, stateOf, untilState } from './fixture.ts'

const work = job<unknown, unknown>('work')
const other = job<undefined, string>('other')
const SOON = { baseMs: 1, maxMs: 1 }

suite('a claim under way', () => {
  test('of jobs that close meanwhile is given back, and only what ran counts', async (t) => {
    const { node, jobs: maker } = await openJobs(t, { workers: 0 })
    const ran = new Set<unknown>()
    const ids: string[] = []
    for (let round = 0; round < 15; round += 1) {
      const jobs = startJobs(t, node)
      jobs.handle(work, (args) => void ran.add(args))
      for (let one = 0; one < 3; one += 1) {
        ids.push((await maker.enqueue(work, ids.length)).id)
      }
      await pause(round % 5)
      await jobs.close()
    }
    const states = await Promise.all(ids.map((id) => stateOf(maker, id)))
    for (const [n, state] of states.entries()) {
      assert.equal(state, ran.has(n) ? 'succeeded' : 'pending', `job ${n}`)
    }
  })

  test('of a type whose handler is taken away is given back', async (t) => {
    const { node, jobs } = await openJobs(t)
    let ran = 0
    for (let round = 0; round < 15; round += 1) {
      const stop = jobs.handle(work, () => {
        ran += 1
      })
      await jobs.enqueue(work, round)
      await pause(round % 4)
      stop()
    }
    const looking = startJobs(t, node, { workers: 0 })
    const counts = async (): Promise<Record<string, number>> => {
      const [of] = await looking.stats()
      return { ...of?.counts }
    }
    await until('none runs', async () => (await counts())['running'] === 0)
    assert.equal((await counts())['succeeded'], ran)
  })
})

suite('what is large', () => {
  test('is kept, a write after the other', async (t) => {
    const { jobs } = await openJobs(t, { workers: 10 })
    const gate = new Gate()
    jobs.handle(work, async (_, { log }) => {
      await gate.pass()
      log('x'.repeat(10_000))
      return '"'.repeat(500_000)
    })
    jobs.handle(other, () => 'done')
    const made = await jobs.enqueueAll(work, [1, 2, 3, 4, 5, 6, 7, 8])
    await until('all run', () => gate.arrived === 8)
    gate.open()
    assert.equal(await jobs.waitFor((await jobs.enqueue(other)).id), 'done')
    for (const { id } of made) assert.equal(String(await jobs.waitFor(id)).length, 500_000)
  })

  test('is refused as progress, which goes with the leases of all', async (t) => {
    const { jobs } = await openJobs(t)
    jobs.handle(work, (_, { progress }) => progress('x'.repeat(20_000)))
    const { id } = await jobs.enqueue(work, 1, { maxAttempts: 1 })
    await untilState(jobs, id, 'dead')
    assert.match((await jobs.find(id))?.error ?? '', /progress of 'work': 20002 characters of JSON/)
  })
})

test('what nobody can look at is thrown like anything else', async (t) => {
  const { jobs } = await openJobs(t)
  const thrown = [
    Object.defineProperty(new Error('x'), 'stack', { get: () => assert.fail('no') }),
    new Proxy({}, { getPrototypeOf: () => assert.fail('no') }),
    Proxy.revocable({}, {}).proxy,
  ]
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  thrown.push(proxy)
  jobs.handle(work, (at) => {
    throw thrown[at as number]
  })
  const made = await jobs.enqueueAll(work, [0, 1, 2, 3], { maxAttempts: 1 })
  for (const { id } of made) await untilState(jobs, id, 'dead')
  assert.equal(jobs.metrics().running, 0)
})

suite('a node that closes first', () => {
  test('ends what waits, and leaves nothing that fails later', async (t) => {
    const { node, jobs } = await openJobsAlone(t)
    jobs.handle(work, () => 1)
    const dueMs = Date.now() + 300
    const { id } = await jobs.enqueue(work, 1, { runAt: dueMs })
    const waiting = jobs.waitFor(id).catch((error: unknown) => error)
    await node.close()
    const error = await waiting
    assert.ok(isColmenaError(error) && error.code === 'ERR_CLOSED', String(error))
    await until('its time has come, and nobody looks', () => Date.now() > dueMs + 50)
    await jobs.close()
  })
})

suite('an end', () => {
  test('of one that is cancelled is that, and no failure', async (t) => {
    const { jobs } = await openJobs(t)
    const gate = new Gate()
    const told: string[] = []
    for (const name of ['failed', 'dead'] as const) jobs.on(name, () => told.push(name))
    jobs.handle(work, async (_, { signal }) => {
      gate.pass().catch(() => {})
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    })
    const made = [
      await jobs.enqueue(work, 1, { maxAttempts: 1 }),
      await jobs.enqueue(work, 2, { maxAttempts: 5 }),
    ]
    await until('both run', () => gate.arrived === 2)
    for (const { id } of made) assert.equal(await jobs.cancel(id), true)
    for (const { id } of made) await untilState(jobs, id, 'cancelled')
    assert.deepEqual(told, [])
    assert.equal(jobs.metrics().retried, 0)
  })

  test('that asks for another call says nothing of the rest after a failure', async (t) => {
    const { jobs } = await openJobs(t)
    jobs.handle(work, (_, { attempt }) => {
      if (attempt <= 12) throw new RetryLater(1)
      if (attempt === 13) throw new Error('the first failure')
      return attempt
    })
    const backoff = { baseMs: 2, jitter: false }
    const { id } = await jobs.enqueue(work, 1, { backoff })
    assert.equal(await jobs.waitFor(id), 14)
  })

  test('after each retry comes after as many attempts as were asked for', async (t) => {
    const { jobs } = await openJobs(t)
    let runs = 0
    jobs.handle(work, () => {
      runs += 1
      throw new Error('always')
    })
    const { id } = await jobs.enqueue(work, 1, { maxAttempts: 2, backoff: SOON })
    for (const after of [2, 4, 6]) {
      await untilState(jobs, id, 'dead')
      assert.equal(runs, after)
      await jobs.retry(id)
    }
  })
})

test('a step that is asked for twice at once is done once', async (t) => {
  const { jobs } = await openJobs(t)
  let done = 0
  jobs.handle(work, async (_, { step }) => {
    const one = (): Promise<number> => step('one', () => ++done)
    const wrong = await step('', () => 1).catch((error: unknown) => error)
    const none = await step('two', 5 as never).catch((error: unknown) => error)
    for (const error of [wrong, none]) {
      assert.ok(isColmenaError(error) && error.code === 'ERR_INVALID_ARGUMENT')
    }
    return Promise.all([one(), one()])
  })
  const { id } = await jobs.enqueue(work, 1, { maxAttempts: 1 })
  assert.deepEqual(await jobs.waitFor(id), [1, 1])
})

suite('a key', () => {
  const toNumber = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value: unknown) =>
        typeof value === 'string'
          ? { value: Number(value) as unknown }
          : { issues: [{ message: 'expected a string' }] },
    },
  } as const

  test('whose schema makes something else gives that to its handler', async (t) => {
    const { jobs } = await openJobs(t)
    const key = job<unknown, unknown>('made', { schema: toNumber })
    jobs.handle(key, (args) => [args])
    assert.deepEqual(await jobs.waitFor((await jobs.enqueue(key, '5')).id), [5])
  })

  test('has its schema and its defaults in schedules too', async (t) => {
    const { jobs } = await openJobs(t)
    const defaults = { maxAttempts: 7, priority: 'high' } as const
    const key = job<unknown, unknown>('made', { schema: toNumber, defaults })
    const code = 'ERR_INVALID_ARGUMENT'
    await assert.rejects(jobs.schedule('a', '* * * * * *', key, 5), { code, message: /a string/ })
    await jobs.schedule('a', '* * * * * *', key, '5')
    const made = await until('a tick', async () => (await jobs.list({ type: 'made' })).jobs[0])
    assert.deepEqual([made.maxAttempts, made.priority, made.args], [7, 10, '5'])
    await jobs.unschedule('a')
  })

  test('keeps its defaults where an option says nothing, or another time', async (t) => {
    const { jobs } = await openJobs(t)
    const key = job<unknown, unknown>('made', { defaults: { priority: 'high', delayMs: 60_000 } })
    const { id } = await jobs.enqueue(key, 1, { priority: undefined, runAt: 1 })
    const made = await jobs.find(id)
    assert.equal(made?.priority, 10)
    assert.ok((made?.runAt.getTime() ?? Number.NaN) <= Date.now())
  })
})

test('what is asked wrongly is refused as such, and harms no later call', async (t) => {
  const { jobs } = await openJobs(t)
  const code = 'ERR_INVALID_ARGUMENT'
  const calls: readonly (() => Promise<unknown>)[] = [
    () => jobs.enqueue(work, 1, null as never),
    () => jobs.enqueue(work, 1, 5 as never),
    () => jobs.enqueue(work, 1, { after: null as never }),
    () => jobs.enqueue(work, 1, { after: '' as never }),
    () => jobs.enqueue(work, { [Symbol('a')]: 1 }),
    () => jobs.enqueueAll(work, [1], null as never),
    () => jobs.list(null as never),
    () => jobs.pause('work', null as never),
    () => jobs.waitFor('x', { timeout: 5 } as never),
    () => jobs.schedule(Symbol('a') as never, '* * * * *', work, 1),
    () => jobs.cancel(''),
    () => jobs.retry(null as never),
    () => jobs.runNow({} as never),
    () => jobs.close({ signal: 5 as never }),
  ]
  for (const [at, call] of calls.entries()) await assert.rejects(call, { code }, `call ${at}`)
  for (const options of [null, { shcema: 1 }, { schema: {} }, { defaults: { prio: 1 } }]) {
    assert.throws(() => job('x', options as never), { code })
  }
  assert.throws(() => new RetryLater(Number.NaN), { code })
  const after = ['x'.repeat(150)]
  const gone = { code: 'ERR_NOT_FOUND', message: /is not there, or no more: x{150}$/ }
  await assert.rejects(jobs.enqueue(work, 1, { after }), gone)
  jobs.handle(work, () => 'fine')
  assert.equal(await jobs.waitFor((await jobs.enqueue(work, 1)).id), 'fine')
})

test('a null is handed on as it is, and nothing as nothing', async (t) => {
  const { jobs } = await openJobs(t)
  const got: unknown[] = []
  jobs.handle(work, (args) => void got.push(args))
  for (const args of [null, undefined]) await jobs.waitFor((await jobs.enqueue(work, args)).id)
  for (const { id } of await jobs.enqueueAll(work, [null, undefined])) await jobs.waitFor(id)
  assert.deepEqual(got.slice(0, 2), [null, undefined])
  assert.deepEqual(new Set(got.slice(2)), new Set([null, undefined]))
})

test('a node that closes ends its jobs, which hold the process no more', async (t) => {
  const room = (path: string): string => new URL(`../../src/${path}`, import.meta.url).href
  const script = `
    import { open } from ${JSON.stringify(room('index.ts'))}
    import { createJobs, job } from ${JSON.stringify(room('jobs/jobs.ts'))}
    const node = await open({ dataDir: ${JSON.stringify(temporaryDirectory(t))} })
    const jobs = createJobs(node)
    const work = job('work')
    const { promise, resolve } = Promise.withResolvers()
    jobs.handle(work, async (_, { signal }) => {
      signal.addEventListener('abort', () => console.log(signal.reason.code))
      resolve()
      await new Promise(() => {})
    })
    const { id } = await jobs.enqueue(work)
    await promise
    jobs.waitFor(id).catch((error) => console.log(error.code))
    await node.close()`
  const args = ['--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
  assert.deepEqual(stdout.split('\n').sort(), ['', 'ERR_CLOSED', 'ERR_CLOSED'])
})
