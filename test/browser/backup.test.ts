/** The backup on the cluster page, in a real browser, from the server of a real node. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Browser } from 'playwright-core'
import { type Backup, directoryTarget, startBackup } from '../../src/backup/backup.ts'
import { type ColmenaNode, open } from '../../src/index.ts'
import { createServer, type Server } from '../../src/server/server.ts'
import { FaultyTarget, isDown } from '../backup/faulty-target.ts'
import { until } from '../processes/wait.ts'
import { auditPage } from './audit.ts'
import { LOOKS, openBrowser, openPage, PICTURES } from './browser.ts'

const folder = mkdtempSync(join(tmpdir(), 'colmena-backup-page-'))
const place = join(folder, 'kept')
const target = new FaultyTarget()
let browser: Browser
let node: ColmenaNode
let backup: Backup
let server: Server

before(async () => {
  node = await open({ nodeId: 'wren', dataDir: join(folder, 'data') })
  await node.database().execute('CREATE TABLE birds (name TEXT)')
  backup = startBackup(node, {
    targets: [directoryTarget(place), target],
    syncIntervalMs: 10,
    drills: { everyMs: 0 },
  })
  await backup.sync()
  server = await createServer(node, { port: 0, backup })
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await server?.close({ signal: AbortSignal.abort() })
  await backup?.close()
  await node?.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('the backup on the cluster page', () => {
  it('tells of each target how far it is, and of the last try to restore', async () => {
    const { page, faults } = await openPage(browser, server.url)
    const part = page.getByRole('region', { name: 'Backup' })
    await part.getByText('This node leads, so it ships. It has not restored').waitFor()
    const row = part.getByRole('row', { name: place })
    const { lastIndex } = backup.status().targets[0] ?? {}
    await row.getByText(String(lastIndex), { exact: true }).waitFor()
    const { index } = await node.database().execute("INSERT INTO birds VALUES ('wren')")
    await row.getByText(String(index), { exact: true }).waitFor()
    await row.getByText(/\d+ s ago/).waitFor()
    await until('it is restored for a try', async () => {
      return (await backup.verify().catch(() => [])).length === 2
    })
    await part.getByText(/It restored up to entry \d+ for a try, \d+ s ago/).waitFor()
    assert.equal(await page.getByText('in a row').count(), 0)
    await page.context().close()
    assert.deepEqual(faults, [])
  })

  it('is not there where a server has none', async () => {
    await using plain = await createServer(node, { port: 0 })
    const { page, faults } = await openPage(browser, plain.url)
    await page.getByText('wren has led').waitFor()
    assert.equal(await page.getByRole('heading', { name: 'Backup' }).count(), 0)
    await page.context().close()
    assert.deepEqual(faults, [])
  })

  for (const look of LOOKS) {
    it(`says what fails, and is whole ${look.width} wide, ${look.scheme}`, async () => {
      target.fault = isDown
      await node.database().execute("INSERT INTO birds VALUES ('swift')")
      const { page, faults } = await openPage(browser, server.url, look)
      await page.getByText('Nothing reaches the backup in memory').waitFor()
      await page.getByText(/memory: \d+ failures? in a row\. the target is down/).waitFor()
      const path = join(PICTURES, `backup-${look.width}-${look.scheme}.png`)
      await page.screenshot({ path, fullPage: true })
      const found = await auditPage(page)
      await page.context().close()
      assert.deepEqual([...found, ...faults], [])
    })
  }
})
