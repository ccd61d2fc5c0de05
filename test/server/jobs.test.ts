/** The jobs of a cluster, seen and changed over HTTP. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { ColmenaNode } from '../../src/index.ts'
import { createJobs, Discard, type Jobs, job } from '../../src/jobs/jobs.ts'
import { until } from '../processes/wait.ts'
import {
  ADMIN_TOKEN,
  ask,
  assertFailure,
  openNode,
  READ_TOKEN,
  serve,
  TOKENS,
  WRITE_TOKEN,
} from './rig.ts'

const mail = job<{ to: string }, string>('mail')
const report = job<undefined>('report/daily')

interface Rig {
  readonly node: ColmenaNode
  readonly jobs: Jobs
  readonly url: string
}

async function openRig(t: TestContext, options: { readonly workers?: number } = {}): Promise<Rig> {
  const node = await openNode(t)
  const jobs = createJobs(node, { workers: 0, ...options })
  t.after(() => jobs.close({ signal: AbortSignal.abort() }))
  const { url } = await serve(t, node, { jobs })
  return { node, jobs, url }
}

async function tablesOf(node: ColmenaNode): Promise<readonly unknown[]> {
  const { rows } = await node.database().execute('SELECT name FROM sqlite_schema')
  return rows.map(({ name }) => name)
}

describe('the jobs of a cluster', () => {
  it('are listed as they are, the newest first, page by page', async (t) => {
    const { jobs, url } = await openRig(t)
    const ids: string[] = []
    for (const to of ['ann', 'bea', 'cat']) {
      ids.unshift((await jobs.enqueue(mail, { to }, { tags: [to, 'all'] })).id)
    }
    await jobs.enqueue(report, undefined, { delayMs: 60_000, uniqueKey: 'today' })
    await jobs.cancel(ids[2] as string)
    const all = await ask(url, '/jobs')
    assert.equal(all.status, 200)
    assert.deepEqual(all.body, JSON.parse(JSON.stringify(await jobs.list())))
    assert.equal(all.body.next, null)
    const [newest, cat] = all.body.jobs
    assert.deepEqual([newest.type, newest.uniqueKey, newest.args], ['report/daily', 'today', null])
    assert.equal(new Date(cat.enqueuedAt).toISOString(), cat.enqueuedAt)
    const listed = async (query: string): Promise<string[]> =>
      (await ask(url, `/jobs?${query}`)).body.jobs.map(({ id }: { id: string }) => id)
    assert.deepEqual(await listed('type=mail&state=pending'), ids.slice(0, 2))
    assert.deepEqual(await listed('tag=bea'), [ids[1]])
    assert.deepEqual(await listed('search=%22cat%22'), [ids[0]])
    assert.deepEqual(await listed('state=&type=mail&tag=&search=&limit=&before='), ids)
    const first = await ask(url, '/jobs?type=mail&limit=2')
    assert.deepEqual(await listed(`type=mail&limit=2&before=${first.body.next}`), [ids[2]])
  })

  it('are shown one by one, with the attempts that failed', async (t) => {
    const { jobs, url } = await openRig(t, { workers: 1 })
    jobs.handle(mail, async (_args, { log }) => {
      log('no such address')
      throw new Discard('it came back')
    })
    const { id } = await jobs.enqueue(mail, { to: 'ann' })
    const shown = await until('it has failed', async () => {
      const { body } = await ask(url, `/jobs/job/${id}`)
      return body.job.state === 'failed' ? body : undefined
    })
    assert.match(shown.job.error, /^Discard: it came back\n/)
    assert.deepEqual(shown.job, JSON.parse(JSON.stringify(await jobs.find(id))))
    assert.deepEqual(shown.attempts, JSON.parse(JSON.stringify(await jobs.attempts(id))))
    assert.match(shown.attempts[0].log, /no such address/)
    const { body } = await ask(url, '/jobs/stats')
    assert.equal(body.types[0].counts.failed, 1)
    assert.equal(body.node.dead, 1)
  })

  it('are cancelled, retried and run before their time, once each', async (t) => {
    const { jobs, url } = await openRig(t)
    const { id } = await jobs.enqueue(mail, { to: 'ann' }, { delayMs: 3_600_000 })
    const change = async (what: string): Promise<boolean> => {
      const { status, body } = await ask(url, `/jobs/job/${id}/${what}`, { method: 'POST' })
      assert.equal(status, 200)
      return body.done
    }
    assert.deepEqual([await change('run'), await change('run')], [true, false])
    assert.deepEqual([await change('cancel'), await change('cancel')], [true, false])
    assert.equal((await jobs.find(id))?.state, 'cancelled')
    assert.deepEqual([await change('retry'), await change('retry')], [true, false])
    assert.equal((await jobs.find(id))?.state, 'pending')
  })

  it('begin no more of a type that is paused, and again once it is resumed', async (t) => {
    const { jobs, url } = await openRig(t)
    const path = `/jobs/types/${encodeURIComponent(report.type)}`
    const paused = await ask(url, `${path}/pause`, { method: 'POST' })
    assert.deepEqual(paused.body, { done: true })
    assert.equal((await ask(url, '/jobs/stats')).body.types[0].isPaused, true)
    assert.deepEqual((await ask(url, `${path}/resume`, { method: 'POST' })).body, { done: true })
    assert.equal((await jobs.stats())[0]?.isPaused, false)
  })

  it('have schedules, of any id', async (t) => {
    const { jobs, url } = await openRig(t)
    const id = 'each day/%2F of ä'
    await jobs.schedule(id, '0 6 * * *', mail, { to: 'ann' }, { timeZone: 'Europe/Berlin' })
    const { body } = await ask(url, '/jobs/schedules')
    assert.deepEqual(body.schedules, JSON.parse(JSON.stringify(await jobs.schedules())))
    assert.equal(body.schedules[0].next.length, 5)
    const path = `/jobs/schedules/${encodeURIComponent(id)}/unschedule`
    assert.deepEqual((await ask(url, path, { method: 'POST' })).body, { done: true })
    assert.deepEqual((await ask(url, path, { method: 'POST' })).body, { done: false })
    assert.deepEqual((await jobs.schedules())[0]?.next, [])
  })

  it('are none where nobody made one, and looking makes no tables', async (t) => {
    const { node, jobs, url } = await openRig(t)
    assert.deepEqual((await ask(url, '/jobs?search=x')).body, { jobs: [], next: null })
    assert.deepEqual((await ask(url, '/jobs/stats')).body.types, [])
    assert.deepEqual((await ask(url, '/jobs/schedules')).body, { schedules: [] })
    assertFailure(await ask(url, '/jobs/job/none'), 404, 'ERR_NOT_FOUND')
    const { text } = await ask(url, '/metrics')
    assert.match(text, /\ncolmena_jobs_queue\{state="pending"\} 0\n/)
    assert.doesNotMatch(text, /read_errors_total\{/)
    assert.deepEqual(await tablesOf(node), [])
    await jobs.enqueue(mail, { to: 'ann' })
    assert.equal((await ask(url, '/jobs')).body.jobs.length, 1)
  })
})

describe('routes of jobs', () => {
  it('let only who may write change any, and only who has a token look', async (t) => {
    const node = await openNode(t)
    const jobs = createJobs(node, { workers: 0 })
    t.after(() => jobs.close())
    const { url } = await serve(t, node, { jobs, tokens: TOKENS })
    const { id } = await jobs.enqueue(mail, { to: 'ann' })
    for (const path of ['/jobs', '/jobs/stats', '/jobs/schedules', `/jobs/job/${id}`]) {
      assertFailure(await ask(url, path), 401, 'ERR_UNAUTHORIZED')
      assert.equal((await ask(url, path, { token: READ_TOKEN })).status, 200)
    }
    const changes = [
      ...['retry', 'cancel', 'run'].map((change) => `/jobs/job/${id}/${change}`),
      ...['pause', 'resume'].map((change) => `/jobs/types/mail/${change}`),
      '/jobs/schedules/daily/unschedule',
    ]
    const method = 'POST'
    for (const path of changes) {
      assertFailure(await ask(url, path, { method }), 401, 'ERR_UNAUTHORIZED')
      const reader = await ask(url, path, { method, token: READ_TOKEN })
      assertFailure(reader, 403, 'ERR_FORBIDDEN')
      assertFailure(await ask(url, path, { token: ADMIN_TOKEN }), 405, 'ERR_INVALID_ARGUMENT')
    }
    assert.equal((await jobs.find(id))?.state, 'pending')
    for (const path of changes) {
      assert.equal((await ask(url, path, { method, token: WRITE_TOKEN })).status, 200, path)
    }
    assert.equal((await jobs.find(id))?.state, 'cancelled')
  })

  it('refuse what can not be asked, and say what can', async (t) => {
    const { jobs, url } = await openRig(t)
    const check = async (): Promise<void> => {
      for (const [path, message] of [
        ['/jobs?state=ended', /a state is one of waiting, pending, .*, not "ended"/],
        ['/jobs?limit=0', /limit is a whole number from 1 to 1000, not 0/],
        ['/jobs?limit=1001', /limit is a whole number from 1 to 1000/],
        ['/jobs?limit=-1', /limit is '-1'; it is a whole number/],
        ['/jobs?limit=all', /limit is 'all'/],
        ['/jobs?before=1.5', /before is '1.5'/],
        [`/jobs/job/${'x'.repeat(1_000)}`, /id is well-formed text of 1 to \d+ characters/],
      ] as const) {
        const answer = await ask(url, path)
        assertFailure(answer, 400, 'ERR_INVALID_ARGUMENT')
        assert.match(answer.body.message, message)
      }
    }
    await check()
    await jobs.ready()
    await check()
    const unnamed = await ask(url, '/jobs/types/a%20b/pause', { method: 'POST' })
    assertFailure(unnamed, 400, 'ERR_INVALID_ARGUMENT')
    assertFailure(await ask(url, '/jobs/job/none'), 404, 'ERR_NOT_FOUND')
    assertFailure(await ask(url, '/jobs/job/none/end', { method: 'POST' }), 404, 'ERR_NOT_FOUND')
    const none = await ask(url, "/jobs/job/'%3B--/retry", { method: 'POST' })
    assert.deepEqual(none.body, { done: false })
  })

  it('say how a server gets jobs that has none', async (t) => {
    const { url } = await serve(t, await openNode(t))
    for (const [path, method] of [
      ['/jobs', 'GET'],
      ['/jobs/stats', 'GET'],
      ['/jobs/job/a/retry', 'POST'],
    ] as const) {
      const answer = await ask(url, path, { method })
      assertFailure(answer, 404, 'ERR_NOT_FOUND')
      assert.match(answer.body.message, /jobs: createJobs\(node\)/)
    }
    assert.doesNotMatch((await ask(url, '/metrics')).text, /colmena_jobs_/)
  })

  it('answer that the jobs are closed, while the node goes on', async (t) => {
    const { jobs, url } = await openRig(t)
    await jobs.enqueue(mail, { to: 'ann' })
    await jobs.close()
    assertFailure(await ask(url, '/jobs'), 503, 'ERR_CLOSED')
    assertFailure(await ask(url, '/jobs/job/a/retry', { method: 'POST' }), 503, 'ERR_CLOSED')
    const { status, text } = await ask(url, '/metrics')
    assert.equal(status, 200)
    assert.match(text, /\ncolmena_jobs_running 0\n/)
    assert.doesNotMatch(text, /\ncolmena_jobs_queue\{/)
  })
})

describe('/metrics', () => {
  it('counts jobs: what was done here, and what there is in the cluster', async (t) => {
    const { jobs, url } = await openRig(t, { workers: 1 })
    jobs.handle(mail, ({ to }) => {
      if (to === 'nobody') throw new Discard('there is nobody')
      return to
    })
    const ended = await jobs.enqueueAll(mail, [{ to: 'ann' }, { to: 'nobody' }])
    const [sent, refused] = ended.map(({ id }) => jobs.waitFor(id))
    assert.equal(await sent, 'ann')
    await assert.rejects(refused as Promise<unknown>, { code: 'ERR_JOB_FAILED' })
    await jobs.enqueue(report, undefined)
    await jobs.enqueue(report, undefined, { delayMs: 3_600_000 })
    await until('both are counted', () => jobs.metrics().executed === 2)
    const { text } = await ask(url, '/metrics')
    for (const line of [
      'colmena_jobs_executed_total 2',
      'colmena_jobs_succeeded_total 1',
      'colmena_jobs_failed_total 1',
      'colmena_jobs_retried_total 0',
      'colmena_jobs_dead_total 1',
      'colmena_jobs_reaped_total 0',
      'colmena_jobs_swept_total 0',
      'colmena_jobs_running 0',
      'colmena_jobs_queue{state="pending"} 2',
      'colmena_jobs_queue{state="succeeded"} 1',
      'colmena_jobs_queue{state="failed"} 1',
      'colmena_jobs_queue{state="waiting"} 0',
      'colmena_jobs_pending_by_type{type="mail"} 0',
      'colmena_jobs_pending_by_type{type="report/daily"} 2',
      'colmena_jobs_waited_seconds{type="mail"} 0',
    ]) {
      assert.ok(text.includes(`\n${line}\n`), `${line} is not in:\n${text}`)
    }
    assert.match(text, /\ncolmena_jobs_waited_seconds\{type="report\/daily"\} [\d.e-]+\n/)
  })
})
