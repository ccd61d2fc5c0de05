/** Which jobs start, where, and in which order. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { job } from '../../src/jobs/jobs.ts'
import { until } from '../processes/wait.ts'
import { Gate, openJobs, startJobs, stateOf, untilState } from './fixture.ts'

const work = job<string, string>('work')
const other = job<string>('other')

suite('jobs start', () => {
  test('by priority, then by time, whenever they were enqueued', async (t) => {
    const { jobs } = await openJobs(t, { workers: 1 })
    const order: string[] = []
    await jobs.enqueue(work, 'normal')
    await jobs.enqueue(work, 'low', { priority: 'low' })
    await jobs.enqueue(work, 'normal too')
    await jobs.enqueue(work, 'high', { priority: 'high' })
    await jobs.enqueue(work, 'highest', { priority: 11 })
    await jobs.enqueue(work, 'before', { runAt: 1_000 })
    jobs.handle(work, (name) => {
      order.push(name)
      return name
    })
    await until('all ran', () => order.length === 6)
    assert.deepEqual(order, ['highest', 'high', 'before', 'normal', 'normal too', 'low'])
  })

  test('type by type in turn, where one has many', async (t) => {
    const { jobs } = await openJobs(t, { workers: 1 })
    const order: string[] = []
    await jobs.enqueueAll(work, ['1', '2', '3', '4'])
    await jobs.enqueueAll(other, ['a', 'b'])
    const gate = new Gate()
    jobs.handle(other, (name) => void order.push(name))
    jobs.handle(work, async (name) => {
      await gate.pass()
      order.push(name)
      return name
    })
    await until('one runs', () => gate.arrived > 0 || order.length > 0)
    gate.open()
    await until('all ran', () => order.length === 6)
    const first = order.slice(0, 4)
    assert.deepEqual(first.filter((name) => /[ab]/.test(name)).length, 2, order.join(' '))
  })

  test('not before their time, and then without being asked for', async (t) => {
    const { jobs } = await openJobs(t)
    jobs.handle(work, (name) => name)
    const late = await jobs.enqueue(work, 'late', { delayMs: 300 })
    const never = await jobs.enqueue(work, 'never', { runAt: new Date(Date.now() + 3_600_000) })
    assert.equal(await jobs.waitFor(late.id), 'late')
    const info = await jobs.find(late.id)
    assert.ok(info !== null && info.startedAt !== null)
    assert.ok(info.startedAt.getTime() - info.enqueuedAt.getTime() >= 300)
    assert.equal(await stateOf(jobs, never.id), 'pending')
    assert.equal(await jobs.runNow(never.id), true)
    assert.equal(await jobs.waitFor(never.id), 'never')
  })

  test('once, however many may run them', async (t) => {
    const { node, jobs } = await openJobs(t, { workers: 4 })
    const all = [jobs, startJobs(t, node, { workers: 4 }), startJobs(t, node, { workers: 4 })]
    const runs: string[] = []
    for (const each of all) each.handle(work, (name) => runs[runs.push(name) - 1] ?? '')
    const names = Array.from({ length: 300 }, (_, at) => `${at}`)
    const made = await jobs.enqueueAll(work, names)
    await Promise.all(made.map(({ id }) => jobs.waitFor(id)))
    assert.deepEqual(runs.sort(), names.sort())
  })

  test('only where their type is handled, and no more once it is not', async (t) => {
    const { node, jobs } = await openJobs(t)
    const gone = jobs.handle(work, (name) => name)
    const { id } = await jobs.enqueue(other, 'x')
    assert.equal(await jobs.waitFor((await jobs.enqueue(work, 'y')).id), 'y')
    assert.equal(await stateOf(jobs, id), 'pending')
    gone()
    const left = await jobs.enqueue(work, 'z')
    const second = startJobs(t, node)
    second.handle(other, () => {})
    await untilState(jobs, id, 'succeeded')
    assert.equal(await stateOf(jobs, left.id), 'pending')
  })
})

suite('limits hold for all who run a type', () => {
  test('so many at a time', async (t) => {
    const { node, jobs } = await openJobs(t, { workers: 8 })
    await jobs.limit(work, { concurrency: 3 })
    let [running, most, done] = [0, 0, 0]
    const gate = new Gate()
    for (const each of [jobs, startJobs(t, node, { workers: 8 })]) {
      each.handle(work, async (name) => {
        running += 1
        most = Math.max(most, running)
        await gate.pass()
        running -= 1
        done += 1
        return name
      })
    }
    await jobs.enqueueAll(
      work,
      Array.from({ length: 20 }, (_, at) => `${at}`),
    )
    await until('three run', () => running === 3)
    gate.open()
    await until('all ran', () => done === 20)
    assert.equal(most, 3)
  })

  test('so many of one key, and the others do not wait for them', async (t) => {
    const { jobs } = await openJobs(t, { workers: 8 })
    await jobs.limit(work, { keyConcurrency: 1 })
    const gate = new Gate()
    const running: string[] = []
    let most = 0
    jobs.handle(work, async (key) => {
      running.push(key)
      most = Math.max(most, running.filter((one) => one === key).length)
      await gate.pass()
      running.splice(running.indexOf(key), 1)
      return key
    })
    const ids: string[] = []
    for (const key of ['a', 'a', 'a', 'a', 'b', 'c']) {
      ids.push((await jobs.enqueue(work, key, { concurrencyKey: key })).id)
    }
    ids.push((await jobs.enqueue(work, 'none')).id)
    await until('one of each runs', () => running.length === 4)
    assert.deepEqual([...running].sort(), ['a', 'b', 'c', 'none'])
    gate.open()
    await Promise.all(ids.map((id) => jobs.waitFor(id)))
    assert.equal(most, 1)
  })

  test('so many starts in any window, of a type and of a key', async (t) => {
    const { db, jobs } = await openJobs(t, { workers: 8 })
    await jobs.limit(work, { rate: { max: 5, perMs: 400 } })
    await jobs.limit(other, { keyRate: { max: 1, perMs: 400 } })
    jobs.handle(work, (name) => name)
    jobs.handle(other, () => {})
    const made = [
      ...(await jobs.enqueueAll(
        work,
        Array.from({ length: 14 }, () => 'x'),
      )),
    ]
    for (const key of ['a', 'a', 'a', 'b']) {
      made.push(await jobs.enqueue(other, key, { concurrencyKey: key }))
    }
    await Promise.all(made.map(({ id }) => jobs.waitFor(id)))
    const sql = 'SELECT type, lane, started_at AS at FROM colmena_jobs ORDER BY started_at'
    const { rows } = await db.execute<{ type: string; lane: string | null; at: number }>(sql)
    for (const [type, lane, max] of [
      ['work', null, 5],
      ['other', 'a', 1],
    ] as const) {
      const times = rows.filter((row) => row.type === type && row.lane === lane)
      for (const [at, { at: ms }] of times.entries()) {
        const first = times[at - max]
        if (first !== undefined) assert.ok(ms - first.at >= 400, `${ms} is too soon`)
      }
    }
  })

  test('until they are removed, and none while it is paused', async (t) => {
    const { jobs } = await openJobs(t, { workers: 4 })
    await jobs.limit(work, { concurrency: 1, rate: { max: 1, perMs: 3_600_000 } })
    await jobs.pause(work)
    jobs.handle(work, (name) => name)
    const made = await jobs.enqueueAll(work, ['1', '2', '3'])
    const [first] = await jobs.stats()
    assert.equal(first?.isPaused, true)
    assert.deepEqual(first.limits.rate, { max: 1, perMs: 3_600_000 })
    await jobs.resume(work)
    await until('one ran', async () => (await jobs.stats())[0]?.counts.succeeded === 1)
    assert.equal((await jobs.stats())[0]?.counts.pending, 2)
    await jobs.limit(work, { concurrency: 0, rate: 0 })
    await Promise.all(made.map(({ id }) => jobs.waitFor(id)))
  })
})
