import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Unit, UnitResult } from '../../src/command/command.ts'
import type { Replica } from '../../src/database/database.ts'
import { Writer } from '../../src/sqlite/sqlite.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  LogMaker,
  readRows,
  resultsOf,
  type UnitInput,
} from './log-maker.ts'

/** 'ok', or the code of the error. */
function answers(units: readonly UnitResult[] | undefined): readonly (string | number)[] {
  return (units ?? []).map((unit) => {
    if (unit.ok) return 'ok'
    return unit.error.sqliteCode || unit.error.code
  })
}

interface Started {
  readonly directory: string
  readonly replica: Replica
  readonly log: LogMaker
}

function start(context: TestContext, schema: readonly UnitInput[]): Started {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  log.write('app', schema)
  for (const result of applyAll(replica, log)) {
    assert.ok(
      result.units.every(({ ok }) => ok),
      String(answers(result.units)),
    )
  }
  return { directory, replica, log }
}

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)'
const UNIQUE = 2067
const FOREIGN_KEY = 787
const TRIGGER = 1811

test('a failing unit fails alone, with all that it did', (context) => {
  const { directory, replica, log } = start(context, [TABLE])
  const pair = (...values: readonly number[]): UnitInput =>
    values.map((value) => ({ sql: 'INSERT INTO t (v) VALUES (?)', args: [BigInt(value)] }))
  log.write('app', [pair(1, 2), pair(3, 1), pair(4), 'SELEC 1', pair(5)])
  log.write('app', [pair(6), pair(6)])
  const [first, second] = applyAll(replica, log)
  assert.deepEqual(answers(first?.units), ['ok', UNIQUE, 'ok', 1, 'ok'])
  assert.deepEqual(answers(second?.units), ['ok', UNIQUE])
  const failed = first?.units[1]
  assert.equal(failed?.ok === false && failed.error.statementIndex, 1)
  const rows = readRows(directory, 'app', 'SELECT v FROM t ORDER BY v')
  assert.deepEqual(rows, [[1n], [2n], [4n], [5n], [6n]])
})

test('what ON CONFLICT FAIL did before it failed goes with its unit', (context) => {
  const { directory, replica, log } = start(context, [TABLE])
  log.write('app', ['INSERT OR FAIL INTO t (v) VALUES (1), (2), (1)'])
  assert.deepEqual(answers(applyAll(replica, log)[0]?.units), [UNIQUE])
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), [])
})

test('a unit that takes the whole transaction with it leaves the others untouched', (context) => {
  const { directory, replica, log } = start(context, [
    TABLE,
    "CREATE TRIGGER no BEFORE INSERT ON t WHEN NEW.v < 0 BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
  ])
  log.write('app', ['INSERT INTO t (v) VALUES (1)', 'INSERT INTO t (v) VALUES (-1)'])
  log.write('app', ['INSERT INTO t (v) VALUES (2)'])
  log.write('app', [
    'INSERT INTO t (v) VALUES (3)',
    'INSERT OR ROLLBACK INTO t (v) VALUES (1)',
    'INSERT INTO t (v) VALUES (4)',
    'INSERT INTO t (v) VALUES (-2)',
    'INSERT INTO t (v) VALUES (5)',
  ])
  log.write('app', ['INSERT INTO t (v) VALUES (6)'])
  const results = applyAll(replica, log)
  assert.deepEqual(
    results.map(({ units }) => answers(units)),
    [['ok', TRIGGER], ['ok'], ['ok', UNIQUE, 'ok', TRIGGER, 'ok'], ['ok']],
  )
  assert.deepEqual(
    readRows(directory, 'app', 'SELECT id, v FROM t ORDER BY v'),
    [1n, 2n, 3n, 4n, 5n, 6n].map((v) => [v, v]),
  )
})

test('a deferred foreign key fails the unit whose commit finds it, however grouped', (context) => {
  const schema = [
    'CREATE TABLE p (id INTEGER PRIMARY KEY)',
    'CREATE TABLE c (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)',
  ]
  const contents = [[1], [100]].map((sizes) => {
    const { directory, replica, log } = start(context, schema)
    log.write('app', ['INSERT INTO c VALUES (1)'])
    log.write('app', [
      'INSERT INTO p VALUES (1)',
      'INSERT INTO c VALUES (2)',
      [
        { sql: 'INSERT INTO c VALUES (3)', args: [] },
        { sql: 'INSERT INTO p VALUES (3)', args: [] },
      ],
      'INSERT INTO c VALUES (1)',
    ])
    const results = applyAll(replica, log, sizes)
    assert.deepEqual(
      results.map(({ units }) => answers(units)),
      [[FOREIGN_KEY], ['ok', FOREIGN_KEY, 'ok', 'ok']],
    )
    assert.deepEqual(readRows(directory, 'app', 'SELECT p FROM c ORDER BY p'), [[1n], [3n]])
    return [contentOf(directory, 'app'), replica.databases()[1]?.digest]
  })
  assert.deepEqual(contents[0], contents[1])
})

