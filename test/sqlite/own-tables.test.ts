import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Reader, Writer } from '../../src/sqlite/sqlite.ts'
import {
  commit,
  failureOf,
  failureWith,
  makeDirectory,
  openReader,
  openWriter,
  rowsOf,
  runAll,
} from './fixture.ts'

const SCHEMA = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)',
  'CREATE INDEX i ON t (a)',
  'CREATE TABLE u (x)',
]

/** A file with tables of ours beside a user's, and both kinds of connections to it. */
function openBoth(test: TestContext): { readonly writer: Writer; readonly reader: Reader } {
  const path = join(makeDirectory(test), 'a.db')
  const writer = openWriter(test, {}, path)
  writer.own('CREATE TABLE _colmena_state (id INTEGER PRIMARY KEY, x UNIQUE)').run()
  writer.own('CREATE TABLE _colmena_sequences (origin TEXT PRIMARY KEY) WITHOUT ROWID').run()
  runAll(writer, ...SCHEMA)
  commit(writer)
  return { writer, reader: openReader(test, path) }
}

const TABLES = [['t'], ['u']]

/** Every way in which tools ask what tables there are; all answer with the user's alone. */
const ASKED: readonly (readonly [sql: string, rows: readonly (readonly unknown[])[]])[] = [
  ["SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", TABLES],
  ["SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1", TABLES],
  ["SELECT name FROM main.sqlite_master WHERE type = 'table' ORDER BY 1", TABLES],
  ["SELECT name FROM MAIN . SQLite_Master WHERE type = 'table' ORDER BY 1", TABLES],
  ['SELECT "name" FROM "sqlite_master" WHERE "type" = \'table\' ORDER BY 1', TABLES],
  ["SELECT name FROM [main].[sqlite_schema] WHERE type = 'table' ORDER BY 1", TABLES],
  ["SELECT name FROM 'sqlite_master' WHERE type = 'table' ORDER BY 1", TABLES],
  ["SELECT m.name FROM sqlite_master AS m WHERE m.type = 'table' ORDER BY 1", TABLES],
  ["SELECT m.name FROM sqlite_master m WHERE m.type = 'table' ORDER BY 1", TABLES],
  ["SELECT sqlite_master.name FROM sqlite_master WHERE type = 'table' ORDER BY 1", TABLES],
  [
    "SELECT main.sqlite_schema.name FROM main.sqlite_schema WHERE type = 'table' ORDER BY 1",
    TABLES,
  ],
  ['SELECT count(*) FROM sqlite_master', [[4n]]],
  ['SELECT count(*) FROM (sqlite_master)', [[4n]]],
  ['SELECT count(*) FROM u, sqlite_master', [[0n]]],
  ['SELECT count(*) FROM sqlite_master a CROSS JOIN sqlite_master b', [[16n]]],
  [
    "SELECT count(*) FROM sqlite_master WHERE name LIKE '%colmena%' OR sql LIKE '%colmena%'",
    [[0n]],
  ],
  [
    'SELECT m.name, c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c ' +
      "WHERE m.type = 'table' ORDER BY 1, 2",
    [
      ['t', 'a'],
      ['t', 'id'],
      ['u', 'x'],
    ],
  ],
  [
    "SELECT i.name FROM sqlite_master m, pragma_index_list(m.name) i WHERE m.type = 'table' " +
      'ORDER BY 1',
    [['i'], ['sqlite_autoindex_t_1']],
  ],
  ['SELECT name FROM sqlite_temp_master', []],
  ['SELECT name FROM temp.sqlite_master', []],
  [
    "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main' ORDER BY 1",
    [['sqlite_schema'], ['t'], ['u']],
  ],
  ['SELECT count(*) FROM pragma_table_list()', [[4n]]],
  ["SELECT name FROM pragma_table_list('t')", [['t']]],
  ["SELECT 'sqlite_master', '_colmena_state'", [['sqlite_master', '_colmena_state']]],
  [
    'WITH sqlite_names AS (SELECT name FROM sqlite_master) SELECT count(*) FROM sqlite_names',
    [[4n]],
  ],
]

