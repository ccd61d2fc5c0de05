import assert from 'node:assert/strict'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { openDatabase } from '../../src/sqlite/connection.ts'
import {
  checkIntegrity,
  engineFingerprint,
  exportTo,
  hashContent,
  probeExtensions,
} from '../../src/sqlite/sqlite.ts'
import {
  commit,
  failureOf,
  failureWith,
  makeDirectory,
  openReader,
  openWriter,
  rowsOf,
  runAll,
  scalar,
} from './fixture.ts'
import { VECTOR, VECTOR_SCHEMA } from './vector.ts'

const WITH = { extensions: [VECTOR] }
const INSERT = 'INSERT INTO v (id, body) VALUES (?, vec_f32(?))'

suite('an extension', () => {
  test('is there for writes, reads, and what a schema keeps', (t) => {
    const writer = openWriter(t, WITH)
    runAll(writer, ...VECTOR_SCHEMA)
    writer.run(INSERT, [1n, '[3,0,4]'])
    writer.run('INSERT INTO w (rowid, body) SELECT id, body FROM v', [])
    assert.deepEqual(rowsOf(writer, 'SELECT id, text FROM v ORDER BY id'), [
      [1n, '[3.000000,0.000000,4.000000]'],
      [101n, '[6.000000,0.000000,8.000000]'],
    ])
    // What FTS5 reads is prepared as it runs, amid a write.
    runAll(
      writer,
      'CREATE VIEW texts AS SELECT id, vec_to_json(body) AS text FROM v',
      "CREATE VIRTUAL TABLE f USING fts5(text, content = 'texts', content_rowid = 'id')",
      "INSERT INTO f (f) VALUES ('rebuild')",
    )
    assert.equal(scalar(writer, "SELECT rowid FROM f WHERE f MATCH 'text : 6'"), 101n)
    const refused = failureOf(writer, INSERT, [2n, '[1,2]'])
    assert.equal(refused.error.code, 'ERR_SQL')
    assert.match(refused.error.message, /CHECK constraint failed/)
    commit(writer)
    const reader = openReader(t, writer.path, WITH)
    assert.equal(reader.classify('SELECT vec_length(body) FROM v').kind, 'read')
    assert.deepEqual(rowsOf(reader, 'SELECT id FROM near ORDER BY far'), [[1n], [101n]])
    const nearest = "SELECT rowid FROM w WHERE body MATCH '[6,0,8]' AND k = 1"
    assert.equal(scalar(reader, nearest), 101n)
    const plan = rowsOf(
      reader,
      'EXPLAIN QUERY PLAN SELECT id FROM v WHERE vec_to_json(vec_normalize(body)) = ?',
      ['x'],
    )
    assert.match(String(plan[0]?.[3]), /USING COVERING INDEX v_norm/)
    assert.equal(checkIntegrity(reader), 'ok')
    assert.match(hashContent(reader), /^[0-9a-f]{64}$/)
    const copy = join(makeDirectory(t), 'copy.db')
    exportTo(reader, copy, 'SELECT 7')
    const exported = openReader(t, copy, WITH)
    assert.equal(hashContent(exported), hashContent(reader))
  })

  test('is not there without being asked for', (t) => {
    const writer = openWriter(t)
    const { error } = failureOf(writer, "SELECT vec_f32('[1]')")
    assert.match(error.message, /no such function: vec_f32/)
    const module = failureOf(writer, 'CREATE VIRTUAL TABLE w USING vec0(body float[3])')
    assert.match(module.error.message, /module vec0 is refused/)
  })

  test('opens no door for others: SQL loads nothing', (t) => {
    const writer = openWriter(t, WITH)
    const reader = openReader(t, ':memory:', { readOnly: false, ...WITH })
    const { path } = VECTOR
    for (const sql of [
      'SELECT load_extension(?)',
      "SELECT load_extension(?, 'sqlite3_vec_init')",
    ]) {
      assert.match(failureOf(writer, sql, [path]).error.message, /load_extension\(\) is refused/)
      assert.throws(() => reader.query(sql, [path]), failureWith('ERR_REFUSED_SQL', /load_ext/))
      // Not even to our own statements, which no guard watches.
      assert.throws(
        () => reader.internal(() => reader.own(sql).all()),
        /not authorized|wrong number/,
      )
      assert.throws(
        () => reader.internal(() => reader.own('SELECT load_extension(?)').all(path)),
        /not authorized/,
      )
    }
  })

  test('shuts the door behind it for our own code too', () => {
    const { db } = openDatabase(':memory:', false, WITH)
    assert.throws(() => db.loadExtension(VECTOR.path), /not allowed/)
    db.close()
  })

  test('has its place in the fingerprint', () => {
    const plain = engineFingerprint()
    const other = { ...VECTOR, name: 'other', version: '2' }
    assert.equal(engineFingerprint([]), plain)
    assert.equal(engineFingerprint([VECTOR, other]), `${plain} extensions vec@0.1.9,other@2`)
  })
})

suite('an extension that is probed', () => {
  function probe(path: string): () => void {
    return () => probeExtensions([VECTOR, { name: 'other', version: '2', path }])
  }

  test('is found, every time', () => {
    for (let i = 0; i < 3; i += 1) probeExtensions([VECTOR])
  })

  test('and can not be loaded is named, with its path and why', (t) => {
    const directory = makeDirectory(t)
    const missing = join(directory, 'missing.so')
    assert.throws(probe(missing), {
      name: 'ColmenaError',
      code: 'ERR_EXTENSION_FAILED',
      retryable: false,
      message: /other@2 could not be loaded from .*missing\.so: .*no such file/i,
    })
    const text = join(directory, 'text.so')
    writeFileSync(text, 'no library')
    assert.throws(probe(text), { code: 'ERR_EXTENSION_FAILED', message: /text\.so/ })
    // The entry is found by the file's name.
    const renamed = join(directory, 'renamed.so')
    copyFileSync(VECTOR.path, renamed)
    assert.throws(probe(renamed), { code: 'ERR_EXTENSION_FAILED', message: /renamed\.so: .*init/ })
  })

  test('and enters itself for the whole process is refused, also where it has done so', () => {
    for (const counts of [[18, 0], [0]]) {
      const added = [...counts]
      assert.throws(() => probeExtensions([VECTOR], () => added.shift() ?? 0), {
        code: 'ERR_EXTENSION_FAILED',
        message: /vec@0\.1\.9 .*all connections of the process/,
      })
    }
  })
})
