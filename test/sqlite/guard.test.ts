import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Writer } from '../../src/sqlite/sqlite.ts'
import {
  commit,
  failureOf,
  failureWith,
  makeDirectory,
  openReader,
  openWriter,
  runAll,
  scalar,
} from './fixture.ts'

const SCHEMA = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
  'CREATE TABLE u (x)',
  'CREATE VIRTUAL TABLE words USING fts5 (body)',
  'ANALYZE',
]

const REFUSED: readonly (readonly [sql: string, reason: RegExp])[] = [
  ["ATTACH ':memory:' AS other", /ATTACH is refused.*node\.database/],
  ['DETACH main', /DETACH is refused/],
  ['VACUUM', /VACUUM is refused.*renumbers/],
  ["VACUUM INTO '/tmp/never.db'", /VACUUM is refused/],
  ['EXPLAIN VACUUM', /VACUUM is refused/],
  ['BEGIN', /BEGIN is refused.*batch\(\)/],
  ['COMMIT', /COMMIT is refused.*batch\(\)/],
  ['END', /END is refused/],
  ['ROLLBACK', /ROLLBACK is refused/],
  ['SAVEPOINT mine', /SAVEPOINT is refused/],
  ['RELEASE _colmena_unit', /RELEASE is refused/],
  ["SELECT load_extension('x')", /load_extension\(\) is refused|no such function|not authorized/],
  ['CREATE TEMP TABLE x (y)', /TEMP object is refused/],
  ['CREATE TABLE temp.x (y)', /TEMP object is refused/],
  ['CREATE TEMP VIEW x AS SELECT 1', /TEMP object is refused/],
  ['CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END', /TEMP object is refused/],
  ['CREATE TRIGGER temp.x AFTER INSERT ON t BEGIN SELECT 1; END', /TEMP object is refused/],
  ['INSERT INTO u VALUES (total_changes())', /total_changes\(\) in a write is refused/],
  ['INSERT INTO u VALUES (sqlite_version())', /sqlite_version\(\) in a write is refused/],
  ['INSERT INTO u VALUES (sqlite_source_id())', /sqlite_source_id\(\) in a write is refused/],
  ['INSERT INTO u VALUES (fts5_source_id())', /fts5_source_id\(\) in a write is refused/],
  ["INSERT INTO u VALUES (sqlite_compileoption_used('X'))", /sqlite_compileoption_used\(\) in/],
  ['INSERT INTO u VALUES (sqlite_compileoption_get(1))', /sqlite_compileoption_get\(\) in/],
  ['INSERT INTO u SELECT file FROM pragma_database_list', /pragma_database_list in a write/],
  ["UPDATE u SET x = (SELECT count(*) FROM pragma_table_info('t'))", /pragma_table_info in a/],
  ['DELETE FROM u WHERE x IN (SELECT name FROM dbstat)', /dbstat in a write is refused/],
  ['CREATE TABLE c AS SELECT * FROM pragma_compile_options', /pragma_compile_options in a write/],
  ['CREATE VIRTUAL TABLE s USING dbstat', /module dbstat is refused/],
  ['INSERT INTO u SELECT rootpage FROM sqlite_schema', /rootpage in a write is refused/],
  ["UPDATE sqlite_stat1 SET stat = '1'", /writing to sqlite_stat1 is refused.*ANALYZE/],
  ["INSERT INTO sqlite_stat1 VALUES ('t', NULL, '9')", /writing to sqlite_stat1 is refused/],
  ['DELETE FROM sqlite_stat1', /writing to sqlite_stat1 is refused/],
  ["INSERT INTO words (words) VALUES ('integrity-check')", /'integrity-check' is refused/],
  ['PRAGMA optimize', /PRAGMA optimize is refused.*ANALYZE/],
  ['PRAGMA writable_schema = ON', /PRAGMA writable_schema = on is refused/],
  ['PRAGMA writable_schema = RESET', /PRAGMA writable_schema = reset is refused/],
  ['PRAGMA foreign_keys = OFF', /PRAGMA foreign_keys = off is refused/],
  ['PRAGMA foreign_keys(0)', /PRAGMA foreign_keys = 0 is refused/],
  ['PRAGMA main.page_size = 8192', /PRAGMA page_size = 8192 is refused/],
  ['PRAGMA auto_vacuum = 1', /PRAGMA auto_vacuum = 1 is refused/],
  ["PRAGMA encoding = 'UTF-16'", /PRAGMA encoding = UTF-16 is refused/i],
  ['PRAGMA schema_version = 5', /PRAGMA schema_version = 5 is refused/],
  ['PRAGMA recursive_triggers = ON', /PRAGMA recursive_triggers = on is refused/],
  ['PRAGMA reverse_unordered_selects = 1', /PRAGMA reverse_unordered_selects = 1 is refused/],
  ['PRAGMA case_sensitive_like = 1', /PRAGMA case_sensitive_like = 1 is refused/],
  ['PRAGMA wal_checkpoint(TRUNCATE)', /PRAGMA wal_checkpoint = truncate is refused/],
  ['PRAGMA incremental_vacuum', /PRAGMA incremental_vacuum is refused/],
  ['PRAGMA hard_heap_limit = 1', /PRAGMA hard_heap_limit = 1 is refused/],
  ['PRAGMA no_such_pragma', /PRAGMA no_such_pragma is refused/],
  ['EXPLAIN PRAGMA user_version = 5', /EXPLAIN of PRAGMA user_version is refused/],
  ['SELECT 1; SELECT 2', /several statements.*executeMultiple\(\) or batch\(\)/],
  ['', /holds no statement/],
  [' ; -- nothing', /holds no statement/],
  ['SELECT 1 \0 + 1', /NUL character/],
]