describe('our own tables', () => {
  it('are in no list that a user asks for, on reader and writer', (test) => {
    const { writer, reader } = openBoth(test)
    for (const [sql, rows] of ASKED) {
      assert.deepEqual(rowsOf(reader, sql), rows, sql)
      assert.deepEqual(rowsOf(writer, sql), rows, sql)
      assert.deepEqual(reader.prepare(sql, { rowMode: 'array', bigints: true }).all([]), rows, sql)
    }
    for (const sql of ['PRAGMA table_list', 'PRAGMA main.table_list', 'pragma TABLE_LIST;']) {
      for (const runner of [reader, writer]) {
        const names = rowsOf(runner, sql).map(([, name]) => name)
        assert.deepEqual(names.sort(), ['sqlite_schema', 'sqlite_temp_schema', 't', 'u'], sql)
      }
    }
    assert.deepEqual(reader.query('PRAGMA table_list', []).columns.slice(0, 3), [
      'schema',
      'name',
      'type',
    ])
  })

  it('leave the names of columns, and what SQLite says, as the statement has them', (test) => {
    const { reader } = openBoth(test)
    const { columns } = reader.query('SELECT count(sqlite_master.name), sql FROM sqlite_master', [])
    assert.deepEqual(columns, ['count(sqlite_master.name)', 'sql'])
    assert.throws(
      () => reader.query('SELECT sqlite_master.no FROM sqlite_master', []),
      failureWith('ERR_SQL', /^no such column: sqlite_master\.no$/),
    )
  })

  it('do not get into a table of the user', (test) => {
    const { writer } = openBoth(test)
    runAll(
      writer,
      'INSERT INTO u SELECT name FROM sqlite_schema',
      'INSERT INTO u SELECT sql FROM main.sqlite_master AS m WHERE sql IS NOT NULL',
      'CREATE TABLE copied AS SELECT name FROM sqlite_schema',
      "UPDATE u SET x = (SELECT group_concat(name) FROM sqlite_master) WHERE x = 't'",
    )
    const rows = rowsOf(writer, 'SELECT x FROM u UNION ALL SELECT name FROM copied')
    assert.equal(rows.length, 11)
    for (const [value] of rows) assert.doesNotMatch(String(value), /_colmena_/)
  })

  it('are not shown by what the statement does not name itself: that is refused', (test) => {
    const { writer, reader } = openBoth(test)
    runAll(
      writer,
      'CREATE VIEW v AS SELECT name FROM sqlite_master',
      'CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u SELECT name FROM sqlite_master; END',
    )
    commit(writer)
    assert.deepEqual(rowsOf(writer, "SELECT sql FROM sqlite_schema WHERE name = 'v'"), [
      ['CREATE VIEW v AS SELECT name FROM sqlite_master'],
    ])
    const refused = /reading sqlite_master here is refused: .*in the FROM of the statement itself/
    for (const sql of [
      'SELECT * FROM v',
      'INSERT INTO t VALUES (1, 1)',
      'CREATE TABLE c AS SELECT * FROM v',
    ]) {
      const { error } = failureOf(writer, sql)
      assert.equal(error.code, 'ERR_REFUSED_SQL', sql)
      assert.match(error.message, refused, sql)
    }
    assert.throws(
      () => reader.query('SELECT * FROM v', []),
      failureWith('ERR_REFUSED_SQL', refused),
    )
    runAll(writer, 'DROP VIEW v', 'ALTER TABLE t RENAME COLUMN a TO b', 'DROP TRIGGER g')
  })

  it('make no difference to what may be written', (test) => {
    const { writer } = openBoth(test)
    for (const sql of [
      "DELETE FROM sqlite_master WHERE name = 't'",
      "UPDATE sqlite_master SET sql = ''",
    ]) {
      assert.match(failureOf(writer, sql).error.message, /table sqlite_master may not be modified/)
    }
    const roots = 'INSERT INTO u SELECT rootpage FROM sqlite_schema'
    assert.match(failureOf(writer, roots).error.message, /rootpage in a write is refused/)
    const listed = 'INSERT INTO u SELECT name FROM pragma_table_list'
    assert.match(failureOf(writer, listed).error.message, /pragma_table_list in a write is refused/)
  })
})
