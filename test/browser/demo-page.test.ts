/** The demo's page in a real browser, against a server that says whatever a state needs. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import type { DemoEvents, DemoState } from '../../src/demo/protocol.ts'
import { until } from '../processes/wait.ts'
import { auditPage } from './audit.ts'
import { LOOKS, openBrowser, openPage, PICTURES } from './browser.ts'
import * as states from './demo-states.ts'
import { FakeDemo, type FakePost } from './fake-demo.ts'

const dist = fileURLToPath(new URL('../../dist/web/', import.meta.url))
const pagesBytesMax = 250_000

/** How far the words of a row's nodes reach beyond their column. */
const spilled = `(() => {
  const box = document.querySelector('li .route')
  const words = document.createRange()
  words.selectNodeContents(box.lastChild)
  return words.getBoundingClientRect().right - box.getBoundingClientRect().right
})()`

let browser: Browser
let demo: FakeDemo
let url = ''

before(async () => {
  browser = await openBrowser()
  demo = new FakeDemo(states.hello(states.whole))
  demo.bench = states.bench
  url = await demo.start()
})
after(async () => {
  await browser?.close()
  await demo?.stop()
})

async function visit(state: DemoState = states.whole): Promise<Page> {
  demo.hello = states.hello(state)
  demo.posts.length = 0
  const { page } = await openPage(browser, url, LOOKS[0], { reducedMotion: 'reduce' })
  await page.locator('[data-node="node-4"]').waitFor()
  return page
}

async function leave(page: Page): Promise<void> {
  await page.context().close()
}

/** Waits until the page has posted to `path`, and gives what; its own writes have no text. */
function posted(path: string, field?: string): Promise<FakePost> {
  const isWanted = (post: FakePost): boolean =>
    post.path === path && (field === undefined || Object.hasOwn(Object(post.body), field))
  return until(`a post to ${path}`, () => demo.posts.find(isWanted))
}

describe('the built pages', () => {
  it('have no inline script or style, and ask for nothing from elsewhere', () => {
    for (const name of ['demo.html', 'cluster.html']) {
      const html = readFileSync(dist + name, 'utf8')
      assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?:/, name)
      const links = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link = '']) => link)
      assert.ok(links.length > 2)
      for (const link of links) assert.match(link, /^\.\/assets\//)
    }
  })

  it('are small', () => {
    const files = readdirSync(dist, { recursive: true, encoding: 'utf8' })
    const sizeBytes = files.reduce((sum, name) => sum + statSync(dist + name).size, 0)
    assert.ok(sizeBytes > 10_000 && sizeBytes < pagesBytesMax, `${sizeBytes} bytes`)
  })
})

