import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { type TestContext, test } from 'node:test'
import { Replica } from '../../src/database/database.ts'
import { Reader } from '../../src/sqlite/sqlite.ts'
import {
  applyAll,
  createReplica,
  databasePath,
  LogMaker,
  makeDirectory,
  optionsFor,
} from './log-maker.ts'

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

test('what an earlier process left in a WAL is durable once it is written anew', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (v)'])
  applyAll(replica, log)
  // As a process that is killed leaves them: no connection was closed, a sync may have failed.
  const left = makeDirectory(context)
  fs.cpSync(directory, left, { recursive: true, filter: (path) => !path.endsWith('-shm') })
  const next = Replica.open(optionsFor(left))
  context.after(() => next.close())
  const path = databasePath(left, 'app')
  const walBytes = (): number => fs.statSync(`${path}-wal`).size
  assert.ok(walBytes() > 0)
  const reader = new Reader(path)
  reader.pin()
  assert.throws(() => next.makeDurable(), /app\.db-wal is of an earlier process/)
  reader.close()
  assert.equal(next.makeDurable(), log.lastIndex)
  assert.equal(walBytes(), 0)
})
