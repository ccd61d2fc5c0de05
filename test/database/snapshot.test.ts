import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Replica } from '../../src/database/database.ts'
import { WAL_BOUNDS } from '../../src/database/wal-bounds.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  databasePath,
  GENESIS,
  LogMaker,
  makeDirectory,
  OTHER,
  optionsFor,
  readRows,
  resultsOf,
} from './log-maker.ts'

const NAMES = ['a', 'b', 'c'] as const

function startLog(): LogMaker {
  const log = new LogMaker()
  log.register()
  for (const name of NAMES) log.write(name, ['CREATE TABLE t (v)'])
  return log
}

function addRows(log: LogMaker, count: number): void {
  for (let i = 0; i < count; i += 1) {
    for (const name of NAMES) log.write(name, [['INSERT INTO t VALUES (randomblob(?))', 3000n]])
  }
}

/** A generation of another member, copied at its present index into `to`. */
async function copyGeneration(replica: Replica, to: string): Promise<number> {
  const snapshot = replica.pinSnapshot()
  assert.ok(snapshot)
  await snapshot.copyTo(to)
  snapshot.release()
  return snapshot.index
}

test('a snapshot is one cut of all databases while entries go on applying', async (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  addRows(log, 300)
  applyAll(replica, log)
  const snapshot = replica.pinSnapshot()
  assert.ok(snapshot)
  const expected = NAMES.map((name) => contentOf(directory, name))
  const to = join(makeDirectory(context), '7')
  let isCopied = false
  const copying = snapshot.copyTo(to).finally(() => {
    isCopied = true
  })
  let appliedMeanwhile = 0
  while (!isCopied) {
    addRows(log, 3)
    applyAll(replica, log)
    appliedMeanwhile += 1
    await new Promise((resolve) => setImmediate(resolve))
  }
  const files = await copying
  assert.ok(appliedMeanwhile > 0)
  const names = files.map(({ name }) => name).sort()
  assert.deepEqual(names, ['a.db', 'b.db', 'c.db', 'system.db'])
  for (const { name, sizeBytes, sha256 } of files) {
    const bytes = fs.readFileSync(join(to, name))
    assert.equal(bytes.length, sizeBytes)
    assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256)
  }
  const copy = Replica.open({ directory: join(to, '..'), generation: 7 })
  context.after(() => copy.close())
  assert.equal(copy.appliedIndex, snapshot.index)
  assert.equal(copy.highestApplied, snapshot.index)
  assert.deepEqual(copy.confState, snapshot.confState)
  const found = NAMES.map((name) => contentOf(join(to, '..'), `../7/${name}`))
  assert.deepEqual(found, expected)
  snapshot.release()
  snapshot.release()
})

test('a released snapshot does not go on copying, and lets the WAL start anew', async (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  const snapshot = replica.pinSnapshot()
  assert.ok(snapshot)
  const to = join(makeDirectory(context), '2')
  const copying = snapshot.copyTo(to)
  snapshot.release()
  await assert.rejects(copying, { code: 'ERR_ABORTED' })
  addRows(log, 50)
  applyAll(replica, log, [3])
  const wal = `${databasePath(directory, 'a')}-wal`
  const before = fs.statSync(wal).size
  replica.checkpoint({ ...WAL_BOUNDS, checkpointBytes: 100_000 })
  addRows(log, 1)
  applyAll(replica, log)
  assert.ok(fs.statSync(wal).size < before)
})

test('no snapshot is taken while files are at different indexes', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  addRows(log, 2)
  applyAll(replica, log, [1])
  replica.close()
  const lagging = Replica.open(optionsFor(directory))
  context.after(() => lagging.close())
  assert.equal(lagging.pinSnapshot(), null)
  applyAll(lagging, log)
  const snapshot = lagging.pinSnapshot()
  assert.equal(snapshot?.index, log.lastIndex)
  snapshot?.release()
})

