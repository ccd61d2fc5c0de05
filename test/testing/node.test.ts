/** Nodes for one test: alone, without a wait for the disk, and gone without a trace. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { createTestNode, type TestNodeOptions } from '../../src/testing/testing.ts'
import { root } from '../docs/pages.ts'
import { measureBytes, NODE_BYTES_MAX, runTestNodes } from './many.ts'
import { TemporaryFolder } from './temporary-folder.ts'

const temporary = new TemporaryFolder()

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
    const bytes = measureBytes(temporary.path)
    assert.ok(bytes > 100_000 && bytes <= NODE_BYTES_MAX, `${bytes} bytes`)
  })

  it('has run the migrations of its databases', async () => {
    const notes = [{ version: 1, name: 'notes', up: 'CREATE TABLE notes (text TEXT)' }]
    await using node = await createTestNode({ migrations: notes })
    await node.database().execute("INSERT INTO notes VALUES ('milk')")
    await using other = await createTestNode({ migrations: { main: notes, archive: notes } })
    assert.deepEqual(await other.databases(), ['archive', 'main'])
    await other.database('archive').execute("INSERT INTO notes VALUES ('bread')")
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
    assert.ok(logBytes <= NODE_BYTES_MAX, `${logBytes} bytes`)
  })

  it('takes so little that a hundred fill no disk, and leaves nothing behind', async () => {
    const [line] = await runTestNodes({ nodes: 6 })
    assert.match(`${line}`, /^6 test nodes in one process took \d+\.\d MB together/)
  })

  it('is closed once, however often, and gone where a test throws', async () => {
    const broken = new Error('the test is broken')
    const failing = async (): Promise<void> => {
      await using node = await createTestNode()
      await Promise.all([node.close(), node.close()])
      await using other = await createTestNode()
      await other.database().execute('CREATE TABLE notes (text TEXT)')
      assert.equal(temporary.list().length, 1)
      throw broken
    }
    await assert.rejects(failing(), broken)
    assert.deepEqual(temporary.list(), [])
  })

  it('leaves nothing behind where it does not open', async () => {
    await assert.rejects(createTestNode({ heartbeatMs: 0 }), { code: 'ERR_INVALID_OPTION' })
    await assert.rejects(createTestNode({ signal: AbortSignal.abort() }), { code: 'ERR_ABORTED' })
    const migrations = [{ version: 1, name: 'wrong', up: 'CREATE TABEL notes (text)' }]
    await assert.rejects(createTestNode({ migrations }), { code: 'ERR_SQL' })
    assert.deepEqual(temporary.list(), [])
  })

  const ends = { 'process.exit()': 0, "throw new Error('nobody catches it')": 1 }
  for (const [end, expected] of Object.entries(ends)) {
    it(`leaves nothing behind where its process ends by ${end}`, async () => {
      await testEnd(end, expected)
      assert.deepEqual(temporary.list(), [])
    })
  }

  async function testEnd(end: string, expected: number, folders = 1): Promise<void> {
    const program = `
      import { createTestNode } from '${pathToFileURL(join(root, 'src/testing/testing.ts'))}'
      import { readdirSync } from 'node:fs'
      const node = await createTestNode()
      await node.database().execute('CREATE TABLE t (x)')
      console.log(readdirSync(process.env.TMPDIR).length)
      ${end}`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      timeout: 60_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [printed, [status]] = await Promise.all([text(child.stdout), once(child, 'close')])
    assert.deepEqual([printed, status], [`${folders}\n`, expected])
  }

  it('takes away what a process has left that was killed a day ago', async () => {
    const killed = spawn(process.execPath, ['--eval', ''])
    await once(killed, 'close')
    const make = (name: string, ageMs: number): void => {
      const path = join(temporary.path, name)
      mkdirSync(path)
      writeFileSync(join(path, 'identity.json'), '')
      const made = new Date(Date.now() - ageMs)
      utimesSync(path, made, made)
    }
    const [young, old] = [23 * 3_600_000, 25 * 3_600_000]
    const stays = [
      `colmena-testing-${killed.pid}-young`,
      `colmena-testing-${process.pid}-own`,
      'colmena-testing-x',
    ]
    make(`colmena-testing-${killed.pid}-old`, old)
    make(stays[0] as string, young)
    for (const name of stays.slice(1)) make(name, old)
    await testEnd('process.exit()', 0, 1 + stays.length)
    assert.deepEqual(temporary.list().sort(), stays.sort())
    for (const name of stays) rmSync(join(temporary.path, name), { recursive: true })
  })

  it('takes the options of open, and says why it has not all of them', async () => {
    const options = { durability: 'full', consistency: undefined, secret: undefined } as const
    await using node = await createTestNode(options)
    assert.equal((await node.status()).durability.mode, 'full')
    const refused: readonly (readonly [unknown, RegExp])[] = [
      [{ dataDir: './data' }, /no option 'dataDir': the data is in a folder of its own/],
      [{ bind: '127.0.0.1:0' }, /no option 'bind'/],
      [{ durabilty: 'full' }, /unknown option 'durabilty'; is 'durability' meant/],
      [{ tls: {} }, /no option 'tls'/],
      [{ migration: [] }, /unknown option 'migration'.*\(createTestNode itself has migrations\)/],
      [{ migrations: 7 }, /migrations is 7; it must be a list, or an object with a list for each/],
      [null, /options of createTestNode are an object, not null/],
      ['full', /are an object, not "full"/],
    ]
    for (const [options, message] of refused) {
      const creating = createTestNode(options as TestNodeOptions)
      await assert.rejects(creating, { code: 'ERR_INVALID_OPTION', message })
    }
  })
})
