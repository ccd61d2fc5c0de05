/** What a backup takes of a node: the log as it is committed, a hold on it, and copies. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import {
  type ColmenaNode,
  describeLog,
  isColmenaError,
  open,
  openReplay,
  rollLog,
} from '../../src/index.ts'
import { until } from '../processes/wait.ts'
import { shareNode } from './shared-node.ts'
import { temporaryDirectory } from './temporary.ts'

async function readAll(node: ColmenaNode, after: number, bytesMax?: number): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = []
  for (let from = after; ; ) {
    const { first, last, bytes } = await node.shipping.read(from, bytesMax ? { bytesMax } : {})
    if (last < first) return pieces
    assert.equal(first, from + 1)
    pieces.push(bytes)
    from = last
  }
}

function spanOf(pieces: readonly Uint8Array[]): readonly [number, number] {
  const spans = pieces.map((piece) => describeLog(piece))
  for (const [at, { firstIndex }] of spans.entries()) {
    if (at > 0) assert.equal(firstIndex, (spans[at - 1]?.lastIndex ?? 0) + 1)
  }
  return [spans[0]?.firstIndex ?? 0, spans.at(-1)?.lastIndex ?? 0]
}

function roll(pieces: readonly Uint8Array[]): string {
  let digest: Uint8Array = Buffer.from('begin')
  for (const piece of pieces) digest = rollLog(digest, piece)
  return Buffer.from(digest).toString('hex')
}

/** Small files of the log, of which as good as none is kept for members that were away. */
async function openForgetful(t: TestContext): Promise<ColmenaNode> {
  const node = await open({
    dataDir: temporaryDirectory(t),
    logSegmentBytes: 65_536,
    logRetainBytes: 0,
  })
  t.after(() => node.close())
  await node.database().execute('CREATE TABLE t (v)')
  return node
}

async function write(node: ColmenaNode, megabytes: number): Promise<number> {
  let index = 0
  for (let at = 0; at < 4 * megabytes; at += 1) {
    const args = [new Uint8Array(256 * 1024)]
    ;({ index } = await node.database().execute('INSERT INTO t VALUES (?)', args))
  }
  return index
}

async function compactedTo(node: ColmenaNode, index: number): Promise<void> {
  await until('the log is shortened', async () => {
    return (await node.status()).compactedIndex >= index
  })
}

