import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { classifyFailure, type FailureKind, Writer } from '../../src/sqlite/sqlite.ts'
import {
  commit,
  ENVIRONMENT,
  failureOf,
  makeDirectory,
  openWriter,
  rowsOf,
  runAll,
  scalar,
} from './fixture.ts'

const LARGEST = 2n ** 63n - 1n

describe('answers: the same on every node', () => {
  const cases: readonly (readonly [sql: string, sqliteCode: number])[] = [
    ['SELECT * FROM nowhere', 1],
    ['SELEC 1', 1],
    ['SELECT nothing()', 1],
    ['INSERT INTO t VALUES (1, 1)', 1555],
    ['INSERT INTO t VALUES (2, NULL)', 1299],
    ['INSERT INTO t VALUES (2, -1)', 275],
    ["INSERT INTO t VALUES ('text', 1)", 20],
    ['INSERT INTO child VALUES (99)', 787],
    ['SELECT zeroblob(2000000000)', 18],
    ["SELECT json('{')", 1],
    ['SELECT abs(-9223372036854775808)', 1],
    ['INSERT INTO t_view VALUES (1)', 1],
    ["INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, '')", 1],
    ['DELETE FROM words_data', 1],
    ["SELECT * FROM words WHERE words MATCH '\"'", 1],
  ]

  it('are told with their code, and the transaction stays', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      'CREATE TABLE t (id INTEGER PRIMARY KEY, a NOT NULL CHECK (a > 0))',
      'CREATE TABLE child (x REFERENCES t (id))',
      'CREATE VIEW t_view AS SELECT * FROM t',
      'CREATE VIRTUAL TABLE words USING fts5 (body)',
      'INSERT INTO t VALUES (1, 1)',
    )
    for (const [sql, sqliteCode] of cases) {
      const { kind, error } = failureOf(writer, sql)
      assert.deepEqual([kind, error.code, error.sqliteCode], ['answer', 'ERR_SQL', sqliteCode], sql)
    }
    const tooMany = failureOf(writer, 'SELECT ?', [1n, 2n])
    assert.deepEqual([tooMany.kind, tooMany.error.code], ['answer', 'ERR_INVALID_ARGUMENT'])
    const unknownName = failureOf(writer, 'SELECT :a', new Map([['b', 1n]]))
    assert.deepEqual([unknownName.kind, unknownName.error.code], ['answer', 'ERR_INVALID_ARGUMENT'])
    assert.match(unknownName.error.message, /no argument for :a/)
    assert.equal(scalar(writer, 'SELECT count(*) FROM t'), 1n)
  })

  it('carry the position that the caller gives', (test) => {
    const writer = openWriter(test)
    try {
      writer.run('SELEC 1', [])
    } catch (error) {
      assert.equal(classifyFailure(error, writer, 3).error.statementIndex, 3)
      return
    }
    assert.fail('no failure')
  })

  it('are deferred foreign keys at COMMIT', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      'CREATE TABLE t (id INTEGER PRIMARY KEY)',
      'CREATE TABLE child (x REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)',
      'INSERT INTO child VALUES (1)',
    )
    assert.equal(writer.hasDeferredForeignKeys(), true)
    assert.throws(
      () => writer.commit(),
      (error) => {
        const { kind, error: answer } = classifyFailure(error, writer)
        return kind === 'answer' && answer.sqliteCode === 787
      },
    )
    assert.equal(writer.inTransaction, true)
  })
})

describe('a transaction that vanished', () => {
  const cases: readonly (readonly [name: string, sql: string])[] = [
    ['INSERT OR ROLLBACK', 'INSERT OR ROLLBACK INTO t VALUES (1)'],
    ['a column with ON CONFLICT ROLLBACK', 'INSERT INTO strict_t VALUES (1)'],
    ['RAISE(ROLLBACK) in a trigger', 'INSERT INTO watched VALUES (1)'],
  ]
  for (const [name, sql] of cases) {
    it(`is an answer: ${name}`, (test) => {
      const writer = openWriter(test)
      runAll(
        writer,
        'CREATE TABLE t (id INTEGER PRIMARY KEY)',
        'CREATE TABLE strict_t (id UNIQUE ON CONFLICT ROLLBACK)',
        'CREATE TABLE watched (x)',
        "CREATE TRIGGER g BEFORE INSERT ON watched BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
        'INSERT INTO t VALUES (1)',
        'INSERT INTO strict_t VALUES (1)',
      )
      commit(writer)
      const { kind, error } = failureOf(writer, sql)
      assert.deepEqual([kind, error.sqliteCode & 0xff], ['vanished', 19])
      assert.equal(writer.inTransaction, false)
      writer.begin()
      assert.equal(scalar(writer, 'SELECT count(*) FROM t'), 1n)
    })
  }
})

