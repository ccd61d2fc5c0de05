/** Transactions that are tried on the leader's files, and what apply makes of them everywhere. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { RunningStatement } from '../../src/base/shared-state.ts'
import {
  type CommandResult,
  patchEnvironment,
  type Statement,
  type TrialAnswer,
  WriteEncoder,
} from '../../src/command/command.ts'
import type { Replica } from '../../src/database/database.ts'
import { StatementWatch } from '../../src/database/statement-watch.ts'
import { answerStep } from '../../src/database/trials.ts'
import type { Entry } from '../../src/raft/raft.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  LogMaker,
  ORIGIN,
  readRows,
  resultsOf,
} from './log-maker.ts'

const ENVIRONMENT = { wallMs: 1_700_000_500_000, seedHigh: 3, seedLow: 4 }
const INSERT = "INSERT INTO t (v) VALUES (hex(randomblob(4)) || datetime('now')) RETURNING v"

function statement(sql: string): Statement {
  return { sql, args: [] }
}

interface Begun {
  readonly replica: Replica
  readonly directory: string
  readonly log: LogMaker
}

function begin(context: TestContext): Begun {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)'])
  applyAll(replica, log)
  return { directory, replica, log }
}

function tryAll(replica: Replica, sqls: readonly string[], key = 'k'): TrialAnswer {
  let answer: TrialAnswer | null = null
  for (const [at, sql] of sqls.entries()) {
    const begins = at === 0 ? { environment: ENVIRONMENT, base: null } : null
    const statements = [statement(sql)]
    const step = replica.trials.step({ database: 'app', key, begins, statements })
    answer = answer === null ? step : { ...step, tried: [...answer.tried, ...step.tried] }
  }
  return answer as TrialAnswer
}

/** The log entry that the tried statements become, as their origin makes it. */
function commit(
  log: LogMaker,
  number: number,
  sqls: readonly string[],
  answer: TrialAnswer,
): Entry {
  const recorded = sqls.filter((_, at) => !answer.tried[at]?.isLook)
  const outcomes = answer.tried
    .filter(({ isLook }) => !isLook)
    .map(({ result }) => (result.ok ? (result.statements[0]?.rowsAffected ?? 0) : null))
  const encoder = new WriteEncoder()
  encoder.add({ statements: recorded.map(statement) })
  const header = { origin: ORIGIN, database: 'app', sequence: number }
  const bytes = encoder.finish(header, { trial: { base: answer.base, outcomes } })
  patchEnvironment(bytes, answer.environment)
  return log.push(bytes)
}

function codes(results: readonly CommandResult[]): unknown[] {
  return results
    .filter(({ isTried }) => isTried)
    .map(({ units: [unit] }) => (unit?.ok ? 'ok' : unit?.error.code))
}

test('what was tried comes out the same on every replica, reads between or not', (context) => {
  const leader = begin(context)
  const follower = createReplica(context)
  const sqls = [
    INSERT,
    'SELECT random(), last_insert_rowid(), changes() FROM t',
    'INSERT OR FAIL INTO t (id, v) VALUES (7, 1), (7, 2)',
    'SAVEPOINT s',
    'DELETE FROM t',
    'ROLLBACK TO s',
    INSERT,
    'INSERT INTO t (id, v) SELECT last_insert_rowid() + 10, changes()',
    'nonsense',
    INSERT,
  ]
  const answer = tryAll(leader.replica, sqls)
  const shown = answer.tried.flatMap(({ result }) =>
    result.ok ? result.statements[0]?.rows.map(([value]) => value) : [],
  )
  assert.deepEqual(
    answer.tried.map(({ result, isLook }) => [result.ok, isLook]).filter(([ok]) => !ok).length,
    2,
  )
  commit(leader.log, 1, sqls, answer)
  assert.deepEqual(codes(applyAll(leader.replica, leader.log)), ['ok'])
  applyAll(follower.replica, leader.log, [1])
  assert.equal(contentOf(leader.directory, 'app'), contentOf(follower.directory, 'app'))
  const digests = [leader, follower].map(({ replica }) => replica.databases()[1]?.digest)
  assert.equal(digests[0], digests[1])
  const kept = readRows(leader.directory, 'app', "SELECT v FROM t WHERE v LIKE '%:%' ORDER BY id")
  assert.deepEqual(
    kept.map((row) => (row as unknown[])[0]),
    shown.filter((value) => typeof value === 'string'),
  )
})

test('nothing of a trial that was not committed stays, in file or connection', (context) => {
  const { replica, log, directory } = begin(context)
  const before = contentOf(directory, 'app')
  tryAll(replica, [INSERT, 'CREATE TABLE other (a)', 'INSERT INTO other VALUES (1)', 'ANALYZE'])
  replica.trials.end('app', 'k')
  assert.equal(contentOf(directory, 'app'), before)
  const entry = log.write('app', ['INSERT INTO t (v) SELECT last_insert_rowid() + changes()'])
  resultsOf(replica.apply([entry]))
  const plain = createReplica(context)
  applyAll(plain.replica, log)
  assert.equal(contentOf(directory, 'app'), contentOf(plain.directory, 'app'))
  assert.deepEqual(replica.databases()[1]?.digest, plain.replica.databases()[1]?.digest)
})

