import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SharedState } from '../../src/base/shared-state.ts'
import {
  createReaders,
  type Readers,
  type ReadersOptions,
  Replica,
} from '../../src/database/database.ts'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'
import {
  applyAll,
  createReplica,
  databasePath,
  GENESIS,
  LogMaker,
  makeDirectory,
  optionsFor,
  type UnitInput,
} from './log-maker.ts'

/** A replica with the shared memory of a storage thread, and readers beside it. */
class Node {
  readonly replica: Replica
  readonly readers: Readers
  readonly directory: string
  readonly shared: SharedState = new SharedState()
  readonly log: LogMaker = new LogMaker()
  walBytes = 0
  #epoch = 1

  constructor(context: TestContext, more: Partial<ReadersOptions> = {}) {
    const { directory, replica } = createReplica(context)
    this.directory = directory
    this.replica = replica
    this.publish()
    this.readers = createReaders({ directory, shared: this.shared, ...more })
    context.after(() => this.readers.close())
    this.log.register()
    this.write('CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
  }

  publish(): void {
    this.shared.publishStorage({
      applied: this.replica.appliedIndex,
      generation: this.replica.generation,
      databasesEpoch: this.#epoch,
      isDivergent: false,
      walBytes: this.walBytes,
    })
  }

  write(...units: readonly UnitInput[]): void {
    this.log.write('app', units)
    this.apply()
  }

  apply(): void {
    const outcome = this.replica.apply(this.log.after(this.replica.appliedIndex))
    assert.equal(outcome.halted, null)
    if (outcome.databasesChanged) this.#epoch += 1
    this.publish()
  }
}

const COUNT = 'SELECT count(*) FROM t'
const ENDLESS =
  'WITH RECURSIVE c (x) AS (SELECT id FROM t UNION ALL SELECT x + 1 FROM c) SELECT x FROM c'
const INSERT = 'INSERT INTO t (v) VALUES (1)'

test('a database that does not exist yet reads as an empty one, and is then found', (context) => {
  const node = new Node(context)
  const later = node.readers.database('later')
  assert.equal(later.classify('SELECT * FROM t').kind, 'unknown')
  assert.deepEqual(later.query('SELECT count(*) FROM sqlite_schema', []).rows, [[0n]])
  node.log.write('later', ['CREATE TABLE t (v)', 'INSERT INTO t VALUES (5)'])
  node.apply()
  assert.equal(later.classify('SELECT * FROM t').kind, 'read')
  assert.deepEqual(later.query('SELECT v FROM t', []).rows, [[5n]])
})

test('a dropped database reads as empty, the next one of its name as itself', (context) => {
  const node = new Node(context)
  const app = node.readers.database('app')
  const prepared = app.prepare(COUNT, { rowMode: 'array' })
  node.write(INSERT)
  assert.deepEqual(prepared.get([]), [1])
  node.log.drop('app', 1)
  node.apply()
  assert.throws(() => prepared.get([]), /no such table/)
  node.write('CREATE TABLE t (v)')
  assert.deepEqual(prepared.get([]), [0])
})

test('reads see every commit, though iterators stay open', (context) => {
  const node = new Node(context)
  const app = node.readers.database('app')
  const select = app.prepare('SELECT v FROM t')
  node.write(INSERT, INSERT, INSERT)
  const open = select.iterate([])
  assert.deepEqual({ ...(open.next().value as object) }, { v: 1 })
  const abandoned = select.iterate([])
  abandoned.next()
  for (let count = 4n; count < 10n; count += 1n) {
    node.write(INSERT)
    assert.deepEqual(app.query(COUNT, []).rows, [[count]])
    assert.equal(select.all([]).length, Number(count))
  }
  // The open one goes on with the rows of its own snapshot.
  assert.equal([...open].length, 2)
  assert.deepEqual(open.next(), { done: true, value: undefined })
})

test('a new generation is found by itself, by queries, statements and iterators', (context) => {
  const node = new Node(context)
  node.write(INSERT)
  const app = node.readers.database('app')
  const prepared = app.prepare(COUNT, { rowMode: 'array' })
  const open = app.prepare('SELECT v FROM t').iterate([])
  open.next()
  assert.deepEqual(prepared.get([]), [1])

  const otherDirectory = makeDirectory(context)
  const other = Replica.create(optionsFor(otherDirectory), GENESIS)
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (v)', INSERT, INSERT, INSERT])
  applyAll(other, log)
  const index = other.makeDurable()
  other.close()
  fs.cpSync(join(otherDirectory, '1'), join(node.directory, '2'), { recursive: true })
  node.replica.installGeneration(2, { index })
  node.publish()
  node.replica.deleteOtherGenerations()
  assert.deepEqual(prepared.get([]), [3])
  assert.deepEqual(app.query(COUNT, []).rows, [[3n]])
  assert.deepEqual(open.next(), { done: true, value: undefined })
  assert.equal([...app.prepare('SELECT v FROM t').iterate([])].length, 3)
})

test('iterators are bounded in number, and come back when read or returned', (context) => {
  const node = new Node(context, { borrowedMax: 2 })
  node.write(INSERT, INSERT)
  const select = node.readers.database('app').prepare('SELECT v FROM t')
  const first = select.iterate([])
  const second = select.iterate([])
  second.next()
  assert.throws(() => select.iterate([]), { code: 'ERR_BUSY', retryable: true })
  for (const row of second) assert.ok(row)
  using third = select.iterate([])
  assert.equal(third.next().done, false)
  first.return?.()
  assert.equal(select.iterate([]).next().done, false)
})

test('an open read ends at its maximum age, and lets go of its snapshot', async (context) => {
  const node = new Node(context, { maxReadMs: 20 })
  node.write(INSERT, INSERT)
  const app = node.readers.database('app')
  const rows = app.prepare(ENDLESS).iterate([])
  rows.next()
  using snapshot = app.snapshot()
  await expired(() => rows.next())
  await expired(() => snapshot.query(COUNT, []))
  assert.throws(() => rows.next(), { code: 'ERR_READ_EXPIRED', retryable: true })
  node.write(INSERT)
  const { DatabaseSync } = requireSqlite()
  const checker = new DatabaseSync(databasePath(node.directory, 'app'))
  const result = checker.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
  checker.close()
  assert.equal(result?.['busy'], 0)
})

/** Waits until a read fails for its age. */
async function expired(read: () => unknown): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  for (;;) {
    try {
      read()
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'ERR_READ_EXPIRED')
      return
    }
    assert.ok(performance.now() < deadlineMs, 'it never expired')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('a WAL out of bounds ends the oldest open read', async (context) => {
  const node = new Node(context, { maxReadMs: 100, walBytesMax: 1000 })
  const long = createReaders({
    directory: node.directory,
    shared: node.shared,
    maxReadMs: 3_600_000,
    walBytesMax: 1000,
  })
  context.after(() => long.close())
  const app = long.database('app')
  using old = app.snapshot()
  assert.deepEqual(old.query(COUNT, []).rows, [[0n]])
  node.walBytes = 2000
  node.publish()
  await expired(() => old.query(COUNT, []))
})

test('a snapshot reads one state, whatever is applied meanwhile', (context) => {
  const node = new Node(context)
  const app = node.readers.database('app')
  const snapshot = app.snapshot()
  assert.deepEqual(snapshot.query(COUNT, []).rows, [[0n]])
  node.write(INSERT)
  assert.deepEqual(snapshot.query(COUNT, []).rows, [[0n]])
  assert.deepEqual(app.query(COUNT, []).rows, [[1n]])
  snapshot.close()
  snapshot.close()
  assert.throws(() => snapshot.query(COUNT, []), { code: 'ERR_CLOSED' })
  assert.deepEqual(app.snapshot().query(COUNT, []).rows, [[1n]])
})

test('readers neither write nor see our own tables', (context) => {
  const node = new Node(context)
  const app = node.readers.database('app')
  assert.throws(() => app.query(INSERT, []), { code: 'ERR_REFUSED_SQL' })
  assert.throws(() => app.query('SELECT * FROM _colmena_state', []), { code: 'ERR_REFUSED_SQL' })
})

test('closed readers refuse, and end what is open', (context) => {
  const node = new Node(context)
  node.write(INSERT, INSERT)
  const app = node.readers.database('app')
  const rows = app.prepare('SELECT v FROM t').iterate([])
  rows.next()
  node.readers.close()
  assert.throws(() => rows.next(), { code: 'ERR_CLOSED' })
  assert.throws(() => app.query(COUNT, []), { code: 'ERR_CLOSED' })
  assert.throws(() => app.snapshot(), { code: 'ERR_CLOSED' })
  assert.throws(() => node.readers.database('app'), { code: 'ERR_CLOSED' })
})
