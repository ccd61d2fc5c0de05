/** The backup of a node, seen and had to work over HTTP. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type BackupOptions, startBackup } from '../../src/backup/backup.ts'
import type { ColmenaNode } from '../../src/index.ts'
import { FaultyTarget, isDown } from '../backup/faulty-target.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import {
  ADMIN_TOKEN,
  ask,
  assertFailure,
  openNode,
  READ_TOKEN,
  serve,
  TOKENS,
  WRITE_TOKEN,
} from './rig.ts'

/** It ships only when it is asked to. */
const SLOW = { syncIntervalMs: 60_000, drills: { everyMs: 0 } } as const

function start(t: TestContext, node: ColmenaNode, options: BackupOptions) {
  const backup = startBackup(node, { ...SLOW, ...options })
  t.after(() => backup.close())
  return backup
}

async function openRig(t: TestContext, options: Partial<BackupOptions> = {}) {
  const node = await openNode(t)
  const target = new FaultyTarget()
  const backup = start(t, node, { targets: target, ...options })
  await backup.sync()
  const { url } = await serve(t, node, { backup, tokens: TOKENS, idleTimeoutMs: 2_000 })
  const post = (path: string, token = ADMIN_TOKEN) => ask(url, path, { token, body: {} })
  return { node, target, backup, url, post }
}

describe('the backup of a node', () => {
  it('is shown to who may read, and has to ship and to verify by who may do all', async (t) => {
    const { node, backup, url, post } = await openRig(t)
    const { index } = await node.database().execute('CREATE TABLE t (a)')
    const shown = await ask(url, '/backup', { token: READ_TOKEN })
    assert.equal(shown.status, 200)
    assert.deepEqual(Object.keys(shown.body), Object.keys(backup.status()))
    assert.ok(shown.body.targets[0].lastIndex < index)
    for (const path of ['/backup/sync', '/backup/verify']) {
      assertFailure(await post(path, WRITE_TOKEN), 403, 'ERR_FORBIDDEN')
    }
    const synced = await post('/backup/sync')
    assert.equal(synced.status, 200)
    assert.equal(synced.body.done, true)
    assert.ok(synced.body.backup.targets[0].lastIndex >= index)
    const checked = await post('/backup/verify')
    assert.equal(checked.status, 200)
    assert.equal(checked.body.verified[0].index, synced.body.backup.targets[0].lastIndex)
    assert.equal(checked.body.backup.drill.index, checked.body.verified[0].index)
  })

  it('says what its target said', async (t) => {
    const { node, target, post } = await openRig(t)
    await node.database().execute('CREATE TABLE t (a)')
    target.fault = isDown
    assertFailure(await post('/backup/sync'), 503, 'ERR_TARGET')
  })

  it('goes on where an answer would take too long, and ships once for all who ask', async (t) => {
    const { node, target, backup, url, post } = await openRig(t)
    const sync = t.mock.method(backup, 'sync')
    const { promise, resolve } = Promise.withResolvers<void>()
    t.after(() => resolve())
    target.fault = async (deed, name) => {
      if (deed === 'put' && name.includes('/log/')) await promise
    }
    await node.database().execute('CREATE TABLE t (a)')
    const late = await post('/backup/sync')
    assert.equal(late.status, 202)
    assert.equal(late.body.done, false)
    const { index } = await node.database().execute('INSERT INTO t VALUES (1)')
    for (const { status } of await Promise.all([1, 2, 3].map(() => post('/backup/sync')))) {
      assert.equal(status, 202)
    }
    assert.equal(sync.mock.callCount(), 1)
    const shown = await ask(url, '/backup', { token: READ_TOKEN })
    assert.ok(shown.body.targets[0].lastIndex < index)
    resolve()
    let last = late
    // A slow machine may have to ask more than once.
    while (last.status === 202) last = await post('/backup/sync')
    assert.ok(last.body.backup.targets[0].lastIndex >= index)
  })

  it('is had to ship by any node of a cluster', async (t) => {
    const folder = temporaryDirectory(t)
    const bind = '127.0.0.1:0'
    const [a, b] = [join(folder, 'a'), join(folder, 'b')]
    const first = await openNode(t, { dataDir: a, nodeId: 'a', bind, bootstrap: true })
    const place = { dataDir: b, nodeId: 'b', bind, join: first.address }
    const second = await openNode(t, place)
    const target = new FaultyTarget()
    start(t, first, { targets: target })
    const backup = start(t, second, { targets: target })
    const { url } = await serve(t, second, { backup })
    assert.ok(first.isLeader)
    const { index } = await second.database().execute('CREATE TABLE t (a)')
    const synced = await ask(url, '/backup/sync', { body: {} })
    assert.equal(synced.status, 200, synced.text)
    assert.equal(synced.body.backup.role, 'following')
    assert.ok(synced.body.backup.targets[0].lastIndex >= index)
    await second.database().execute('INSERT INTO t VALUES (1)')
    target.fault = isDown
    const failed = await ask(url, '/backup/sync', { body: {} })
    assertFailure(failed, 503, 'ERR_TARGET')
    assert.match(failed.body.message, /the target is down/)
  })

  it('is counted, of each target', async (t) => {
    const { node, target, backup, url } = await openRig(t)
    const read = async (): Promise<ReadonlyMap<string, string>> => {
      const { text } = await ask(url, '/metrics', { token: READ_TOKEN })
      const lines = text.split('\n').filter((line) => line.startsWith('colmena_backup_'))
      return new Map(lines.map((line) => line.split(' ') as [string, string]))
    }
    const of = (name: string): string => `colmena_backup_${name}{target="memory"}`
    await node.database().execute('CREATE TABLE t (a)')
    await backup.sync()
    const [status] = backup.status().targets
    const before = await read()
    assert.equal(before.get('colmena_backup_is_shipping'), '1')
    assert.equal(before.get(of('last_index')), String(status?.lastIndex))
    assert.equal(before.get(of('lag_entries')), '0')
    assert.equal(before.get(of('shipped_bytes_total')), String(status?.shippedBytes))
    assert.equal(before.get(of('failures_in_row')), '0')
    assert.ok(Number(before.get(of('lag_seconds'))) >= 0)
    const age = (Date.now() - (status?.lastSnapshotMs ?? 0)) / 1_000
    const shownAge = Number(before.get(of('snapshot_age_seconds')))
    assert.ok(shownAge >= 0 && shownAge <= age)
    assert.equal(before.get('colmena_backup_drill_age_seconds'), 'Nan')
    for (const name of [...target.held.keys()]) {
      if (name.endsWith('.db')) target.held.delete(name)
    }
    await assert.rejects(backup.verify())
    const after = await read()
    assert.equal(after.get('colmena_backup_drill_failures_in_row'), '1')
    assert.ok(Number(after.get('colmena_backup_drill_age_seconds')) >= 0)
  })

  it('is refused where a server has none, and what is none is no option', async (t) => {
    const node = await openNode(t)
    const { url } = await serve(t, node)
    const refused = await ask(url, '/backup')
    assertFailure(refused, 404, 'ERR_NOT_FOUND')
    assert.match(refused.body.message, /startBackup.*--backup TARGET/)
    const { text } = await ask(url, '/metrics')
    assert.ok(!text.includes('colmena_backup_'))
    await assert.rejects(serve(t, node, { backup: {} as never }), {
      code: 'ERR_INVALID_OPTION',
      message: /backup must be what startBackup/,
    })
  })
})
