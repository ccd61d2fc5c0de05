/** The commands for jobs: what they show of a running node, and what they change there. */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createJobs, Discard, type Jobs, job } from '../../src/jobs/jobs.ts'
import { until } from '../processes/wait.ts'
import { openNode, READ_TOKEN, serve as serveNode, TOKENS, WRITE_TOKEN } from '../server/rig.ts'
import { type Ended, run, serve } from './command.ts'

const mail = job<{ to: string }, string>('mail')

interface Rig {
  readonly jobs: Jobs
  /** `colmena jobs …` at the server of this node, with a token that may write. */
  readonly ask: (...args: string[]) => Promise<Ended>
  readonly url: string
}

async function openRig(t: TestContext, workers: number): Promise<Rig> {
  const node = await openNode(t, { nodeId: 'ann' })
  const jobs = createJobs(node, { workers })
  t.after(() => jobs.close({ signal: AbortSignal.abort() }))
  const { url } = await serveNode(t, node, { jobs, tokens: TOKENS })
  const env = { COLMENA_URL: url, COLMENA_TOKEN: WRITE_TOKEN }
  return { jobs, url, ask: (...args) => run(['jobs', ...args], { env }) }
}

describe('jobs', () => {
  it('show what failed and why, and nothing that steers a terminal', async (t) => {
    const { jobs, ask } = await openRig(t, 1)
    jobs.handle(mail, ({ to }, { log }) => {
      if (to === 'bea') return 'sent'
      log('first line')
      log('second \u001b[2J line')
      throw new Discard('no \u001b[31maddress')
    })
    const { id } = await jobs.enqueue(mail, { to: 'ann' }, { tags: ['hurry'], uniqueKey: 'ann' })
    const sent = await jobs.enqueue(mail, { to: 'bea' })
    assert.equal(await jobs.waitFor(sent.id), 'sent')
    await until('it has failed', async () => (await jobs.find(id))?.finishedAt)
    const listed = await ask('list', '--state', 'failed', '--type', 'mail', '--tag', 'hurry')
    assert.equal(listed.code, 0, listed.err)
    assert.match(listed.out, new RegExp(`│ ${id} │ mail │ failed │ 1 of 5 +│ ended 2`))
    assert.match(listed.out, /Discard: no \\u001b\[31maddress/)
    assert.ok(!listed.out.includes(sent.id))
    const shown = (await ask('show', id)).out
    assert.match(shown, /^arguments: \{"to":"ann"\}$/m)
    assert.match(shown, /^unique key: ann\ntags: hurry$/m)
    assert.match(shown, /^error:\n {2}Discard: no \\u001b\[31maddress\n {2} {4}at /m)
    assert.match(shown, /^attempt: 1, \w+\nnode: ann$/m)
    assert.match(shown, /^log:\n {2}.*first line\n {2}.*second \\u001b\[2J line$/m)
    assert.ok(!shown.includes('\u001b'))
    assert.match((await ask('show', sent.id)).out, /^result: "sent"$/m)
    const { job: found, attempts } = JSON.parse((await ask('show', id, '--json')).out)
    assert.deepEqual(found, JSON.parse(JSON.stringify(await jobs.find(id))))
    assert.equal(attempts.length, 1)
    const none = await ask('show', 'none')
    assert.deepEqual([none.code, none.err], [1, "there is no job 'none', or no more\n"])
  })

  it('are listed page by page, as a table or as JSON', async (t) => {
    const { jobs, ask } = await openRig(t, 0)
    const all = await jobs.enqueueAll(mail, [{ to: 'ann' }, { to: 'bea' }, { to: 'cat' }])
    const [first, , last] = all.map(({ id }) => id)
    // Without a word it is the list.
    const { out } = await ask('--limit', '2')
    assert.ok(out.includes(last as string) && !out.includes(first as string))
    const [, before = ''] = /\nthere are more: --before (\d+)\n$/.exec(out) ?? []
    const rest = JSON.parse((await ask('list', '--before', before, '--json')).out)
    assert.deepEqual([rest.jobs.length, rest.jobs[0].id, rest.next], [1, first, null])
    const found = JSON.parse((await ask('--search', '"bea"', '--json')).out)
    assert.equal(found.jobs.length, 1)
  })

  it('are changed, and say where there is nothing to change', async (t) => {
    const { jobs, ask } = await openRig(t, 0)
    const { id } = await jobs.enqueue(mail, { to: 'ann' }, { delayMs: 3_600_000 })
    for (const [change, done, refused] of [
      ['run', /is to run now/, /there is no job '.*' that waits for its time/],
      ['cancel', /is cancelled/, /there is no job '.*' that is not over/],
      ['retry', /is to run again/, /there is no job '.*' that is over without success/],
    ] as const) {
      const ended = await ask(change, id)
      assert.deepEqual([ended.code, done.test(ended.out)], [0, true], ended.err)
      const again = await ask(change, id)
      assert.deepEqual([again.code, refused.test(again.err)], [1, true], again.err)
    }
    assert.equal((await jobs.find(id))?.state, 'pending')
  })

  it('of a type are paused and counted, and schedules are there to see', async (t) => {
    const { jobs, ask } = await openRig(t, 0)
    await jobs.enqueue(mail, { to: 'ann' })
    await jobs.limit(mail, { concurrency: 3, rate: { max: 10, perMs: 1_000 } })
    assert.match((await ask('pause', 'mail')).out, /no job of 'mail' begins any more/)
    const stats = (await ask('stats')).out
    assert.match(stats, /│ mail, paused │ 0 +│ 1 +│/)
    assert.match(stats, /│ 3 at a time, 10 in 1000 ms │/)
    assert.match((await ask('resume', 'mail')).out, /jobs of 'mail' begin again/)
    const { types, node } = JSON.parse((await ask('stats', '--json')).out)
    assert.deepEqual([types[0].isPaused, types[0].counts.pending, node.running], [false, 1, 0])
    await jobs.schedule('daily', '0 6 * * *', mail, { to: 'ann' }, { timeZone: 'Asia/Tokyo' })
    const schedules = (await ask('schedules')).out
    assert.match(schedules, /│ daily │ mail │ 0 6 \* \* \* │ Asia\/Tokyo │ \d{4}-.*│ never │ 0 +│/)
    assert.equal(JSON.parse((await ask('schedules', '--json')).out).schedules[0].next.length, 5)
  })

  it('are asked for as they can be, by whom may ask', async (t) => {
    const { url, ask } = await openRig(t, 0)
    const cases: readonly (readonly [args: string[], code: number, message: RegExp])[] = [
      [['list', '--state', 'ended'], 2, /Allowed choices are waiting, pending, running/],
      [['--limit', '0'], 2, /--limit is '0'; it must be a whole number from 1 to 1000/],
      [['--before', 'x'], 2, /--before is 'x'/],
      [['lst'], 2, /there is no 'jobs lst': it is list, show/],
      [['show'], 2, /missing required argument 'id'/],
      [['pause', 'a b'], 1, /the type of a job is 1 to 128 of letters/],
      [['list', '--token', 'x'.repeat(16)], 1, /token/],
      [['retry', 'x', '--token', READ_TOKEN], 1, /needs the right 'write'/],
      [['list', '--url', `${url}/elsewhere/`], 1, /there is no GET \/elsewhere\/jobs/],
    ]
    for (const [args, code, message] of cases) {
      const ended = await ask(...args)
      assert.equal(ended.code, code, `${args.join(' ')}: ${ended.err}`)
      assert.match(ended.err, message)
    }
  })
})

describe('serve', () => {
  it('shows jobs that others make, and makes no tables by it', async (t) => {
    const { url, running } = await serve(t)
    const listed = await run(['jobs', '--url', url])
    assert.equal(listed.code, 0, listed.err)
    assert.match(listed.out, /│ id │ type │ state │/)
    const tables = await run(['exec', 'SELECT count(*) n FROM sqlite_schema', '--url', url])
    assert.match(tables.out, /│ 0 │/)
    assert.match((await run(['jobs', 'pause', 'mail', '--url', url])).out, /'mail' begins/)
    assert.match((await run(['jobs', 'stats', '--url', url])).out, /│ mail, paused │/)
    running.kill('SIGTERM')
    assert.equal((await running.ended).code, 0)
  })
})