test('the first deferred foreign key counts from the command that makes it', (context) => {
  for (const sizes of [[1], [100]]) {
    const { directory, replica, log } = start(context, ['CREATE TABLE p (id INTEGER PRIMARY KEY)'])
    log.write('app', ['CREATE TABLE c (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)'])
    log.write('app', ['INSERT INTO c VALUES (1)'])
    log.write('app', ['INSERT INTO p VALUES (1)'])
    const results = applyAll(replica, log, sizes)
    assert.deepEqual(
      results.map(({ units }) => answers(units)),
      [['ok'], [FOREIGN_KEY], ['ok']],
    )
    assert.deepEqual(readRows(directory, 'app', 'SELECT p FROM c'), [])
  }
})

test('PRAGMA defer_foreign_keys holds for its unit alone', (context) => {
  const { directory, replica, log } = start(context, [
    'CREATE TABLE p (id INTEGER PRIMARY KEY)',
    'CREATE TABLE c (p REFERENCES p (id))',
  ])
  const defer = { sql: 'PRAGMA defer_foreign_keys = ON', args: [] }
  log.write('app', [
    [
      defer,
      { sql: 'INSERT INTO c VALUES (1)', args: [] },
      { sql: 'INSERT INTO p VALUES (1)', args: [] },
    ],
    [defer, { sql: 'INSERT INTO c VALUES (2)', args: [] }],
  ])
  log.write('app', [
    [
      { sql: 'INSERT INTO c VALUES (3)', args: [] },
      { sql: 'INSERT INTO p VALUES (3)', args: [] },
    ],
  ])
  const results = applyAll(replica, log)
  assert.deepEqual(
    results.map(({ units }) => answers(units)),
    [['ok', FOREIGN_KEY], [FOREIGN_KEY]],
  )
  assert.deepEqual(readRows(directory, 'app', 'SELECT p FROM c'), [[1n]])
})

test('a half-applied command of several transactions goes on where it was', (context) => {
  let failAt = 0
  class Failing extends Writer {
    override commit(): void {
      failAt -= 1
      if (failAt === 0) throw new DiskFull()
      super.commit()
    }
  }
  const { directory, replica } = createReplica(context, {
    openWriter: (path, options) => new Failing(path, options),
  })
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, p REFERENCES t DEFERRABLE, n)'])
  // The file stays behind what is applied, while the half-applied command lies ahead of it.
  for (let i = 0; i < 3; i += 1) log.empty()
  applyAll(replica, log, [2])
  log.write(
    'app',
    [1, 2, 3, 4].map((n) => `INSERT INTO t (n) VALUES (${n})`),
  )
  failAt = 3
  const outcome = replica.apply(log.after(replica.appliedIndex))
  assert.equal(outcome.halted?.retry, 'pause')
  assert.deepEqual(readRows(directory, 'app', 'SELECT n FROM t'), [[1n], [2n]])
  assert.equal(replica.makeDurable(), log.lastIndex - 1)
  const again = resultsOf(replica.apply(log.after(replica.appliedIndex)))
  assert.deepEqual(answers(again[0]?.units), ['ok', 'ok', 'ok', 'ok'])
  assert.deepEqual(readRows(directory, 'app', 'SELECT n FROM t'), [[1n], [2n], [3n], [4n]])
})

/** What node:sqlite throws when the disk is full. */
class DiskFull extends Error {
  readonly code = 'ERR_SQLITE_ERROR'
  readonly errcode = 13

  constructor() {
    super('database or disk is full')
  }
}

test('full-text tables have equal content whatever the grouping', (context) => {
  const contents = [[1], [100]].map((sizes) => {
    const { directory, replica, log } = start(context, ['CREATE VIRTUAL TABLE f USING fts5(body)'])
    for (let i = 0; i < 8; i += 1) {
      log.write('app', [['INSERT INTO f VALUES (?)', `the ${i} quick foxes`], 'SELEC'])
    }
    applyAll(replica, log, sizes)
    const pages = readRows(directory, 'app', 'SELECT id, hex(block) FROM f_data ORDER BY id')
    return [contentOf(directory, 'app'), pages]
  })
  assert.deepEqual(contents[0], contents[1])
})

