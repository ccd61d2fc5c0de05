/** The jobs in the cluster page, in a real browser, over the jobs of a real node. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Browser, Locator, Page } from 'playwright-core'
import { type ColmenaNode, open } from '../../src/index.ts'
import { createJobs, Discard, type JobState, type Jobs, job } from '../../src/jobs/jobs.ts'
import { until } from '../processes/wait.ts'
import { auditPage } from './audit.ts'
import { LOOKS, openBrowser, openPage, PICTURES } from './browser.ts'
import { type JobsServer, serveJobs } from './jobs-server.ts'

const readToken = 'a-token-that-may-only-read'
const writeToken = 'a-token-that-may-write-too'

const scrape = job<{ url: string; why?: string }, { bytes: number }>('scrape')
const report = job<{ month: string }>('report')
const thumb = job<{ picture: string }>('thumb')
const tick = job('tick')
const resize = job<{ picture: string; width: number }>('resize')

const folder = mkdtempSync(join(tmpdir(), 'colmena-jobs-page-'))
const ended = new AbortController()
let browser: Browser
let node: ColmenaNode
let jobs: Jobs
let server: JobsServer
/** The ids of jobs by what became of them. */
const ids: Record<string, string> = {}

before(async () => {
  node = await open({ nodeId: 'wren', dataDir: join(folder, 'data') })
  jobs = createJobs(node, { leaseMs: 1_000, pollMs: 100 })
  await fill()
  server = await serveJobs(node, jobs)
  browser = await openBrowser()
})
after(async () => {
  ended.abort()
  await browser?.close()
  await server?.close()
  await jobs?.close()
  await node?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function isIn(id: string, state: JobState): Promise<void> {
  await until(`${id} is ${state}`, async () => (await jobs.find(id))?.state === state)
}

/** One of each kind that there is, and more of one than fit on a page. */
async function fill(): Promise<void> {
  const pictures = Array.from({ length: 60 }, (_, at) => ({ picture: `${at + 1}.png`, width: 64 }))
  await jobs.enqueueAll(resize, pictures)
  await jobs.limit(thumb, { concurrency: 4, rate: { max: 100, perMs: 60_000 }, keyConcurrency: 1 })
  await jobs.pause(thumb)
  jobs.handle(scrape, ({ url, why }, { log, attempt }) => {
    log(`fetching ${url}, attempt ${attempt}`)
    if (why === 'gone') throw new Discard(`${url} is gone for good`)
    if (why !== undefined) throw new Error(`${url}: ${why}`)
    return { bytes: 48_213 }
  })
  jobs.handle(tick, () => {})
  jobs.handle(report, async (_, { progress, signal }) => {
    progress({ pages: 12, of: 40 })
    await new Promise((resolve) => (AbortSignal.any([signal, ended.signal]).onabort = resolve))
    signal.throwIfAborted()
  })
  const rest = { backoff: { baseMs: 0 }, maxAttempts: 2, tags: ['crawl'] }
  const made: Record<string, Promise<{ readonly id: string }>> = {
    succeeded: jobs.enqueue(scrape, { url: 'https://example.org/well' }, rest),
    failed: jobs.enqueue(scrape, { url: 'https://example.org/old', why: 'gone' }, rest),
    dead: jobs.enqueue(scrape, { url: 'https://example.org/down', why: 'no answer' }, rest),
    running: jobs.enqueue(report, { month: 'July' }, { uniqueKey: 'report of July' }),
    scheduled: jobs.enqueue(scrape, { url: 'https://example.org/later' }, { delayMs: 9_000_000 }),
    pending: jobs.enqueue(thumb, { picture: 'cat.png' }, { concurrencyKey: 'cats' }),
    cancelled: jobs.enqueue(thumb, { picture: 'dog.png' }),
  }
  for (const [name, promise] of Object.entries(made)) ids[name] = (await promise).id
  const after = [ids['running'] as string]
  ids['waiting'] = (await jobs.enqueue(report, { month: 'August' }, { after })).id
  await jobs.cancel(ids['cancelled'] as string)
  await jobs.schedule('nightly', '0 3 * * *', report, { month: 'all' }, { timeZone: 'Asia/Tokyo' })
  await jobs.schedule('often', '* * * * * *', scrape, { url: 'https://example.org/tick' })
  await until('it fired', async () => {
    return (await jobs.schedules()).some(({ id, fired }) => id === 'often' && fired > 0)
  })
  await jobs.unschedule('often')
  for (const state of ['succeeded', 'failed', 'dead', 'running'] as const) {
    await isIn(ids[state] as string, state)
  }
  await until('its progress is told', async () => {
    return (await jobs.find(ids['running'] as string))?.progress !== null
  })
}

async function pausedTypes(): Promise<string[]> {
  return (await jobs.stats()).filter(({ isPaused }) => isPaused).map(({ type }) => type)
}

/** What is in the box of that name on the page of a job. */
async function readBox(page: Page, name: string): Promise<string> {
  return page.getByRole('region', { name, exact: true }).innerText()
}

function rowOf(page: Page, table: string, words: string): Locator {
  return page.getByRole('region', { name: `${table}, table` }).getByRole('row', { name: words })
}

/** Titles of what scrolls sideways although a phone shows it. */
function findWide(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`[...document.querySelectorAll('main *')]
    .filter((at) => at.scrollWidth > at.clientWidth && getComputedStyle(at).overflowX === 'auto')
    .map((at) => at.className + ' ' + at.ariaLabel)`)
}

describe('the jobs page', () => {
  for (const look of LOOKS) {
    it(`is whole ${look.width} wide, ${look.scheme}`, async () => {
      const { page, faults } = await openPage(browser, `${server.url}/#/jobs`, look)
      const found: string[] = []
      const view = async (name: string): Promise<void> => {
        const path = join(PICTURES, `${name}-${look.width}-${look.scheme}.png`)
        await page.screenshot({ path, fullPage: true })
        found.push(...(await auditPage(page)), ...(await findWide(page)))
      }
      await page.getByText('Paused: thumb.').waitFor()
      await page.getByText('jobs/s').waitFor()
      await rowOf(page, 'Schedules', 'nightly').waitFor()
      await view('jobs')
      await page.getByRole('link', { name: `scrape, job ${ids['dead']}` }).click()
      await page.getByRole('heading', { name: 'Attempt 2: failed' }).waitFor()
      await view('job')
      await page.context().close()
      assert.deepEqual([...found, ...faults], [])
    })
  }

  it('counts the jobs of a type, says its limits, and pauses it', async () => {
    const { page } = await openPage(browser, `${server.url}/#/jobs`)
    const row = rowOf(page, 'Queues', 'scrape')
    await row.getByRole('link', { name: '1 dead of scrape' }).waitFor()
    await row.getByRole('link', { name: '1 failed of scrape' }).waitFor()
    const limited = await rowOf(page, 'Queues', 'thumb').innerText()
    assert.match(limited, /4 at a time\s+100 begin in 1 min\s+of a key 1 at a time/)
    await page.getByRole('button', { name: 'Resume thumb' }).waitFor()
    await page.getByRole('button', { name: 'Pause scrape' }).click()
    await page.getByText('scrape is paused: none of it begins').waitFor()
    await page.getByText('Paused: scrape, thumb.').waitFor()
    assert.deepEqual(await pausedTypes(), ['scrape', 'thumb'])
    await page.getByRole('button', { name: 'Resume scrape' }).click()
    await page.getByText('scrape goes on.').waitFor()
    assert.deepEqual(await pausedTypes(), ['thumb'])
    await page.context().close()
  })

  it('tells how fast its node runs them', async () => {
    const { page } = await openPage(browser, `${server.url}/#/jobs`)
    await page.getByText(/63 to do, 1 running\. wren: 0\.0 jobs\/s, 1 running now/).waitFor()
    let runs = true
    const more = (async () => {
      while (runs) await jobs.waitFor((await jobs.enqueue(tick, undefined)).id)
    })()
    await page.getByText(/wren: ([1-9][\d,]*|0\.[1-9]|[1-9]\.\d) jobs\/s/).waitFor()
    runs = false
    await more
    await page.context().close()
  })

  it('lists jobs by state, type, tag and words, in pages', async () => {
    const { page } = await openPage(browser, `${server.url}/#/jobs`)
    const rows = page.locator('.job-rows tbody tr')
    const only = async (words: string): Promise<void> => {
      await until(`only ${words}`, async () => {
        return (await rows.count()) === 1 && (await rows.innerText()).includes(words)
      })
    }
    const clear = async (): Promise<void> => {
      await page.getByRole('link', { name: 'All jobs' }).click()
      await until('the form is empty', async () => {
        const values = [page.getByRole('searchbox'), page.getByLabel('tag')]
        const texts = await Promise.all(values.map((at) => at.inputValue()))
        const hash = await page.evaluate<string>('location.hash')
        return hash === '#/jobs' && texts.every((text) => text === '')
      })
    }
    await page.getByRole('link', { name: '1 dead of scrape' }).click()
    await page.getByRole('heading', { name: 'Jobs that are dead, of scrape' }).waitFor()
    await only(ids['dead'] as string)
    await page.getByLabel('state').selectOption('failed')
    await only('Discard: https://example.org/old is gone')
    await page.goBack()
    await only(ids['dead'] as string)
    await clear()
    await page.getByRole('searchbox').fill('report of July')
    await page.getByRole('button', { name: 'Search' }).click()
    await only('{"pages":12,"of":40}')
    await page.getByRole('searchbox').fill('what nobody has')
    await page.keyboard.press('Enter')
    await page.getByText('None is like that.').waitFor()
    await clear()
    await page.getByLabel('tag').fill('crawl')
    await page.keyboard.press('Enter')
    await until('three have the tag', async () => (await rows.count()) === 3)
    await clear()
    await page.getByLabel('type').selectOption('resize')
    const turned = async (button: string, name: string, first: string): Promise<void> => {
      if (button !== '') await page.getByRole('button', { name: button, exact: true }).click()
      await page.getByText(name, { exact: true }).waitFor()
      await until(`it begins with ${first}`, async () => {
        return (await rows.first().innerText()).includes(`"${first}"`)
      })
    }
    await turned('', 'Page 1', '60.png')
    await turned('Next', 'Page 2', '35.png')
    await turned('Next', 'Page 3', '10.png')
    assert.equal(await rows.count(), 10)
    assert.ok(await page.getByRole('button', { name: 'Next', exact: true }).isDisabled())
    await turned('Before', 'Page 2', '35.png')
    await page.context().close()
  })

  it('opens a job by keyboard, with its arguments, error, attempts and their logs', async () => {
    const { page } = await openPage(browser, `${server.url}/#/jobs?state=dead`)
    await page.getByRole('link', { name: `scrape, job ${ids['dead']}` }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'scrape', level: 1 }).waitFor()
    const args = await readBox(page, 'arguments')
    assert.deepEqual(JSON.parse(args), { url: 'https://example.org/down', why: 'no answer' })
    assert.match(await readBox(page, 'error'), /^Error: https:\/\/example\.org\/down: no answer/)
    const attempts = page.locator('.attempts li')
    assert.equal(await attempts.count(), 2)
    assert.match(
      await readBox(page, 'log of attempt 1'),
      /fetching https:\/\/example\.org\/down, attempt 1/,
    )
    const exact = (await jobs.find(ids['dead'] as string))?.finishedAt?.toISOString()
    const time = page.locator('.job-facts time').first()
    assert.equal(await time.getAttribute('title'), exact?.replace('T', ' ').replace('Z', ' UTC'))
    await page.goto(`${server.url}/#/job?id=${ids['running']}`)
    assert.deepEqual(JSON.parse(await readBox(page, 'progress')), { pages: 12, of: 40 })
    await page.goto(`${server.url}/#/job?id=${ids['succeeded']}`)
    const result = await readBox(page, 'result')
    assert.deepEqual(JSON.parse(result), { bytes: 48_213 })
    await page.goto(`${server.url}/#/job?id=nobody`)
    await page.getByText('It is not there:').waitFor()
    await page.context().close()
  })

  it('retries a job, and lets one run before its time', async () => {
    const { page } = await openPage(browser, `${server.url}/#/job?id=${ids['failed']}`)
    await page.getByText('with up to 2 attempts').waitFor()
    await page.getByRole('button', { name: 'Retry' }).click()
    await page.getByText('It is to run again.').waitFor()
    await page.getByRole('heading', { name: 'Attempt 2: discarded' }).waitFor()
    await page.goto(`${server.url}/#/job?id=${ids['scheduled']}`)
    await page.getByText(/^runs in 2 h/).waitFor()
    await page.getByRole('button', { name: 'Run now' }).click()
    await page.getByText('Its time is now.').waitFor()
    await isIn(ids['scheduled'] as string, 'succeeded')
    await readBox(page, 'result')
    await page.context().close()
  })

  it('cancels a job once somebody said yes', async () => {
    const id = ids['pending'] as string
    const { page } = await openPage(browser, `${server.url}/#/job?id=${id}`)
    const cancel = page.getByRole('button', { name: 'Cancel', exact: true })
    await cancel.click()
    await page.getByText('It will not run, and jobs that wait for it fail.').waitFor()
    await page.getByRole('button', { name: 'Keep' }).click()
    assert.equal((await jobs.find(id))?.state, 'pending')
    await cancel.click()
    await page.getByRole('button', { name: 'Cancel it' }).click()
    await page.getByText('It is cancelled.').waitFor()
    assert.equal((await jobs.find(id))?.state, 'cancelled')
    await page.getByRole('button', { name: 'Retry' }).waitFor()
    await page.context().close()
  })

  it('tells when a schedule makes jobs, and takes it away once somebody said yes', async () => {
    const { page } = await openPage(browser, `${server.url}/#/jobs`)
    const row = rowOf(page, 'Schedules', 'nightly')
    assert.match(
      await row.innerText(),
      /0 3 \* \* \*\s+Asia\/Tokyo\s+in [\s\S]*03:00, [\s\S]*not yet/,
    )
    await rowOf(page, 'Schedules', 'often').getByText('no more').waitFor()
    await row.getByRole('button', { name: 'Unschedule' }).click()
    await page.getByText('Unschedule nightly? It makes no more jobs').waitFor()
    await row.getByRole('button', { name: 'Unschedule it' }).click()
    await page.getByText('nightly makes no more jobs.').waitFor()
    await row.getByText('no more').waitFor()
    const left = await jobs.schedules()
    assert.deepEqual(
      left.flatMap(({ next }) => next),
      [],
    )
    await rowOf(page, 'Schedules', 'often').getByRole('link', { name: 'The last job' }).click()
    await page.getByRole('heading', { name: 'scrape', level: 1 }).waitFor()
    await page.context().close()
  })

  it('asks for a token that may, where one does not', async () => {
    const tokens = { [readToken]: 'read', [writeToken]: 'write' } as const
    const guarded = await serveJobs(node, jobs, { tokens })
    const { page } = await openPage(browser, `${guarded.url}/#/jobs`)
    await page.getByText('This server wants a token.').waitFor()
    const enter = async (token: string): Promise<void> => {
      await page.getByLabel('Token').fill(token)
      await page.getByRole('button', { name: 'Continue' }).click()
    }
    await enter(readToken)
    await page.getByText('This token may only read').waitFor()
    await page.getByRole('button', { name: 'Resume thumb' }).click()
    await page.getByText("this needs the right 'write'").waitFor()
    assert.deepEqual(await pausedTypes(), ['thumb'])
    await enter(writeToken)
    await page.getByText("this needs the right 'write'").waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Resume thumb' }).click()
    await page.getByText('thumb goes on.').waitFor()
    await page.context().close()
    await guarded.close()
  })

  it('says what to do where there are no jobs, none yet, or no server any more', async () => {
    const without = await serveJobs(node, null)
    const { page } = await openPage(browser, `${without.url}/`)
    await page.getByRole('link', { name: 'Jobs', exact: true }).click()
    await page.getByText('this server has no jobs: give it those of createJobs').waitFor()
    assert.deepEqual(await auditPage(page), [])
    await without.close()
    await page.context().close()

    const empty = createJobs(node, { database: 'other', workers: 0 })
    const fresh = await serveJobs(node, empty)
    const { page: other } = await openPage(browser, `${fresh.url}/#/jobs`)
    await other.getByText('No type is known yet').waitFor()
    await other.getByText('None yet: jobs.enqueue makes one.').waitFor()
    await other.getByText('None: jobs.schedule makes one').waitFor()
    assert.deepEqual(await auditPage(other), [])
    await fresh.close()
    await other.getByText('The connection is lost.').waitFor()
    await other.getByText('What you see is from').waitFor()
    await other.context().close()
    await empty.close()
  })
})
