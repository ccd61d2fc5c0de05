import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { processNowMs } from '../../src/base/process-clock.ts'
import {
  type CommandResult,
  decodeCommandResult,
  encodeHashContent,
} from '../../src/command/command.ts'
import { createReaders, type ReplicaState, type SnapshotCopy } from '../../src/database/database.ts'
import { decodeEntries, encodeEntries } from '../../src/database/storage-protocol.ts'
import { restMsAt } from '../../src/database/wal-bounds.ts'
import type { Entry } from '../../src/raft/types.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  GENESIS,
  LogMaker,
  makeDirectory,
  ORIGIN,
} from './log-maker.ts'
import { makeLog, type Storage, startStorage } from './storage-rig.ts'

test('a result says when its entry was handed over, however groups were cut', async (context) => {
  const storage = startStorage(context)
  await storage.opened
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (v)'])
  /** When each message was made, and the last index in it. */
  const handed: { readonly fromMs: number; readonly toMs: number; readonly last: number }[] = []
  const apply = (entries: readonly Entry[]): void => {
    const fromMs = processNowMs()
    storage.client.apply(entries)
    handed.push({ fromMs, toMs: processNowMs(), last: log.lastIndex })
  }
  apply(log.entries)
  const insert = (): Entry => log.write('app', ['INSERT INTO t VALUES (1)'])
  for (let i = 0; i < 20; i += 1) apply([insert()])
  // More than one group takes.
  apply(Array.from({ length: 2_500 }, insert))
  await storage.until(() => storage.results.length === 2_521)
  for (const [i, { committedMs, appliedMs }] of storage.timed.entries()) {
    const { index } = storage.results[i] as CommandResult
    const { fromMs, toMs } = handed.find(({ last }) => index <= last) as (typeof handed)[number]
    assert.ok(fromMs <= committedMs && committedMs <= toMs, `entry ${index} has another moment`)
    assert.ok(appliedMs >= committedMs)
  }
  await storage.close()
})

test('entries go in, results come out on the user port, and readers see them', async (context) => {
  const dataDir = makeDirectory(context)
  const storage = startStorage(context, {}, dataDir)
  const state = await storage.opened
  assert.equal(state.applied, 1)
  assert.equal(state.origin, '')
  const readers = createReaders({ directory: join(dataDir, 'db'), shared: storage.shared })
  context.after(() => readers.close())
  const app = readers.database('app')
  assert.deepEqual(app.query('SELECT count(*) FROM sqlite_schema', []).rows, [[0n]])

  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (v)'])
  storage.client.apply(log.entries)
  for (let i = 0; i < 500; i += 1) {
    storage.client.apply([log.write('app', [['INSERT INTO t VALUES (?)', BigInt(i)]])])
  }
  await storage.until(() => storage.results.length === 501)
  assert.deepEqual(
    storage.results.map(({ sequence }) => sequence),
    Array.from({ length: 501 }, (_, i) => i + 1),
  )
  assert.deepEqual(app.query('SELECT count(*), sum(v) FROM t', []).rows, [[500n, 124750n]])
  await storage.until(() => storage.reports.at(-1)?.applied === log.lastIndex)
  assert.equal(storage.reports.find(({ origin }) => origin !== null)?.origin, ORIGIN)
  const told = storage.reports.filter(({ fingerprints }) => fingerprints !== null)
  assert.deepEqual(
    told.map(({ fingerprints }) => fingerprints),
    [new Map([[1, 'one']])],
  )
  await storage.close()
  assert.equal(storage.failure, null)
})

test('every write is told once shared memory asks: no message can be late', async (context) => {
  const storage = startStorage(context)
  await storage.opened
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (v)'])
  storage.client.apply(log.entries)
  await storage.until(() => storage.results.length === 1)
  storage.shared.setTellsWrites(true)
  storage.client.apply([log.write('app', ['INSERT INTO t VALUES (1)'])])
  const told = (): number[] =>
    storage.userMessages.flatMap((message) =>
      message.kind === 'hooks'
        ? message.news.writes.map(({ result }) => decodeCommandResult(result).index)
        : [],
    )
  await storage.until(() => told().length > 0)
  assert.deepEqual(told(), [log.lastIndex])
  await storage.close()
})

test('it says when the index is applied that the user thread waits for', async (context) => {
  const storage = startStorage(context)
  await storage.opened
  const log = new LogMaker()
  storage.shared.setWaitedIndex(3)
  log.empty()
  log.empty()
  log.empty()
  storage.client.apply(log.entries)
  await storage.until(() => storage.userMessages.some(({ kind }) => kind === 'applied'))
  assert.ok(storage.shared.applied() >= 3)
  await storage.close()
})

