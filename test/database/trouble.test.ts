import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Replica } from '../../src/database/database.ts'
import { WAL_BOUNDS } from '../../src/database/wal-bounds.ts'
import {
  type CheckpointResult,
  type ConnectionSettings,
  requireSqlite,
  Writer,
} from '../../src/sqlite/sqlite.ts'
import { addInserts, startLog } from './dying-process.ts'
import {
  applyAll,
  createReplica,
  databasePath,
  type LogMaker,
  OTHER,
  optionsFor,
  readRows,
  resultsOf,
} from './log-maker.ts'

const BIG = 'INSERT INTO t (v) VALUES (zeroblob(300000))'

test('a full disk halts apply, which goes on from the same place once there is room', (context) => {
  const writers = new Map<string, Writer>()
  const openWriter = (path: string, options: ConnectionSettings): Writer => {
    const writer = new Writer(path, options)
    writers.set(path, writer)
    return writer
  }
  const { directory, replica } = createReplica(context, { openWriter })
  const limit = (pages: number): void => {
    const writer = writers.get(databasePath(directory, 'app'))
    writer?.own(`PRAGMA max_page_count = ${pages}`).get()
  }
  const log = startLog()
  applyAll(replica, log)
  limit(20)
  log.write('other', ['CREATE TABLE t (v)'])
  log.write('app', ['INSERT INTO t (v) VALUES (1)', BIG, 'INSERT INTO t (v) VALUES (2)'])
  log.write('app', ['INSERT INTO t (v) VALUES (3)'])
  const before = replica.appliedIndex
  for (let tries = 0; tries < 3; tries += 1) {
    const outcome = replica.apply(log.after(before))
    assert.equal(outcome.halted?.retry, 'pause')
    assert.match(outcome.halted?.error.message ?? '', /app\.db, entry 5: .*full/)
    assert.equal(outcome.halted?.isDivergent, false)
    assert.deepEqual(outcome.results, [])
    assert.deepEqual(outcome.ownSequences, [])
    assert.equal(replica.appliedIndex, before)
    assert.deepEqual(readRows(directory, 'app', 'SELECT id FROM t'), [])
  }
  limit(1_000_000)
  const results = resultsOf(replica.apply(log.after(before)))
  assert.deepEqual(results.map(({ database, sequence }) => `${database} ${sequence}`).sort(), [
    'app 2',
    'app 3',
    'other 1',
  ])
  assert.ok(results.every(({ units }) => units.every(({ ok }) => ok)))
  assert.equal(replica.appliedIndex, log.lastIndex)
})

/** A disk that is full when the page cache spills: SQLite drops it and moves its data version. */
class Spilling extends Writer {
  isFull = false
  #drops = 0

  override commit(): void {
    const error = new Error('database or disk is full')
    if (this.isFull) throw Object.assign(error, { code: 'ERR_SQLITE_ERROR', errcode: 13 })
    super.commit()
  }

  override rollback(): void {
    super.rollback()
    if (this.isFull) this.#drops += 1
  }

  override dataVersion(): number {
    return super.dataVersion() + this.#drops
  }
}

test('a full disk under the page cache is no foreign write, nor hides one', (context) => {
  const writers = new Map<string, Spilling>()
  const openWriter = (path: string, options: ConnectionSettings): Writer => {
    const writer = new Spilling(path, options)
    writers.set(path, writer)
    return writer
  }
  const { directory, replica } = createReplica(context, { openWriter })
  const log = startLog()
  applyAll(replica, log)
  const path = databasePath(directory, 'app')
  const writer = writers.get(path)
  assert.ok(writer !== undefined)
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  writer.isFull = true
  for (let tries = 0; tries < 2; tries += 1) {
    const { halted } = replica.apply(log.after(3))
    assert.equal(halted?.isDivergent, false)
    assert.match(halted.error.message, /full/)
  }
  writer.isFull = false
  assert.equal(resultsOf(replica.apply(log.after(3))).length, 1)
  const { DatabaseSync } = requireSqlite()
  const stranger = new DatabaseSync(path)
  stranger.exec('INSERT INTO t (v) VALUES (99)')
  stranger.close()
  log.write('app', ['INSERT INTO t (v) VALUES (2)'])
  writer.isFull = true
  for (let tries = 0; tries < 2; tries += 1) {
    assert.equal(replica.apply(log.after(4)).halted?.isDivergent, true)
  }
})

