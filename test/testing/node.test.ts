/** Nodes for one test: alone, without a wait for the disk, and gone without a trace. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { createTestNode, type TestNodeOptions } from '../../src/testing/testing.ts'
import { root } from '../docs/pages.ts'

const DISK_BYTES_MAX = 512 * 1024

/** Where temporary files go while these tests run: what is left there is ours. */
let folder = ''
const given = process.env['TMPDIR']
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'colmena-test-nodes-'))
  process.env['TMPDIR'] = folder
})
after(() => {
  if (given === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = given
  rmSync(folder, { recursive: true, force: true })
})

function measureBytes(): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return files.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}

describe('a test node', () => {
  it('takes writes, is relaxed, and takes little of the disk', async () => {
    await using node = await createTestNode()
    const db = node.database()
    await db.execute('CREATE TABLE notes (text TEXT)')
    await db.execute("INSERT INTO notes VALUES ('milk')")
    const { rows } = await db.execute('SELECT text FROM notes')
    assert.deepEqual(
      rows.map((row) => row['text']),
      ['milk'],
    )
    assert.equal((await node.status()).durability.mode, 'relaxed')
    const bytes = measureBytes()
    assert.ok(bytes > 100_000 && bytes <= DISK_BYTES_MAX, `${bytes} bytes`)
  })

  it('takes a value that is larger than a file of its log', async () => {
    await using node = await createTestNode()
    await node.database().execute('CREATE TABLE blobs AS SELECT zeroblob(1000000) AS blob')
    const { rows } = await node.database().execute('SELECT length(blob) AS bytes FROM blobs')
    assert.equal(rows[0]?.['bytes'], 1_000_000)
  })

  it('keeps a log of bounded size, whatever is written', async () => {
    await using node = await createTestNode()
    const db = node.database()
    await db.execute('CREATE TABLE counters (id INTEGER PRIMARY KEY, text TEXT)')
    const args = ['x'.repeat(10_000)]
    for (let round = 0; round < 150; round += 1) {
      await db.execute('INSERT OR REPLACE INTO counters VALUES (1, ?)', args)
    }
    const { logBytes } = await node.status()
    assert.ok(logBytes <= DISK_BYTES_MAX, `${logBytes} bytes`)
  })

  it('leaves nothing behind, however many there are', async () => {
    for (let count = 0; count < 2; count += 1) {
      const nodes = await Promise.all([createTestNode(), createTestNode()])
      assert.equal(readdirSync(folder).length, 2)
      await Promise.all(nodes.map((node) => node.close()))
      assert.deepEqual(readdirSync(folder), [])
    }
  })

  it('leaves nothing behind where it does not open', async () => {
    await assert.rejects(createTestNode({ heartbeatMs: 0 }), { code: 'ERR_INVALID_OPTION' })
    await assert.rejects(createTestNode({ signal: AbortSignal.abort() }), { code: 'ERR_ABORTED' })
    assert.deepEqual(readdirSync(folder), [])
  })

  it('leaves nothing behind where the process exits without closing it', async () => {
    const program = `
      import { createTestNode } from '${pathToFileURL(join(root, 'src/testing/testing.ts'))}'
      import { readdirSync } from 'node:fs'
      const node = await createTestNode()
      await node.database().execute('CREATE TABLE t (x)')
      console.log(readdirSync(process.env.TMPDIR).length)
      process.exit()`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      timeout: 60_000,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [printed, [status]] = await Promise.all([text(child.stdout), once(child, 'close')])
    assert.deepEqual([printed, status], ['1\n', 0])
    assert.deepEqual(readdirSync(folder), [])
    assert.ok(existsSync(folder))
  })

  it('takes the options of open, and says why it has not all of them', async () => {
    await using node = await createTestNode({ durability: 'full', consistency: undefined })
    assert.equal((await node.status()).durability.mode, 'full')
    const refused: readonly (readonly [unknown, RegExp])[] = [
      [{ dataDir: './data' }, /no option 'dataDir': the data is in a folder of its own/],
      [{ bind: '127.0.0.1:0' }, /no option 'bind'/],
      [{ durabilty: 'full' }, /unknown option 'durabilty'; is 'durability' meant/],
      [null, /options of createTestNode are an object, not null/],
      ['full', /are an object, not "full"/],
    ]
    for (const [options, message] of refused) {
      const creating = createTestNode(options as TestNodeOptions)
      await assert.rejects(creating, { code: 'ERR_INVALID_OPTION', message })
    }
  })
})
