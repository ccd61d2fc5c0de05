import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Reader, Writer } from '../../src/sqlite/sqlite.ts'
import {
  commit,
  ENVIRONMENT,
  failureWith,
  makeDirectory,
  openReader,
  openWriter,
  rowsOf,
  runAll,
  scalar,
} from './fixture.ts'

function openPair(test: TestContext): { writer: Writer; reader: Reader } {
  const writer = openWriter(test)
  runAll(writer, 'CREATE TABLE t (a, b)', 'INSERT INTO t VALUES (1, 2)')
  commit(writer)
  return { writer, reader: openReader(test, writer.path) }
}

describe('classification', () => {
  it('tells reads from writes', (test) => {
    const { reader } = openPair(test)
    const kinds: readonly (readonly [sql: string, kind: string])[] = [
      ['SELECT * FROM t', 'read'],
      ['VALUES (1)', 'read'],
      ['WITH x AS (SELECT 1) SELECT * FROM x', 'read'],
      ['WITH x AS (SELECT 1) INSERT INTO t SELECT 1, 2 FROM x', 'write'],
      ['EXPLAIN QUERY PLAN DELETE FROM t', 'read'],
      ['INSERT INTO t VALUES (1, 2) RETURNING a', 'write'],
      ['CREATE TABLE x (y)', 'write'],
      ['CREATE VIRTUAL TABLE words USING fts5 (body)', 'write'],
      ['DROP TABLE t', 'write'],
      ['ANALYZE', 'write'],
      ['PRAGMA table_info(t)', 'read'],
      ['PRAGMA user_version', 'read'],
      ['PRAGMA user_version = 1', 'write'],
      ['PRAGMA journal_mode = WAL', 'read'],
      ['SELECT * FROM nowhere', 'unknown'],
      ['SELEC', 'unknown'],
      ['BEGIN', 'unknown'],
    ]
    for (const [sql, kind] of kinds) assert.equal(reader.classify(sql).kind, kind, sql)
    const refused = reader.classify('BEGIN')
    assert.equal(refused.kind === 'unknown' && refused.error.code, 'ERR_REFUSED_SQL')
  })

  it('takes no effect, even for what SQLite does while it prepares', (test) => {
    const { reader } = openPair(test)
    for (const sql of ['PRAGMA foreign_keys = OFF', 'PRAGMA user_version = 5', 'DROP TABLE t']) {
      reader.classify(sql)
    }
    assert.equal(scalar(reader, 'PRAGMA foreign_keys'), 1n)
    assert.equal(scalar(reader, 'PRAGMA user_version'), 0n)
    assert.equal(scalar(reader, 'SELECT count(*) FROM t'), 1n)
  })

  it('is looked for again when the schema moves, until it is found', (test) => {
    const { writer, reader } = openPair(test)
    const insert = 'INSERT INTO late VALUES (1)'
    assert.equal(reader.classify(insert).kind, 'unknown')
    runAll(writer, 'CREATE TABLE late (a)')
    commit(writer)
    assert.equal(reader.classify(insert).kind, 'write')
    runAll(writer, 'DROP TABLE late')
    commit(writer)
    assert.equal(reader.classify(insert).kind, 'write')
  })

  it('names the columns of the present schema, though the statement has not run since', (test) => {
    const { writer, reader } = openPair(test)
    runAll(writer, 'CREATE TABLE wide (a)')
    commit(writer)
    const prepared = reader.prepare('SELECT * FROM wide')
    assert.deepEqual(prepared.columns(), ['a'])
    runAll(writer, 'ALTER TABLE wide ADD COLUMN z')
    commit(writer)
    assert.deepEqual(prepared.columns(), ['a', 'z'])
  })

  it('works on nothing, where a database is not made yet', (test) => {
    const reader = openReader(test, ':memory:', { readOnly: false })
    assert.equal(reader.classify('CREATE TABLE t (a)').kind, 'write')
    assert.deepEqual(rowsOf(reader, 'SELECT 1'), [[1n]])
    assert.throws(
      () => reader.query('CREATE TABLE t (a)', []),
      failureWith('ERR_REFUSED_SQL', /writes/),
    )
    assert.throws(
      () => reader.query('SELECT * FROM t', []),
      failureWith('ERR_SQL', /no such table/),
    )
  })
})

