import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { checkIntegrity, hashContent } from '../../src/sqlite/sqlite.ts'
import { commit, openReader, openWriter, runAll } from './fixture.ts'

const SCHEMA = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
  'CREATE TABLE plain (rowid, a)',
  'CREATE TABLE keyed (k TEXT, n INTEGER, PRIMARY KEY (n, k)) WITHOUT ROWID',
  'CREATE TABLE "odd ""name" (x)',
  'CREATE VIEW v AS SELECT * FROM t',
  'CREATE VIRTUAL TABLE words USING fts5 (body)',
  'CREATE VIRTUAL TABLE box USING rtree (id, x0, x1)',
]

/** The content hash after statements, committed one by one or all at once. */
function hashAfter(test: TestContext, statements: readonly string[], isGrouped = true): string {
  const writer = openWriter(test)
  writer.own('CREATE TABLE _colmena_state (applied)').run()
  for (const sql of [...SCHEMA, ...statements]) {
    // Full-text tables lay out their pages by savepoint.
    writer.savepoint()
    runAll(writer, sql)
    writer.releaseSavepoint()
    if (!isGrouped) commit(writer)
  }
  if (!isGrouped) writer.own('INSERT INTO _colmena_state VALUES (1)').run()
  writer.commit()
  return hashContent(openReader(test, writer.path))
}

const ROWS = [
  "INSERT INTO t VALUES (1, 'a'), (2, NULL)",
  'INSERT INTO plain VALUES (5, 6)',
  "INSERT INTO keyed VALUES ('b', 1), ('a', 1)",
  'INSERT INTO "odd ""name" VALUES (x\'00\')',
  "INSERT INTO words VALUES ('one')",
  "INSERT INTO words VALUES ('two')",
  'INSERT INTO box VALUES (1, 2, 3)',
]

describe('a content hash', () => {
  it('is equal for equal content, however it was written', (test) => {
    const hash = hashAfter(test, ROWS)
    assert.match(hash, /^[0-9a-f]{64}$/)
    assert.equal(hashAfter(test, ROWS, false), hash)
    const detour = ['INSERT INTO t VALUES (9, 9)', ...ROWS, 'DELETE FROM t WHERE id = 9']
    assert.equal(hashAfter(test, detour), hash)
    // Moves the pages of a full-text table, and nothing that it holds.
    const merged = [...ROWS, "INSERT INTO words (words) VALUES ('optimize')"]
    assert.equal(hashAfter(test, merged), hash)
  })

  it('differs with any value, type, rowid, schema or version', (test) => {
    const changes = [
      "UPDATE t SET a = 'b' WHERE id = 1",
      "UPDATE t SET a = '' WHERE id = 2",
      'UPDATE plain SET a = 6.5',
      "UPDATE plain SET a = '6'",
      'UPDATE plain SET _rowid_ = 7',
      'DELETE FROM keyed',
      'UPDATE "odd ""name" SET x = x\'01\'',
      "UPDATE words SET body = 'three' WHERE rowid = 1",
      'UPDATE box SET x1 = 4',
      'CREATE TABLE empty (x)',
      'CREATE INDEX i ON t (a)',
      'PRAGMA user_version = 1',
    ]
    const hashes = changes.map((change) => hashAfter(test, [...ROWS, change]))
    hashes.push(hashAfter(test, ROWS))
    assert.equal(new Set(hashes).size, hashes.length)
  })
})

describe('an integrity check', () => {
  it('is ok, or says what is wrong', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (id INTEGER PRIMARY KEY)', 'CREATE TABLE c (x REFERENCES t)')
    writer.commit()
    const reader = openReader(test, writer.path)
    assert.equal(checkIntegrity(reader), 'ok')
    writer.own('PRAGMA foreign_keys = OFF').run()
    writer.begin()
    runAll(writer, 'INSERT INTO c VALUES (7)')
    writer.commit()
    assert.match(checkIntegrity(reader), /row 1 of c refers to no row of t/)
  })
})
