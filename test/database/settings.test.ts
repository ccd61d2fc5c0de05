import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SharedState } from '../../src/base/shared-state.ts'
import { createReaders, type Readers, Replica } from '../../src/database/database.ts'
import { DATABASE_LIMITS } from '../../src/sqlite/sqlite.ts'
import { applyAll, GENESIS, LogMaker, makeDirectory, optionsFor } from './log-maker.ts'

/** What a cluster has that an older release began. */
const LIMITS = { ...DATABASE_LIMITS, length: 5_000, likePatternLength: 100, variableNumber: 20 }

/** Statements that each of those limits fails, with what SQLite then says. */
const FAILING = [
  ['SELECT zeroblob(6000)', /too big/],
  [`SELECT 'a' LIKE '${'a'.repeat(101)}'`, /pattern too complex/],
  ['SELECT ?21', /variable number/],
] as const

function createReplica(context: TestContext): { replica: Replica; directory: string } {
  const directory = makeDirectory(context)
  const replica = Replica.create(optionsFor(directory), { ...GENESIS, limits: LIMITS })
  context.after(() => replica.close())
  return { replica, directory }
}

function openReaders(context: TestContext, directory: string, replica: Replica): Readers {
  const shared = new SharedState()
  shared.publishStorage({
    applied: replica.appliedIndex,
    generation: replica.generation,
    databasesEpoch: 1,
    isDivergent: false,
    walBytes: 0,
  })
  const readers = createReaders({ directory, shared })
  context.after(() => readers.close())
  return readers
}

/** Writes, reads and iterators of this node answer with the cluster's limits. */
function checkLimits(
  context: TestContext,
  directory: string,
  replica: Replica,
  log: LogMaker,
): void {
  for (const name of ['app', 'new']) {
    log.write(
      name,
      FAILING.map(([sql]) => sql),
    )
  }
  const results = applyAll(replica, log).slice(-2)
  for (const { units } of results) {
    for (const [at, [sql, message]] of FAILING.entries()) {
      const unit = units[at]
      assert.ok(unit !== undefined && !unit.ok, sql)
      assert.match(unit.error.message, message)
    }
  }
  const readers = openReaders(context, directory, replica)
  for (const name of ['app', 'absent']) {
    const database = readers.database(name)
    for (const [sql, message] of FAILING) {
      assert.throws(() => database.query(sql, []), message)
      assert.throws(() => [...database.prepare(sql).iterate([])], message)
    }
  }
}

function startLog(): LogMaker {
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (v)'])
  return log
}

test('the limits that a cluster began with hold on every connection for good', (context) => {
  const { replica, directory } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  checkLimits(context, directory, replica, log)
  replica.close()
  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  checkLimits(context, directory, again, log)
})

test('a member takes the limits of its cluster with the snapshot', async (context) => {
  const { replica } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  const directory = makeDirectory(context)
  const joiner = Replica.create(optionsFor(directory), GENESIS)
  context.after(() => joiner.close())
  const snapshot = replica.pinSnapshot()
  assert.ok(snapshot)
  await snapshot.copyTo(join(directory, '2'))
  snapshot.release()
  joiner.installGeneration(2, { index: snapshot.index })
  checkLimits(context, directory, joiner, log)
})

const STRINGS = 'SELECT "text"'

/** What the newest entry of a log answers: its error's code, or its first row. */
function answersOf(replica: Replica, log: LogMaker): unknown[] {
  const units = applyAll(replica, log).at(-1)?.units ?? []
  return units.map((unit) => (unit.ok ? unit.statements[0]?.rows[0]?.[0] : unit.error.code))
}