describe('queries', () => {
  it('take their columns from the schema that they ran on', (test) => {
    const { writer, reader } = openPair(test)
    const sql = 'SELECT * FROM t'
    assert.deepEqual(reader.query(sql, []).columns, ['a', 'b'])
    runAll(writer, 'ALTER TABLE t RENAME COLUMN a TO first')
    commit(writer)
    assert.deepEqual(reader.query(sql, []).columns, ['first', 'b'])
    runAll(writer, 'ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 3')
    commit(writer)
    assert.deepEqual(reader.query(sql, []), {
      columns: ['first', 'b', 'c'],
      columnTypes: ['', '', 'INTEGER'],
      rows: [[1n, 2n, 3n]],
    })
  })

  it('see each commit, and none while pinned', (test) => {
    const { writer, reader } = openPair(test)
    reader.pin()
    assert.equal(reader.inTransaction, true)
    runAll(writer, 'INSERT INTO t VALUES (3, 4)')
    commit(writer)
    assert.equal(scalar(reader, 'SELECT count(*) FROM t'), 1n)
    reader.unpin()
    assert.equal(reader.inTransaction, false)
    assert.equal(scalar(reader, 'SELECT count(*) FROM t'), 2n)
  })

  it('answer SQL errors as failures, with the code', (test) => {
    const { reader } = openPair(test)
    assert.throws(() => reader.query("SELECT json('{')", []), failureWith('ERR_SQL', /malformed/))
    assert.throws(
      () => reader.query('SELECT ?', [1n, 2n]),
      failureWith('ERR_INVALID_ARGUMENT', /takes 1 argument, and 2/),
    )
    assert.throws(
      () => reader.query('SELECT :a', new Map([['b', 1n]])),
      failureWith('ERR_INVALID_ARGUMENT', /no argument for :a/),
    )
  })
})

describe('prepared reads', () => {
  it('give rows as asked for', (test) => {
    const { reader } = openPair(test)
    const objects = reader.prepare('SELECT a, b FROM t WHERE a = ?')
    assert.deepEqual({ ...(objects.get([1n]) as object) }, { a: 1, b: 2 })
    assert.equal(objects.get([9n]), undefined)
    assert.deepEqual(objects.columns(), ['a', 'b'])
    const arrays = reader.prepare('SELECT a, b FROM t', { rowMode: 'array', bigints: true })
    assert.deepEqual(arrays.all([]), [[1n, 2n]])
    assert.deepEqual([...arrays.iterate([])], [[1n, 2n]])
    const named = reader.prepare('SELECT a FROM t WHERE a = :a', { rowMode: 'array' })
    assert.deepEqual(named.all(new Map([['a', 1n]])), [[1]])
    assert.throws(
      () => reader.prepare('DELETE FROM t'),
      failureWith('ERR_REFUSED_SQL', /a statement that writes/),
    )
  })

  it('hold their snapshot while they iterate, and let it go when returned', (test) => {
    const { writer, reader } = openPair(test)
    runAll(writer, 'INSERT INTO t VALUES (3, 4)')
    commit(writer)
    const iterator = reader.prepare('SELECT a FROM t', { rowMode: 'array' }).iterate([])
    iterator.next()
    runAll(writer, 'DELETE FROM t')
    commit(writer)
    assert.equal(scalar(reader, 'SELECT count(*) FROM t'), 2n)
    iterator.return?.()
    assert.equal(scalar(reader, 'SELECT count(*) FROM t'), 0n)
  })
})

describe('a backup', () => {
  it('from a pinned reader is that snapshot, while writes go on', async (test) => {
    const directory = makeDirectory(test)
    const writer = openWriter(test, {}, join(directory, 'a.db'))
    runAll(writer, 'CREATE TABLE t (a)', 'INSERT INTO t VALUES (zeroblob(20000000))')
    commit(writer)
    const reader = openReader(test, writer.path)
    reader.pin()
    let steps = 0
    await reader.backup(join(directory, 'copy.db'), () => {
      // Without the pin each commit would make the copy begin again, for ever.
      if (steps === 50) return
      steps += 1
      runAll(writer, `INSERT INTO t VALUES (${steps})`)
      commit(writer)
    })
    reader.unpin()
    assert.ok(steps > 0, 'progress was told, and writes went on')
    const copy = openReader(test, join(directory, 'copy.db'))
    assert.equal(scalar(copy, 'SELECT count(*) FROM t'), 1n)
    assert.equal(scalar(reader, 'SELECT count(*) FROM t'), BigInt(steps + 1))
  })
})

describe('versions', () => {
  it('move with the schema and with commits of others', (test) => {
    const { writer, reader } = openPair(test)
    const [schema, data] = [reader.schemaVersion(), reader.dataVersion()]
    runAll(writer, 'INSERT INTO t VALUES (5, 6)')
    commit(writer)
    assert.equal(reader.schemaVersion(), schema)
    assert.notEqual(reader.dataVersion(), data)
    runAll(writer, 'CREATE TABLE u (x)')
    commit(writer)
    assert.notEqual(reader.schemaVersion(), schema)
    writer.resetUnit(ENVIRONMENT, 0)
  })
})