test('content is hashed at the entry that asks for it, and apply goes on', async (context) => {
  const dataDir = makeDirectory(context)
  const storage = startStorage(context, {}, dataDir)
  await storage.opened
  const log = makeLog(10)
  const key = 'a'.repeat(32)
  storage.client.expectHash(key)
  storage.client.apply(log.entries)
  // Alone in its message, whose bytes go once it is applied.
  storage.client.apply([log.push(encodeHashContent(key))])
  const { lastIndex: index } = log
  for (let i = 0; i < 10; i += 1) log.write('app', ['INSERT INTO t VALUES (1)'])
  // A question that nobody here expects is no work.
  log.push(encodeHashContent('b'.repeat(32)))
  log.push(encodeHashContent(key))
  storage.client.apply(log.after(index))
  await storage.until(() => storage.hashed.length > 0)
  await storage.until(() => storage.shared.applied() === log.lastIndex)
  const [hashed] = storage.hashed
  assert.deepEqual({ ...hashed, hashes: null }, { key, index, hashes: null, error: null })

  const single = createReplica(context)
  applyAll(single.replica, makeLog(10))
  assert.deepEqual(hashed?.hashes, new Map([['app@3', contentOf(single.directory, 'app')]]))
  await storage.close()
  assert.equal(storage.hashed.length, 1)
})

test('an exception that is our bug ends the thread where its owner sees it', async (context) => {
  const storage = startStorage(context)
  await storage.opened
  const log = new LogMaker()
  log.empty()
  log.empty()
  storage.client.apply(log.after(2))
  await storage.until(() => storage.failure !== null)
  assert.match(storage.failure?.message ?? '', /invariant broken/)
})

/** A request of the engine's as a promise. */
function ask<T>(request: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    request((error, value) => (error === null ? resolve(value) : reject(error)))
  })
}

test('a snapshot copied by one node is installed by another', async (context) => {
  const sourceDir = makeDirectory(context)
  const source = startStorage(context, {}, sourceDir)
  await source.opened
  const log = makeLog(50)
  source.client.apply(log.entries)
  const copy = await ask<SnapshotCopy | null>((done) =>
    source.client.copySnapshot('snapshot/x', done),
  )
  assert.equal(copy?.index, log.lastIndex)
  assert.deepEqual(copy?.confState, GENESIS.confState)
  assert.deepEqual(copy?.files.map(({ name }) => name).sort(), ['app.db', 'system.db'])
  assert.equal(copy?.files[0]?.sha256.length, 32)

  const targetDir = makeDirectory(context)
  const target = startStorage(context, {}, targetDir)
  await target.opened
  fs.cpSync(join(sourceDir, 'snapshot/x'), join(targetDir, 'db/2'), { recursive: true })
  const readers = createReaders({ directory: join(targetDir, 'db'), shared: target.shared })
  context.after(() => readers.close())
  assert.equal(readers.database('app').classify('SELECT * FROM t').kind, 'unknown')
  const state = await ask<ReplicaState | null>((done) =>
    target.client.install(2, log.lastIndex, done),
  )
  assert.equal(state?.applied, log.lastIndex)
  assert.equal(state?.origin, ORIGIN)
  assert.equal(target.shared.generation(), 2)
  assert.deepEqual(readers.database('app').query('SELECT count(*) FROM t', []).rows, [[50n]])
  await target.until(() => target.userMessages.some(({ kind }) => kind === 'installed'))
  const installed = target.userMessages.find(({ kind }) => kind === 'installed')
  assert.deepEqual(installed, {
    kind: 'installed',
    index: log.lastIndex,
    sequences: [{ database: 'app', sequence: 51 }],
  })
  await assert.rejects(
    ask((done) => target.client.install(9, 1, done)),
    { code: 'ERR_DATA_DIR' },
  )
  source.client.removeSnapshot('snapshot/x')
  target.client.deleteOtherGenerations()
  await source.close()
  await target.close()
  assert.equal(fs.existsSync(join(sourceDir, 'snapshot/x')), false)
  assert.deepEqual(fs.readdirSync(join(targetDir, 'db')), ['2'])
})

test('a copy that fails, or that nobody came for, leaves nothing behind', async (context) => {
  const dataDir = makeDirectory(context)
  const first = startStorage(context, {}, dataDir)
  await first.opened
  first.client.apply(makeLog(3).entries)
  const copying = ask<SnapshotCopy | null>((done) => first.client.copySnapshot('snapshot/x', done))
  first.client.removeSnapshot('snapshot/x')
  await assert.rejects(copying, { code: 'ERR_ABORTED' })
  assert.equal(fs.existsSync(join(dataDir, 'snapshot/x')), false)
  await ask<SnapshotCopy | null>((done) => first.client.copySnapshot('snapshot/y', done))
  assert.equal(fs.existsSync(join(dataDir, 'snapshot/y/app.db')), true)
  await first.close()
  const second = startStorage(context, { genesis: null }, dataDir)
  await second.opened
  assert.equal(fs.existsSync(join(dataDir, 'snapshot')), false)
  await second.close()
})

