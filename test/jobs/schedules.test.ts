import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fireDue, scheduleStatement } from '../../src/jobs/schedules.ts'
import { openJobs } from './fixture.ts'

const SECOND_MS = 1_000
const MISSED = 10
const TRIES = 5

test('ticks that several fire at once make one job each, and count once', async (t) => {
  const { db, jobs } = await openJobs(t)
  // Nothing that fires by itself is begun by it.
  await jobs.ready()
  await db.batch(
    [
      scheduleStatement('each', '* * * * * *', 'tick', 'null', { catchUp: 'all' }),
      {
        sql: 'UPDATE colmena_job_schedules SET next_at = next_at - ?',
        args: [MISSED * SECOND_MS],
      },
    ],
    'write',
  )
  const { signal } = new AbortController()
  // Each comes a second later to it, and so to one tick more, than the one before.
  const { now } = Date
  let aheadMs = 0
  const clock = t.mock.method(Date, 'now', () => {
    aheadMs += SECOND_MS
    return now() + aheadMs
  })
  await Promise.all(Array.from({ length: TRIES }, () => fireDue(db, signal)))
  clock.mock.restore()
  assert.ok(aheadMs >= TRIES * SECOND_MS)
  const { rows } = await db.execute<{ id: string }>('SELECT id FROM colmena_jobs ORDER BY id')
  const times = rows.map(({ id }) => Date.parse(id.slice('each@'.length)))
  assert.ok(times.length >= MISSED - 1, `${times.length} ticks`)
  const [first = 0] = times
  assert.deepEqual(
    times,
    times.map((_, at) => first + at * SECOND_MS),
  )
  const [schedule] = await jobs.schedules()
  assert.equal(schedule?.fired, times.length)
  assert.equal(schedule.next[0]?.getTime(), first + times.length * SECOND_MS)
})
