import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { StatementArgs, StatementResult } from '../../src/command/command.ts'
import { Replica } from '../../src/database/database.ts'
import { type ConnectionSettings, Writer } from '../../src/sqlite/sqlite.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  LogMaker,
  ORIGIN,
  OTHER,
  optionsFor,
} from './log-maker.ts'

const THIRD = '3'.repeat(32)
const SUM = 0.1 + 0.2

/** Stores a sum as an older SQLite wrote it down: as many rows, other bytes. */
class OlderWriter extends Writer {
  override run(sql: string, args: StatementArgs): StatementResult {
    const values = args as readonly unknown[]
    return super.run(sql, values.map((value) => (value === SUM ? '0.3' : value)) as StatementArgs)
  }
}

function openOlder(path: string, options: ConnectionSettings): Writer {
  return new OlderWriter(path, options)
}

/** The database's digest on a node of today's engine, and on one of an older. */
function digests(context: TestContext, log: LogMaker): [bigint, bigint] {
  const newer = createReplica(context)
  const older = createReplica(context, { openWriter: openOlder })
  for (const { replica } of [newer, older]) applyAll(replica, log, [3])
  assert.notEqual(contentOf(newer.directory, 'app'), contentOf(older.directory, 'app'))
  return [digestOf(newer.replica), digestOf(older.replica)]
}

function digestOf(replica: Replica): bigint {
  const status = replica.databases().find(({ name }) => name === 'app')
  assert.ok(status)
  return status.digest
}

/** Two members, of which the second runs `fingerprint` and the first runs 'one'. */
function startLog(fingerprint: string, ...schema: readonly string[]): LogMaker {
  const log = new LogMaker()
  log.register()
  log.register(2, OTHER, '', fingerprint)
  log.write('app', schema)
  return log
}

const KEYED = 'CREATE TABLE prices (id INTEGER PRIMARY KEY, price TEXT)'
const INSERT = ['INSERT INTO prices (price) VALUES (?)', SUM] as const

test('only while engines differ, the digest tells which values a statement stored', (context) => {
  const uniform = startLog('one', KEYED)
  uniform.write('app', [INSERT])
  const [same, alike] = digests(context, uniform)
  assert.equal(same, alike)
  const mixed = startLog('two', KEYED)
  mixed.write('app', [INSERT])
  const [newer, older] = digests(context, mixed)
  assert.notEqual(newer, older)
})

test('the mix begins and ends with the registrations that say so', (context) => {
  const log = startLog('one', KEYED)
  log.register(2, THIRD, OTHER, 'two')
  log.register(2, OTHER.replace('f', '0'), THIRD, 'one')
  log.write('app', [INSERT])
  const [newer, older] = digests(context, log)
  assert.equal(newer, older)
  const removed = startLog('two', KEYED)
  removed.change({ transition: 'auto', changes: [{ type: 'removeNode', id: 2 }] })
  removed.write('app', [INSERT])
  const [alone, alike] = digests(context, removed)
  assert.equal(alone, alike)
})

test('triggers, cascades, replaced and cleared rows count with what they change', (context) => {
  const schema = [
    KEYED,
    'CREATE TABLE copies (text TEXT PRIMARY KEY) WITHOUT ROWID',
    'CREATE TABLE p (id TEXT PRIMARY KEY)',
    'CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p ON DELETE CASCADE, v TEXT)',
    'CREATE TRIGGER t AFTER INSERT ON prices BEGIN REPLACE INTO copies VALUES (NEW.price); END',
    'CREATE VIEW v AS SELECT * FROM p',
    'CREATE TRIGGER i INSTEAD OF INSERT ON v BEGIN INSERT INTO p VALUES (NEW.id); END',
  ]
  // Each statement differs only by what it changes apart from the rows that it names.
  const prepared: [setup: string, statement: readonly [string, ...(number | string)[]]][] = [
    ["INSERT INTO p VALUES ('x')", ['INSERT INTO c VALUES (1, ?, ?)', 'x', SUM]],
    ['SELECT 1', ['INSERT INTO v VALUES (?)', SUM]],
    ["INSERT INTO prices VALUES (1, 'x')", ['REPLACE INTO prices VALUES (1, ?)', SUM]],
    ["INSERT INTO prices VALUES (1, 'x')", ['UPDATE prices SET price = ?', SUM]],
  ]
  for (const [setup, statement] of prepared) {
    const log = startLog('two', ...schema)
    log.write('app', [setup, statement])
    const [newer, older] = digests(context, log)
    assert.notEqual(newer, older, statement[0])
  }
  const rows = [
    "INSERT INTO p VALUES ('x')",
    ['INSERT INTO c VALUES (1, ?, ?)', 'x', SUM],
    INSERT,
  ] as const
  const clearing = ['DELETE FROM prices', 'DELETE FROM p'] as const
  for (const statement of clearing) {
    const log = startLog('one', ...schema)
    // What is prepared while nothing looks on must not be run while something does.
    log.write('app', [...rows, ...clearing])
    log.write('app', rows)
    log.register(2, THIRD, OTHER, 'two')
    log.write('app', [statement])
    const [newer, older] = digests(context, log)
    assert.notEqual(newer, older, statement)
  }
})

