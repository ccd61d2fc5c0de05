/** A data directory comes back from copies and the log behind them, as a cluster of its own. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { encodeEntries } from '../../src/database/storage-protocol.ts'
import {
  ColmenaError,
  type ColmenaNode,
  type NodeEvents,
  type OpenOptions,
  open,
  type RestoreRequest,
  restoreNode,
} from '../../src/index.ts'
import { checkOpenOptions } from '../../src/node/config.ts'
import { openDataDir } from '../../src/node/data-dir.ts'
import { readIdentity } from '../../src/node/identity.ts'
import { DEADLINE_MS, until } from '../processes/wait.ts'
import { SeededRandom } from '../simulated/random.ts'
import { crashAt, withFailedSync } from './crashing-files.ts'
import { copyAt, type Recorded, RecordedSource, recordNode } from './recorded-log.ts'
import { temporaryDirectory } from './temporary.ts'
import { liveVaried } from './varied-life.ts'

/** A cluster of three, which is gone when anything is restored. */
let recorded: Recorded
const RESTORING = fileURLToPath(new URL('restoring-process.ts', import.meta.url))
const others = mkdtempSync(join(tmpdir(), 'colmena-others-'))

before(async () => {
  recorded = await recordNode(
    async (node, verify) => {
      const joined = await Promise.all(
        ['two', 'three'].map((nodeId) => {
          const dataDir = join(others, nodeId)
          return open({ nodeId, dataDir, bind: '127.0.0.1:0', join: node.address })
        }),
      )
      await until('all vote', async () => {
        const members = await node.members()
        return members.length === 3 && members.every(({ role }) => role === 'voter')
      })
      await liveVaried(node, new SeededRandom(11), 40)
      await verify()
      await joined[0]?.database().execute("INSERT INTO kept (value) VALUES ('of another')")
      await node.lock('held', { ttlMs: 3_600_000 })
      await node.once('done', { ttlMs: 3_600_000 }, () => 'its result')
      await verify()
      await Promise.all(joined.map((other) => other.close()))
    },
    { bind: '127.0.0.1:0', bootstrap: true },
  )
})

after(() => rmSync(others, { recursive: true, force: true }))

async function sourceAt(t: TestContext, index: number): Promise<RecordedSource> {
  return new RecordedSource(recorded, await copyAt(t, recorded, index))
}

function verifiedAt(at: number): Recorded['verified'][0] {
  const answer = recorded.verified.at(at)
  assert.ok(answer !== undefined)
  return answer
}

async function openHere(t: TestContext, options: OpenOptions): Promise<ColmenaNode> {
  const node = await open(options)
  t.after(() => node.close())
  await node.waitForLeader({ timeoutMs: DEADLINE_MS })
  return node
}

async function hashesOf(node: ColmenaNode): Promise<unknown> {
  return (await node.verify()).members[0]?.hashes
}

