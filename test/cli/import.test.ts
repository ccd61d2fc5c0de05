import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { ApiClient } from '../../src/cli/client.ts'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'
import { makeDirectory, Running, run, serve } from './command.ts'

const ROWS = 20_000

/** Three nodes with their servers; answers the address of one that does not lead. */
async function serveThree(t: TestContext): Promise<string> {
  const ports = await findFreePorts(3)
  const bind = ports.map((port) => `127.0.0.1:${port}`)
  const urls: string[] = []
  for (const [at, address] of bind.entries()) {
    const begin = at === 0 ? ['--bootstrap'] : ['--join', bind[0] as string]
    const args = ['--node-id', `n${at + 1}`, '--bind', address, ...begin]
    urls.push((await serve(t, args)).url)
  }
  return urls[2] as string
}

/** A file with everything that is easily lost on the way. */
function makeFile(path: string, rows: number): void {
  const { DatabaseSync } = requireSqlite()
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA foreign_keys = off;
    CREATE TABLE child (id INTEGER PRIMARY KEY AUTOINCREMENT, parent REFERENCES parent, note TEXT);
    CREATE TABLE parent (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL, data BLOB, big INTEGER,
      twice REAL GENERATED ALWAYS AS (price * 2) STORED);
    CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE TABLE loose (a, "odd"" name");
    CREATE TABLE down (id INTEGER PRIMARY KEY DESC, a);
    INSERT INTO down (rowid, id, a) VALUES (70, 1, 'x');
    CREATE INDEX by_name ON parent (name);
    CREATE VIEW names AS SELECT name FROM parent;
    CREATE TABLE log (x);
    CREATE TRIGGER noted AFTER INSERT ON parent BEGIN INSERT INTO log VALUES (new.id); END;
    CREATE VIRTUAL TABLE words USING fts5(body);
    INSERT INTO words (rowid, body) VALUES (7, 'a bee came home'), (9, 'with clover');
    INSERT INTO keyed VALUES ('a', 1), ('b', NULL);
    INSERT INTO loose (rowid, a, "odd"" name") VALUES (5, 'x;y', 2), (900, -1.5, x'00ff');
    BEGIN`)
  const parent = db.prepare(
    'INSERT INTO parent (id, name, price, data, big) VALUES (?, ?, ?, ?, ?)',
  )
  const child = db.prepare('INSERT INTO child (parent, note) VALUES (?, ?)')
  for (let i = 1; i <= rows; i += 1) {
    const price = i % 7 === 0 ? Number.POSITIVE_INFINITY : i / 3
    const data = i % 5 === 0 ? Buffer.from([0, 1, i & 255]) : null
    parent.run(i, `näme ${i}`, price, data, 9_007_199_254_740_993n + BigInt(i))
    if (i % 10 === 1) child.run(i, `note ${i}`)
  }
  db.exec(`DELETE FROM child WHERE id BETWEEN 10 AND 20;
    UPDATE sqlite_sequence SET seq = 1000000;
    COMMIT`)
  db.close()
}

/** Schema and rows of a file, with their types. */
function contentOf(path: string): Record<string, string> {
  const { DatabaseSync } = requireSqlite()
  const db = new DatabaseSync(path, { readOnly: true })
  const content: Record<string, string> = {}
  const schema = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'words_%'"
  content['schema'] = JSON.stringify(db.prepare(`${schema} ORDER BY type, name`).all())
  for (const table of [
    'child',
    'parent',
    'keyed',
    'loose',
    'down',
    'log',
    'words',
    'sqlite_sequence',
  ]) {
    const rowid = ['keyed', 'sqlite_sequence'].includes(table) ? '' : 'rowid, '
    const statement = db.prepare(`SELECT ${rowid}* FROM ${table} ORDER BY 1`)
    statement.setReadBigInts(true)
    statement.setReturnArrays(true)
    const hash = createHash('sha256')
    let rows = 0
    for (const row of statement.iterate()) {
      const values = (row as unknown as unknown[]).map((value) =>
        value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value),
      )
      hash.update(`${(row as unknown as unknown[]).map((value) => typeof value)}${values}\n`)
      rows += 1
    }
    content[table] = `${rows} ${hash.digest('hex')}`
  }
  db.close()
  return content
}

describe('import and export', () => {
  it('bring a file into a cluster and out again, also after a kill in the middle', async (t) => {
    const url = await serveThree(t)
    const directory = makeDirectory(t)
    const [source, first, second] = ['source.db', '1.db', '2.db'].map((name) =>
      join(directory, name),
    )
    makeFile(source as string, ROWS)
    const wanted = contentOf(source as string)
    const importTo = (database: string, ...more: string[]): string[] => {
      return ['import', source as string, '--database', database, '--url', url, ...more]
    }
    const whole = await run(importTo('app'))
    assert.equal(whole.code, 0, whole.err)
    assert.match(whole.out, /[\d,]+ rows are there \([\d,]+ rows\/s\)/)
    t.diagnostic(whole.out.trim())
    assert.equal((await run(['export', 'app', first as string, '--url', url])).code, 0)
    assert.deepEqual(contentOf(first as string), wanted)

    const again = await run(importTo('app'))
    assert.deepEqual([again.code, /there is already: .*parent/.test(again.err)], [1, true])
    const replaced = await run(importTo('app', '--replace'))
    assert.equal(replaced.code, 0, replaced.err)

    const killed = new Running(importTo('other'))
    const client = new ApiClient({ url })
    const count = { sql: 'SELECT max(unit) FROM colmena_import' }
    await until('some of it is there', async () => {
      // Until it has begun there is no such table.
      const asked = await client.execute('other', count).catch(() => null)
      return Number(asked?.rows[0]?.[0] ?? 0) >= 2
    })
    killed.kill('SIGKILL')
    assert.equal((await killed.ended).signal, 'SIGKILL', 'it was in the middle')
    const resumed = await run(importTo('other'))
    assert.match(resumed.err, /going on after \d+ parts/)
    assert.equal(resumed.code, 0, resumed.err)
    assert.equal((await run(['export', 'other', second as string, '--url', url])).code, 0)
    assert.deepEqual(contentOf(second as string), wanted)
  })

  it('take dumps and CSV', async (t) => {
    const { url } = await serve(t)
    const directory = makeDirectory(t)
    const dump = join(directory, 'a.sql')
    writeFileSync(
      dump,
      `-- a comment\nPRAGMA foreign_keys=OFF;\n/* and */ BEGIN TRANSACTION;\nCREATE TABLE d (a, b);
INSERT INTO d VALUES('semi;colon', 1);\nINSERT INTO d VALUES(NULL, x'00');
CREATE TRIGGER e AFTER INSERT ON d BEGIN SELECT 1; SELECT 2; END;\nCOMMIT;\n`,
    )
    const csv = join(directory, 'people.csv')
    writeFileSync(csv, '\uFEFFname,note\r\n"Ada ""A""","two\nlines"\r\nBo,\r\n"",x\r\n\r\n')
    const ask = async (sql: string): Promise<unknown> =>
      JSON.parse((await run(['exec', sql, '--json', '--url', url])).out)
    for (const path of [dump, csv]) {
      const ended = await run(['import', path, '--url', url])
      assert.equal(ended.code, 0, ended.err)
    }
    assert.deepEqual(await ask('SELECT a, b, typeof(b) AS t FROM d'), [
      { a: 'semi;colon', b: 1, t: 'integer' },
      { a: null, b: 'AA==', t: 'blob' },
    ])
    const people = [
      { name: 'Ada "A"', note: 'two\nlines' },
      { name: 'Bo', note: null },
      { name: '', note: 'x' },
    ]
    assert.deepEqual(await ask('SELECT * FROM people'), people)
    const twice = await run(['import', csv, '--url', url])
    assert.match(twice.err, /there is a table people already: --table people adds to it/)
    assert.equal((await run(['import', csv, '--table', 'people', '--url', url])).code, 0)
    assert.deepEqual(await ask('SELECT count(*) AS n FROM people'), [{ n: 6 }])
    for (const path of [csv, dump]) {
      const ended = await run(['import', path, '--replace', '--url', url])
      assert.equal(ended.code, 0, ended.err)
    }
    assert.deepEqual(await ask('SELECT count(*) AS n FROM d'), [{ n: 2 }])
    assert.deepEqual(await ask('SELECT * FROM people'), people)
  })

  it('say what is wrong with a file, and leave the database as it was', async (t) => {
    const { url } = await serve(t)
    const directory = makeDirectory(t)
    const file = (name: string, text: string): string => {
      writeFileSync(join(directory, name), text)
      return join(directory, name)
    }
    const cases: readonly (readonly [path: string, code: number, message: RegExp])[] = [
      [join(directory, 'none.db'), 1, /there is no file/],
      [file('a.txt', 'x'), 2, /--format sqlite, sql or csv/],
      [file('b.db', `SQLite format 3\0${'x'.repeat(100)}`), 1, /can't be read as an SQLite file/],
      [file('c.csv', ''), 1, /is empty/],
      [file('d.csv', 'a,b\n1\n'), 1, /line 2 .* has 1 values, but the first line has 2/],
      [file('e.csv', 'a\n"open'), 1, /ends inside quotes/],
      [file('f.sql', 'CREATE TABLE f (a); INSERT INTO nowhere VALUES (1);'), 1, /no such table/],
      [join(directory, 'f.sql'), 1, /no such table/],
      [file('g.sql', '-- broken\nROLLBACK; -- due to errors'), 1, /has failed in the middle/],
    ]
    for (const [path, code, message] of cases) {
      const ended = await run(['import', path, '--url', url, '--database', 'x', '--replace'])
      assert.match(ended.err, message)
      assert.equal(ended.code, code, ended.err)
    }
    const kept = file('kept.db', 'mine')
    const over = await run(['export', 'x', kept, '--url', url])
    assert.match(over.err, /there is a file .* already: --force/)
    const missing = await run(['export', 'nowhere', join(directory, 'n.db'), '--url', url])
    assert.equal(missing.code, 1, missing.out)
    assert.equal(existsSync(join(directory, 'n.db')), false)
    assert.equal(readFileSync(kept, 'utf8'), 'mine')
  })
})