test('tables without a primary key count their rows only, as virtual tables do', (context) => {
  const schema = ['CREATE TABLE prices (price TEXT)', 'CREATE VIRTUAL TABLE f USING fts5(price)']
  const log = startLog('two', ...schema)
  log.write('app', [INSERT, ['INSERT INTO f VALUES (?)', SUM]])
  const [newer, older] = digests(context, log)
  assert.equal(newer, older)
})

test('a unit that is rolled back adds none of its rows', (context) => {
  const log = startLog('two', KEYED)
  log.write('app', [
    [
      { sql: INSERT[0], args: [SUM] },
      { sql: 'INSERT INTO nowhere VALUES (1)', args: [] },
    ],
    ['INSERT OR FAIL INTO prices VALUES (1, ?), (1, ?)', SUM, SUM],
    ['INSERT OR ROLLBACK INTO prices VALUES (1, ?), (1, ?)', SUM, SUM],
    ['INSERT INTO prices VALUES (5, ?)', 'kept'],
  ])
  const newer = createReplica(context)
  const older = createReplica(context, { openWriter: openOlder })
  applyAll(newer.replica, log)
  applyAll(older.replica, log)
  assert.equal(contentOf(newer.directory, 'app'), contentOf(older.directory, 'app'))
  assert.equal(digestOf(newer.replica), digestOf(older.replica))
})

test('schema changes and tables that come and go are no trouble in a mix', (context) => {
  const log = startLog('two', KEYED)
  log.write('app', [
    [
      { sql: 'INSERT INTO prices VALUES (1, 2)', args: [] },
      { sql: 'ALTER TABLE prices ADD COLUMN note', args: [] },
      { sql: 'UPDATE prices SET note = 3', args: [] },
      { sql: 'CREATE TABLE parts (id INTEGER PRIMARY KEY REFERENCES prices)', args: [] },
      { sql: 'INSERT INTO parts VALUES (1)', args: [] },
      { sql: 'DROP TABLE parts', args: [] },
      { sql: 'CREATE TABLE copy AS SELECT * FROM prices', args: [] },
      { sql: 'PRAGMA user_version = 4', args: [] },
      { sql: 'SELECT count(*) FROM copy', args: [] },
    ],
    'ANALYZE',
    'CREATE TABLE late (id INTEGER PRIMARY KEY, at TEXT, day AS (date(at)) STORED)',
    "INSERT INTO late (at) VALUES ('2026-11-25 10:00:00')",
    "INSERT INTO late (at) SELECT name FROM pragma_table_xinfo('late')",
  ])
  const { replica } = createReplica(context)
  const units = applyAll(replica, log).at(-1)?.units ?? []
  assert.deepEqual(
    units.map(({ ok }) => ok),
    [true, true, true, true, false],
  )
})

test('a node that starts amid a mix goes on with the digest of its peers', (context) => {
  const log = startLog('two', KEYED)
  log.write('app', [INSERT])
  const { directory, replica } = createReplica(context)
  const whole = createReplica(context)
  applyAll(replica, log)
  replica.close()
  const again = Replica.open(optionsFor(directory, { ownOrigin: ORIGIN }))
  context.after(() => again.close())
  log.write('app', ['DELETE FROM prices', INSERT])
  applyAll(again, log)
  applyAll(whole.replica, log)
  assert.equal(digestOf(again), digestOf(whole.replica))
})