describe('the guard of a writer', () => {
  it('refuses, each with its reason', (test) => {
    const writer = openWriter(test)
    runAll(writer, ...SCHEMA)
    for (const [sql, reason] of REFUSED) {
      const { kind, error } = failureOf(writer, sql)
      assert.equal(kind, 'answer', sql)
      assert.match(error.message, reason, sql)
      if (!sql.includes('load_extension')) assert.equal(error.code, 'ERR_REFUSED_SQL', sql)
    }
    assert.equal(writer.inTransaction, true)
  })

  it('protects its own tables from every way of naming them', (test) => {
    const writer = openWriter(test)
    runAll(writer, ...SCHEMA)
    writer.own('CREATE TABLE _colmena_state (applied)').run()
    const attempts = [
      'SELECT * FROM _colmena_state',
      'SELECT * FROM "_COLMENA_STATE"',
      'DELETE FROM [_colmena_state]',
      'DROP TABLE _colmena_state',
      'DROP TABLE IF EXISTS `_colmena_state`',
      'CREATE TABLE _colmena_more (x)',
      "CREATE TABLE '_colmena_more' (x)",
      'CREATE INDEX i ON _colmena_state (applied)',
      'CREATE INDEX _colmena_i ON t (a)',
      'CREATE VIEW v AS SELECT * FROM _colmena_state',
      'CREATE TRIGGER g AFTER INSERT ON _colmena_state BEGIN SELECT 1; END',
      'CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM _colmena_state; END',
      'CREATE TABLE child (x REFERENCES _colmena_state (applied))',
      'ALTER TABLE t RENAME TO _colmena_t',
      "ALTER TABLE t RENAME TO '_colmena_t'",
      'ALTER TABLE _colmena_state RENAME TO mine',
      'INSERT INTO t SELECT 1, applied FROM _colmena_state',
      'SELECT * FROM temp._colmena_rowid',
      'ANALYZE _colmena_state',
    ]
    for (const sql of attempts) {
      const { error } = failureOf(writer, sql)
      assert.equal(error.code, 'ERR_REFUSED_SQL', sql)
      assert.match(error.message, /names that begin with _colmena_ are Colmena's own/, sql)
    }
    assert.equal(scalar(writer, "SELECT '_colmena_state'"), '_colmena_state')
  })

  it('refuses what an older file brings in: triggers and views on its own tables', (test) => {
    const writer = openWriter(test)
    runAll(writer, ...SCHEMA)
    writer.own('CREATE TABLE _colmena_state (applied)').run()
    writer.own('CREATE VIEW peek AS SELECT applied FROM _colmena_state').run()
    writer.own('CREATE TRIGGER g AFTER INSERT ON u BEGIN DELETE FROM _colmena_state; END').run()
    commit(writer)
    assert.match(failureOf(writer, 'SELECT * FROM peek').error.message, /Colmena's own/)
    assert.match(failureOf(writer, 'INSERT INTO u VALUES (1)').error.message, /Colmena's own/)
  })

  it('passes by its own tables when everything is analyzed or indexed anew', (test) => {
    const writer = openWriter(test)
    runAll(writer, ...SCHEMA)
    writer.own('CREATE TABLE _colmena_state (applied UNIQUE)').run()
    writer.own('INSERT INTO _colmena_state VALUES (1)').run()
    runAll(writer, 'INSERT INTO t VALUES (1, 1)', 'ANALYZE', 'REINDEX')
    const tables = "SELECT count(*) FROM sqlite_stat1 WHERE tbl LIKE '%state%'"
    assert.equal(scalar(writer, tables), 0n)
    assert.equal(scalar(writer, "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 't'"), 1n)
  })

  it('looks into triggers, views and defaults', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      ...SCHEMA,
      'CREATE TRIGGER g AFTER INSERT ON u BEGIN INSERT INTO t (a) VALUES (total_changes()); END',
      'CREATE TABLE d (x, v DEFAULT (sqlite_version()))',
      'CREATE VIEW files AS SELECT sqlite_source_id() AS id',
    )
    assert.match(failureOf(writer, 'INSERT INTO u VALUES (1)').error.message, /total_changes/)
    assert.match(failureOf(writer, 'INSERT INTO d (x) VALUES (1)').error.message, /sqlite_version/)
    assert.match(failureOf(writer, 'INSERT INTO u SELECT id FROM files').error.message, /source_id/)
  })

  it('keeps watching while a statement runs', (test) => {
    const writer = openWriter(test)
    writer.own('CREATE TABLE _colmena_state (id INTEGER PRIMARY KEY, applied)').run()
    writer.own('INSERT INTO _colmena_state VALUES (1, 2)').run()
    // Nothing in the statement names our table: the module asks for it when it runs.
    const view = "fts5 (applied, content = '_colmena_state', content_rowid = id)"
    writer.own(`CREATE VIRTUAL TABLE peek USING ${view}`).run()
    commit(writer)
    const { error } = failureOf(writer, 'SELECT applied FROM peek')
    assert.deepEqual([error.code, /Colmena's own/.test(error.message)], ['ERR_REFUSED_SQL', true])
    writer.commit()
    const reader = openReader(test, writer.path)
    assert.throws(
      () => reader.query('SELECT applied FROM peek', []),
      failureWith('ERR_REFUSED_SQL', /Colmena's own/),
    )
    assert.equal(scalar(reader, 'SELECT foreign_keys FROM pragma_foreign_keys'), 1n)
    writer.begin()
  })

  it('lets through what every node answers alike', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      ...SCHEMA,
      'INSERT INTO t SELECT key + 1, value FROM json_each(\'["a","b"]\')',
      'INSERT INTO words SELECT a FROM t',
      "INSERT INTO words (words) VALUES ('optimize')",
      'CREATE VIRTUAL TABLE box USING rtree (id, x0, x1)',
      'INSERT INTO box VALUES (1, 2, 3)',
      'WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3) ' +
        'INSERT INTO u SELECT x FROM c',
      'ALTER TABLE u RENAME COLUMN x TO y',
      'ALTER TABLE u ADD COLUMN z DEFAULT 5',
      'ALTER TABLE u DROP COLUMN z',
      'ALTER TABLE u RENAME TO w',
      'CREATE INDEX i ON w (upper(y)) WHERE y > 1',
      'REINDEX i',
      'CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT)',
      "INSERT INTO sqlite_sequence VALUES ('auto', 41)",
      'INSERT INTO auto DEFAULT VALUES',
      'DROP TABLE box',
      'DROP INDEX i',
      'CREATE TABLE IF NOT EXISTS gone (x UNIQUE)',
      'DROP TABLE IF EXISTS gone',
      'DROP TABLE words',
      'SELECT sqlite_version(), total_changes()',
    )
    assert.equal(scalar(writer, 'SELECT id FROM auto'), 42n)
    assert.equal(scalar(writer, 'SELECT sum(y) FROM w'), 6n)
  })

  it('names a read-only function as refused only where a write depends on it', (test) => {
    const writer = openWriter(test)
    runAll(writer, ...SCHEMA)
    assert.equal(typeof scalar(writer, 'SELECT sqlite_version()'), 'string')
    assert.equal(failureOf(writer, 'DELETE FROM u WHERE x = sqlite_version()').kind, 'answer')
  })
})

describe('pragmas', () => {
  it('answers a setting of its own and changes nothing', (test) => {
    const writer = openWriter(test)
    assert.equal(scalar(writer, 'PRAGMA journal_mode = DELETE'), 'wal')
    assert.equal(scalar(writer, 'PRAGMA synchronous = OFF'), 1n)
    assert.equal(scalar(writer, 'PRAGMA busy_timeout = 5000'), 0n)
    assert.equal(scalar(writer, 'PRAGMA synchronous'), 1n)
    assert.equal(scalar(writer, 'PRAGMA foreign_keys = ON'), 1n)
    assert.equal(scalar(writer, 'PRAGMA foreign_keys'), 1n)
  })

  it('knows asking ones from writes', (test) => {
    const writer = openWriter(test)
    runAll(writer, ...SCHEMA)
    for (const sql of ['PRAGMA table_info(t)', 'PRAGMA user_version', 'PRAGMA quick_check']) {
      assert.equal(writer.facts(sql).kind, 'read', sql)
      assert.equal(writer.run(sql, []).rows.length > 0, true, sql)
    }
    assert.equal(writer.facts('PRAGMA user_version = 7').kind, 'write')
    runAll(writer, 'PRAGMA user_version = 7', 'PRAGMA main.application_id(9)')
    assert.equal(scalar(writer, 'PRAGMA user_version'), 7n)
    assert.equal(scalar(writer, 'PRAGMA application_id'), 9n)
    assert.equal(writer.facts('PRAGMA defer_foreign_keys = ON').defersForeignKeys, true)
  })

  it('are judged once, also where SQLite prepares them anew as they run', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      'CREATE TABLE t (at)',
      'CREATE INDEX i ON t (date(at))',
      'PRAGMA user_version = 7',
    )
    assert.equal(scalar(writer, 'PRAGMA user_version'), 7n)
  })
})