/** A directory on a file system of 1 MiB, or undefined where mounting is not permitted. */
function mountSmallDisk(test: TestContext): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'colmena-small-disk-'))
  let isMounted = false
  test.after(() => {
    if (isMounted) execFileSync('umount', ['--lazy', directory])
    rmSync(directory, { recursive: true })
  })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  isMounted = true
  return directory
}

describe("this machine's trouble", () => {
  it('is a full disk, which ends the transaction as RAISE(ROLLBACK) does', (test) => {
    const directory = mountSmallDisk(test)
    const writer = openWriter(test, {}, directory && join(directory, 'a.db'))
    // Where no file system can be mounted, a limit of pages gives the same error.
    if (directory === undefined) writer.own('PRAGMA max_page_count = 100').run()
    runAll(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY, a)')
    commit(writer)
    writer.own('PRAGMA cache_size = 5').run()
    const fill =
      'INSERT INTO t (a) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c ' +
      'WHERE n < 3000) SELECT zeroblob(1000) FROM c'
    const { kind, error } = failureOf(writer, fill)
    assert.equal(kind, 'machine')
    assert.ok([13, 10].includes(error.sqliteCode & 0xff), `code ${error.sqliteCode}`)
  })

  it('is a full file, also where the transaction stays open', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)')
    writer.own('PRAGMA max_page_count = 20').run()
    const { kind, error } = failureOf(writer, 'INSERT INTO t (a) VALUES (zeroblob(900000))')
    assert.deepEqual([kind, error.sqliteCode], ['machine', 13])
  })

  it('is a lock that another process holds: busy, for another try', (test) => {
    const path = join(makeDirectory(test), 'a.db')
    openWriter(test, {}, path)
    const other = new Writer(path)
    test.after(() => other.close())
    assert.throws(
      () => other.begin(),
      (error) => classifyFailure(error, other).kind === 'busy',
    )
  })

  it('is whatever is on no list of answers', (test) => {
    const writer = openWriter(test)
    const judge = (errcode: number, isOpen: boolean): FailureKind => {
      const error = Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode })
      return classifyFailure(error, { inTransaction: isOpen }).kind
    }
    // NOMEM, READONLY, INTERRUPT, IOERR_FSYNC, CORRUPT, CORRUPT_VTAB, FULL, CANTOPEN, SCHEMA and
    // NOTADB.
    for (const code of [7, 8, 9, 1034, 11, 267, 13, 14, 17, 26]) {
      assert.equal(judge(code, true), 'machine', `${code}`)
      assert.equal(judge(code, false), 'machine', `${code}`)
    }
    assert.equal(judge(5, true), 'busy')
    assert.equal(judge(517, true), 'busy')
    assert.equal(judge(6, true), 'busy')
    // Only a constraint takes the transaction away on every node alike.
    assert.equal(judge(1, false), 'machine')
    assert.equal(judge(1811, false), 'vanished')
    assert.equal(classifyFailure(new TypeError('ours'), writer).kind, 'machine')
  })
})