suite('a restored node', () => {
  test('has what the old one had, alone, and goes on from there', async (t) => {
    const source = await sourceAt(t, 20)
    const dataDir = join(temporaryDirectory(t), 'deep')
    const { index, members } = verifiedAt(0)
    const restore = { from: source, to: { index }, prefix: 'mine' }
    const node = await openHere(t, { dataDir, nodeId: 'anew', restore })
    assert.deepEqual(await hashesOf(node), members[0]?.hashes)
    const all = await node.members()
    assert.deepEqual(
      all.map(({ nodeId, role }) => `${nodeId} ${role}`),
      ['anew voter'],
    )
    assert.notEqual(readIdentity(dataDir)?.clusterId, recorded.genesis.clusterId)
    const written = await node.database().execute("INSERT INTO kept (value) VALUES ('after')")
    assert.ok(written.index > index)
    assert.ok(!existsSync(join(dataDir, 'restoring')))
    const [request] = source.requests
    assert.deepEqual([request?.to, request?.nodeId], [{ index }, 'anew'])
    assert.deepEqual(request?.options, { prefix: 'mine' })
    await node.close()

    // From now on it is a node like any other: the same call opens it, and restores nothing.
    const again = await openHere(t, { dataDir, restore })
    const { rows } = await again.database().execute("SELECT * FROM kept WHERE value = 'after'")
    assert.equal(rows.length, 1)
    assert.equal(source.requests.length, 1)
  })

  test('ends what the old members held, and keeps what they came to', async (t) => {
    const dataDir = temporaryDirectory(t)
    const restore = { from: await sourceAt(t, 2) }
    const node = await openHere(t, { dataDir, restore, durability: 'relaxed' })
    assert.deepEqual(await hashesOf(node), verifiedAt(-1).members[0]?.hashes)
    await using lock = await node.lock('held', { ttlMs: 1_000, waitMs: 0 })
    await node.database().execute('DELETE FROM pairs', [], { fence: lock })
    const again = await node.once('done', { ttlMs: 1_000 }, () => 'another')
    assert.equal(again, 'its result')
  })

  test('takes in others, and is a stranger to the old ones', async (t) => {
    const base = temporaryDirectory(t)
    const bind = '127.0.0.1:0'
    const restore = { from: await sourceAt(t, 30), to: { index: verifiedAt(0).index } }
    const dataDir = join(base, 'one')
    const node = await openHere(t, { dataDir, nodeId: 'one', bind, bootstrap: true, restore })
    const { address } = node
    const joiner = await openHere(t, { dataDir: join(base, 'new'), bind, join: address })
    const { index } = await joiner.database().execute("INSERT INTO kept (value) VALUES ('joined')")
    await node.database().execute('SELECT 1', [], { after: index })
    const verified = await node.verify()
    assert.equal(verified.members.length, 2)
    assert.deepEqual(verified.differing, [])

    const warnings: NodeEvents['warning'][0][] = []
    const old = await open({
      dataDir: join(others, 'two'),
      nodeId: 'two',
      bind,
      join: address,
      requestTimeoutMs: 300,
      electionTimeoutMs: 300,
    })
    t.after(() => old.close())
    old.on('warning', (warning) => warnings.push(warning))
    await until('it is told apart', () => warnings.some(({ code }) => code === 'ERR_OTHER_CLUSTER'))
    assert.equal(old.leader, null)
  })

  test('has what came last where its source took other copies', async (t) => {
    const [first, second] = [await copyAt(t, recorded, 30), await copyAt(t, recorded, 20)]
    const from = {
      restore: async ({ copies, openReplay }: RestoreRequest) => {
        for (const [at, directory] of [first, second].entries()) {
          rmSync(copies, { recursive: true })
          cpSync(join(directory, 'db', '1'), copies, { recursive: true })
          const replay = await openReplay()
          if (at === 0) await replay.close()
        }
      },
    }
    const { index } = await restoreNode({ dataDir: temporaryDirectory(t), restore: { from } })
    assert.equal(index, 20)
  })

  test('is the same where it is restored before it is opened', async (t) => {
    const dataDir = temporaryDirectory(t)
    const told: string[] = []
    const done = await restoreNode({
      dataDir,
      nodeId: 'byhand',
      restore: { from: await sourceAt(t, 2), to: { index: verifiedAt(0).index } },
      logger: { info: (message) => told.push(message) },
    })
    const { index } = verifiedAt(0)
    const names = done.databases.map(({ name }) => name)
    assert.deepEqual([done.nodeId, done.index, names], ['byhand', index, ['gone', 'main', 'other']])
    assert.deepEqual(told, ['brought back', `restored up to entry ${index}`])
    assert.equal(readIdentity(dataDir)?.clusterId, done.clusterId)
    const again = restoreNode({ dataDir, restore: { from: await sourceAt(t, 2) } })
    await assert.rejects(again, { code: 'ERR_INVALID_ARGUMENT', message: /node 'byhand'/ })
    const node = await openHere(t, { dataDir })
    assert.deepEqual(await hashesOf(node), verifiedAt(0).members[0]?.hashes)
    const open = restoreNode({ dataDir, restore: { from: await sourceAt(t, 2) } })
    await assert.rejects(open, { code: 'ERR_ALREADY_OPEN' })
  })
})

