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
    isHalted: false,
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
