import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { SqlValue, StatementArgs } from '../../src/command/command.ts'
import type { Writer } from '../../src/sqlite/sqlite.ts'
import { commit, ENVIRONMENT, openWriter, rowsOf, runAll, scalar } from './fixture.ts'

/** Rows changed and the rowid told for a statement. */
function counts(
  writer: Writer,
  sql: string,
  args: StatementArgs = [],
): [rowsAffected: number, rowid: bigint | null] {
  const { rowsAffected, lastInsertRowid } = writer.run(sql, args)
  return [rowsAffected, lastInsertRowid]
}

describe('plans', () => {
  it('are those of the statistics in the file, whatever was rolled back', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      'CREATE TABLE t (a, b)',
      'CREATE INDEX by_a ON t (a)',
      'CREATE INDEX by_b ON t (b)',
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) ' +
        'INSERT INTO t SELECT i, 1 FROM n',
      'ANALYZE',
    )
    commit(writer)
    const plan = (): unknown =>
      rowsOf(writer, 'EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 1 AND b = 1')[0]?.at(-1)
    const before = plan()
    runAll(writer, 'UPDATE t SET a = 1, b = a', 'ANALYZE')
    assert.notEqual(plan(), before)
    writer.rollback()
    writer.begin()
    writer.resetUnit(ENVIRONMENT, 0)
    assert.equal(plan(), before)
  })
})

describe('results', () => {
  it('keep every type exact', (test) => {
    const writer = openWriter(test)
    const values = [null, -(2n ** 63n), 2n ** 53n + 1n, 0.1, 'a\0é', new Uint8Array([0, 255])]
    runAll(writer, 'CREATE TABLE t (a, b, c, d, e, f)')
    writer.run('INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)', values)
    assert.deepEqual(rowsOf(writer, 'SELECT * FROM t'), [values])
    assert.equal(scalar(writer, 'SELECT typeof(?)', [1n]), 'integer')
    assert.equal(scalar(writer, 'SELECT typeof(?)', [1]), 'real')
    assert.equal(scalar(writer, 'SELECT typeof(?)', [new Uint8Array(0)]), 'blob')
    assert.deepEqual(
      rowsOf(
        writer,
        'SELECT :a, @b, $c',
        new Map<string, SqlValue>([
          ['a', 1n],
          ['b', null],
          ['c', 'x'],
        ]),
      ),
      [[1n, null, 'x']],
    )
  })

  it('keep columns of one name apart, and tell declared types', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a INTEGER, b VARCHAR(10))', "INSERT INTO t VALUES (1, 'x')")
    const result = writer.run('SELECT a AS n, b AS n, a + 1 AS sum FROM t', [])
    assert.deepEqual(result.columns, ['n', 'n', 'sum'])
    assert.deepEqual(result.columnTypes, ['INTEGER', 'VARCHAR(10)', ''])
    assert.deepEqual(result.rows, [[1n, 'x', 2n]])
    assert.deepEqual(writer.run('SELECT a FROM t WHERE 0', []).columns, ['a'])
  })

  it('hold rows of RETURNING with their counts', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY, a)')
    assert.deepEqual(writer.run('INSERT INTO t (a) VALUES (1), (2) RETURNING id, a', []), {
      columns: ['id', 'a'],
      columnTypes: ['INTEGER', ''],
      rows: [
        [1n, 1n],
        [2n, 2n],
      ],
      rowsAffected: 2,
      lastInsertRowid: 2n,
    })
    assert.deepEqual(counts(writer, 'DELETE FROM t RETURNING id'), [2, null])
  })

  it('count rows of inserts, updates and deletes only', (test) => {
    const writer = openWriter(test)
    assert.deepEqual(counts(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY, a)'), [0, null])
    assert.deepEqual(counts(writer, 'INSERT INTO t (a) VALUES (1), (2), (3)'), [3, 3n])
    assert.deepEqual(counts(writer, 'SELECT * FROM t'), [0, null])
    assert.deepEqual(counts(writer, 'CREATE TABLE copy AS SELECT * FROM t'), [0, null])
    assert.deepEqual(counts(writer, 'UPDATE t SET a = 2 WHERE a > 1'), [2, null])
    assert.deepEqual(counts(writer, 'CREATE INDEX i ON t (a)'), [0, null])
    assert.deepEqual(counts(writer, 'PRAGMA user_version = 3'), [0, null])
    assert.deepEqual(counts(writer, 'ANALYZE'), [0, null])
    assert.deepEqual(counts(writer, 'DELETE FROM t'), [3, null])
    assert.deepEqual(counts(writer, 'DROP TABLE copy'), [0, null])
  })

  it('tell a rowid only where the statement itself inserted a row that has one', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      'CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)',
      'CREATE TABLE keyed (k TEXT PRIMARY KEY) WITHOUT ROWID',
      'CREATE TABLE log (x)',
      'CREATE VIEW v AS SELECT a FROM t',
      'CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO log VALUES (new.a); END',
      'CREATE TRIGGER h AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (1); END',
      'CREATE VIRTUAL TABLE words USING fts5 (body)',
    )
    assert.deepEqual(counts(writer, 'INSERT INTO t VALUES (7, 1)'), [1, 7n])
    assert.deepEqual(counts(writer, 'INSERT OR IGNORE INTO t VALUES (8, 1)'), [0, null])
    assert.deepEqual(counts(writer, 'INSERT INTO t VALUES (8, 1) ON CONFLICT DO NOTHING'), [
      0,
      null,
    ])
    assert.deepEqual(counts(writer, "INSERT INTO keyed VALUES ('k')"), [1, null])
    assert.deepEqual(counts(writer, 'INSERT INTO v VALUES (5)'), [0, null])
    assert.deepEqual(counts(writer, 'UPDATE t SET a = 2'), [1, null])
    const upsert = 'INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET a = a'
    assert.deepEqual(counts(writer, upsert, [2n]), [1, null])
    assert.deepEqual(counts(writer, upsert, [3n]), [1, 8n])
    assert.deepEqual(counts(writer, 'REPLACE INTO t VALUES (8, 4)'), [1, 8n])
    assert.deepEqual(counts(writer, 'INSERT INTO log VALUES (1)'), [1, 4n])
    assert.deepEqual(counts(writer, "INSERT INTO words VALUES ('x')"), [1, 1n])
  })

  it('leave last_insert_rowid() what it is, behind an upsert that inserted nothing', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)', 'CREATE TABLE u (x)')
    runAll(
      writer,
      'INSERT INTO t VALUES (7, 1)',
      'INSERT INTO t VALUES (9, 1) ON CONFLICT (a) DO UPDATE SET a = a',
    )
    assert.deepEqual(rowsOf(writer, 'SELECT last_insert_rowid(), changes()'), [[7n, 1n]])
    runAll(writer, 'INSERT INTO t VALUES (9, 1) ON CONFLICT (a) DO UPDATE SET a = a WHERE 0')
    assert.deepEqual(rowsOf(writer, 'SELECT last_insert_rowid(), changes()'), [[7n, 0n]])
    runAll(writer, 'INSERT INTO u VALUES (last_insert_rowid())')
    assert.equal(scalar(writer, 'SELECT x FROM u'), 7n)
    assert.equal(scalar(writer, 'SELECT last_insert_rowid()'), 1n)
  })
})

