/** A data directory of a newer release is refused, whole, and stays as it is. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { open } from '../../src/index.ts'

async function makeDataDir(t: TestContext): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), 'colmena-formats-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  await using node = await open({ dataDir })
  await node.database().execute('CREATE TABLE t (a)')
  await node.database().execute("INSERT INTO t VALUES ('kept')")
  return dataDir
}

/** Refused as it is now, and as good as before once `restore` took the change back. */
async function checkRefused(dataDir: string, restore: () => void, known = 1): Promise<void> {
  await assert.rejects(open({ dataDir }), {
    name: 'ColmenaError',
    code: 'ERR_UNSUPPORTED_FORMAT',
    retryable: false,
    message: new RegExp(`format 9; this version of colmena reads format.* ${known}\\. Update`),
  })
  restore()
  await using node = await open({ dataDir })
  const { rows } = await node.database().execute('SELECT a FROM t')
  assert.deepEqual(rows, [{ a: 'kept' }])
}

function changeFile(path: string, change: (bytes: Buffer) => Buffer): () => void {
  const before = readFileSync(path)
  writeFileSync(path, change(Buffer.from(before)))
  return () => writeFileSync(path, before)
}

test('an identity of a newer format', async (t) => {
  const dataDir = await makeDataDir(t)
  const restore = changeFile(join(dataDir, 'identity.json'), (bytes) =>
    Buffer.from(JSON.stringify({ ...JSON.parse(bytes.toString()), format: 9 })),
  )
  await checkRefused(dataDir, restore, 3)
})

test('a log of a newer format', async (t) => {
  const dataDir = await makeDataDir(t)
  const [segment] = readdirSync(join(dataDir, 'log')).sort()
  const restore = changeFile(join(dataDir, 'log', segment ?? ''), (bytes) => {
    // Checksum and version keep their places in every format, so that this can be told.
    bytes.writeUInt32LE(9, 16)
    bytes.writeUInt32LE(crc32(bytes.subarray(4, 4096)), 0)
    return bytes
  })
  await checkRefused(dataDir, restore)
})

test('databases of a newer format', async (t) => {
  const dataDir = await makeDataDir(t)
  const setFormat = (format: number): void => {
    const system = new DatabaseSync(join(dataDir, 'db', '1', 'system.db'))
    system.exec(`PRAGMA user_version = ${format}`)
    system.close()
  }
  setFormat(9)
  await checkRefused(dataDir, () => setFormat(1))
})

test('a database file that is none', async (t) => {
  const dataDir = await makeDataDir(t)
  const restore = changeFile(join(dataDir, 'db', '1', 'system.db'), (bytes) => bytes.fill('x'))
  await assert.rejects(open({ dataDir }), { code: 'ERR_DATA_DIR', message: /system\.db/ })
  restore()
  await using node = await open({ dataDir })
  const { rows } = await node.database().execute('SELECT a FROM t')
  assert.deepEqual(rows, [{ a: 'kept' }])
})
