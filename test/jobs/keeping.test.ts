/** What keeps the tables right and small: lost workers, lost answers, what is old. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ColmenaError, type Database, open } from '../../src/index.ts'
import { createJobs, job } from '../../src/jobs/jobs.ts'
import { Workers } from '../../src/jobs/workers.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'
import { openJobs, startJobs, stateOf } from './fixture.ts'

const work = job<string, string>('work')

async function countOf(db: Database, table: string): Promise<number> {
  const { rows } = await db.execute(`SELECT count(*) AS n FROM ${table}`)
  return Number(rows[0]?.['n'])
}

suite('finished jobs', () => {
  test('go by their number and age, with all that belongs to them', async (t) => {
    const retention = { keepMs: -1, keepCount: 5, everyMs: 100 }
    const { db, jobs } = await openJobs(t, { workers: 8, retention })
    jobs.handle(work, async (name, { log, step }) => {
      log(name)
      return step('s', () => name)
    })
    const made = await jobs.enqueueAll(
      work,
      Array.from({ length: 40 }, (_, at) => `${at}`),
    )
    await until('all ran', () => jobs.metrics().succeeded === 40)
    await until('five are left', async () => (await countOf(db, 'colmena_jobs')) === 5)
    for (const table of ['colmena_job_attempts', 'colmena_job_steps']) {
      assert.equal(await countOf(db, table), 5)
    }
    assert.equal(await stateOf(jobs, made[0]?.id ?? ''), 'none')
    await until('it is counted', () => jobs.metrics().reaped === 35)
  })

  test('stay while others wait for them', async (t) => {
    const retention = { keepMs: 0, keepCount: 0, everyMs: 100 }
    const { db, jobs } = await openJobs(t, { retention })
    jobs.handle(work, (name) => name)
    const first = await jobs.enqueue(work, 'first')
    const never = await jobs.enqueue(job('never'), undefined, { delayMs: 3_600_000 })
    const second = await jobs.enqueue(work, 'second', { after: [first.id, never.id] })
    const third = await jobs.enqueue(work, 'third')
    await until('what nobody waits for is gone', async () => {
      return (await stateOf(jobs, third.id)) === 'none'
    })
    assert.equal(await stateOf(jobs, first.id), 'succeeded')
    await jobs.cancel(never.id)
    await until('all is gone', async () => (await countOf(db, 'colmena_jobs')) === 0)
    assert.equal(await stateOf(jobs, second.id), 'none')
    assert.equal(await countOf(db, 'colmena_job_waits'), 0)
  })
})

suite('what a process held that is gone', () => {
  test('is free as soon as its node is open again', async (t) => {
    const dataDir = temporaryDirectory(t)
    const first = await open({ dataDir })
    const jobs = createJobs(first, { drainMs: 0 })
    let arrived = false
    jobs.handle(work, () => {
      arrived = true
      return new Promise<never>(() => {})
    })
    const { id } = await jobs.enqueue(work, 'x')
    await until('it runs', () => arrived)
    await first.close()
    await jobs.close()
    const second = await open({ dataDir })
    t.after(() => second.close())
    const again = startJobs(t, second)
    again.handle(work, (name, { attempt }) => `${name} ${attempt}`)
    assert.equal(await again.waitFor(id), 'x 2')
    assert.equal((await again.attempts(id))[0]?.outcome, 'lost')
  })

  test('is told of by who says so, as nobody else can', async (t) => {
    const dataDir = temporaryDirectory(t)
    const first = await open({ dataDir })
    const jobs = createJobs(first, { drainMs: 0 })
    let arrived = 0
    jobs.handle(work, () => {
      arrived += 1
      return new Promise<never>(() => {})
    })
    const once = await jobs.enqueue(work, 'x', { maxAttempts: 1 })
    const twice = await jobs.enqueue(work, 'y')
    await until('both run', () => arrived === 2)
    await first.close()
    await jobs.close()
    const second = await open({ dataDir })
    t.after(() => second.close())
    const again = startJobs(t, second)
    const told: unknown[] = []
    again.on('failed', ({ id, isLast, error }) => told.push([id, isLast, error]))
    again.on('dead', ({ id }) => told.push([id]))
    await assert.rejects(again.waitFor(once.id), { code: 'ERR_JOB_FAILED' })
    await until('both are told of', () => told.length === 3)
    const error = 'its worker was lost: the process ended'
    assert.deepEqual(
      new Set(told),
      new Set([[once.id, true, error], [once.id], [twice.id, false, error]]),
    )
    assert.equal(again.metrics().dead, 1)
    assert.equal(again.metrics().swept, 2)
  })

  test('is no other handle’s of the same node', async (t) => {
    const { node, jobs } = await openJobs(t)
    let go: () => void = () => {}
    let arrived = false
    jobs.handle(work, async (name, { attempt }) => {
      arrived = true
      await new Promise<void>((resolve) => {
        go = resolve
      })
      return `${name} ${attempt}`
    })
    const { id } = await jobs.enqueue(work, 'x')
    await until('it runs', () => arrived)
    const other = startJobs(t, node)
    other.handle(work, () => 'stolen')
    await other.waitFor((await other.enqueue(work, 'y')).id)
    go()
    assert.equal(await jobs.waitFor(id), 'x 1')
  })
})

test('what a claim got whose answer was lost runs here all the same', async (t) => {
  const { node, db, jobs } = await openJobs(t)
  await jobs.ready()
  let lost = 0
  /** Loses the answers of the first two batches, which are applied. */
  const deaf = new Proxy(db, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name !== 'batch') return value.bind(target)
      return async (...args: Parameters<Database['batch']>) => {
        const answer = await db.batch(...args)
        lost += 1
        if (lost > 2) return answer
        throw new ColmenaError('ERR_TIMEOUT', 'lost on the way', { outcome: 'unknown' })
      }
    },
  })
  const ran: string[] = []
  const handler = (name: string, { attempt }: { attempt: number }): void => {
    ran.push(`${name} ${attempt}`)
  }
  const handled = new Map([['work', { key: work, handler }]]) as never
  const workers = new Workers({
    ...{ node, database: deaf, workers: 4, leaseMs: 60_000, pollMs: 20, holder: 'run/handle' },
    ...{ graceMs: 0, handled, ended: () => {}, trouble: () => {} },
  })
  await jobs.enqueueAll(work, ['a', 'b', 'c'])
  workers.start()
  await until('all ran', () => ran.length === 3)
  await workers.drain(AbortSignal.abort())
  assert.deepEqual(ran.sort(), ['a 1', 'b 1', 'c 1'])
  assert.equal((await jobs.stats())[0]?.counts.succeeded, 3)
})

suite('what there is', () => {
  test('is listed by state, type, tag and text, page by page', async (t) => {
    const { jobs } = await openJobs(t)
    for (let at = 0; at < 7; at += 1) {
      await jobs.enqueue(work, `w${at}`, { tags: [at % 2 === 0 ? 'even' : 'odd'] })
    }
    await jobs.enqueue(job<string>('other'), 'needle', { uniqueKey: 'pin' })
    const first = await jobs.list({ type: 'work', limit: 3 })
    assert.deepEqual(
      first.jobs.map(({ args }) => args),
      ['w6', 'w5', 'w4'],
    )
    const second = await jobs.list({ type: 'work', limit: 4, before: first.next ?? 0 })
    assert.deepEqual(
      second.jobs.map(({ args }) => args),
      ['w3', 'w2', 'w1', 'w0'],
    )
    assert.equal(second.next, null)
    assert.equal((await jobs.list({ tag: 'odd' })).jobs.length, 3)
    for (const search of ['needle', 'pin']) {
      assert.equal((await jobs.list({ search })).jobs[0]?.type, 'other')
    }
    assert.equal((await jobs.list({ state: 'dead' })).jobs.length, 0)
  })
})
