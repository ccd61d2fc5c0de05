/** What becomes of a job whose handler fails, is late, or has something to say. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ColmenaError, isColmenaError } from '../../src/index.ts'
import { restMs } from '../../src/jobs/attempt.ts'
import { Discard, type JobContext, job, RetryLater } from '../../src/jobs/jobs.ts'
import { until } from '../processes/wait.ts'
import { Gate, openJobs, openJobsAlone, startJobs, stateOf, untilState } from './fixture.ts'

const work = job<string, unknown>('work')
const SOON = { baseMs: 0 }

suite('a job that fails', () => {
  test('is tried again, and dead after its last attempt, with all that was thrown', async (t) => {
    const { jobs } = await openJobs(t)
    const told: string[] = []
    jobs.on('failed', ({ attempt, isLast }) => told.push(`failed ${attempt} ${isLast}`))
    jobs.on('dead', ({ attempt }) => told.push(`dead ${attempt}`))
    jobs.handle(work, (_, { attempt, log }) => {
      log(`this is ${attempt}`)
      throw new TypeError(`no ${attempt}`)
    })
    const { id } = await jobs.enqueue(work, 'x', { maxAttempts: 3, backoff: SOON })
    await assert.rejects(jobs.waitFor(id), { code: 'ERR_JOB_FAILED', message: /dead.*no 3/ })
    const attempts = await jobs.attempts(id)
    assert.deepEqual(
      attempts.map(({ attempt, outcome, log }) => [attempt, outcome, log]),
      [1, 2, 3].map((attempt) => [attempt, 'failed', `this is ${attempt}\n`]),
    )
    assert.match(attempts[0]?.error ?? '', /TypeError: no 1\n.*attempts\.test/)
    await until('it is told', () => told.length === 4)
    assert.deepEqual(told, ['failed 1 false', 'failed 2 false', 'failed 3 true', 'dead 3'])
    assert.deepEqual(jobs.metrics(), {
      ...{ executed: 3, succeeded: 0, failed: 3, retried: 2, dead: 1 },
      ...{ reaped: 0, swept: 0, running: 0 },
    })
  })

  test('rests twice as long each time, up to a most, by chance less', () => {
    const backoff = { baseMs: 5_000, maxMs: 3_600_000, jitter: false }
    assert.deepEqual(
      [1, 2, 3, 10, 11, 1_000].map((attempt) => restMs(backoff, attempt)),
      [5_000, 10_000, 20_000, 2_560_000, 3_600_000, 3_600_000],
    )
    const rests = Array.from({ length: 200 }, () => restMs({ ...backoff, jitter: true }, 1))
    assert.ok(rests.every((ms) => ms >= 0 && ms <= 5_000))
    assert.ok(new Set(rests).size > 100)
  })

  test('is run again when somebody says so, with as many attempts again', async (t) => {
    const { jobs } = await openJobs(t)
    let isRight = false
    jobs.handle(work, (name) => {
      if (!isRight) throw new Error('not yet')
      return name
    })
    const { id } = await jobs.enqueue(work, 'x', { maxAttempts: 1 })
    await untilState(jobs, id, 'dead')
    isRight = true
    assert.equal(await jobs.retry(id), true)
    assert.equal(await jobs.waitFor(id), 'x')
    assert.equal(await jobs.retry(id), false)
    assert.equal((await jobs.find(id))?.attempt, 2)
  })

  test('with what is no error, or no JSON, is told as any other', async (t) => {
    const { jobs } = await openJobs(t)
    const other = job<undefined, unknown>('other')
    jobs.handle(work, () => {
      throw 'a text'
    })
    jobs.handle(other, () => ({ at: new Map() }))
    const thrown = await jobs.enqueue(work, 'x', { maxAttempts: 1 })
    const strange = await jobs.enqueue(other, undefined, { maxAttempts: 1 })
    await assert.rejects(jobs.waitFor(thrown.id), { message: /the handler threw "a text"/ })
    await assert.rejects(jobs.waitFor(strange.id), {
      message: /the result of 'other'\.at: an object of Map is no JSON/,
    })
  })

  test('because it asks to be called later, has lost no attempt', async (t) => {
    const { jobs } = await openJobs(t)
    jobs.handle(work, (name, { attempt }) => {
      if (attempt <= 5) throw new RetryLater(1)
      return `${name} ${attempt}`
    })
    const { id } = await jobs.enqueue(work, 'x', { maxAttempts: 1 })
    assert.equal(await jobs.waitFor(id), 'x 6')
    assert.deepEqual(await jobs.attempts(id), [], 'which nobody needs to look at')
  })

  test('because its handler discards it, is not tried again', async (t) => {
    const { jobs } = await openJobs(t)
    jobs.handle(work, () => {
      throw new Discard('nobody needs it')
    })
    const { id } = await jobs.enqueue(work, 'x')
    await assert.rejects(jobs.waitFor(id), { message: /failed.*nobody needs it/ })
    assert.equal((await jobs.find(id))?.attempt, 1)
  })
})

suite('an attempt', () => {
  test('is told when its time is up, and another one follows', async (t) => {
    const { jobs } = await openJobs(t)
    const reasons: unknown[] = []
    jobs.handle(work, async (_, { attempt, signal }) => {
      if (attempt > 1) return 'done'
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      reasons.push(signal.reason)
      throw signal.reason
    })
    const { id } = await jobs.enqueue(work, 'x', { timeoutMs: 50, backoff: SOON })
    assert.equal(await jobs.waitFor(id), 'done')
    assert.ok(reasons[0] instanceof ColmenaError && reasons[0].code === 'ERR_TIMEOUT')
    assert.equal((await jobs.attempts(id))[0]?.outcome, 'timed out')
  })

  test('that says that it lives has its time anew', async (t) => {
    const { jobs } = await openJobs(t)
    jobs.handle(work, async (_, { heartbeat, signal }) => {
      const endMs = performance.now() + 400
      while (performance.now() < endMs) {
        heartbeat()
        await new Promise((resolve) => setImmediate(resolve))
      }
      return signal.aborted
    })
    const { id } = await jobs.enqueue(work, 'x', { timeoutMs: 200, maxAttempts: 1 })
    assert.equal(await jobs.waitFor(id), false)
  })

  test('that never ends is left behind, and its job goes on elsewhere', async (t) => {
    const { jobs } = await openJobs(t, { workers: 2, graceMs: 100 })
    const warnings: string[] = []
    jobs.on('warning', ({ message }) => warnings.push(message))
    jobs.handle(work, (_, { attempt }) => {
      return attempt > 1 ? 'done' : new Promise<never>(() => {})
    })
    const { id } = await jobs.enqueue(work, 'x', { timeoutMs: 20, backoff: SOON })
    assert.equal(await jobs.waitFor(id), 'done')
    assert.match(warnings.join(), /a handler of 'work' goes on though it was told to end/)
  })

  test('is cancelled wherever it runs, and before it begins', async (t) => {
    const { node, jobs } = await openJobs(t)
    const gate = new Gate()
    const reasons: unknown[] = []
    jobs.handle(work, async (_, { signal }) => {
      await Promise.race([gate.pass(), new Promise((r) => signal.addEventListener('abort', r))])
      reasons.push(signal.reason)
      throw signal.reason
    })
    const { id } = await jobs.enqueue(work, 'x')
    await until('it runs', () => gate.arrived === 1)
    const waiting = await jobs.enqueue(work, 'y', { delayMs: 3_600_000 })
    const elsewhere = startJobs(t, node)
    assert.deepEqual([await elsewhere.cancel(id), await elsewhere.cancel(waiting.id)], [true, true])
    await untilState(jobs, id, 'cancelled')
    assert.equal(await stateOf(jobs, waiting.id), 'cancelled')
    assert.ok(isColmenaError(reasons[0]) && reasons[0].code === 'ERR_ABORTED')
    assert.equal(await jobs.cancel(id), false)
  })

  test('whose lease is over counts for nothing, and a step of it fails', async (t) => {
    const { db, jobs } = await openJobs(t)
    const gate = new Gate()
    let late: unknown
    jobs.handle(work, async (_, context) => {
      if (context.attempt > 1) return 'second'
      await gate.pass()
      late = await context.step('s', () => 1).catch((error: unknown) => error)
      return 'first'
    })
    const { id } = await jobs.enqueue(work, 'x')
    await until('it runs', () => gate.arrived === 1)
    await db.execute('UPDATE colmena_jobs SET lease_until = 1')
    assert.equal(await jobs.waitFor(id), 'second')
    gate.open()
    await until('the first one has ended', () => late !== undefined)
    assert.ok(isColmenaError(late) && ['ERR_FENCED', 'ERR_ABORTED'].includes(late.code))
    await until('it is written down', () => jobs.metrics().executed === 2)
    assert.equal(jobs.metrics().succeeded, 1)
    assert.equal((await jobs.find(id))?.result, 'second')
    assert.equal((await jobs.attempts(id))[0]?.outcome, 'lost')
  })

  test('keeps its lease for as long as it runs, and shows how far it is', async (t) => {
    const { jobs } = await openJobs(t, { leaseMs: 1_000 })
    const gate = new Gate()
    jobs.handle(work, async (_, { progress, attempt }) => {
      progress({ percent: 40 })
      await gate.pass()
      return attempt
    })
    const { id } = await jobs.enqueue(work, 'x')
    await until('it is shown', async () => (await jobs.find(id))?.progress !== null)
    assert.deepEqual((await jobs.find(id))?.progress, { percent: 40 })
    const begunMs = performance.now()
    await until('leases would be over', () => performance.now() - begunMs > 1_500)
    gate.open()
    assert.equal(await jobs.waitFor(id), 1)
  })

  test('has its fence in a batch: all applies while it holds, and nothing after it', async (t) => {
    const { db, jobs } = await openJobs(t)
    await db.execute('CREATE TABLE done (name TEXT)')
    let kept: JobContext | undefined
    const insert = { sql: 'INSERT INTO done VALUES (?)', args: ['x'] }
    jobs.handle(work, async (_, context) => {
      kept = context
      await db.batch([context.fence(), insert], 'write')
    })
    await jobs.waitFor((await jobs.enqueue(work, 'x')).id)
    const fence = kept?.fence()
    assert.ok(fence !== undefined)
    await assert.rejects(db.batch([fence, insert], 'write'), /the attempt of this job is over/)
    assert.equal((await db.execute('SELECT * FROM done')).rows.length, 1)
    assert.equal((await db.execute('SELECT * FROM colmena_job_fence')).rows.length, 0)
  })

  test('runs a step once, whatever becomes of it after that', async (t) => {
    const { jobs } = await openJobs(t)
    const ran: string[] = []
    jobs.handle(work, async (_, { step, attempt }) => {
      const one = await step('one', () => ran.push('one'))
      if (attempt === 1) throw new Error('after the first step')
      const two = await step('two', async () => ran.push('two'))
      if (attempt === 2) throw new Error('after the second step')
      return [one, two]
    })
    const { id } = await jobs.enqueue(work, 'x', { backoff: SOON })
    assert.deepEqual(await jobs.waitFor(id), [1, 2])
    assert.deepEqual(ran, ['one', 'two'])
  })
})

suite('closing', () => {
  test('lets what runs here end, and begins nothing', async (t) => {
    const { node, jobs } = await openJobs(t, { workers: 1, drainMs: 60_000 })
    const gate = new Gate()
    jobs.handle(work, async (name) => {
      await gate.pass()
      return name
    })
    const [first, second] = await jobs.enqueueAll(work, ['1', '2'])
    await until('one runs', () => gate.arrived === 1)
    const closing = jobs.close()
    assert.equal(jobs.close(), closing)
    await assert.rejects(jobs.enqueue(work, '3'), { code: 'ERR_CLOSED' })
    gate.open()
    await closing
    const later = startJobs(t, node)
    assert.equal(await stateOf(later, first?.id ?? ''), 'succeeded')
    assert.equal(await stateOf(later, second?.id ?? ''), 'pending')
  })

  test('tells what does not end, whose job is free at once and has lost no attempt', async (t) => {
    const { node, jobs } = await openJobs(t)
    const gate = new Gate()
    jobs.handle(work, async (_, { signal }) => {
      gate.pass().catch(() => {})
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      throw signal.reason
    })
    const { id } = await jobs.enqueue(work, 'x', { maxAttempts: 1 })
    await until('it runs', () => gate.arrived === 1)
    await jobs.close()
    const later = startJobs(t, node)
    assert.equal(await stateOf(later, id), 'pending')
    later.handle(work, () => 'done')
    assert.equal(await later.waitFor(id), 'done')
  })

  test('of the node under it ends all of it', async (t) => {
    const { node, jobs } = await openJobsAlone(t)
    const gate = new Gate()
    let reason: unknown
    jobs.handle(work, async (_, { signal }) => {
      gate.pass().catch(() => {})
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      reason = signal.reason
    })
    await jobs.enqueue(work, 'x')
    await until('it runs', () => gate.arrived === 1)
    await node.close()
    await jobs.close()
    assert.ok(isColmenaError(reason) && reason.code === 'ERR_CLOSED')
  })
})