suite('a restore that comes to nothing', () => {
  test('leaves a directory that begins as if there had been none', async (t) => {
    const dataDir = temporaryDirectory(t)
    const failure = new ColmenaError('ERR_TARGET', 'nobody is at home', { retryable: true })
    const from = { restore: () => Promise.reject(failure) }
    await assert.rejects(open({ dataDir, restore: { from } }), (error) => error === failure)
    assert.ok(!existsSync(join(dataDir, 'restoring')) && readIdentity(dataDir) === null)
    const idle = { restore: () => Promise.resolve() }
    await assert.rejects(open({ dataDir, restore: { from: idle } }), { code: 'ERR_FAILED' })
    const broken = { restore: () => Promise.reject(new RangeError('a bug')) }
    await assert.rejects(open({ dataDir, restore: { from: broken } }), {
      code: 'ERR_FAILED',
      message: 'nothing was restored: a bug',
    })
    const node = await openHere(t, { dataDir })
    assert.deepEqual(await node.databases(), [])
  })

  test('ends at its signal', async (t) => {
    const dataDir = temporaryDirectory(t)
    const ending = new AbortController()
    const source = await sourceAt(t, 2)
    const restore = source.restore.bind(source)
    source.restore = (request) => {
      ending.abort()
      return restore(request)
    }
    const { signal } = ending
    await assert.rejects(open({ dataDir, signal, restore: { from: source } }), {
      code: 'ERR_ABORTED',
    })
    assert.equal(source.requests[0]?.signal, signal)
    assert.deepEqual(readdirSync(dataDir), ['lock'])
  })

  for (const file of [/main\.db$/, /system\.db$/, /\.wal$/]) {
    test(`is none where the disk does not keep ${file.source}`, async (t) => {
      const dataDir = temporaryDirectory(t)
      const restore = { from: await sourceAt(t, 20) }
      await withFailedSync(file, async () => {
        await assert.rejects(restoreNode({ dataDir, restore }), {
          code: 'ERR_DATA_DIR',
          message: /nothing was restored: EIO/,
        })
      })
      assert.deepEqual(readdirSync(dataDir), ['lock'])
    })
  }

  for (const stage of ['copied', 'applied']) {
    test(`is begun anew where its process was killed: ${stage}`, async (t) => {
      const [base, dataDir] = [temporaryDirectory(t), temporaryDirectory(t)]
      const { index } = verifiedAt(0)
      const log = join(base, 'log')
      const behind = recorded.entries.filter((entry) => entry.index > 20 && entry.index <= index)
      writeFileSync(log, encodeEntries(behind))
      const copies = join(await copyAt(t, recorded, 20), 'db', '1')
      const child = spawn(process.execPath, [RESTORING, dataDir, copies, log, stage], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      t.after(() => child.kill('SIGKILL'))
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
      assert.ok(existsSync(join(dataDir, 'restoring', 'db', '1', 'main.db')))
      const taken = open({ dataDir, restore: { from: await sourceAt(t, 20) } })
      await assert.rejects(taken, { code: 'ERR_LOCKED' })
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
      // Also where nothing is restored then.
      openDataDir(checkOpenOptions({ dataDir })).close()
      assert.ok(!existsSync(join(dataDir, 'restoring')))
      const restore = { from: await sourceAt(t, 20), to: { index } }
      const node = await openHere(t, { dataDir, restore })
      assert.deepEqual(await hashesOf(node), verifiedAt(0).members[0]?.hashes)
    })
  }

  test('is made good by the next open where it crashed, at any step', async (t) => {
    const base = temporaryDirectory(t)
    const source = await sourceAt(t, 20)
    const { index, members } = verifiedAt(0)
    const seen = { first: 0, half: 0, whole: 0 }
    for (let step = 0; ; step += 1) {
      const dataDir = join(base, String(step))
      mkdirSync(dataDir)
      const restore = { from: source, to: { index } }
      const hasCrashed = await crashAt(step, () => restoreNode({ dataDir, nodeId: 'a', restore }))
      if (!hasCrashed) break
      if (readIdentity(dataDir)?.state === 'new' && existsSync(join(dataDir, 'db'))) {
        seen.half += 1
        const again = await restoreNode({ dataDir, nodeId: 'a', restore })
        assert.equal(again.index, index)
      }
      const found = openDataDir(checkOpenOptions({ dataDir }))
      found.close()
      assert.ok(!existsSync(join(dataDir, 'restoring')), `step ${step}`)
      if (found.identity.state === 'new') {
        assert.ok(!existsSync(join(dataDir, 'log')) && !existsSync(join(dataDir, 'db')))
        seen.first += 1
        if (seen.first % 10 !== 1) continue
      } else {
        seen.whole += 1
      }
      const node = await openHere(t, { dataDir, nodeId: 'a', restore })
      assert.deepEqual(await hashesOf(node), members[0]?.hashes, `step ${step}`)
      await node.close()
    }
    assert.ok(seen.first > 10 && seen.half > 1 && seen.whole > 0, JSON.stringify(seen))
  })
})

suite('options of a restore', () => {
  const from = { restore: () => Promise.reject(new Error('it was asked')) }
  const bind = '127.0.0.1:0'
  const REFUSED: Readonly<Record<string, readonly [object, RegExp]>> = {
    'to join a cluster': [{ bind, join: bind, restore: { from } }, /needs bootstrap: true/],
    'to wait for others': [
      { bind, join: bind, expectedVoters: 3, restore: { from } },
      /each would restore a cluster of its own/,
    ],
    'to do neither': [{ bind, restore: { from } }, /needs bootstrap: true/],
    'from nothing': [{ restore: {} }, /restore\.from is missing/],
    'from what restores nothing': [{ restore: { from: {} } }, /something to restore from/],
    'as a text': [{ restore: 's3://' }, /must be an object/],
    'to no time': [{ restore: { from, to: 'yesterday' } }, /restore\.to is 'yesterday'/],
    'to a time without a zone': [
      { restore: { from, to: '2026-03-01T12:00:00' } },
      /a time with its zone/,
    ],
    'to an invalid date': [{ restore: { from, to: new Date(Number.NaN) } }, /restore\.to is/],
    'to no entry': [{ restore: { from, to: { index: 0 } } }, /restore\.to\.index is 0/],
    'to something else': [{ restore: { from, to: { time: 3 } } }, /unknown option 'time'/],
  }
  for (const [what, [options, message]] of Object.entries(REFUSED)) {
    test(`are refused ${what}`, async (t) => {
      const dataDir = join(temporaryDirectory(t), 'none')
      const opening = open({ dataDir, ...options })
      await assert.rejects(opening, { code: 'ERR_INVALID_OPTION', message })
      assert.ok(!existsSync(dataDir))
    })
  }

  test('say a moment in each way', () => {
    const timeMs = Date.UTC(2026, 2, 1, 12)
    const ways = ['2026-03-01T12:00:00Z', '2026-03-01T14:00+02:00', timeMs, new Date(timeMs)]
    for (const to of ways) {
      const { restore } = checkOpenOptions({ dataDir: '.', restore: { from, to } })
      assert.deepEqual(restore?.to, { timeMs }, `${to}`)
    }
    const { restore } = checkOpenOptions({ dataDir: '.', restore: { from } })
    assert.equal(restore?.to, undefined)
  })
})