test('ANALYZE and REINDEX run among other commands', (context) => {
  const { replica, log } = start(context, [TABLE])
  log.write('app', ['INSERT INTO t (v) VALUES (1)', 'ANALYZE', 'REINDEX', 'SELECT count(*) FROM t'])
  assert.deepEqual(answers(applyAll(replica, log)[0]?.units), ['ok', 'ok', 'ok', 'ok'])
})

const FAMILY = [
  'CREATE TABLE p (id INTEGER PRIMARY KEY)',
  'CREATE TABLE c (p REFERENCES p (id) ON DELETE CASCADE)',
  'INSERT INTO p VALUES (1), (2)',
  'INSERT INTO c VALUES (1), (2)',
]
const REBUILT = ['DROP TABLE p', 'CREATE TABLE p (id INTEGER PRIMARY KEY, v)']

function withoutForeignKeys(...statements: readonly string[]): Unit {
  return { statements: statements.map((sql) => ({ sql, args: [] })), foreignKeysOff: true }
}

test('a unit without foreign keys deletes nothing behind its back, however grouped', (context) => {
  const contents = [[1], [100]].map((sizes) => {
    const { directory, replica, log } = start(context, FAMILY)
    log.write('app', ['INSERT INTO c VALUES (3)', 'INSERT INTO c VALUES (1)'])
    log.write('app', [
      'INSERT INTO c VALUES (2)',
      withoutForeignKeys(...REBUILT, 'INSERT INTO p VALUES (1, 0), (2, 0)'),
      'INSERT INTO c VALUES (3)',
    ])
    log.write('app', ['INSERT INTO c VALUES (4)', 'DELETE FROM p WHERE id = 2'])
    const results = applyAll(replica, log, sizes)
    assert.deepEqual(
      results.map(({ units }) => answers(units)),
      [
        [FOREIGN_KEY, 'ok'],
        ['ok', 'ok', FOREIGN_KEY],
        [FOREIGN_KEY, 'ok'],
      ],
    )
    assert.deepEqual(readRows(directory, 'app', 'SELECT p FROM c'), [[1n], [1n]])
    return [contentOf(directory, 'app'), replica.databases()[1]?.digest]
  })
  assert.deepEqual(contents[0], contents[1])
})

test('a unit without foreign keys fails as a whole if one leads nowhere at its end', (context) => {
  const { directory, replica, log } = start(context, FAMILY)
  log.write('app', [withoutForeignKeys(...REBUILT, 'INSERT INTO p VALUES (1, 0)')])
  log.write('app', [withoutForeignKeys('DELETE FROM p', 'SELEC 1', 'DELETE FROM c')])
  log.write('app', ['DELETE FROM p WHERE id = 1'])
  const units = applyAll(replica, log).map((result) => result.units[0])
  assert.deepEqual(
    units.map((unit) => answers(unit && [unit])),
    [[FOREIGN_KEY], [1], ['ok']],
  )
  assert.deepEqual(
    units.map((unit) => unit?.ok === false && unit.error.statementIndex),
    [2, 1, false],
  )
  const [failed] = units
  assert.match(failed?.ok === false ? failed.error.message : '', /a row of c refers to a row of p/)
  assert.deepEqual(readRows(directory, 'app', 'SELECT * FROM p'), [[2n]])
  assert.deepEqual(readRows(directory, 'app', 'SELECT * FROM c'), [[2n]])
})

test('a unit without the check leaves what leads nowhere to a later one', (context) => {
  const { directory, replica, log } = start(context, FAMILY)
  const orphan = withoutForeignKeys('INSERT INTO c VALUES (3)')
  log.write('app', [{ ...orphan, foreignKeysUnchecked: true }, 'INSERT INTO c VALUES (4)'])
  log.write('app', [orphan, withoutForeignKeys('INSERT INTO p VALUES (3)')])
  assert.deepEqual(
    applyAll(replica, log).map(({ units }) => answers(units)),
    [
      ['ok', FOREIGN_KEY],
      [FOREIGN_KEY, 'ok'],
    ],
  )
  assert.deepEqual(readRows(directory, 'app', 'SELECT p FROM c'), [[1n], [2n], [3n]])
})