test('a full disk that shows at COMMIT is no answer either', (context) => {
  let isFull = false
  class Full extends Writer {
    override commit(): void {
      const error = new Error('database or disk is full')
      if (isFull) throw Object.assign(error, { code: 'ERR_SQLITE_ERROR', errcode: 13 })
      super.commit()
    }
  }
  const { replica } = createReplica(context, {
    openWriter: (path, options) => new Full(path, options),
  })
  const log = startLog()
  applyAll(replica, log)
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  isFull = true
  assert.equal(replica.apply(log.after(3)).halted?.retry, 'pause')
  isFull = false
  assert.equal(resultsOf(replica.apply(log.after(3))).length, 1)
})

test('a lock in the way is waited for, not answered', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  const { DatabaseSync } = requireSqlite()
  const locker = new DatabaseSync(databasePath(directory, 'app'))
  locker.exec('BEGIN IMMEDIATE')
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  const outcome = replica.apply(log.after(3))
  assert.equal(outcome.halted?.retry, 'busy')
  locker.exec('ROLLBACK')
  locker.close()
  assert.equal(resultsOf(replica.apply(log.after(3))).length, 1)
})

test('a database that can not be made halts its group until it can', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  fs.mkdirSync(databasePath(directory, 'new'))
  log.write('new', ['CREATE TABLE t (v)'])
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  for (let tries = 0; tries < 2; tries += 1) {
    const outcome = replica.apply(log.after(3))
    assert.match(outcome.halted?.error.message ?? '', /new\.db/)
  }
  fs.rmdirSync(databasePath(directory, 'new'))
  const outcome = replica.apply(log.after(3))
  assert.equal(resultsOf(outcome).length, 2)
  assert.equal(outcome.databasesChanged, true)
})

test('a write by another program halts apply and names the file', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  const { DatabaseSync } = requireSqlite()
  const reader = new DatabaseSync(databasePath(directory, 'app'), { readOnly: true })
  reader.prepare('SELECT * FROM t').all()
  reader.close()
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  applyAll(replica, log)
  const stranger = new DatabaseSync(databasePath(directory, 'app'))
  stranger.exec('INSERT INTO t (v) VALUES (99)')
  stranger.close()
  log.write('app', ['INSERT INTO t (v) VALUES (2)'])
  for (let tries = 0; tries < 2; tries += 1) {
    const { halted } = replica.apply(log.after(4))
    assert.equal(halted?.isDivergent, true)
    assert.match(halted.error.message, /app\.db was written to by another program/)
    assert.equal(halted.error.code, 'ERR_APPLY_HALTED')
  }
  assert.equal(replica.appliedIndex, 4)
})

test('a checkpoint without room is tried later, one that can not sync is fatal', (context) => {
  let errcode: number | null = null
  let checkpoints = 0
  class Stuck extends Writer {
    override checkpoint(...args: Parameters<Writer['checkpoint']>): CheckpointResult {
      checkpoints += 1
      if (errcode === null) return super.checkpoint(...args)
      throw Object.assign(new Error('no'), { code: 'ERR_SQLITE_ERROR', errcode })
    }
  }
  const openWriter = (path: string, options: ConnectionSettings): Writer => new Stuck(path, options)
  const { replica } = createReplica(context, { openWriter })
  const log = startLog()
  const grow = (): void => {
    log.write('app', [BIG])
    applyAll(replica, log)
  }
  grow()
  errcode = 13
  const bounds = { ...WAL_BOUNDS, checkpointBytes: 100_000 }
  assert.ok(replica.checkpoint(bounds) > 300_000)
  replica.checkpoint(bounds)
  assert.equal(checkpoints, 1)
  grow()
  errcode = null
  assert.ok(replica.checkpoint(bounds) < 100_000, 'it may start anew')
  assert.equal(checkpoints, 2)
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  applyAll(replica, log)
  assert.ok(replica.checkpoint(bounds) < 100_000)
  grow()
  errcode = 1034
  assert.throws(() => replica.checkpoint(bounds), /no/)
})