describe('a unit', () => {
  it('sees nothing of the units before it', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a)', 'CREATE TABLE u (x, y)')
    runAll(writer, 'INSERT INTO t VALUES (1), (2), (3)')
    assert.deepEqual(rowsOf(writer, 'SELECT last_insert_rowid(), changes()'), [[3n, 3n]])
    writer.resetUnit(ENVIRONMENT, 1)
    assert.deepEqual(rowsOf(writer, 'SELECT last_insert_rowid(), changes()'), [[0n, 0n]])
    writer.resetUnit(ENVIRONMENT, 2)
    runAll(writer, 'INSERT INTO u VALUES (last_insert_rowid(), changes())')
    assert.deepEqual(rowsOf(writer, 'SELECT * FROM u'), [[0n, 0n]])
  })

  it('answers on a writer that has just opened as on one with a past', (test) => {
    const past = openWriter(test)
    runAll(past, 'CREATE TABLE t (a UNIQUE)', 'INSERT INTO t VALUES (1), (2)', 'DELETE FROM t')
    const fresh = openWriter(test)
    runAll(fresh, 'CREATE TABLE t (a UNIQUE)')
    const unit = [
      'UPDATE t SET a = 1',
      'CREATE TABLE x (y)',
      'INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1',
      'INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1',
      'SELECT last_insert_rowid(), changes()',
    ]
    for (const writer of [past, fresh]) writer.resetUnit(ENVIRONMENT, 5)
    for (const sql of unit) assert.deepEqual(past.run(sql, []), fresh.run(sql, []), sql)
  })
})

