/** Jobs that run after others, and jobs that come by a schedule. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type CatchUp, job } from '../../src/jobs/jobs.ts'
import { until } from '../processes/wait.ts'
import { Gate, openJobs, startJobs, stateOf, untilState } from './fixture.ts'

const work = job<string, string>('work')
const fails = job('fails')

suite('a job that runs after others', () => {
  test('waits for all of them, and has their results', async (t) => {
    const { jobs } = await openJobs(t, { workers: 4 })
    const gate = new Gate()
    const seen: unknown[] = []
    jobs.handle(work, async (name, { results }) => {
      if (name === 'slow') await gate.pass()
      seen.push([name, ...results.values()])
      return name
    })
    const quick = await jobs.enqueue(work, 'quick')
    const slow = await jobs.enqueue(work, 'slow')
    const last = await jobs.enqueue(work, 'last', { after: [quick.id, slow.id, quick.id] })
    await jobs.waitFor(quick.id)
    assert.equal(await stateOf(jobs, last.id), 'waiting')
    gate.open()
    await jobs.waitFor(last.id)
    assert.deepEqual(new Set(seen[2] as string[]), new Set(['last', 'quick', 'slow']))
    const later = await jobs.enqueue(work, 'later', { after: [last.id] })
    await jobs.waitFor(later.id)
    assert.deepEqual(seen[3], ['later', 'last'])
  })

  test('fails with one that does not succeed, and so do all behind it', async (t) => {
    const { jobs } = await openJobs(t)
    jobs.handle(fails, () => {
      throw new Error('no')
    })
    const first = await jobs.enqueue(fails, undefined, { delayMs: 100, maxAttempts: 1 })
    let { id } = first
    for (let depth = 0; depth < 5; depth += 1) {
      id = (await jobs.enqueue(work, `${depth}`, { after: [id] })).id
    }
    await untilState(jobs, id, 'failed')
    assert.match(
      (await jobs.find(id))?.error ?? '',
      /a job that it is to run after did not succeed/,
    )
    const late = await jobs.enqueue(work, 'late', { after: [first.id] })
    await untilState(jobs, late.id, 'failed')
  })

  test('runs all the same where it is told to', async (t) => {
    const { jobs } = await openJobs(t)
    jobs.handle(work, (name, { results }) => `${name} ${results.size}`)
    const first = await jobs.enqueue(fails, undefined, { delayMs: 3_600_000 })
    const options = { after: [first.id], afterFailure: 'run' } as const
    const second = await jobs.enqueue(work, 'x', options)
    await jobs.cancel(first.id)
    assert.equal(await jobs.waitFor(second.id), 'x 0')
    assert.equal(await jobs.waitFor((await jobs.enqueue(work, 'y', options)).id), 'y 0')
  })

  test('is refused where there is no such job', async (t) => {
    const { jobs } = await openJobs(t)
    const made = jobs.enqueue(work, 'x', { after: ['nobody'] })
    await assert.rejects(made, /a job that it is to run after is not there/)
  })
})

suite('a schedule', () => {
  const HOUR_MS = 3_600_000

  test('makes one job at each of its times, however many look', async (t) => {
    const { node, jobs } = await openJobs(t)
    const ran: string[] = []
    for (const each of [jobs, startJobs(t, node), startJobs(t, node)]) {
      each.handle(work, (name, { id }) => ran[ran.push(id) - 1] ?? name)
      await each.schedule('tick', '* * * * * *', work, 'x')
    }
    await until('three times', () => ran.length >= 3)
    await jobs.unschedule('tick')
    assert.equal(new Set(ran).size, ran.length)
    const times = ran.map((id) => new Date(id.slice('tick@'.length)).getTime()).sort()
    assert.ok(times.every((ms) => ms % 1_000 === 0))
    assert.equal((times[2] ?? 0) - (times[0] ?? 0), 2_000)
    const [schedule] = await jobs.schedules()
    assert.deepEqual(schedule?.next, [])
    assert.equal(await jobs.unschedule('tick'), false)
  })

  test('is changed by its id, and tells its next times by its zone', async (t) => {
    const { jobs } = await openJobs(t)
    await jobs.schedule('s', '30 2 * * *', 'work', 'x', { timeZone: 'Europe/Berlin' })
    const [first] = await jobs.schedules()
    const format = new Intl.DateTimeFormat('de', { timeZone: 'Europe/Berlin', timeStyle: 'short' })
    assert.deepEqual(new Set(first?.next.map((at) => format.format(at))), new Set(['02:30']))
    assert.equal(first?.next.length, 5)
    await jobs.schedule('s', '0 */6 * * *', 'work', 'y')
    const [second, ...others] = await jobs.schedules()
    assert.deepEqual([second?.args, second?.timeZone, others.length], ['y', 'UTC', 0])
    assert.ok(second?.next.every((at) => at.getUTCHours() % 6 === 0 && at.getUTCMinutes() === 0))
  })

  const policies: readonly (readonly [CatchUp, number])[] = [
    ['one', 1],
    ['all', 5],
    ['none', 0],
  ]
  for (const [catchUp, count] of policies) {
    test(`that was missed five times, with catchUp '${catchUp}', makes ${count}`, async (t) => {
      const { db, jobs } = await openJobs(t)
      await jobs.ready()
      await jobs.pause('work')
      await jobs.schedule('s', '0 * * * *', 'work', 'x', { catchUp })
      const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS
      // Not within what counts as late: the last one is a minute ago at least.
      const lastMs = Date.now() - hour > 61_000 ? hour : hour - HOUR_MS
      const sql = 'UPDATE colmena_job_schedules SET next_at = ?'
      await db.execute(sql, [lastMs - 4 * HOUR_MS])
      await until('it goes on', async () => {
        return ((await jobs.schedules())[0]?.next[0]?.getTime() ?? 0) > Date.now()
      })
      const made = (await jobs.list()).jobs.map(({ id }) => id)
      const due = lastMs === hour ? [hour] : [hour, hour - HOUR_MS]
      if (lastMs === hour) assert.equal(made.length, count)
      else assert.ok(made.length >= count)
      if (catchUp === 'one') assert.equal(made[0], `s@${new Date(due[0] ?? 0).toISOString()}`)
    })
  }

  const wrong: readonly (readonly [string, object, RegExp])[] = [
    ['every day', {}, /"every day" is no cron pattern/],
    ['61 * * * *', {}, /is no cron pattern/],
    ['0 0 30 2 *', {}, /never comes again/],
    ['* * * * *', { timeZone: 'Mars/Olympus' }, /no time zone "Mars\/Olympus"/],
    ['* * * * *', { catchUp: 'some' }, /'one', 'all' or 'none', not "some"/],
    ['* * * * *', { uniqueKey: 'k' }, /no option 'uniqueKey'/],
  ]
  for (const [pattern, options, message] of wrong) {
    test(`is refused: ${pattern} ${JSON.stringify(options)}`, async (t) => {
      const { jobs } = await openJobs(t)
      const made = jobs.schedule('s', pattern, 'work', 'x', options)
      await assert.rejects(made, { code: 'ERR_INVALID_ARGUMENT', message })
    })
  }
})