test('it tells up to where the files are durable, after what came before', async (context) => {
  const storage = startStorage(context)
  await storage.opened
  const log = makeLog(10)
  storage.client.apply(log.entries)
  const durable = await ask<number>((done) => storage.client.makeDurable(log.lastIndex, done))
  assert.equal(durable, log.lastIndex)
  await storage.close()
})

test('trouble is told, tried again, and told to be over', async (context) => {
  const dataDir = makeDirectory(context)
  const storage = startStorage(context, {}, dataDir)
  await storage.opened
  const path = join(dataDir, 'db/1/app.db')
  fs.mkdirSync(path)
  const log = makeLog(3)
  storage.client.apply(log.entries)
  await storage.until(() => storage.halts.length > 0)
  assert.match(storage.halts[0] ?? '', /app\.db/)
  assert.equal(storage.shared.applied(), 1)
  assert.deepEqual(storage.results, [])
  // What does not depend on apply is served all the same.
  const durable = await ask<number>((done) => storage.client.makeDurable(1, done))
  assert.equal(durable, 1)
  fs.rmdirSync(path)
  await storage.until(() => storage.results.length === 4)
  // A machine that was slow has tried meanwhile: entry by entry, and stood still at a later one.
  await storage.until(() => storage.halts.at(-1) === null)
  assert.equal(storage.failure, null)
  await storage.close()
})

test('a snapshot gets a thread going again that stands still', async (context) => {
  const sourceDir = makeDirectory(context)
  const source = startStorage(context, {}, sourceDir)
  await source.opened
  const log = makeLog(10)
  source.client.apply(log.entries)
  await ask<SnapshotCopy | null>((done) => source.client.copySnapshot('snapshot/x', done))
  const dataDir = makeDirectory(context)
  const stuck = startStorage(context, { retryPauseMs: 3_600_000 }, dataDir)
  await stuck.opened
  fs.mkdirSync(join(dataDir, 'db/1/app.db'))
  const index = log.lastIndex
  log.write('app', ['INSERT INTO t VALUES (10)'])
  stuck.client.apply(log.entries)
  await stuck.until(() => stuck.halts.length === 1)
  fs.cpSync(join(sourceDir, 'snapshot/x'), join(dataDir, 'db/2'), { recursive: true })
  const state = await ask<ReplicaState | null>((done) => stuck.client.install(2, index, done))
  assert.equal(state?.applied, index)
  // What it was given beyond the snapshot is applied now.
  await stuck.until(() => stuck.results.length === 1)
  assert.equal(stuck.results[0]?.index, index + 1)
  await stuck.until(() => stuck.halts.length === 2)
  assert.deepEqual(stuck.halts[1], null)
  await source.close()
  await stuck.close()
})

test('a thread that is closed while it stands still ends', async (context) => {
  const dataDir = makeDirectory(context)
  const storage = startStorage(context, {}, dataDir)
  await storage.opened
  fs.mkdirSync(join(dataDir, 'db/1/app.db'))
  storage.client.apply(makeLog(3).entries)
  await storage.until(() => storage.halts.length > 0)
  await storage.close()
  assert.equal(storage.failure, null)
})

/** Each such entry makes a WAL of the bounds below larger by more than they allow. */
const LARGE_ROW = 'INSERT INTO t VALUES (zeroblob(200000))'

/** A reader's snapshot, which keeps the WAL from starting anew, and the log that makes it grow. */
async function holdSnapshot(
  context: TestContext,
  restMsMax: number,
): Promise<{ readonly storage: Storage; readonly log: LogMaker; readonly release: () => void }> {
  const dataDir = makeDirectory(context)
  const walBounds = { checkpointBytes: 10_000, bytesMax: 50_000, restMsMax }
  const storage = startStorage(context, { walBounds }, dataDir)
  await storage.opened
  const log = makeLog(1)
  storage.client.apply(log.entries)
  await storage.until(() => storage.results.length === 2)
  const readers = createReaders({ directory: join(dataDir, 'db'), shared: storage.shared })
  context.after(() => readers.close())
  const snapshot = readers.database('app').snapshot()
  snapshot.query('SELECT count(*) FROM t', [])
  return { storage, log, release: () => snapshot.close() }
}

function warningsOf({ userMessages }: Storage): string[] {
  return userMessages.flatMap((message) => (message.kind === 'warning' ? [message.code] : []))
}