describe('facts', () => {
  it('say what a statement does', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      'CREATE TABLE t (a, b DEFAULT (random()))',
      'CREATE TABLE log (x)',
      'CREATE TRIGGER g AFTER DELETE ON t BEGIN INSERT INTO log VALUES (1); END',
      'CREATE VIRTUAL TABLE words USING fts5 (body)',
    )
    const kinds = (sql: string): unknown[] => {
      const { kind, inserts, modifies, changesSchema, analyzes } = writer.facts(sql)
      return [kind, inserts, modifies, changesSchema, analyzes]
    }
    assert.deepEqual(kinds('SELECT * FROM t'), ['read', false, false, false, false])
    assert.deepEqual(kinds('EXPLAIN DELETE FROM t'), ['read', false, false, false, false])
    assert.deepEqual(kinds('INSERT INTO log VALUES (1)'), ['write', true, true, false, false])
    assert.deepEqual(kinds('DELETE FROM t'), ['write', true, true, false, false])
    assert.deepEqual(kinds('DELETE FROM log'), ['write', false, true, false, false])
    assert.deepEqual(kinds('CREATE TABLE x (y)'), ['write', false, false, true, false])
    assert.deepEqual(kinds('DROP TABLE log'), ['write', false, false, true, false])
    assert.deepEqual(kinds('REINDEX'), ['write', false, false, false, true])
    assert.deepEqual(writer.facts('DELETE FROM t').writtenTables, ['t', 'log'])
    assert.deepEqual(writer.facts('SELECT random(), CURRENT_DATE').nonDeterministic, [
      'random()',
      'CURRENT_DATE',
    ])
    assert.deepEqual(writer.facts('INSERT INTO t (a) VALUES (1)').nonDeterministic, ['random()'])
    assert.equal(writer.facts("INSERT INTO words VALUES ('x')").touchesVirtualTable, true)
    assert.equal(writer.facts('SELECT * FROM words').touchesVirtualTable, true)
    assert.equal(writer.facts('SELECT * FROM t').touchesVirtualTable, false)
  })

  it('change with the schema, in the transaction and by rolling back', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a)', 'CREATE TABLE log (x)')
    commit(writer)
    const insert = 'INSERT INTO t VALUES (1)'
    assert.deepEqual(writer.facts(insert).writtenTables, ['t'])
    writer.savepoint()
    runAll(writer, 'CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1); END')
    assert.deepEqual(writer.facts(insert).writtenTables, ['t', 'log'])
    writer.rollbackToSavepoint()
    assert.deepEqual(writer.facts(insert).writtenTables, ['t'])
    const select = 'SELECT * FROM t'
    assert.deepEqual(writer.run(select, []).columns, ['a'])
    runAll(writer, 'ALTER TABLE t RENAME COLUMN a TO renamed')
    assert.deepEqual(writer.run(select, []).columns, ['renamed'])
  })

  it('tell deferred foreign keys, in a statement and in the schema', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const deferred = 'CREATE TABLE c (x REFERENCES t DEFERRABLE INITIALLY DEFERRED)'
    assert.equal(writer.hasDeferredForeignKeys(), false)
    assert.equal(writer.facts('CREATE TABLE c (x REFERENCES t)').defersForeignKeys, false)
    assert.equal(writer.facts(deferred).defersForeignKeys, true)
    writer.savepoint()
    runAll(writer, deferred)
    assert.equal(writer.hasDeferredForeignKeys(), true)
    writer.rollbackToSavepoint()
    assert.equal(writer.hasDeferredForeignKeys(), false)
  })
})

describe('a writer', () => {
  it('notices what another connection did to its file', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a)')
    writer.commit()
    const before = writer.dataVersion()
    writer.begin()
    writer.resetUnit(ENVIRONMENT, 0)
    runAll(writer, 'INSERT INTO t VALUES (1)')
    writer.commit()
    assert.equal(writer.dataVersion(), before)
    const other = openWriter(test, {}, writer.path)
    runAll(other, 'CREATE TABLE u (a)')
    other.commit()
    assert.notEqual(writer.dataVersion(), before)
  })

  it('checkpoints only when told to', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a)', 'INSERT INTO t VALUES (zeroblob(8000000))')
    writer.commit()
    assert.ok(statSync(writer.path).size < 100_000, 'a commit alone moves nothing into the file')
    const { busy, log, checkpointed } = writer.checkpoint('PASSIVE')
    assert.deepEqual([busy, checkpointed], [false, log])
    assert.ok(log > 1900, `${log} pages`)
    assert.deepEqual(writer.checkpoint('TRUNCATE'), { busy: false, log: 0, checkpointed: 0 })
    assert.equal(writer.walPath, `${writer.path}-wal`)
  })

  it('holds limits lower where asked to', (test) => {
    const writer = openWriter(test, { limits: { length: 1000 } })
    assert.throws(() => writer.run('SELECT zeroblob(2000)', []), /too big/)
  })
})