describe('each state', () => {
  const zero = { acknowledged: 0, everywhere: 0, lost: 0, duplicated: 0, longestPauseMs: 0 }
  const empty = { state: { ...states.whole, tally: zero }, rows: [], points: [] }
  /** By name: what the server says, and the words that show that it has arrived. */
  const shown: Readonly<Record<string, readonly [DemoEvents['hello'], RegExp]>> = {
    empty: [empty, /No write yet/],
    whole: [states.hello(states.whole), /All nodes are at work/],
    behind: [states.hello(states.catchingUp), /3 of 4 nodes are at work/],
    waiting: [states.hello(states.twoDown), /Two of three voters are down/],
    alarm: [states.hello(states.alarm), /lost\s+1/],
    machines: [states.hello(states.machines), /Real machines/],
  }
  for (const look of LOOKS) {
    it(`is whole ${look.width} wide, ${look.scheme}`, async (t) => {
      demo.hello = empty
      const { page, faults } = await openPage(browser, url, look, { reducedMotion: 'reduce' })
      const found = []
      for (const [name, [hello, words]] of Object.entries(shown)) {
        demo.send('hello', hello)
        await until(name, async () => words.test(await page.locator('main').innerText()))
        const path = join(PICTURES, `${name}-${look.width}-${look.scheme}.png`)
        // The whole length of one is enough: below the fold the states look alike.
        await page.screenshot({ path, fullPage: name === 'whole' })
        found.push(...(await auditPage(page)).map((fault) => `${name}: ${fault}`))
      }
      await leave(page)
      assert.deepEqual([...found, ...faults], [])
      t.diagnostic(`pictures are in ${PICTURES}`)
    })
  }

  it('says it in words: roles, lag, what waits and why', async () => {
    const page = await visit(states.catchingUp)
    const card = (id: string) => page.locator(`[data-node="${id}"]`)
    assert.match(await card('node-1').innerText(), /Leader[\s\S]*level[\s\S]*Step down/)
    assert.match(await card('node-2').innerText(), /Follower[\s\S]*−1,240 entries, 812 ms/)
    assert.match(await card('node-3').innerText(), /Candidate, cut off[\s\S]*Join again/)
    assert.match(await card('node-4').innerText(), /Learner/)
    await page.getByText('node-3 is away, the others carry on.').waitFor()
    demo.send('state', states.twoDown)
    await page.getByText('Two of three voters are down: writes wait.').waitFor()
    assert.match(await card('node-1').innerText(), /Gone[\s\S]*Killed/)
    const table = page.getByRole('table').filter({ hasText: 'works without a leader?' })
    assert.match(await table.innerText(), /none\s+yes\s+0\.04 ms[\s\S]*no leader now/)
    await leave(page)
  })

  it('cuts no machine off, and has room for the ids of machines', async () => {
    const [first, last] = ['e784079b449418', 'e784079b449448']
    const row = states.makeWrite(900, { receivedBy: last, appliedBy: first })
    for (const look of LOOKS.slice(0, 2)) {
      demo.hello = { ...states.hello(states.machines), rows: [row] }
      const { page } = await openPage(browser, url, look, { reducedMotion: 'reduce' })
      const route = page.locator('.route', { hasText: last }).first()
      await route.waitFor()
      const spilledPx = await page.evaluate<number>(spilled)
      assert.ok(spilledPx <= 0, `${look.width} wide: ${spilledPx} px`)
      assert.equal(await page.getByRole('button', { name: /^Cut off/ }).count(), 0)
      assert.equal(await page.getByRole('button', { name: /^Restart/ }).count(), 4)
      await leave(page)
    }
  })

  it('shows what is lost or doubled in another colour, and only then', async () => {
    const page = await visit()
    assert.equal(await page.locator('.is-alarm').count(), 0)
    demo.send('state', states.alarm)
    await page.locator('.is-alarm').first().waitFor()
    assert.deepEqual(await page.locator('.is-alarm').allInnerTexts(), ['lost\n1', 'duplicated\n2'])
    await leave(page)
  })
})

