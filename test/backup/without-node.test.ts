/** What is done with a backup where no node is: looking at it, checking it, taking a file of it. */
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import {
  type Backup,
  type BackupOptions,
  listBackup,
  type RestoreProgress,
  restoreFile,
  startBackup,
  verifyBackup,
} from '../../src/backup/backup.ts'
import { type ColmenaNode, open } from '../../src/index.ts'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'
import { SeededRandom } from '../simulated/random.ts'
import { FaultyTarget } from './faulty-target.ts'
import { finishBackup } from './finished-backup.ts'

const KEY = 'a1'.repeat(32)
const OLD_KEY = 'b2'.repeat(32)
const SLOW = { syncIntervalMs: 60_000, drills: { everyMs: 0 } } as const

async function openNode(t: TestContext): Promise<ColmenaNode> {
  const node = await open({ dataDir: temporaryDirectory(t) })
  t.after(() => node.close())
  return node
}

function start(t: TestContext, node: ColmenaNode, options: BackupOptions): Backup {
  const backup = startBackup(node, { ...SLOW, ...options })
  t.after(() => backup.close())
  return backup
}

async function insert(node: ColmenaNode, value: number): Promise<number> {
  const { index } = await node.database().execute('INSERT INTO t VALUES (?)', [value])
  return index
}

/** A target with a table of two rows in it, and the entries of these. */
async function fill(t: TestContext) {
  const node = await openNode(t)
  await node.database().execute('CREATE TABLE t (v)')
  const target = new FaultyTarget()
  const backup = start(t, node, { targets: target })
  await backup.sync()
  const first = await insert(node, 1)
  const second = await insert(node, 2)
  await backup.sync()
  return { node, target, backup, first, second }
}

function valuesIn(path: string): readonly unknown[] {
  const { DatabaseSync } = requireSqlite()
  const db = new DatabaseSync(path, { readOnly: true })
  const rows = db.prepare('SELECT v FROM t').all()
  db.close()
  return rows.map(({ v }) => v)
}

describe('a list of a backup', () => {
  it('has its generations with all that is in them', async (t) => {
    const node = await openNode(t)
    const { target, known } = await finishBackup(node, {}, new SeededRandom('listed'))
    const list = await listBackup(target)
    assert.equal(list.clusterId, node.shipping.clusterId)
    assert.deepEqual(list.damages, [])
    const [generation] = list.generations
    assert.ok(generation !== undefined && list.generations.length === 1)
    assert.equal(generation.snapshots.length, 3)
    assert.deepEqual(generation.from?.index, generation.snapshots[0]?.index)
    assert.equal(generation.to.index, known[2].index)
    assert.deepEqual(generation.snapshots.at(-1)?.databases.toSorted(), ['main', 'more'])
    const held = [...target.held].filter(([name]) => name.startsWith(generation.generation))
    const bytes = held.reduce((sum, [, object]) => sum + object.bytes.length, 0)
    assert.equal(generation.sizeBytes, bytes)
    assert.deepEqual(generation.keyIds, [])
  })

  it('begins with the first moment that can be restored to', async (t) => {
    const node = await openNode(t)
    await node.database().execute('CREATE TABLE t (v)')
    const writtenMs = Date.now()
    await until('time goes on', () => Date.now() > writtenMs)
    const target = new FaultyTarget()
    await start(t, node, { targets: target }).sync()
    const [generation] = (await listBackup(target)).generations
    const timeMs = generation?.from?.timeMs as number
    const path = join(temporaryDirectory(t), 'main.db')
    const restored = await restoreFile(target, { path, to: { timeMs } })
    assert.equal(restored.index, generation?.from?.index)
    const early = restoreFile(target, { path: `${path}.early`, to: { timeMs: timeMs - 1 } })
    await assert.rejects(early, { code: 'ERR_NOT_FOUND' })
  })

  it('names the keys that are needed, and one that is missing', async (t) => {
    const node = await openNode(t)
    const target = new FaultyTarget()
    const old = { keyId: 'of-2025', key: OLD_KEY }
    const both = { keyId: 'of-2026', key: KEY, oldKeys: { 'of-2025': OLD_KEY } }
    const before = start(t, node, { targets: target, encryption: old })
    await before.sync()
    await before.close()
    const backup = start(t, node, { targets: target, encryption: both })
    await node.database().execute('CREATE TABLE t (v)')
    await backup.sync()
    const { generations } = await listBackup(target, { encryption: both })
    assert.deepEqual(generations[0]?.keyIds.toSorted(), ['of-2025', 'of-2026'])
    await assert.rejects(listBackup(target), {
      code: 'ERR_BACKUP_DAMAGED',
      message: /sealed with the key 'of-2026', which was not given/,
    })
  })

  it('is refused where there is none', async () => {
    await assert.rejects(listBackup(new FaultyTarget()), { code: 'ERR_NOT_FOUND' })
  })
})