test('a transaction applies only on the state that it was tried on, and once', (context) => {
  const { replica, log, directory } = begin(context)
  const sqls = [INSERT]
  const first = tryAll(replica, sqls)
  commit(log, 1, sqls, first)
  commit(log, 1, sqls, first)
  assert.deepEqual(codes(applyAll(replica, log)), ['ok', 'ERR_TX_ABORTED'])
  const second = tryAll(replica, sqls)
  log.write('app', ["INSERT INTO t (v) VALUES ('between')"])
  commit(log, 2, sqls, second)
  assert.deepEqual(codes(applyAll(replica, log)), ['ERR_TX_ABORTED'])
  assert.equal(readRows(directory, 'app', 'SELECT v FROM t').length, 2)
  const wrong = tryAll(replica, sqls)
  commit(log, 3, sqls, {
    ...wrong,
    tried: [{ isLook: false, result: { ok: true, statements: [] } }],
  })
  const [result] = applyAll(replica, log)
  const unit = result?.units[0]
  assert.ok(unit !== undefined && !unit.ok)
  assert.match(unit.error.message, /came to another end/)
  assert.equal(readRows(directory, 'app', 'SELECT v FROM t').length, 2)
})

test('an empty command moves no clock under a trial', (context) => {
  const { replica, log, directory } = begin(context)
  const answer = tryAll(replica, [INSERT])
  log.wallMs = ENVIRONMENT.wallMs + 60_000
  log.write('app', [])
  commit(log, 1, [INSERT], answer)
  applyAll(replica, log)
  const [tried] = answer.tried
  assert.ok(tried?.result.ok)
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), tried.result.statements[0]?.rows)
})

test('an entry of the database ends a trial, those of others do not', (context) => {
  const { replica, log } = begin(context)
  log.write('other', ['CREATE TABLE o (a)'])
  applyAll(replica, log)
  tryAll(replica, [INSERT])
  resultsOf(replica.apply([log.write('other', ['INSERT INTO o VALUES (1)'])]))
  const go = (): TrialAnswer =>
    replica.trials.step({
      database: 'app',
      key: 'k',
      begins: null,
      statements: [statement(INSERT)],
    })
  assert.equal(go().tried.length, 1)
  // Files under a trial stay behind, and so does what is durable.
  assert.ok(replica.makeDurable() < replica.appliedIndex)
  resultsOf(replica.apply([log.write('app', ["INSERT INTO t (v) VALUES ('x')"])]))
  assert.throws(go, { code: 'ERR_TX_ABORTED', retryable: true })
  assert.equal(replica.makeDurable(), replica.appliedIndex)
})

test('a snapshot is at one index all the same, and ends a trial for it', (context) => {
  const { replica, log } = begin(context)
  log.write('other', ['CREATE TABLE o (a)'])
  applyAll(replica, log)
  tryAll(replica, [INSERT])
  resultsOf(replica.apply([log.write('other', ['INSERT INTO o VALUES (1)'])]))
  const pinned = replica.pinSnapshot()
  assert.equal(pinned?.index, replica.appliedIndex)
  pinned?.release()
  const next = { database: 'app', key: 'k', begins: null, statements: [statement(INSERT)] }
  assert.throws(() => replica.trials.step(next), { code: 'ERR_TX_ABORTED' })
})

test('a trial begins on the base that it must find, on a database that there is', (context) => {
  const { replica, log } = begin(context)
  const step = { key: 'k', statements: [statement(INSERT)] }
  const begins = { environment: ENVIRONMENT, base: log.lastIndex }
  assert.equal(replica.trials.step({ database: 'app', ...step, begins }).base, log.lastIndex)
  replica.trials.end('app', 'k')
  const late = { ...begins, base: log.lastIndex - 1 }
  const stale = { code: 'ERR_TX_ABORTED', message: /was written to/ }
  assert.throws(() => replica.trials.step({ database: 'app', ...step, begins: late }), stale)
  assert.throws(() => replica.trials.step({ database: 'none', ...step, begins }), {
    code: 'ERR_NOT_FOUND',
  })
})

test('tells which statement of which step it runs, until the step has ended', (context) => {
  const { replica } = begin(context)
  const told: string[] = []
  const running = ({ index, unit, statement }: RunningStatement): void => {
    told.push([index, unit, statement].join())
  }
  const watch = new StatementWatch(1_000, () => 0, running)
  const encoder = new WriteEncoder()
  for (const sql of [INSERT, INSERT, 'nonsense', INSERT]) {
    encoder.add({ statements: [statement(sql)] })
  }
  const bytes = encoder.finish({ origin: ORIGIN, database: 'app', sequence: 1 })
  const request = { number: 5, key: 'k', bytes, begins: true, base: null }
  answerStep(replica.trials, request, watch)
  assert.deepEqual(told, ['0,5,0', '0,5,1', '0,5,2', '0,0,0'])
  const other = { ...request, number: 6, key: 'other', begins: false }
  assert.throws(() => answerStep(replica.trials, other, watch), { code: 'ERR_TX_ABORTED' })
  assert.equal(told.at(-1), '0,0,0')
})