test('a bug of ours is thrown, with nothing of the group left', (context) => {
  let isBroken = false
  class Broken extends Writer {
    override savepoint(): void {
      if (isBroken) throw new TypeError('a bug')
      super.savepoint()
    }
  }
  const openWriter = (path: string, options: ConnectionSettings): Writer =>
    new Broken(path, options)
  const { directory, replica } = createReplica(context, { openWriter })
  const log = startLog()
  applyAll(replica, log)
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  isBroken = true
  assert.throws(() => replica.apply(log.after(3)), TypeError)
  assert.deepEqual(readRows(directory, 'app', 'SELECT * FROM t'), [])
})

test('entries must follow the applied index without a gap', (context) => {
  const { replica } = createReplica(context)
  const log = startLog()
  log.empty()
  assert.throws(() => replica.apply(log.after(2)), /entries follow the applied index/)
  const [first, , third] = log.entries
  assert.ok(first && third)
  assert.throws(() => replica.apply([first, third]), /entries have no gap/)
})

/** Applies the log in a process of its own, which is killed in the middle of the statement. */
function dieWhile(
  directory: string,
  count: number,
  at: number,
  when: 'inserted' | 'committed' = 'inserted',
): void {
  const script = fileURLToPath(new URL('./dying-process.ts', import.meta.url))
  const child = spawnSync(process.execPath, [script, directory, `${count}`, `${at}`, when])
  assert.equal(child.signal, 'SIGKILL', child.stderr.toString())
}

/** A replica that is closed, and a log with so many more entries for processes to die over. */
function prepareDeaths(
  context: TestContext,
  inserts: number,
): { directory: string; log: LogMaker } {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  replica.close()
  addInserts(log, inserts)
  return { directory, log }
}

test('an entry that kills the process twice is found, and not tried a third time', (context) => {
  const { directory, log } = prepareDeaths(context, 5)
  // The first death only says in which group; then its entries run one by one.
  dieWhile(directory, 5, 3)
  dieWhile(directory, 5, 3)
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), [[1n], [2n]])
  dieWhile(directory, 5, 3)
  const halted = Replica.open(optionsFor(directory))
  context.after(() => halted.close())
  const outcome = halted.apply(log.after(halted.appliedIndex))
  assert.match(outcome.halted?.error.message ?? '', /died twice while it applied entry 6/)
})

test('an entry that is applied is blamed for no death that came after it', (context) => {
  const { directory, log } = prepareDeaths(context, 5)
  dieWhile(directory, 5, 3)
  // One by one now: the second one dies with the first of them, but after its commit.
  dieWhile(directory, 5, 1, 'committed')
  const again = Replica.open(optionsFor(directory, { ownOrigin: OTHER }))
  context.after(() => again.close())
  applyAll(again, log)
  assert.equal(readRows(directory, 'app', 'SELECT v FROM t').length, 5)
})

test('a death that does not come again is forgotten', (context) => {
  const { directory, log } = prepareDeaths(context, 3)
  dieWhile(directory, 3, 1)
  const again = Replica.open(optionsFor(directory))
  applyAll(again, log)
  again.close()
  addInserts(log, 5, 4)
  dieWhile(directory, 5, 4)
  const last = Replica.open(optionsFor(directory, { ownOrigin: OTHER }))
  context.after(() => last.close())
  applyAll(last, log)
  assert.equal(readRows(directory, 'app', 'SELECT v FROM t').length, 5)
})