suite('shipping', () => {
  test('reads what was written, in its order, however it is divided', async () => {
    const { node } = await shareNode()
    const db = node.database()
    await db.execute('CREATE TABLE t (v)')
    const { appliedIndex: after } = await node.status()
    for (let at = 0; at < 20; at += 1) await db.execute('INSERT INTO t VALUES (?)', [at])
    const { appliedIndex } = await node.status()
    const whole = await readAll(node, after)
    const divided = await readAll(node, after, 200)
    assert.ok(divided.length > whole.length)
    assert.deepEqual(spanOf(whole), [after + 1, appliedIndex])
    assert.deepEqual(spanOf(divided), [after + 1, appliedIndex])
    assert.equal(roll(divided), roll(whole))
    assert.notEqual(roll(divided.slice(1)), roll(whole))
    const [first] = divided as [Uint8Array]
    assert.deepEqual(rollLog(new Uint8Array(32), whole[0] as Uint8Array, after), new Uint8Array(32))
    assert.equal(
      Buffer.from(rollLog(new Uint8Array(32), whole[0] as Uint8Array, after + 1)).toString('hex'),
      Buffer.from(rollLog(new Uint8Array(32), first, after + 1)).toString('hex'),
    )
  })

  test('gives what a replay comes to the same content by', async (t) => {
    const { node } = await shareNode()
    const db = node.database('other')
    await db.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
    await using copy = await node.shipping.copy()
    const { digests, last, bytes } = await node.shipping.read(copy.index - 1)
    assert.deepEqual([last, digests], [copy.index, copy.digests])
    assert.equal(bytes.length > 0, true)
    await db.execute("INSERT INTO t (v) VALUES (random()), (datetime('now'))")
    const directory = temporaryDirectory(t)
    mkdirSync(join(directory, 'db'))
    cpSync(copy.directory, join(directory, 'db', '1'), { recursive: true })
    await using replay = await openReplay({ directory })
    assert.equal(replay.index, copy.index)
    const chunk = await node.shipping.read(copy.index)
    await replay.apply(chunk.bytes)
    assert.equal(replay.index, chunk.last)
    assert.deepEqual(replay.digests(), chunk.digests)
    const { members } = await node.verify()
    assert.deepEqual(Object.values(await replay.hashes()), Object.values(members[0]?.hashes ?? {}))
    assert.equal(replay.fingerprint, node.shipping.fingerprint)
  })

  test('copies all databases as they are at one index, and removes the copy', async () => {
    const { node, dataDir } = await shareNode()
    await node.database('a').execute('CREATE TABLE t (v)')
    await node.database('b').execute('CREATE TABLE t (v)')
    const copy = await node.shipping.copy()
    assert.ok(copy.directory.startsWith(dataDir))
    assert.deepEqual(copy.files.map(({ name }) => name).sort(), ['a.db', 'b.db', 'system.db'])
    for (const { name, sizeBytes, sha256 } of copy.files) {
      const content = readFileSync(join(copy.directory, name))
      assert.equal(content.length, sizeBytes)
      assert.equal(createHash('sha256').update(content).digest('hex'), sha256)
    }
    assert.equal(copy.index, (await node.status()).appliedIndex)
    assert.ok(Math.abs(copy.timeMs - Date.now()) < 60_000)
    await copy.remove()
    await copy.remove()
    await until('the files are gone', () => !existsSync(copy.directory))
  })

  test('says from where on the log goes where it was shortened', async (t) => {
    const node = await openForgetful(t)
    const index = await write(node, 1)
    await compactedTo(node, index - 1)
    const { compactedIndex } = await node.status()
    await assert.rejects(node.shipping.read(1), (error: unknown) => {
      assert.ok(isColmenaError(error))
      assert.deepEqual([error.code, error.index], ['ERR_FELL_BEHIND', compactedIndex])
      return true
    })
  })

  test('holds the log for who reads it, up to a bound, until it lets go', async (t) => {
    const node = await openForgetful(t)
    const { appliedIndex: after } = await node.status()
    const hold = await node.shipping.hold({ after, bytesMax: 8 * 1024 * 1024 })
    const index = await write(node, 2)
    const other = await node.shipping.hold({ after: index, bytesMax: 1 })
    await node.database().execute('SELECT 1')
    assert.deepEqual(spanOf(await readAll(node, after)), [after + 1, index])
    await write(node, 16)
    await compactedTo(node, after + 1)
    await assert.rejects(node.shipping.read(after), { code: 'ERR_FELL_BEHIND' })
    const end = (await node.status()).appliedIndex
    await hold.move(end)
    assert.equal(hold.after, end)
    await write(node, 1)
    await compactedTo(node, index)
    await hold.release()
    await hold.release()
    await other.release()
    await write(node, 1)
    await compactedTo(node, end)
  })

  test('refuses what makes no sense, and a node that is closed', async () => {
    const { node } = await shareNode()
    const invalid = { code: 'ERR_INVALID_ARGUMENT' }
    await assert.rejects(node.shipping.read(-1), invalid)
    await assert.rejects(node.shipping.read(1, { bytesMax: 0 }), invalid)
    await assert.rejects(node.shipping.read(1, { byteMax: 1 } as never), invalid)
    await assert.rejects(node.shipping.hold({ after: 1 } as never), invalid)
    await assert.rejects(node.shipping.hold({ after: 0.5, bytesMax: 1 }), invalid)
    await assert.rejects(node.shipping.copy({ signal: AbortSignal.abort() }), {
      code: 'ERR_ABORTED',
    })
    const { shipping } = node
    const hold = await shipping.hold({ after: 1, bytesMax: 1 })
    const { first, last } = await shipping.read(1_000_000)
    assert.deepEqual([first, last], [1_000_001, 1_000_000])
    await node.close()
    await assert.rejects(shipping.read(1), { code: 'ERR_CLOSED' })
    await assert.rejects(shipping.copy(), { code: 'ERR_CLOSED' })
    await hold.release()
  })
})
