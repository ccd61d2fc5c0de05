/** The whole demo: a real browser, its server, and four real node processes. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Browser, Locator, Page } from 'playwright-core'
import { type RunningDemo, runDemo } from '../../src/demo/demo.ts'
import { until } from '../processes/wait.ts'
import { openBrowser, openPage } from './browser.ts'

/**
 * On an idle machine a leader is elected within 3 s and a card level within 4 s of its process's
 * start; the test prints what it saw. A machine with other work to do must not fail it.
 */
const graceMs = 30_000

let demo: RunningDemo
let browser: Browser
let page: Page
let faults: readonly string[]

before(async () => {
  ;[demo, browser] = await Promise.all([runDemo({ port: 0 }), openBrowser()])
  ;({ page, faults } = await openPage(browser, demo.url))
})
after(async () => {
  await browser?.close()
  await demo?.close()
})

function card(id: string): Locator {
  return page.locator(`[data-node="${id}"]`)
}

async function readLeader(): Promise<string | null> {
  const leaders = page.locator('[data-node]:not(.is-gone):has(.role-leader)')
  return (await leaders.count()) === 1 ? leaders.getAttribute('data-node') : null
}

function story(id: string, words: RegExp): Promise<true> {
  return until(
    `${id} says ${words}`,
    async () => words.test(await card(id).locator('.story').innerText()),
    graceMs,
  )
}

async function readSum(name: string): Promise<number> {
  const text = await page.locator(`[data-sum="${name}"]`).innerText()
  return Number(text.replaceAll(/[^\d]/g, ''))
}

describe('the demo', { timeout: 120_000 }, () => {
  it('shows four cards, three of voters and one of a learner', async () => {
    await until('there is a leader', readLeader)
    assert.equal(await page.locator('[data-node]').count(), 4)
    assert.equal(await page.locator('[data-node] .role-learner').count(), 1)
    await page.getByText('All nodes are at work.').waitFor()
  })

  it('shows a write with the node that received it and the one that applied it', async () => {
    const leader = await until('there is a leader', readLeader)
    const other = leader === 'node-2' ? 'node-3' : 'node-2'
    await page.getByLabel('Text').fill('<b>bees</b>')
    await page.getByRole('combobox', { name: /^at/ }).selectOption(other)
    await page.getByRole('button', { name: 'Write now' }).click()
    const row = page.locator('li[data-outcome="acknowledged"]', { hasText: '<b>bees</b>' })
    await row.waitFor()
    const route = (await row.locator('.route').innerText()).replaceAll(/\s+/g, ' ')
    assert.match(route, new RegExp(`${other}.*${leader}`))
    assert.match(await row.locator('.place').innerText(), /^\d+\/[\d,]+$/)
    await until('it is on all nodes', async () => {
      return /ms → [\d.]+ m?s$/.test(await row.locator('.latency').innerText())
    })
  })

  it('has a new leader soon after a kill, and the killed node level again', async (t) => {
    await page.getByRole('slider').fill('50')
    await until('writes flow', async () => (await readSum('acknowledged')) > 30)
    const leader = await until('there is a leader', readLeader)
    await page.getByRole('button', { name: `Restart ${leader}` }).click()
    const killedMs = performance.now()
    await until('another leads', async () => ![null, leader].includes(await readLeader()), graceMs)
    const electedMs = performance.now()
    await story(leader, /^Starting/)
    const startedMs = performance.now()
    await story(leader, /^Level again/)
    const levelMs = performance.now()
    t.diagnostic(`another leader after ${Math.round(electedMs - killedMs)} ms`)
    t.diagnostic(`level ${Math.round(levelMs - startedMs)} ms after its process began`)
    await page
      .getByText(/^node-\d elected in term \d+, .* without a leader$/)
      .first()
      .waitFor()
  })

  it('shows a node that is cut off, and that it catches up when it joins again', async () => {
    const leader = await until('there is a leader', readLeader)
    const other = leader === 'node-1' ? 'node-3' : 'node-1'
    await page.getByRole('button', { name: `Cut off: ${other}` }).click()
    await card(other).getByText('cut off', { exact: false }).first().waitFor()
    await until('it falls behind', async () => {
      return /−\d+/.test(await card(other).locator('.bar').innerText())
    })
    await page.getByRole('button', { name: `Join again: ${other}` }).click()
    await story(other, /^Level again/)
    await until('its bar is full', async () => {
      return (await card(other).locator('.bar').innerText()).trim() === 'level'
    })
  })

  it('has lost nothing and doubled nothing, and left its origin for nothing', async () => {
    await page.getByRole('slider').fill('0')
    await page.getByRole('button', { name: 'Pause' }).click()
    await until('all is on every node', async () => {
      const acknowledged = await readSum('acknowledged')
      return acknowledged > 100 && acknowledged === (await readSum('everywhere'))
    })
    assert.deepEqual([await readSum('lost'), await readSum('duplicated')], [0, 0])
    assert.deepEqual(faults, [])
  })

  it('is the same after a reload', async () => {
    const before = await readSum('acknowledged')
    await page.reload()
    // A last write may have been under way when the sum was read.
    await until('the sum is there, on every node', async () => {
      const acknowledged = await readSum('acknowledged')
      return acknowledged >= before && acknowledged === (await readSum('everywhere'))
    })
    await page.locator('li', { hasText: 'elected in term' }).first().waitFor()
  })
})