test('a received generation takes the place of the files, and apply goes on', async (context) => {
  const source = createReplica(context, { ownOrigin: OTHER })
  const log = startLog()
  addRows(log, 5)
  applyAll(source.replica, log)
  const target = createReplica(context)
  applyAll(target.replica, startLog())
  const directory = target.directory
  const index = await copyGeneration(source.replica, join(directory, '2'))
  addRows(log, 3)
  target.replica.installGeneration(2, { index })
  assert.equal(target.replica.generation, 2)
  assert.equal(target.replica.appliedIndex, index)
  assert.deepEqual(target.replica.ownSequences(), [
    { database: 'a', sequence: 6 },
    { database: 'b', sequence: 6 },
    { database: 'c', sequence: 6 },
  ])
  assert.equal(resultsOf(target.replica.apply(log.after(index))).length, 9)
  applyAll(source.replica, log)
  for (const name of NAMES) {
    assert.equal(contentOf(directory, `../2/${name}`), contentOf(source.directory, name))
  }
  // The next snapshot may be on its way while the last one is put in place.
  fs.mkdirSync(join(directory, '3'))
  assert.deepEqual(target.replica.deleteOtherGenerations(), [1])
  target.replica.close()
  const again = Replica.open(optionsFor(directory, { generation: 2 }))
  context.after(() => again.close())
  assert.deepEqual(again.deleteOtherGenerations(), [3])
  assert.deepEqual(again.ownSequences()[0], { database: 'a', sequence: 9 })
})

test('what this node has said of entries behind a received one holds there', async (context) => {
  const source = createReplica(context, { ownOrigin: OTHER })
  const log = startLog()
  applyAll(source.replica, log)
  const { directory, replica } = createReplica(context)
  const index = await copyGeneration(source.replica, join(directory, '2'))
  addRows(log, 1)
  for (const at of [index, index + 2]) replica.note.void(at)
  const hold = { index: index + 1, term: 3, round: 1 }
  replica.note.hold(hold)
  replica.installGeneration(2, { index })
  const check = ({ note }: Replica): void => {
    assert.deepEqual([note.isVoid(index), note.isVoid(index + 2)], [false, true])
    assert.deepEqual(note.quarantine, { index: index + 1, unitsDone: 0, hold })
  }
  check(replica)
  const { halted } = replica.apply(log.after(index))
  assert.match(halted?.error.message ?? '', /waits for what comes of that/)
  replica.close()
  const again = Replica.open(optionsFor(directory, { generation: 2 }))
  context.after(() => again.close())
  check(again)
})

test('a generation that is not the announced one is refused', async (context) => {
  const source = createReplica(context, { ownOrigin: OTHER })
  const log = startLog()
  applyAll(source.replica, log)
  const { directory, replica } = createReplica(context)
  const path = join(directory, '2')
  const index = await copyGeneration(source.replica, path)
  const install = (expected: number): void => replica.installGeneration(2, { index: expected })
  const refused = { code: 'ERR_DATA_DIR' }
  assert.throws(() => install(index + 1), refused)
  assert.throws(() => replica.installGeneration(3, { index }), refused)
  fs.renameSync(join(path, 'b.db'), join(path, 'b.db.away'))
  assert.throws(() => install(index), /lacks b\.db/)
  fs.writeFileSync(join(path, 'b.db'), 'no database at all, but long enough to be looked at')
  assert.throws(() => install(index), refused)
  fs.rmSync(join(path, 'b.db'))
  fs.renameSync(join(path, 'b.db.away'), join(path, 'b.db'))
  assert.equal(replica.generation, 1)
  assert.equal(replica.appliedIndex, GENESIS.index)
  install(index)
  assert.equal(replica.appliedIndex, index)
  assert.deepEqual(readRows(directory, '../2/b', 'SELECT * FROM t'), [])
})