describe('the log', () => {
  it('shows a write with its text as text, both nodes, place and latency', async () => {
    const page = await visit()
    const row = page.locator('li', { hasText: 'onerror' })
    const words = (await row.innerText()).replaceAll(/\s+/g, ' ')
    assert.match(words, /<img src=x onerror=alert\(1\)> & "quotes"/)
    assert.match(words, /node-2 ▸ applied as leader by node-1 11\/128,409 .*1\.6 ms → 6\.0 ms/)
    assert.equal(await page.locator('main img').count(), 0)
    await leave(page)
  })

  it('takes a row that changes for the same row', async () => {
    const page = await visit()
    const first = page.locator('.log li').first()
    assert.match(await first.innerText(), /waiting/)
    demo.send('rows', [states.makeWrite(200, { text: 'now it is there' })])
    await page.getByText('now it is there').waitFor()
    assert.doesNotMatch(await first.innerText(), /waiting/)
    assert.equal(await page.getByText('Ada was here').first().isVisible(), true)
    await leave(page)
  })

  it('stands still under the pointer, and counts what comes meanwhile', async () => {
    const page = await visit()
    const row = page.locator('.log li').nth(2)
    const text = await row.innerText()
    await row.hover()
    demo.send('rows', [states.makeEvent(201, 'node-3 killed'), states.makeWrite(202)])
    await page.getByText('2 newer, while you read').waitFor()
    assert.equal(await row.innerText(), text)
    await page.getByRole('heading', { level: 1 }).hover()
    await page.locator('.log li').nth(1).getByText('node-3 killed').waitFor()
    await leave(page)
  })

  it('keeps faults and elections when many writes come', async () => {
    const page = await visit()
    const many = Array.from({ length: 400 }, (_, at) => states.makeWrite(300 + at))
    demo.send('rows', many)
    await page.getByRole('checkbox', { name: 'faults and elections only' }).check()
    const list = page.locator('.log li')
    await until('only events are shown', async () => (await list.count()) === 5)
    assert.match(await list.first().innerText(), /node-2 is level again after 2\.1 s/)
    await leave(page)
  })

  it('moves new rows only for those who don’t mind motion', async () => {
    for (const [reducedMotion, name] of [
      ['reduce', 'none'],
      ['no-preference', 'arrive'],
    ] as const) {
      demo.hello = states.hello(states.whole)
      const { page } = await openPage(browser, url, LOOKS[0], { reducedMotion })
      await page.locator('.log ol.is-settled li').first().waitFor()
      const animation = await page.evaluate(
        "getComputedStyle(document.querySelector('.log li')).animationName",
      )
      assert.equal(animation, name)
      await leave(page)
    }
  })
})

describe('what a visitor does', () => {
  it('breaks a node by the buttons of its card; only a leader can step down', async () => {
    const page = await visit(states.catchingUp)
    await page.getByRole('button', { name: /^Restart node-2/ }).click()
    await posted('/api/nodes/node-2/restart')
    await page.getByRole('button', { name: 'Cut off: node-4' }).click()
    await posted('/api/nodes/node-4/cut')
    await page.getByRole('button', { name: 'Join again: node-3' }).click()
    await posted('/api/nodes/node-3/join')
    const stepDown = page.getByRole('button', { name: /^Step down/ })
    assert.equal(await stepDown.count(), 1)
    await stepDown.click()
    await posted('/api/nodes/node-1/step-down')
    await leave(page)
  })

  it('gets there by keyboard alone', async () => {
    const page = await visit()
    for (let presses = 0; presses < 30; presses += 1) {
      await page.keyboard.press('Tab')
      const focused = await page.evaluate("document.activeElement.getAttribute('aria-label')")
      if (`${focused}`.startsWith('Restart node-1')) break
    }
    const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')
    assert.equal(outline, 'solid')
    await page.keyboard.press('Enter')
    await posted('/api/nodes/node-1/restart')
    await leave(page)
  })

  it('writes a text at a node, sets the rate, breaks nodes, pauses', async () => {
    const page = await visit()
    await page.getByLabel('Text').fill('hello & goodbye')
    await page.getByRole('combobox', { name: /^at/ }).selectOption('node-3')
    await page.getByRole('button', { name: 'Write now' }).click()
    const { body } = await posted('/api/write', 'text')
    assert.deepEqual(body, { text: 'hello & goodbye', node: 'node-3' })
    await page.getByRole('slider').fill('200')
    assert.deepEqual((await posted('/api/controls', 'ratePerSecond')).body, { ratePerSecond: 200 })
    await page.getByRole('checkbox', { name: 'Break a random node' }).click()
    assert.deepEqual((await posted('/api/controls', 'breakEverySeconds')).body, {
      breakEverySeconds: 10,
    })
    await page.getByRole('button', { name: 'Pause' }).click()
    assert.deepEqual((await posted('/api/controls', 'isPaused')).body, { isPaused: true })
    await leave(page)
  })

  it('is asked once before all is forgotten, with the harmless answer at hand', async () => {
    const page = await visit()
    await page.getByRole('button', { name: 'Reset' }).click()
    await page.getByText('count from zero?').waitFor()
    await page.keyboard.press('Enter')
    assert.equal(
      demo.posts.some(({ path }) => path === '/api/reset'),
      false,
    )
    await page.getByRole('button', { name: 'Reset' }).click()
    await page.getByRole('button', { name: 'Reset' }).click()
    await posted('/api/reset')
    demo.send('reset', null)
    demo.send('hello', { state: states.whole, rows: [], points: [] })
    await page.getByText('No write yet.').waitFor()
    await leave(page)
  })

  it('is told why something was refused', async () => {
    const page = await visit()
    demo.refusal = 'node-1 is being restarted: one at a time.'
    await page.getByRole('button', { name: /^Restart node-2/ }).click()
    await page.getByText('node-1 is being restarted: one at a time.').waitFor()
    demo.refusal = null
    await leave(page)
  })
})

