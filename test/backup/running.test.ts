/** A backup as who uses it sees it, on one node and in a cluster. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type BackupOptions, startBackup } from '../../src/backup/backup.ts'
import type { BackupTarget } from '../../src/backup/target.ts'
import { type ColmenaNode, type OpenOptions, open } from '../../src/index.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'
import { FaultyTarget } from './faulty-target.ts'
import { MemoryTarget } from './memory-target.ts'

const QUICK = { syncIntervalMs: 20, snapshotIntervalMs: 3_600_000, drills: { everyMs: 0 } } as const

async function openNode(t: TestContext, options: Partial<OpenOptions> = {}): Promise<ColmenaNode> {
  const node = await open({ dataDir: temporaryDirectory(t), ...options })
  t.after(() => node.close())
  return node
}

function start(t: TestContext, node: ColmenaNode, options: Partial<BackupOptions>) {
  const backup = startBackup(node, { ...QUICK, targets: new MemoryTarget(), ...options })
  t.after(() => backup.close())
  return backup
}

async function restored(t: TestContext, from: BackupTarget, more: object = {}) {
  return openNode(t, { bootstrap: true, restore: { from, ...more } })
}

async function values(node: ColmenaNode, table = 't'): Promise<readonly unknown[]> {
  const { rows } = await node.database().execute(`SELECT v FROM ${table} ORDER BY rowid`)
  return rows.map(({ v }) => v)
}

async function namesIn(target: BackupTarget): Promise<readonly string[]> {
  const names: string[] = []
  for await (const { name } of target.list('')) names.push(name)
  return names
}

describe('a backup of one node', () => {
  it('has what was written, by itself, and gives it to a new node', async (t) => {
    const node = await openNode(t)
    const db = node.database()
    await db.execute('CREATE TABLE t (v)')
    const target = new MemoryTarget()
    const backup = start(t, node, { targets: target })
    const [{ reason }] = await once(backup, 'generation')
    assert.match(reason, /none here yet/)
    const shipped = once(backup, 'shipped')
    const { index } = await db.execute('INSERT INTO t VALUES (random())')
    const [{ last }] = await shipped
    assert.ok(last >= index)
    const [status] = backup.status().targets
    assert.deepEqual([status?.label, status?.lastIndex, status?.error], [target.label, last, null])
    assert.deepEqual(await values(await restored(t, target)), await values(node))
  })

  it('ships what is written up to its end', async (t) => {
    const node = await openNode(t)
    await node.database().execute('CREATE TABLE t (v)')
    const target = new MemoryTarget()
    const backup = start(t, node, { targets: target, syncIntervalMs: 60_000 })
    await backup.sync()
    await node.database().execute('INSERT INTO t VALUES (1)')
    await backup.close()
    await backup.close()
    assert.deepEqual(await values(await restored(t, target)), [1])
    await assert.rejects(backup.sync(), { code: 'ERR_CLOSED' })
    await assert.rejects(backup.verify(), { code: 'ERR_CLOSED' })
  })

  it('has no one wait for a target any longer than a signal says', async (t) => {
    const node = await openNode(t)
    const target = new FaultyTarget()
    const backup = start(t, node, { targets: target })
    await backup.sync()
    const stopped = { signal: AbortSignal.abort() }
    await assert.rejects(backup.sync(stopped), { code: 'ERR_ABORTED' })
    target.fault = () => new Promise(() => {})
    await node.database().execute('CREATE TABLE t (v)')
    const end = new AbortController()
    const synced = backup.sync(end)
    end.abort()
    await assert.rejects(synced, { code: 'ERR_ABORTED' })
    target.fault = () => {}
  })

  it('restores to a time, and to an entry', async (t) => {
    const node = await openNode(t)
    const db = node.database()
    await db.execute('CREATE TABLE t (v, at)')
    const target = new MemoryTarget()
    const backup = start(t, node, { targets: target })
    await backup.sync()
    const insert =
      "INSERT INTO t VALUES (?, unixepoch('subsec')) RETURNING CAST(at * 1000 AS INTEGER) AS ms"
    const times: number[] = []
    const indexes: number[] = []
    for (const v of [1, 2, 3]) {
      const { rows, index } = await db.execute(insert, [v])
      times.push(Number(rows[0]?.['ms']))
      indexes.push(index)
      // The next one has another time.
      await until('time goes on', () => Date.now() > (times.at(-1) as number) + 2)
    }
    await backup.close()
    const to = new Date(times[1] as number)
    assert.deepEqual(await values(await restored(t, target, { to })), [1, 2])
    const iso = new Date((times[2] as number) - 1).toISOString()
    assert.deepEqual(await values(await restored(t, target, { to: iso })), [1, 2])
    const index = indexes[0] as number
    assert.deepEqual(await values(await restored(t, target, { to: { index } })), [1])
    await assert.rejects(restored(t, target, { to: '2001-01-01T00:00:00Z' }), {
      code: 'ERR_NOT_FOUND',
      message: /does not have that; it has .* to entry \d+/,
    })
    await assert.rejects(restored(t, target, { to: { index: 1_000_000 } }), {
      code: 'ERR_NOT_FOUND',
      message: /does not have that; it has .* to entry \d+/,
    })
  })

  it('has a database at a moment before it was dropped, and none at one behind', async (t) => {
    const node = await openNode(t)
    const target = new MemoryTarget()
    const backup = start(t, node, { targets: target })
    await backup.sync()
    const passed = (ms: number) => until('time goes on', () => Date.now() > ms)
    await node.database('gone').execute('CREATE TABLE t (v)')
    await passed(Date.now())
    const before = Date.now()
    await passed(before)
    // A drop has no time of its own: neither before a later write nor as the last one is it early.
    for (const isLast of [false, true]) {
      await node.dropDatabase('gone')
      await backup.sync()
      if (isLast) break
      const there = await restored(t, target, { to: new Date(before) })
      assert.deepEqual(await there.databases(), ['gone'])
      await node.database('other').execute('CREATE TABLE t (v)')
      await node.database('gone').execute('CREATE TABLE t (v)')
    }
    await passed(Date.now())
    const behind = new Date()
    await passed(behind.getTime())
    await backup.close()
    const early = await restored(t, target, { to: new Date(before) })
    assert.deepEqual(await early.databases(), ['gone'])
    const late = await restored(t, target, { to: behind })
    assert.deepEqual(await late.databases(), ['other'])
  })

  it('seals what it puts, and gives it back to who has the key', async (t) => {
    const node = await openNode(t)
    await node.database().execute('CREATE TABLE secretive (v)')
    await node.database().execute("INSERT INTO secretive VALUES ('whispered')")
    const target = new MemoryTarget()
    const encryption = { keyId: 'k', key: '5a'.repeat(32) }
    const backup = start(t, node, { targets: target, encryption, compression: 'zstd' })
    await backup.sync()
    await node.database().execute("INSERT INTO secretive VALUES ('shouted')")
    await backup.close()
    for (const name of await namesIn(target)) {
      const pieces: Uint8Array[] = []
      for await (const piece of target.get(name)) pieces.push(piece)
      const text = Buffer.concat(pieces).toString('latin1')
      assert.ok(!/whispered|shouted|secretive|SQLite format/.test(text), name)
    }
    assert.deepEqual(await values(await restored(t, target, { encryption }), 'secretive'), [
      'whispered',
      'shouted',
    ])
    await assert.rejects(restored(t, target), {
      code: 'ERR_BACKUP_DAMAGED',
      message: /sealed with the key 'k', which was not given/,
    })
  })

  it('has whole databases as SQLite files, unless they are compressed', async (t) => {
    const node = await openNode(t)
    await node.database('other').execute('CREATE TABLE t (v)')
    const [plain, small] = [new MemoryTarget(), new MemoryTarget()]
    await start(t, node, { targets: plain }).sync()
    const [file] = (await namesIn(plain)).filter((name) => name.endsWith('/other.db'))
    const pieces: Uint8Array[] = []
    for await (const piece of plain.get(file as string)) pieces.push(piece)
    assert.match(Buffer.concat(pieces).toString('latin1', 0, 16), /^SQLite format 3/)
    const second = await openNode(t)
    await start(t, second, { targets: small, compression: 'zstd' }).sync()
    assert.ok((await namesIn(small)).some((name) => name.endsWith('/system.db.zst')))
  })

  it('goes to several targets, of which one that fails holds up no other', async (t) => {
    const node = await openNode(t)
    await node.database().execute('CREATE TABLE t (v)')
    const good = new MemoryTarget()
    class Bad extends MemoryTarget {
      override readonly label = 'bad'
      override put(): Promise<boolean> {
        return Promise.reject(new Error('there is no room'))
      }
    }
    const backup = start(t, node, { targets: [new Bad(), good], alertAfter: 2 })
    const [alert] = await once(backup, 'alert')
    assert.deepEqual([alert.target, alert.what, alert.inRow], ['bad', 'shipping', 2])
    const { index } = await node.database().execute('INSERT INTO t VALUES (1)')
    await until('the good one has it', () => {
      return backup.status().targets.some(({ label, lastIndex }) => {
        return label === good.label && (lastIndex ?? 0) >= index
      })
    })
    const failing = backup.status().targets.find(({ label }) => label === 'bad')
    assert.match(failing?.error?.message ?? '', /there is no room/)
    assert.deepEqual(await values(await restored(t, good)), [1])
  })

  it('is refused where another cluster writes, until that is said to be no more', async (t) => {
    const node = await openNode(t)
    await node.database().execute('CREATE TABLE t (v)')
    const target = new MemoryTarget()
    const backup = start(t, node, { targets: target })
    await backup.sync()
    await backup.close()
    const again = await restored(t, target)
    await again.database().execute('INSERT INTO t VALUES (1)')
    const refused = start(t, again, { targets: target })
    const { clusterId } = node.shipping
    await assert.rejects(refused.sync(), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'ERR_OTHER_CLUSTER')
      assert.match(error.message, new RegExp(`takeOver: '${clusterId}'`))
      return true
    })
    await refused.close()
    const between = new Date()
    await until('time goes on', () => Date.now() > between.getTime())
    const next = start(t, again, { targets: target, takeOver: clusterId })
    await next.sync()
    await next.close()
    assert.deepEqual(await values(await restored(t, target)), [1])
    // What the other one left is there as well, for who asks for a moment of it.
    assert.deepEqual(await values(await restored(t, target, { to: between })), [])
    const first = start(t, node, { targets: target })
    await assert.rejects(first.sync(), { code: 'ERR_OTHER_CLUSTER' })
  })

  it('is one of a node, of options that make sense', async (t) => {
    const node = await openNode(t)
    const targets = new MemoryTarget()
    start(t, node, { targets })
    assert.throws(() => startBackup(node, { targets }), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /this node has a backup already: close that one first/,
    })
    for (const [options, what] of [
      [{}, /targets are what/],
      [{ targets: [] }, /targets are 1 to 8/],
      [{ targets: 'folder' }, /targets are what directoryTarget/],
      [{ targets: [targets, targets] }, /is there twice/],
      [{ targets, syncIntervalMs: 0 }, /syncIntervalMs is 0; it must be a whole number from 10/],
      [{ targets, retention: { keepDays: 1 } }, /retention has no option 'keepDays'/],
      [{ targets, compression: 'gzip' }, /compression is 'none' or 'zstd', not "gzip"/],
      [{ targets, takeOver: 'me' }, /takeOver is the id of a cluster/],
      [{ targets, drills: { directory: 5 } }, /drills.directory is the path of a folder, not 5/],
      [{ targets, onAlert: 1 }, /onAlert is a function/],
      [{ targets, interval: 1 }, /no option 'interval'; it has targets, /],
    ] as const) {
      const error = { code: 'ERR_INVALID_OPTION', message: what }
      assert.throws(() => startBackup(node, options as never), error)
    }
    assert.throws(() => startBackup({} as never, { targets }), /takes the node that open gave/)
  })

  it('tries to restore from each target, and makes an alert of one that it can not', async (t) => {
    const node = await openNode(t)
    await node.database().execute('CREATE TABLE t (v)')
    class Second extends MemoryTarget {
      override readonly label = 'second'
    }
    const [first, second] = [new MemoryTarget(), new Second()]
    const backup = start(t, node, { targets: [first, second] })
    await backup.sync()
    const [whole] = await backup.verify()
    const { members } = await node.verify()
    assert.deepEqual(Object.values(whole?.hashes ?? {}), Object.values(members[0]?.hashes ?? {}))
    assert.equal(backup.status().drill.error, null)
    for (const name of first.held.keys()) if (name.endsWith('.db')) first.held.delete(name)
    const alert = once(backup, 'alert')
    const drilled = once(backup, 'drilled')
    await assert.rejects(backup.verify(), { code: 'ERR_BACKUP_DAMAGED', message: /is missing/ })
    const [{ target, what, inRow }] = await alert
    assert.deepEqual([target, what, inRow], [first.label, 'drill', 1])
    assert.equal((await drilled)[0].target, 'second')
    const gone = join(temporaryDirectory(t), 'gone')
    const lost = start(t, await openNode(t), { drills: { everyMs: 0, directory: gone } })
    await lost.sync()
    await assert.rejects(lost.verify(), { code: 'ERR_INVALID_ARGUMENT' })
    assert.match(lost.status().drill.error?.message ?? '', /no folder can be made in .*gone/)
  })

  it('tries by itself, as often as it is told to', async (t) => {
    const node = await openNode(t)
    const backup = start(t, node, { drills: { everyMs: 50 } })
    const [{ index }] = await once(backup, 'drilled')
    assert.equal(backup.status().drill.index, index)
  })

  it('ends with its node', async (t) => {
    const node = await openNode(t)
    const backup = start(t, node, {})
    await backup.sync()
    await node.close()
    await backup.close()
    assert.equal(backup.status().role, 'following')
  })
})

describe('a backup of a cluster', () => {
  it('says so where the leader runs none', async (t) => {
    const folder = temporaryDirectory(t)
    const bind = '127.0.0.1:0'
    const place = { dataDir: join(folder, 'a'), nodeId: 'a', bind, bootstrap: true }
    const first = await openNode(t, place)
    const other = { dataDir: join(folder, 'b'), nodeId: 'b', bind, join: first.address }
    const second = await openNode(t, other)
    const backup = start(t, second, { alertAfter: 1 })
    const [{ error }] = await once(backup, 'alert')
    assert.equal(error.code, 'ERR_NO_HANDLER')
    assert.match(error.message, /the node that leads runs no backup.*start it on every node/)
    assert.equal(backup.status().targets[0]?.error?.code, 'ERR_NO_HANDLER')
  })

  it('goes on with whoever leads, and every node keeps the log for it', async (t) => {
    const folder = temporaryDirectory(t)
    const first = await openNode(t, {
      dataDir: join(folder, 'a'),
      nodeId: 'a',
      bind: '127.0.0.1:0',
      bootstrap: true,
    })
    const others = await Promise.all(
      ['b', 'c'].map((nodeId) => {
        const place = { dataDir: join(folder, nodeId), nodeId, bind: '127.0.0.1:0' }
        return openNode(t, { ...place, join: first.address })
      }),
    )
    const nodes = [first, ...others]
    await first.database().execute('CREATE TABLE t (v)')
    const target = new MemoryTarget()
    const backups = nodes.map((node) => start(t, node, { targets: target }))
    const generations: string[] = []
    for (const backup of backups) {
      backup.on('generation', ({ generation }) => generations.push(generation))
    }
    for (let round = 0; round < 3; round += 1) {
      const { index } = await first.database().execute('INSERT INTO t VALUES (?)', [round])
      await until('it is shipped', () => {
        return backups.some((backup) => {
          const { role, targets } = backup.status()
          return role === 'shipping' && (targets[0]?.lastIndex ?? 0) >= index
        })
      })
      if (round === 2) break
      const leader = nodes.findIndex(({ isLeader }) => isLeader)
      const next = nodes[(leader + 1) % 3] as ColmenaNode
      await until('the other leads', async () => {
        if (!next.isLeader) await first.transferLeadership(next.nodeId).catch(() => {})
        return next.isLeader
      })
    }
    assert.equal(generations.length, 1, 'nothing was begun anew')
    const follower = backups[nodes.findIndex(({ isLeader }) => !isLeader)]
    await until('it knows from the leader', () => follower?.status().heldAfter != null)
    await first.database().execute('INSERT INTO t VALUES (3)')
    await follower?.sync()
    const { appliedIndex } = await first.status()
    assert.ok((follower?.status().targets[0]?.lastIndex ?? 0) >= appliedIndex)
    for (const backup of backups) await backup.close()
    assert.deepEqual(await values(await restored(t, target)), [0, 1, 2, 3])
  })
})
