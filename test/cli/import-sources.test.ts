import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { after, describe, it, type TestContext } from 'node:test'
import { ApiClient } from '../../src/cli/client.ts'
import type { Unit } from '../../src/cli/import-source.ts'
import { ImportTarget } from '../../src/cli/import-target.ts'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'
import { makeDirectory, run, serve } from './command.ts'
import { contentOf, dump, IDIOMS } from './sqlite-file.ts'

const { url } = await serve({ after })
let databases = 0

/** A database that nobody has written to, and a folder for files. */
interface Place {
  readonly database: string
  readonly file: (name: string) => string
  readonly make: (name: string, sql: string) => DatabaseSync
  readonly bring: (path: string, ...more: string[]) => ReturnType<typeof run>
  readonly ask: (sql: string) => Promise<unknown>
}

function start(t: TestContext): Place {
  databases += 1
  const database = `db${databases}`
  const directory = makeDirectory(t)
  const file = (name: string): string => join(directory, name)
  const make = (name: string, sql: string): DatabaseSync => {
    const { DatabaseSync } = requireSqlite()
    const db = new DatabaseSync(file(name), {
      defensive: false,
      enableForeignKeyConstraints: false,
    })
    t.after(() => db.isOpen && db.close())
    db.exec(sql)
    return db
  }
  const bring = (path: string, ...more: string[]): ReturnType<typeof run> =>
    run(['import', path, '--database', database, '--url', url, ...more])
  const ask = async (sql: string): Promise<unknown> => {
    const asked = await run(['exec', sql, '--json', '--database', database, '--url', url])
    return JSON.parse(asked.out)
  }
  return { database, file, make, bring, ask }
}

async function exported({ file }: Place, database: string): Promise<string> {
  const path = file(`${database}.out`)
  const ended = await run(['export', database, path, '--url', url])
  assert.equal(ended.code, 0, ended.err)
  return path
}

describe('an SQLite file', () => {
  it('is the same on the other side, whatever of SQLite it uses', async (t) => {
    const place = start(t)
    place.make('all.db', IDIOMS).close()
    const ended = await place.bring(place.file('all.db'))
    assert.deepEqual([ended.code, ended.err.includes('left out')], [0, false], ended.err)
    const brought = await exported(place, place.database)
    assert.deepEqual(contentOf(brought), contentOf(place.file('all.db')))
  })

  it('comes with foreign keys that lead nowhere, and those are told', async (t) => {
    const { file, make, bring, ask } = start(t)
    make(
      'family.db',
      `CREATE TABLE c (p REFERENCES p (id)); CREATE TABLE p (id INTEGER PRIMARY KEY);
       INSERT INTO c VALUES (1), (2), (3); INSERT INTO p VALUES (3)`,
    ).close()
    const ended = await bring(file('family.db'))
    assert.equal(ended.code, 1)
    assert.match(ended.err, /rows of c that refer to none of p: 2\n/)
    assert.match(ended.err, /all rows are there; PRAGMA foreign_key_check/)
    assert.deepEqual(await ask('SELECT count(*) AS n FROM c'), [{ n: 3 }])
    // Whoever else has the table loses nothing where another is replaced.
    make('parent.db', 'CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2), (3)')
    assert.equal((await bring(file('parent.db'), '--replace')).code, 0)
    assert.deepEqual(await ask('SELECT count(*) AS n FROM c'), [{ n: 3 }])
  })

  it('comes without what no node can have, which is named', async (t) => {
    const { file, make, bring, ask } = start(t)
    make(
      'vector.db',
      `CREATE TABLE kept (a); INSERT INTO kept VALUES (1); CREATE TABLE vec_chunks (b);
       CREATE VIRTUAL TABLE bare USING fts5 (a, content = '');
       CREATE VIEW onto AS SELECT * FROM vec; CREATE INDEX i ON kept (a);
       PRAGMA writable_schema = ON;
       INSERT INTO sqlite_schema VALUES
         ('table', 'vec', 'vec', 0, 'CREATE VIRTUAL TABLE vec USING vec0(a)')`,
    ).close()
    const ended = await bring(file('vector.db'))
    assert.equal(ended.code, 1)
    assert.match(ended.err, /left out: the virtual table vec: nodes have no module vec0/)
    assert.match(ended.err, /left out: the virtual table bare keeps no rows of its own/)
    assert.match(ended.err, /left out: what needs vec: CREATE VIEW onto/)
    const names = "SELECT group_concat(name, ' ') AS names FROM sqlite_schema"
    assert.deepEqual(await ask(names), [{ names: 'kept vec_chunks i' }])
  })

  it('is also what its writer has left beside it, until that has changed', async (t) => {
    const { file, make, bring, ask } = start(t)
    const writer = make(
      'live.db',
      `PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a);
       INSERT INTO t VALUES (1), (zeroblob(5000000))`,
    )
    const tooLarge = await bring(file('live.db'))
    assert.equal(tooLarge.code, 1)
    assert.match(tooLarge.err, /rows 2 to 2 of t: .* bytes/)
    assert.deepEqual(await ask('SELECT count(*) AS n FROM t'), [{ n: 1 }])
    writer.exec('DELETE FROM t WHERE a <> 1; INSERT INTO t VALUES (2)')
    const changed = await bring(file('live.db'))
    assert.match(changed.err, /of this one as it was before, is unfinished here/)
    const replaced = await bring(file('live.db'), '--replace')
    assert.equal(replaced.code, 0, replaced.err)
    assert.deepEqual(await ask('SELECT group_concat(a) AS a FROM t'), [{ a: '1,2' }])
  })

  it('takes no name that something else has', async (t) => {
    const { file, make, bring, ask } = start(t)
    make('a.db', 'CREATE TABLE a (x); CREATE INDEX same ON a (x)').close()
    make('b.db', 'CREATE TABLE b (x); CREATE INDEX same ON b (x); PRAGMA user_version = 7').close()
    assert.equal((await bring(file('a.db'))).code, 0)
    assert.match((await bring(file('b.db'))).err, /there is already: same\. --replace/)
    assert.equal((await bring(file('b.db'), '--replace')).code, 0)
    assert.deepEqual(await ask('PRAGMA user_version'), [{ user_version: 7 }])
  })
})

