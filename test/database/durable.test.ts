import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { type TestContext, test } from 'node:test'
import { applyAll, createReplica, databasePath, LogMaker } from './log-maker.ts'

/** The inodes that are synced while `work` runs, in the order of their syncs. */
function syncedBy(context: TestContext, work: () => void): number[] {
  const mutable = createRequire(import.meta.url)('node:fs') as typeof fs
  const sync = mutable.fdatasyncSync
  const inodes: number[] = []
  const spy = context.mock.method(mutable, 'fdatasyncSync', (file: number) => {
    inodes.push(fs.fstatSync(file).ino)
    sync(file)
  })
  syncBuiltinESMExports()
  try {
    work()
  } finally {
    spy.mock.restore()
    syncBuiltinESMExports()
  }
  return inodes
}

test('an index is called durable once the WAL of every database is synced', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  for (const name of ['app', 'idle']) log.write(name, ['CREATE TABLE t (v)'])
  for (let i = 0; i < 5; i += 1) log.write('app', ['INSERT INTO t VALUES (1)'])
  applyAll(replica, log)
  let durable = 0
  const inodes = syncedBy(context, () => {
    durable = replica.makeDurable()
  })
  assert.equal(durable, log.lastIndex)
  for (const name of ['system', 'app', 'idle']) {
    const { ino } = fs.statSync(`${databasePath(directory, name)}-wal`)
    assert.ok(inodes.includes(ino), `the WAL of ${name} was not synced`)
  }
  for (const { name, appliedIndex } of replica.databases()) {
    assert.equal(appliedIndex, durable, `${name} would need the log`)
  }
})