test('a WAL out of bounds slows this node down, but not what needs no apply', async (context) => {
  const { storage, log } = await holdSnapshot(context, 3_600_000)
  storage.client.apply([log.write('app', [LARGE_ROW])])
  await storage.until(() => warningsOf(storage).length === 1)
  assert.deepEqual(warningsOf(storage), ['ERR_LARGE_WAL'])
  const applied = storage.shared.applied()
  assert.ok(storage.shared.readStorage().walBytes > 200_000)
  storage.client.apply([log.write('app', [LARGE_ROW])])
  const durable = await ask<number>((done) => storage.client.makeDurable(log.lastIndex, done))
  assert.equal(durable, applied, 'it rests before the next group')
  assert.equal(log.lastIndex, applied + 1)
  await storage.close()
  assert.equal(storage.failure, null)
})

test('a node that was slowed is as before once its WAL starts anew', async (context) => {
  const { storage, log, release } = await holdSnapshot(context, 1)
  const applyOne = async (sql: string): Promise<void> => {
    const { length } = storage.results
    storage.client.apply([log.write('app', [sql])])
    await storage.until(() => storage.results.length > length)
  }
  for (let i = 0; i < 5; i += 1) await applyOne(LARGE_ROW)
  assert.deepEqual(warningsOf(storage), ['ERR_LARGE_WAL'], 'said once, however long it lasts')
  const isFree = (): boolean => storage.shared.readStorage().walBytes < 50_000
  const turn = (): Promise<number> => ask((done) => storage.client.makeDurable(log.lastIndex, done))
  await turn()
  assert.equal(isFree(), false)
  release()
  // Seen without a write: open reads end as long as the WAL is said to be out of bounds.
  const deadlineMs = performance.now() + 20_000
  while (!isFree() && performance.now() < deadlineMs) await turn()
  assert.equal(isFree(), true)
  await applyOne('INSERT INTO t VALUES (1)')
  await turn()
  assert.equal(isFree(), true)
  assert.deepEqual(warningsOf(storage), ['ERR_LARGE_WAL'])
  await storage.close()
  assert.equal(storage.failure, null)
})

test('a node rests the longer the further a WAL is out of bounds, up to a bound', () => {
  const bounds = { checkpointBytes: 1, bytesMax: 1_000, restMsMax: 500 }
  const rests = [0, 1_000, 1_200, 1_600, 2_000, 900_000].map((bytes) => restMsAt(bytes, bounds))
  assert.deepEqual(rests, [0, 0, 100, 300, 500, 500])
})

test('a generation that is not there fails the thread, and is no silent start', async (context) => {
  const storage = startStorage(context, { genesis: null })
  await storage.until(() => storage.failure !== null)
  assert.match(storage.failure?.message ?? '', /holds no system\.db/)
})

test('it goes on where it was after a restart', async (context) => {
  const dataDir = makeDirectory(context)
  const first = startStorage(context, {}, dataDir)
  await first.opened
  const log = makeLog(20)
  first.client.apply(log.entries)
  await first.until(() => first.results.length === 21)
  await first.close()
  const second = startStorage(context, { genesis: null }, dataDir)
  const state = await second.opened
  assert.equal(state.highestApplied, log.lastIndex)
  assert.equal(state.origin, ORIGIN)
  assert.equal(state.confIndex, 1)
  log.write('app', ['SELECT count(*) FROM t'])
  second.client.apply(log.after(state.applied))
  await second.until(() => second.results.length === 1)
  const unit = second.results[0]?.units[0]
  assert.deepEqual(unit?.ok && unit.statements[0]?.rows, [[20n]])
  await second.close()
})

test('the user thread can ask for the sizes of the databases', async (context) => {
  const storage = startStorage(context)
  await storage.opened
  const log = makeLog(1)
  storage.client.apply(log.entries)
  await storage.until(() => storage.results.length === 2)
  storage.worker.postMessage({ kind: 'status', id: 4 })
  await storage.until(() => storage.userMessages.some(({ kind }) => kind === 'status'))
  const message = storage.userMessages.find(({ kind }) => kind === 'status')
  assert.ok(message?.kind === 'status')
  assert.equal(message.id, 4)
  const { databases, apply } = message.status
  assert.deepEqual(
    databases.map(({ name }) => name),
    ['system', 'app'],
  )
  assert.ok(databases.every(({ sizeBytes }) => sizeBytes > 0))
  assert.equal(apply.entries, log.entries.length)
  assert.ok(apply.groupMs.count > 0 && apply.groupMs.count <= apply.entries)
  await storage.close()
})

test('entries survive their encoding', () => {
  const log = makeLog(2)
  log.empty()
  log.change({ transition: 'auto', changes: [] })
  assert.deepEqual(decodeEntries(encodeEntries(log.entries)), log.entries)
  assert.throws(() => decodeEntries(encodeEntries(log.entries).subarray(0, -1)))
})
