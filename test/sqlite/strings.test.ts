import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Writer } from '../../src/sqlite/sqlite.ts'
import { failureOf, failureWith, openWriter, rowsOf, runAll } from './fixture.ts'

function openStrings(test: TestContext): Writer {
  return openWriter(test, { doubleQuotedStrings: true })
}

describe('double-quoted strings', () => {
  it('are strings only where asked for, and where they name no column', (test) => {
    const writer = openStrings(test)
    runAll(writer, 'CREATE TABLE t (a DEFAULT "d", CHECK (a <> "no"))', 'INSERT INTO t VALUES (1)')
    assert.deepEqual(rowsOf(writer, 'SELECT "a", "b" FROM t'), [[1n, 'b']])
    assert.match(failureOf(openWriter(test), 'SELECT "b"').error.message, /no such column: "b"/)
  })

  it('are refused where strings are', (test) => {
    const writer = openStrings(test)
    runAll(writer, 'CREATE VIRTUAL TABLE f USING fts5(body)', 'CREATE TABLE t (at, utc)')
    assert.throws(
      () => writer.run('INSERT INTO f (f) VALUES ("integrity-check")', []),
      failureWith('ERR_REFUSED_SQL', /integrity-check/),
    )
    for (const sql of [
      'CREATE INDEX i ON t (date(at, "localtime"))',
      'CREATE INDEX i ON t (at) WHERE at < date("now")',
      'CREATE TABLE g (a, b AS (datetime(a, "utc")))',
    ]) {
      assert.throws(() => writer.run(sql, []), failureWith('ERR_NON_DETERMINISTIC_SQL', /'now'/))
    }
  })

  it('leave names what they are elsewhere', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (at, "utc")', 'CREATE INDEX i ON t (date("utc"))')
    assert.deepEqual(rowsOf(writer, 'SELECT "utc" FROM t'), [])
  })
})