describe('a dump', () => {
  it('is the file that it was made of, whatever of SQLite that uses', async (t) => {
    const place = start(t)
    const { file, make, bring } = place
    const db = make('all.db', `${IDIOMS}; DROP TABLE latin; DROP TABLE descending`)
    db.exec('ANALYZE')
    const text = dump(db)
    assert.match(text, /INSERT INTO sqlite_schema/)
    writeFileSync(file('8.sql'), text)
    writeFileSync(file('16.sql'), `\uFEFF${text}`, 'utf16le')
    db.exec('PRAGMA user_version = 0; PRAGMA application_id = 0')
    for (const name of ['8.sql', '16.sql']) {
      const ended = await bring(file(name), '--database', name.replace('.', '-'))
      assert.equal(ended.code, 0, ended.err)
      assert.deepEqual(
        contentOf(await exported(place, name.replace('.', '-'))),
        contentOf(file('all.db')),
      )
    }
  })
})

describe('files that are refused', () => {
  it('say why, and leave nothing', async (t) => {
    const { file, make, bring, ask } = start(t)
    const write = (name: string, content: string | Buffer): string => {
      writeFileSync(file(name), content)
      return file(name)
    }
    make('locked.db', 'CREATE TABLE a (b); BEGIN EXCLUSIVE')
    const db = make(
      'whole.db',
      `CREATE TABLE a (b, c); CREATE INDEX i ON a (b);
       WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 1000)
         INSERT INTO a SELECT i, zeroblob(1000) FROM n`,
    )
    // A page that the count of the rows, which an index tells, passes by.
    const leaf = "SELECT pageno FROM dbstat WHERE name = 'a' AND pagetype = 'leaf' LIMIT 1 OFFSET 9"
    const page = Number(db.prepare(leaf).get()?.['pageno'])
    db.close()
    const whole = readFileSync(file('whole.db'))
    const holed = Buffer.from(whole).fill(0, (page - 1) * 4096, page * 4096)
    const cases: readonly (readonly [path: string, message: RegExp])[] = [
      [file('locked.db'), /another process keeps it locked/],
      [write('holed.db', holed), /damaged.*\.recover saves/],
      [write('short.db', whole.subarray(0, whole.length / 2)), /damaged.*\.recover saves/],
      [write('my.sql', '-- MySQL dump 10.13\n--\nCREATE TABLE `a` (b int);'), /dump of MySQL/],
      [write('pg.sql', '--\n-- PostgreSQL database dump\n--\n'), /dump of PostgreSQL/],
      [write('pg.dump', Buffer.from('PGDMP\u0001\u00ff', 'latin1')), /dump of PostgreSQL/],
      [write('out.sql', `CREATE TABLE a (b); ATTACH '${file('x.db')}' AS x`), /not authorized/],
      [write('l.csv', Buffer.from('a\nä\n', 'latin1')), /no UTF-8.*iconv/],
      [write('s.csv', 'a;b\n1;2\n'), /has no ',' between names, but ';': --separator/],
      [write('d.csv', 'a,b,A\n1,2,3\n'), /value 3 of the first line of .* is 'A', as is value 1/],
      [write('h.csv', 'a,,c\n1,2,3\n'), /value 2 of the first line of .* is empty/],
    ]
    for (const [path, message] of cases) {
      const ended = await bring(path)
      assert.equal(ended.code, 1, path)
      assert.match(ended.err, message)
    }
    assert.deepEqual(await ask('SELECT name FROM sqlite_schema'), [])
  })
})