test('a generation that lists what is no name of a database is refused', async (context) => {
  const source = createReplica(context, { ownOrigin: OTHER })
  const log = startLog()
  applyAll(source.replica, log)
  const { directory, replica } = createReplica(context)
  const path = join(directory, '2')
  const index = await copyGeneration(source.replica, path)
  // A file beside the generations that would pass for a database of this one.
  const outside = join(directory, 'outside.db')
  fs.copyFileSync(join(path, 'b.db'), outside)
  const before = fs.readFileSync(outside)
  const rename = (from: string, to: string, dropped: number | null): void => {
    const system = new DatabaseSync(join(path, 'system.db'))
    const sql = 'UPDATE _colmena_databases SET name = ?, dropped_index = ? WHERE name = ?'
    assert.equal(system.prepare(sql).run(to, dropped, from).changes, 1)
    system.close()
  }
  const install = (): void => replica.installGeneration(2, { index })
  // Of a dropped one a restart removes the files: `system` would be the cluster's own.
  const names = [
    ['../outside', null],
    ['system', 1],
    ['', null],
  ] as const
  for (const [name, dropped] of names) {
    rename('b', name, dropped)
    assert.throws(install, { code: 'ERR_DATA_DIR', message: /no name of a database/ }, name)
    rename(name, 'b', null)
  }
  assert.deepEqual(fs.readFileSync(outside), before)
  assert.deepEqual(fs.readdirSync(directory).sort(), ['1', '2', 'outside.db'])
  assert.equal(replica.generation, 1)
  install()
  assert.equal(replica.appliedIndex, index)
})

test('a generation whose tables are not what they must be is refused', async (context) => {
  const source = createReplica(context, { ownOrigin: OTHER })
  applyAll(source.replica, startLog())
  const { directory, replica } = createReplica(context)
  const path = join(directory, '2')
  const index = await copyGeneration(source.replica, path)
  const system = new DatabaseSync(join(path, 'system.db'))
  system.exec('DELETE FROM _colmena_conf')
  system.close()
  const refused = { code: 'ERR_DATA_DIR', message: /is damaged/ }
  assert.throws(() => replica.installGeneration(2, { index }), refused)
  assert.equal(replica.generation, 1)
})

test('a generation of another cluster is refused', async (context) => {
  const foreign = makeDirectory(context)
  const other = Replica.create(optionsFor(foreign), { ...GENESIS, clusterId: 'd'.repeat(32) })
  context.after(() => other.close())
  const { directory, replica } = createReplica(context)
  const index = await copyGeneration(other, join(directory, '2'))
  assert.throws(() => replica.installGeneration(2, { index }), /another cluster/)
})

test('checkpoints keep the WAL near its bound while nobody holds a snapshot', (context) => {
  const { replica } = createReplica(context)
  const bounds = { ...WAL_BOUNDS, checkpointBytes: 200_000 }
  const log = startLog()
  let walBytesMax = 0
  for (let i = 0; i < 40; i += 1) {
    addRows(log, 10)
    applyAll(replica, log)
    walBytesMax = Math.max(walBytesMax, replica.checkpoint(bounds))
  }
  assert.ok(walBytesMax < 500_000, `${walBytesMax} bytes`)
  const snapshot = replica.pinSnapshot()
  for (let i = 0; i < 40; i += 1) {
    addRows(log, 10)
    applyAll(replica, log)
    walBytesMax = Math.max(walBytesMax, replica.checkpoint(bounds))
  }
  assert.ok(walBytesMax > 1_000_000, `${walBytesMax} bytes`)
  snapshot?.release()
  for (let i = 0; i < 3; i += 1) {
    addRows(log, 20)
    applyAll(replica, log)
    replica.checkpoint(bounds)
  }
  addRows(log, 1)
  applyAll(replica, log)
  assert.ok(replica.walBytes < 500_000, `${replica.walBytes} bytes`)
})

test('a WAL out of bounds is looked at after each group, however little it grew', (context) => {
  const { replica } = createReplica(context)
  const bounds = { ...WAL_BOUNDS, checkpointBytes: 200_000, bytesMax: 300_000 }
  const log = startLog()
  applyAll(replica, log)
  const snapshot = replica.pinSnapshot()
  for (let i = 0; i < 20; i += 1) {
    addRows(log, 10)
    applyAll(replica, log)
    replica.checkpoint(bounds)
  }
  assert.ok(replica.walBytes > bounds.bytesMax, `${replica.walBytes} bytes`)
  snapshot?.release()
  addRows(log, 1)
  applyAll(replica, log)
  replica.checkpoint(bounds)
  addRows(log, 1)
  applyAll(replica, log)
  assert.ok(replica.walBytes < 100_000, `${replica.walBytes} bytes`)
})
