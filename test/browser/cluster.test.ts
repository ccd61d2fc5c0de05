/** The cluster page in a real browser, from the server of a real node. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type ColmenaNode, open } from '../../src/index.ts'
import { createServer, type Server } from '../../src/server/server.ts'
import { until } from '../processes/wait.ts'
import { auditPage } from './audit.ts'
import { LOOKS, openBrowser, openPage, PICTURES } from './browser.ts'

const readToken = 'a-token-that-may-only-read'
const writeToken = 'a-token-that-may-write-too'

const folder = mkdtempSync(join(tmpdir(), 'colmena-cluster-page-'))
let browser: Browser
let node: ColmenaNode
/** Takes everything for slow, and has little patience. */
let hastyNode: ColmenaNode
let server: Server
let guarded: Server
let hasty: Server

before(async () => {
  node = await open({ nodeId: 'wren', dataDir: join(folder, 'data') })
  const db = node.database()
  await db.execute('CREATE TABLE birds (id INTEGER PRIMARY KEY, name TEXT, song BLOB)')
  const names = Array.from({ length: 60 }, (_, at) => `bird ${at + 1}`)
  await db.batch(
    names.map((name) => ({
      sql: 'INSERT INTO birds (name, song) VALUES (?, ?)',
      args: [name, Uint8Array.of(1, 2, 3)],
    })),
  )
  server = await createServer(node, { port: 0 })
  guarded = await createServer(node, {
    port: 0,
    tokens: { [readToken]: 'read', [writeToken]: 'write' },
  })
  hastyNode = await open({
    nodeId: 'swift',
    dataDir: join(folder, 'hasty'),
    bind: '127.0.0.1:0',
    bootstrap: true,
    slowMs: 1,
    statementTimeoutMs: 3_000,
  })
  await hastyNode.database().execute('CREATE TABLE birds (name TEXT)')
  hasty = await createServer(hastyNode, { port: 0 })
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  for (const each of [server, guarded, hasty]) await each?.close({ signal: AbortSignal.abort() })
  await Promise.all([node?.close(), hastyNode?.close()])
  rmSync(folder, { recursive: true, force: true })
})

async function run(page: Page, sql: string): Promise<void> {
  await page.getByRole('textbox', { name: 'SQL' }).fill(sql)
  await page.getByRole('button', { name: 'Run' }).click()
}