describe('the page by itself', () => {
  it('writes at a random node every few seconds, unless it is paused', async () => {
    demo.hello = states.hello(states.whole)
    demo.posts.length = 0
    const { page } = await openPage(browser, 'about:blank')
    await page.clock.install()
    await page.goto(url)
    await page.locator('[data-node="node-4"]').waitFor()
    await page.clock.runFor(3_500)
    const { body } = await posted('/api/write')
    assert.match((body as { readonly node: string }).node, /^node-[1-4]$/)
    demo.send('state', { ...states.whole, controls: { ...states.whole.controls, isPaused: true } })
    await page.clock.runFor(100)
    await page.getByRole('button', { name: 'Go on' }).waitFor()
    // What was sent before the pause may be on its way still: it comes before what is sent now.
    for (let count = 0; count < 3; count += 1) await page.evaluate("fetch('/').then(() => true)")
    demo.posts.length = 0
    await page.clock.runFor(20_000)
    assert.deepEqual(demo.posts, [])
    await leave(page)
  })

  it('says that the connection is lost, and is whole once it is back, or reloaded', async () => {
    const page = await visit()
    await demo.stop()
    await page.getByText('The connection is lost.').waitFor()
    assert.equal(await page.getByRole('button', { name: /^Restart node-1/ }).isDisabled(), true)
    assert.match(await page.locator('[data-sum="acknowledged"]').innerText(), /12,480/)
    demo.hello = states.hello(states.catchingUp)
    await demo.start()
    await page.getByText('3 of 4 nodes are at work.').waitFor()
    assert.equal(await page.getByRole('button', { name: /^Restart node-1/ }).isEnabled(), true)
    await page.reload()
    await page.getByText('3 of 4 nodes are at work.').waitFor()
    await leave(page)
  })

  it('gives its connection back while nobody sees it', async () => {
    const page = await visit()
    const turn = (isHidden: boolean): Promise<unknown> =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true });` +
          "document.dispatchEvent(new Event('visibilitychange'))",
      )
    await until('it listens alone', () => demo.listeners === 1)
    await turn(true)
    await until('it listens no more', () => {
      // It would leave a silent stream by itself.
      demo.send('state', states.whole)
      return demo.listeners === 0
    })
    demo.hello = states.hello(states.catchingUp)
    await turn(false)
    await page.getByText('3 of 4 nodes are at work.').waitFor()
    assert.equal(demo.listeners, 1)
    await leave(page)
  })

  it('says in the words of the server why it is not let in', async () => {
    demo.hello = states.hello(states.whole)
    demo.refusal = 'too many pages watch this demo already: close one of them'
    const { page } = await openPage(browser, url)
    await page.getByText(demo.refusal).waitFor()
    demo.refusal = null
    await page.getByText('All nodes are at work.').waitFor()
    await leave(page)
  })

  it('shows the example of the README as it is, and the figures of the bench', async () => {
    const page = await visit()
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
    const [, example] = /```ts\n([\s\S]*?)```/.exec(readme) ?? []
    assert.equal(await page.locator('pre').textContent(), example)
    const table = page.getByRole('table').filter({ hasText: 'writers at once' })
    assert.match((await table.innerText()).replaceAll(/\s+/g, ' '), /1 760 4 1,859 32 13,001/)
    await leave(page)
  })
})