describe('the verification of a backup', () => {
  it('reads all of it and comes to what was backed up', async (t) => {
    const node = await openNode(t)
    const { target, known } = await finishBackup(node, {}, new SeededRandom('verified'))
    const seen: RestoreProgress[] = []
    const onProgress = (progress: RestoreProgress) => void seen.push(progress)
    const { damages, verified } = await verifyBackup(target, { onProgress })
    assert.deepEqual(damages, [])
    assert.equal(verified?.index, known[2].index)
    const hashes = Object.entries(verified?.hashes ?? {}).map(([name, hash]) => {
      return [`${name.split('@')[0]}.db`, hash]
    })
    assert.deepEqual(Object.fromEntries(hashes), known[2].hashes)
    const read = seen.filter(({ phase }) => phase === 'check').at(-1)
    assert.ok(read !== undefined && read.doneBytes === read.totalBytes)
  })

  it('names each object that is damaged', async (t) => {
    const node = await openNode(t)
    const { target } = await finishBackup(node, {}, new SeededRandom('damaged'))
    const isLog = (name: string): boolean => name.includes('/log/')
    const log = [...target.held.keys()].find(isLog) as string
    const copy = [...target.held.keys()].findLast((name) => name.endsWith('/more.db')) as string
    for (const name of [log, copy]) {
      const bytes = new Uint8Array(target.held.get(name)?.bytes ?? [])
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1
      target.held.set(name, { bytes, modifiedMs: 0 })
    }
    const { damages } = await verifyBackup(target)
    const messages = damages.map(({ message }) => message).join('\n')
    assert.ok(messages.includes(log) && messages.includes(copy), messages)
    assert.equal(damages.length, 2, messages)
  })

  it('tells that nothing can be restored as the last of the damages', async (t) => {
    const { target } = await fill(t)
    const log = [...target.held.keys()].find((name) => name.includes('/log/')) as string
    target.held.delete(log)
    const { damages, verified } = await verifyBackup(target)
    assert.equal(verified, null)
    assert.match(damages.at(-1)?.message ?? '', /misses entries/)
  })

  it('takes nothing for damage that comes or goes while it reads', async (t) => {
    const { node, target, backup } = await fill(t)
    let isGrown = false
    target.fault = async (deed, name) => {
      if (isGrown || deed !== 'get' || !name.endsWith('head.json')) return
      isGrown = true
      await insert(node, 3)
      await backup.sync()
    }
    assert.deepEqual((await verifyBackup(target)).damages, [])
    assert.ok(isGrown)
    await backup.close()

    const { target: tidied } = await finishBackup(node, {}, new SeededRandom('tidied'))
    const snapshots = [...tidied.held.keys()].filter((name) => name.endsWith('snapshot.json'))
    const old = snapshots[0]?.replace('snapshot.json', '') as string
    const from = (await listBackup(tidied)).generations[0]?.snapshots[1]?.index as number
    let isTidied = false
    tidied.fault = (deed, name) => {
      if (isTidied || deed !== 'get' || !name.startsWith(old) || !name.endsWith('.db')) return
      isTidied = true
      for (const each of [...tidied.held.keys()]) {
        const last = Number(/-(\d+)\.log$/.exec(each)?.[1] ?? Number.POSITIVE_INFINITY)
        if (each.startsWith(old) || last <= from) tidied.held.delete(each)
      }
    }
    assert.deepEqual((await verifyBackup(tidied)).damages, [])
    assert.ok(isTidied)
  })
})

describe('a file of a backup', () => {
  it('is a database at the entry that is asked for, and leaves nothing beside it', async (t) => {
    const { target, first, second } = await fill(t)
    const folder = temporaryDirectory(t)
    const path = join(folder, 'newest.db')
    const newest = await restoreFile(target, { path })
    assert.equal(newest.index, second)
    assert.deepEqual(valuesIn(path), [1, 2])
    const before = await restoreFile(target, {
      path: join(folder, 'before.db'),
      to: { index: first },
    })
    assert.equal(before.index, first)
    assert.deepEqual(valuesIn(before.path), [1])
    const to = { timeMs: before.timeMs }
    assert.equal((await restoreFile(target, { path: join(folder, 'then.db'), to })).index, first)
    assert.deepEqual(readdirSync(folder).toSorted(), ['before.db', 'newest.db', 'then.db'])
  })

  it('replaces none, and is asked for rightly', async (t) => {
    const { target } = await fill(t)
    const folder = temporaryDirectory(t)
    const path = join(folder, 'there.db')
    writeFileSync(path, 'of another')
    await assert.rejects(restoreFile(target, { path }), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /there is a file .*there\.db already/,
    })
    const free = join(folder, 'free.db')
    await assert.rejects(restoreFile(target, { path: free, database: 'other' }), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /no database "?'?other/,
    })
    await assert.rejects(restoreFile(target, { path: join(folder, 'no', 'way.db') }), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /no folder can be made/,
    })
    for (const to of [{ index: 1.5 }, { timeMs: 'now' }, { index: 1, timeMs: 1 }, 'now']) {
      const wrong = restoreFile(target, { path: free, to: to as never })
      await assert.rejects(wrong, { code: 'ERR_INVALID_OPTION', message: /to is \{ index \}/ })
    }
    assert.deepEqual(readdirSync(folder), ['there.db'])
  })
})