describe('the guard of a reader', () => {
  it('refuses our own tables, attached files, and writes', (test) => {
    const path = join(makeDirectory(test), 'a.db')
    const writer = new Writer(path)
    test.after(() => writer.close())
    writer.own('CREATE TABLE _colmena_state (applied)').run()
    writer.own('CREATE VIEW peek AS SELECT applied FROM _colmena_state').run()
    writer.own('CREATE TABLE t (a)').run()
    const reader = openReader(test, path)
    const refused = (sql: string, message: RegExp): void => {
      assert.throws(() => reader.query(sql, []), failureWith('ERR_REFUSED_SQL', message), sql)
    }
    refused('SELECT * FROM _colmena_state', /Colmena's own/)
    refused('SELECT * FROM peek', /Colmena's own/)
    refused("ATTACH 'x' AS y", /ATTACH is refused/)
    refused("VACUUM INTO '/tmp/never.db'", /VACUUM is refused/)
    refused('INSERT INTO t VALUES (1)', /a statement that writes/)
    refused('PRAGMA user_version = 1', /a statement that writes/)
    refused('PRAGMA query_only(2); SELECT 1', /several statements/)
    assert.equal(typeof scalar(reader, 'SELECT sqlite_version()'), 'string')
    assert.equal(scalar(reader, "SELECT count(*) FROM pragma_table_info('t')"), 1n)
    assert.equal(scalar(reader, 'PRAGMA journal_mode = DELETE'), 'wal')
    assert.deepEqual(reader.own('SELECT * FROM _colmena_state').all(), [])
  })
})