describe('CSV', () => {
  it('has its own separators and ends of lines', async (t) => {
    const { file, bring, ask } = start(t)
    writeFileSync(file('semicolon.csv'), 'a;"b;c"\r1;"x\r\ny"\r2;\r', 'utf8')
    const ended = await bring(file('semicolon.csv'), '--separator', ';')
    assert.equal(ended.code, 0, ended.err)
    assert.deepEqual(await ask('SELECT * FROM semicolon'), [
      { a: '1', 'b;c': 'x\r\ny' },
      { a: '2', 'b;c': null },
    ])
    writeFileSync(file('tab.csv'), 'a\tb\r\n1\t2\r\n')
    assert.equal((await bring(file('tab.csv'), '--separator', '\\t')).code, 0)
    assert.deepEqual(await ask('SELECT * FROM tab'), [{ a: '1', b: '2' }])
    assert.equal((await bring(file('tab.csv'), '--separator', 'ab')).code, 2)
  })
})

/** Passes requests on, but loses each write once on its way there, and its answer once. */
async function loseOnce(t: TestContext): Promise<string> {
  const tries = new Map<string, number>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const count = body.includes('COMMIT') ? (tries.get(body) ?? 0) : 2
    tries.set(body, count + 1)
    if (count === 0) return request.socket.destroy()
    const { method = 'GET' } = request
    const init = method === 'GET' ? { method } : { method, body }
    const answer = await fetch(new URL(request.url ?? '/', url), init)
    if (count === 1) return request.socket.destroy()
    response.writeHead(answer.status)
    return response.end(Buffer.from(await answer.arrayBuffer()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('an import', () => {
  it('ends where another has begun, and leaves that as it is', async (t) => {
    const { database, ask } = start(t)
    const client = new ApiClient({ url })
    const [first, second] = ['1', '2'].map((source) => new ImportTarget(client, database, source))
    const unit = (sql: string): Unit => ({ statements: [{ sql }], rows: 1, what: sql })
    await first?.begin([])
    await first?.apply(1, unit('CREATE TABLE t (a)'))
    await second?.begin([])
    await second?.apply(1, unit('INSERT INTO t VALUES (2)'))
    const message = /another import has begun here/
    await assert.rejects(async () => first?.apply(2, unit('INSERT INTO t VALUES (1)')), { message })
    assert.deepEqual(await ask('SELECT a FROM t'), [{ a: 2 }])
  })

  it('sends a row that is large by itself', async (t) => {
    const { file, make, bring, ask } = start(t)
    const sql = 'CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(700000)), (zeroblob(3900000))'
    make('large.db', sql).close()
    const ended = await bring(file('large.db'))
    assert.equal(ended.code, 0, ended.err)
    assert.deepEqual(await ask('SELECT length(a) AS n FROM t'), [{ n: 700_000 }, { n: 3_900_000 }])
  })

  it('does each of its steps once, its end too, whatever is lost on the way', async (t) => {
    const place = start(t)
    place.make('all.db', IDIOMS).close()
    const lossy = await loseOnce(t)
    const args = ['--database', place.database, '--url', lossy]
    const ended = await run(['import', place.file('all.db'), ...args])
    assert.equal(ended.code, 0, ended.err)
    assert.deepEqual(
      contentOf(await exported(place, place.database)),
      contentOf(place.file('all.db')),
    )
  })
})