describe('the cluster page', () => {
  for (const look of LOOKS) {
    it(`is whole ${look.width} wide, ${look.scheme}`, async () => {
      const { page, faults } = await openPage(browser, server.url, look)
      await page.getByText('wren has led').waitFor()
      await run(page, 'SELECT * FROM birds')
      await page.getByText('60 rows in').waitFor()
      const path = join(PICTURES, `cluster-${look.width}-${look.scheme}.png`)
      await page.screenshot({ path, fullPage: true })
      const found = await auditPage(page)
      await page.context().close()
      assert.deepEqual([...found, ...faults], [])
    })
  }

  it('tells members, terms, log and databases of the node that serves it', async () => {
    const { page } = await openPage(browser, server.url)
    const members = page.getByRole('region', { name: 'Members, table' })
    await members.waitFor()
    assert.match(await members.innerText(), /wren, this one[\s\S]*Leader[\s\S]*level/)
    const terms = page.getByRole('region', { name: 'Leaders and terms, table' })
    assert.match(await terms.innerText(), /wren[\s\S]*still/)
    assert.match(
      await page.getByRole('region', { name: 'Databases, table' }).innerText(),
      /main\s+[\d.]+ kB/,
    )
    const status = await node.status()
    const applied = page.locator('.state div', { hasText: 'applied here' }).locator('dd')
    await until(
      'it is as far',
      async () => (await applied.innerText()) === `${status.appliedIndex}`,
    )
    await page.context().close()
  })

  it('answers a query with rows, time, level and node; sorts, filters, turns pages', async () => {
    const { page } = await openPage(browser, server.url)
    await page.getByLabel('level').selectOption('strong')
    await run(page, 'SELECT id, name, song, NULL AS missing FROM birds')
    const answer = page.locator('[data-answer]')
    await answer.waitFor()
    assert.match(
      await answer.innerText(),
      /^60 rows in [\d.]+ m?s, level strong, answered by wren\.$/,
    )
    const result = page.getByRole('region', { name: 'Result, table' })
    const rows = result.locator('tbody tr')
    assert.equal(await rows.count(), 25)
    assert.match(await rows.first().innerText(), /1\s+bird 1\s+blob, 3 bytes\s+NULL/)
    await result.getByRole('button', { name: 'name' }).click()
    await result.getByRole('button', { name: 'name' }).click()
    assert.match(await rows.first().innerText(), /bird 60/)
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByText('Page 2 of 3, 60 rows').waitFor()
    await page.getByRole('searchbox', { name: 'Filter Result' }).fill('bird 33')
    await until('one row is left', async () => (await rows.count()) === 1)
    await page.context().close()
  })

  it('marks the place of a mistake', async () => {
    const { page } = await openPage(browser, server.url)
    await page.getByRole('textbox', { name: 'SQL' }).waitFor()
    await run(page, 'SELECT name\nFORM birds')
    await page.getByText('syntax error').waitFor()
    assert.equal(await page.locator('mark').innerText(), 'birds')
    await run(page, 'SELECT nome FROM birds')
    await page.locator('mark', { hasText: 'nome' }).waitFor()
    await page.context().close()
  })

  it('asks for a token, keeps it for the tab, and writes only if it may', async () => {
    const { page } = await openPage(browser, guarded.url)
    await page.getByText('This server wants a token.').waitFor()
    const enter = async (token: string): Promise<void> => {
      await page.getByLabel('Token').fill(token)
      await page.getByRole('button', { name: 'Continue' }).click()
    }
    await enter('a-token-nobody-knows')
    await page.getByText('The server does not take this token.').waitFor()
    await enter(readToken)
    await page.getByText('Read-only: what would write is refused.').waitFor()
    await page.reload()
    await page.getByText('Read-only: what would write is refused.').waitFor()
    await run(page, "INSERT INTO birds (name) VALUES ('cuckoo')")
    await page.locator('.mistake').waitFor()
    const cuckoos = "SELECT count(*) AS n FROM birds WHERE name = 'cuckoo'"
    const { rows } = await node.database().execute(cuckoos)
    assert.equal(Number(rows[0]?.['n']), 0)
    await page.evaluate(`sessionStorage.setItem('colmena-token', '${writeToken}')`)
    await page.reload()
    await page.getByText('Statements may write.').waitFor()
    await run(page, "INSERT INTO birds (name) VALUES ('cuckoo')")
    await page.getByText(/^1 row changed in/).waitFor()
    await page.getByRole('link', { name: 'Metrics' }).click()
    await page.getByText('colmena_raft_term').first().waitFor()
    await page.context().close()
  })

  it('lists a statement that is slow, its end at its limit included', async () => {
    const { page } = await openPage(browser, hasty.url)
    await page.getByText('None since this page was opened.').waitFor()
    const numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n'
    await run(page, `${numbers} LIMIT 300000) SELECT count(*) AS n FROM n`)
    await page.getByText(/^1 row in/).waitFor()
    const rows = page.getByRole('region', { name: 'Slow statements, table' }).locator('tbody tr')
    await rows.first().waitFor()
    assert.match(
      (await rows.first().innerText()).replaceAll(/\s+/g, ' '),
      /^\d+ s ago [\d.]+ m?s read main WITH RECURSIVE n\(i\).* LIMIT 300000\)/,
    )
    await run(page, `${numbers}) SELECT count(*) AS n FROM n`)
    await page.getByText('the read was ended after statementTimeoutMs').waitFor()
    await until('that is listed too', async () => (await rows.count()) === 2)
    assert.doesNotMatch(await rows.first().innerText(), /LIMIT/)
    await page.context().close()
  })

  it('marks a member that is silent as gone', async () => {
    const learner = await open({
      nodeId: 'rook',
      dataDir: join(folder, 'rook'),
      bind: '127.0.0.1:0',
      join: hastyNode.address as string,
      joinAs: 'learner',
    })
    const { page } = await openPage(browser, hasty.url)
    const row = page.getByRole('row').filter({ hasText: 'rook' })
    await row.getByText('Learner').waitFor()
    await learner.close()
    await row.getByText('Gone, learner').waitFor()
    await page.context().close()
  })

  it('says that its node is gone', async () => {
    const other = await createServer(node, { port: 0 })
    const { page } = await openPage(browser, other.url)
    await page.getByText('wren has led').waitFor()
    await other.close({ signal: AbortSignal.abort() })
    await page.getByText('The connection is lost.').waitFor()
    await run(page, 'SELECT 1')
    await page.getByText('it is not known whether the statement ran').waitFor()
    await page.context().close()
  })
})
