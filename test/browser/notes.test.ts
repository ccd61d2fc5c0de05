/** The example with notes as its page says it: three processes, two browsers, one of which loses its node. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'
import { auditPage } from './audit.ts'
import { LOOKS, openBrowser, openPage, PICTURES } from './browser.ts'

const main = new URL('../../examples/notes/main.ts', import.meta.url).pathname

const dataDir = mkdtempSync(join(tmpdir(), 'colmena-notes-'))
const ports: number[] = []
const processes: ChildProcess[] = []
let browser: Browser
let pages: [Page, Page]
const faults: (readonly string[])[] = []

async function start(at: number): Promise<void> {
  const address = (of: number): string => `127.0.0.1:${ports[of + 3]}`
  const how = at === 0 ? 'bootstrap' : address(0)
  const args = ['abc'.charAt(at), String(ports[at]), address(at), how]
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, NOTES_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  processes[at] = child
  let said = ''
  child.stdout?.on('data', (text: Buffer) => {
    said += String(text)
  })
  await until(`node ${at} serves`, () => {
    assert.equal(child.exitCode, null, 'it has ended')
    return said.includes('serves http')
  })
}

const urlOf = (at: number): string => `http://127.0.0.1:${ports[at]}/`

const texts = (page: Page): Promise<string[]> => page.locator('li span').allInnerTexts()

async function add(page: Page, text: string): Promise<void> {
  await page.getByLabel('A new note').fill(text)
  await page.getByRole('button', { name: 'Add' }).click()
}

before(async () => {
  ports.push(...(await findFreePorts(6)))
  browser = await openBrowser()
  await start(0)
  await Promise.all([start(1), start(2)])
  const opened = await Promise.all([0, 1].map((at) => openPage(browser, urlOf(at))))
  pages = opened.map(({ page }) => page) as [Page, Page]
  faults.push(...opened.map((each) => each.faults))
})
after(async () => {
  await browser?.close()
  for (const child of processes) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill()
    await once(child, 'exit')
  }
  rmSync(dataDir, { recursive: true })
})

describe('the example with notes', { timeout: 120_000 }, () => {
  it('shows in each browser what is written in the other', async () => {
    const [first, second] = pages
    await add(first, 'milk')
    await add(second, '<b>bread</b>')
    for (const page of pages) {
      await until('both are there', async () => (await texts(page)).length === 2)
      assert.deepEqual((await texts(page)).sort(), ['<b>bread</b>', 'milk'])
    }
    await first.getByRole('checkbox', { name: 'milk' }).check()
    await second.locator('li.done', { hasText: 'milk' }).waitFor()
    await second.getByRole('button', { name: 'Remove milk' }).click()
    await until('it is gone', async () => (await texts(first)).length === 1)
  })

  it('goes on in one while the node of the other is killed, which misses nothing', async () => {
    const [first, second] = pages
    const [victim] = processes as [ChildProcess]
    // It began the cluster, so as a rule it leads.
    victim.kill('SIGKILL')
    await once(victim, 'exit')
    await first.getByText('a is away').waitFor()
    await add(second, 'eggs')
    await until('it is written', async () => (await texts(second)).includes('eggs'))
    await second.getByRole('button', { name: 'Remove <b>bread</b>' }).click()
    await until('it is removed', async () => (await texts(second)).length === 1)
    await add(first, 'lost')
    await first.getByText('this node does not answer').waitFor()

    await start(0)
    await first.getByText('served by a, live').waitFor()
    await until('it has caught up', async () => (await texts(first)).join() === 'eggs')
    await add(first, 'lost')
    await until('it takes writes again', async () => (await texts(second)).includes('lost'))
  })

  it('refuses what is no note', async () => {
    const post = (body: string): Promise<Response> =>
      fetch(`${urlOf(1)}notes`, { method: 'POST', body })
    for (const body of ['{', '{}', '{"text":" "}', JSON.stringify({ text: 'x'.repeat(201) })]) {
      assert.equal((await post(body)).status, 400, body)
    }
    const patch = { method: 'PATCH', body: '{"isDone":true}' }
    assert.equal((await fetch(`${urlOf(1)}notes/99`, patch)).status, 404)
  })

  it('is sound at every width, in both schemes', async () => {
    mkdirSync(PICTURES, { recursive: true })
    for (const look of LOOKS) {
      const { page } = await openPage(browser, urlOf(1), look)
      await until('it is live', async () => (await texts(page)).length === 2)
      // The last one came a while ago: nothing moves any more.
      await page.locator('li.new').waitFor({ state: 'detached' })
      assert.deepEqual(await auditPage(page), [])
      await page.screenshot({ path: join(PICTURES, `notes-${look.width}-${look.scheme}.png`) })
      await page.context().close()
    }
    assert.deepEqual(faults.flat(), [])
  })
})