function checkStrings(context: TestContext, directory: string, replica: Replica): void {
  const readers = openReaders(context, directory, replica)
  for (const asked of [undefined, true]) {
    const legacy = readers.database('legacy', asked)
    assert.deepEqual(legacy.query(STRINGS, []).rows, [['text']])
    assert.equal([...legacy.prepare(STRINGS).iterate([])].length, 1)
  }
  for (const asked of [undefined, false]) {
    assert.throws(() => readers.database('app', asked).query(STRINGS, []), /no such column/)
  }
  const refused = { code: 'ERR_INVALID_OPTION', message: /'legacy'.* false.* true/ }
  assert.throws(() => readers.database('legacy', false).query('SELECT 1', []), refused)
  assert.throws(() => readers.database('legacy', false).snapshot(), refused)
  assert.throws(() => readers.database('app', true).classify('SELECT 1'), {
    code: 'ERR_INVALID_OPTION',
  })
}

test('double-quoted strings are what a database was made with, everywhere', async (context) => {
  const { replica, directory } = createReplica(context)
  const log = startLog()
  log.doubleQuotedStrings = true
  log.write('legacy', ['CREATE TABLE t (v DEFAULT "text")', 'INSERT INTO t DEFAULT VALUES'])
  applyAll(replica, log)
  checkStrings(context, directory, replica)
  log.doubleQuotedStrings = undefined
  log.write('legacy', [STRINGS])
  assert.deepEqual(answersOf(replica, log), ['text'])
  log.write('app', [STRINGS])
  assert.deepEqual(answersOf(replica, log), ['ERR_SQL'])
  replica.close()
  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  log.write('legacy', [STRINGS])
  assert.deepEqual(answersOf(again, log), ['text'])
  checkStrings(context, directory, again)
  const copyDirectory = makeDirectory(context)
  const copy = Replica.create(optionsFor(copyDirectory), GENESIS)
  context.after(() => copy.close())
  const snapshot = again.pinSnapshot()
  assert.ok(snapshot)
  await snapshot.copyTo(join(copyDirectory, '2'))
  snapshot.release()
  copy.installGeneration(2, { index: snapshot.index })
  log.write('legacy', [STRINGS])
  assert.deepEqual(answersOf(copy, log), ['text'])
  checkStrings(context, copyDirectory, copy)
})

test('a write that asks for other strings than there are is refused, and counts', (context) => {
  const { replica } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  log.doubleQuotedStrings = true
  // The second stands alone, in a transaction of its own.
  for (const sql of ['INSERT INTO t VALUES (1)', 'PRAGMA defer_foreign_keys = 1']) {
    log.write('app', [sql, 'SELECT 1'])
    assert.deepEqual(answersOf(replica, log), ['ERR_INVALID_OPTION', 'ERR_INVALID_OPTION'])
  }
  log.doubleQuotedStrings = false
  log.write('app', ['SELECT count(*) FROM t'])
  assert.deepEqual(answersOf(replica, log), [0n])
})

test('a database that is made again may have other strings', (context) => {
  const { replica, directory } = createReplica(context)
  const log = startLog()
  log.doubleQuotedStrings = true
  log.write('legacy', ['CREATE TABLE t (v)'])
  log.drop('legacy', 1)
  log.doubleQuotedStrings = false
  log.write('legacy', [STRINGS])
  assert.deepEqual(answersOf(replica, log), ['ERR_SQL'])
  const readers = openReaders(context, directory, replica)
  assert.throws(() => readers.database('legacy').query(STRINGS, []), /no such column/)
})

test('before a database exists, reads take strings as their handle asks', (context) => {
  const { replica, directory } = createReplica(context)
  const readers = openReaders(context, directory, replica)
  assert.deepEqual(readers.database('later', true).query(STRINGS, []).rows, [['text']])
  for (const asked of [false, undefined]) {
    const later = readers.database('later', asked)
    assert.throws(() => later.query(STRINGS, []), /no such column/)
    assert.throws(() => [...later.prepare(STRINGS).iterate([])], /no such column/)
  }
  assert.equal([...readers.database('later', true).prepare(STRINGS).iterate([])].length, 1)
})