describe('the last rowid', () => {
  it('makes an AUTOINCREMENT table full on every node: an answer', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)')
    writer.run('INSERT INTO t (id) VALUES (?)', [LARGEST])
    commit(writer)
    const { kind, error } = failureOf(writer, 'INSERT INTO t (a) VALUES (1)')
    assert.equal(kind, writer.inTransaction ? 'answer' : 'vanished')
    assert.equal(error.sqliteCode, 13)
  })

  it('is known within the transaction that used it, although it vanished', (test) => {
    for (const use of [
      `INSERT INTO t (id) VALUES (${LARGEST})`,
      `UPDATE sqlite_sequence SET seq = ${LARGEST}`,
    ]) {
      const writer = openWriter(test)
      runAll(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)')
      runAll(writer, 'INSERT INTO t (a) VALUES (1)')
      commit(writer)
      runAll(writer, use)
      assert.notEqual(failureOf(writer, 'INSERT INTO t (a) VALUES (1)').kind, 'machine', use)
    }
  })

  it('does not excuse a full disk for another table', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)')
    runAll(writer, 'CREATE TABLE u (id INTEGER PRIMARY KEY AUTOINCREMENT, a)')
    writer.run('INSERT INTO t (id) VALUES (?)', [LARGEST])
    writer.own('PRAGMA max_page_count = 20').run()
    assert.equal(failureOf(writer, 'INSERT INTO u (a) VALUES (zeroblob(900000))').kind, 'machine')
  })

  it('is refused for other tables, where SQLite would pick rowids at random', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
      'CREATE TABLE hidden (a)',
      'CREATE TABLE keyed (id INTEGER PRIMARY KEY, a) WITHOUT ROWID',
      'CREATE VIRTUAL TABLE words USING fts5 (body)',
      'CREATE TRIGGER g AFTER INSERT ON hidden BEGIN INSERT INTO t (id) VALUES (new.a); END',
    )
    const attempts: readonly (readonly [string, readonly (bigint | string)[]])[] = [
      ['INSERT INTO t (id) VALUES (?)', [LARGEST]],
      ['INSERT INTO t (id) VALUES (?)', [`${LARGEST}`]],
      [`INSERT INTO t (id) VALUES (${LARGEST})`, []],
      ['INSERT INTO t (id) VALUES (0x7fffffffffffffff)', []],
      ['INSERT INTO t (id) SELECT ? - 0', [LARGEST]],
      ['INSERT INTO hidden (rowid) VALUES (?)', [LARGEST]],
      ['INSERT INTO hidden (a) VALUES (?)', [LARGEST]],
      ['INSERT INTO words (rowid) VALUES (?)', [LARGEST]],
    ]
    for (const [sql, args] of attempts) {
      const { kind, error } = failureOf(writer, sql, args)
      assert.deepEqual([kind, error.code], ['answer', 'ERR_NON_DETERMINISTIC_SQL'], sql)
    }
    runAll(writer, 'INSERT INTO t (id) VALUES (5)')
    assert.equal(
      failureOf(writer, `UPDATE t SET id = ${LARGEST}`).error.code,
      'ERR_NON_DETERMINISTIC_SQL',
    )
    writer.run('INSERT INTO t (a) VALUES (?)', [LARGEST])
    writer.run('INSERT INTO keyed VALUES (?, 1)', [LARGEST])
    assert.deepEqual(rowsOf(writer, 'SELECT id FROM t'), [[5n], [6n]])
  })
})

describe('what a rolled-back transaction leaves', () => {
  const schema = [
    'CREATE TABLE t (a, b)',
    'CREATE INDEX by_a ON t (a)',
    'CREATE INDEX by_b ON t (b)',
    'INSERT INTO t SELECT value % 2, value FROM json_each(?)',
  ]
  const numbers = JSON.stringify(Array.from({ length: 500 }, (_, at) => at))
  const plan = (writer: Writer): string =>
    String(rowsOf(writer, 'EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 1 AND b = 1')[0]?.[3])

  for (const [name, undo] of [
    ['ROLLBACK', (writer: Writer) => writer.rollback()],
    ['ROLLBACK TO', (writer: Writer) => writer.rollbackToSavepoint()],
    [
      'a vanished transaction',
      (writer: Writer) => {
        assert.equal(failureOf(writer, 'INSERT OR ROLLBACK INTO one VALUES (1)').kind, 'vanished')
      },
    ],
  ] as const) {
    it(`is no plan of a rolled-back ANALYZE: ${name}`, (test) => {
      const writer = openWriter(test)
      for (const sql of schema) writer.run(sql, sql.includes('?') ? [numbers] : [])
      runAll(writer, 'CREATE TABLE one (x UNIQUE)', 'INSERT INTO one VALUES (1)', 'ANALYZE')
      commit(writer)
      const before = plan(writer)
      writer.savepoint()
      // Now b looks like the worse index.
      runAll(writer, 'UPDATE t SET a = rowid, b = 1', 'ANALYZE')
      assert.notEqual(plan(writer), before)
      undo(writer)
      if (!writer.inTransaction) writer.begin()
      writer.resetUnit(ENVIRONMENT, 0)
      assert.equal(plan(writer), before)
    })
  }

  it('is no table of statistics that it made', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a)', 'CREATE INDEX i ON t (a)', 'INSERT INTO t VALUES (1)')
    commit(writer)
    runAll(writer, 'ANALYZE')
    writer.rollback()
    writer.begin()
    assert.equal(scalar(writer, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%stat1'"), 0n)
  })
})
