/** What is asked of jobs, and leaves no trace. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { job } from '../../src/jobs/jobs.ts'
import { until } from '../processes/wait.ts'
import { openJobs } from './fixture.ts'

describe('asking', () => {
  it('makes no tables, and finds those that come later', async (t) => {
    const { db, jobs } = await openJobs(t, { workers: 0 })
    for (const isolated of [false, true]) {
      assert.deepEqual(await jobs.list({ isolated }), { jobs: [], next: null })
      assert.equal(await jobs.find('none', { isolated }), null)
      assert.deepEqual(await jobs.attempts('none', { isolated }), [])
      assert.deepEqual(await jobs.stats({ isolated, consistency: 'none' }), [])
      assert.deepEqual(await jobs.schedules({ isolated }), [])
    }
    await assert.rejects(jobs.list({ limit: 0 }), { code: 'ERR_INVALID_ARGUMENT' })
    const before = 'x' as unknown as number
    await assert.rejects(jobs.list({ before }), { message: /before is a whole number/ })
    await assert.rejects(jobs.find(''), { code: 'ERR_INVALID_ARGUMENT' })
    assert.deepEqual((await db.execute('SELECT name FROM sqlite_schema')).rows, [])
    const { id } = await jobs.enqueue(job('late'), undefined)
    assert.equal((await jobs.find(id))?.type, 'late')
    assert.equal((await jobs.stats({ isolated: true }))[0]?.counts.pending, 1)
  })

  it('is refused where the tables are of a newer format', async (t) => {
    const { db, jobs } = await openJobs(t, { workers: 0 })
    await db.execute('CREATE TABLE colmena_job_format (version INTEGER NOT NULL)')
    await db.execute('INSERT INTO colmena_job_format VALUES (2)')
    await assert.rejects(jobs.list(), { code: 'ERR_UNSUPPORTED_FORMAT', message: /format 2/ })
  })

  it('finds the jobs of a schedule with the longest id', async (t) => {
    const { jobs } = await openJobs(t)
    const id = 's'.repeat(128)
    await jobs.schedule(id, '* * * * * *', job('tick'))
    const jobId = await until('it made one', async () => (await jobs.schedules())[0]?.lastJobId)
    assert.ok(jobId.startsWith(`${id}@`))
    assert.equal((await jobs.find(jobId))?.type, 'tick')
    assert.deepEqual(await jobs.attempts(jobId), [])
  })
})
