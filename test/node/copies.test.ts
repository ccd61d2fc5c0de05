/** Files of one database for anybody: `copyTo`. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, type TestContext, test } from 'node:test'
import type { ColmenaNode } from '../../src/index.ts'
import { checkIntegrity, hashContent, Reader } from '../../src/sqlite/sqlite.ts'
import { databaseFile } from '../processes/content.ts'
import { shareNode } from './shared-node.ts'
import { temporaryDirectory } from './temporary.ts'

interface Here {
  readonly node: ColmenaNode
  readonly dataDir: string
  /** A folder with nothing in it. */
  readonly folder: string
}

async function openHere(t: TestContext): Promise<Here> {
  return { ...(await shareNode()), folder: temporaryDirectory(t) }
}

function contentOf(path: string, doubleQuotedStrings = false): string {
  const reader = new Reader(path, { doubleQuotedStrings })
  try {
    assert.equal(checkIntegrity(reader), 'ok')
    return hashContent(reader)
  } finally {
    reader.close()
  }
}

const VARIED = [
  'PRAGMA user_version = 7',
  'CREATE TABLE keyless (value)',
  'CREATE TABLE parents (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT DEFAULT CURRENT_TIMESTAMP)',
  'CREATE TABLE children (parent REFERENCES parents, day AS (date(taken)) STORED, taken TEXT)',
  'CREATE INDEX by_day ON children (date(taken))',
  'CREATE TABLE pairs (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID',
  'CREATE VIRTUAL TABLE texts USING fts5(body)',
  'CREATE VIEW joined AS SELECT * FROM parents JOIN children ON parent = id',
  'CREATE TRIGGER kept AFTER DELETE ON keyless BEGIN INSERT INTO pairs VALUES (old.value, 1); END',
  "INSERT INTO keyless VALUES (1), (2.5), ('three'), (x'04'), (NULL), (9007199254740993)",
  // The rowids that are left have gaps, which VACUUM in place would close.
  'DELETE FROM keyless WHERE rowid IN (1, 3)',
  'INSERT INTO parents DEFAULT VALUES',
  "INSERT INTO children (parent, taken) VALUES (1, '2026-01-02 03:04:05')",
  "INSERT INTO texts VALUES ('the quick brown fox'), ('jumps over')",
]

suite('a copy of a database', () => {
  test('has the content of the original, and nothing of ours', async (t) => {
    const { node, dataDir, folder } = await openHere(t)
    const db = node.database()
    for (const sql of VARIED) await db.execute(sql)
    const { index: written } = await db.execute('INSERT INTO pairs VALUES (2, 3)')
    const path = join(folder, 'copy.db')
    const { index, sizeBytes } = await db.copyTo(path)
    assert.ok(index >= written)
    await db.execute('DELETE FROM pairs')
    await node.close()

    assert.deepEqual(readdirSync(folder), ['copy.db'])
    const copy = new DatabaseSync(path)
    const names = copy.prepare('SELECT name FROM sqlite_schema').all() as { name: string }[]
    assert.deepEqual(
      names.filter(({ name }) => name.includes('colmena')),
      [],
    )
    assert.equal(copy.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'delete')
    const pages = copy.prepare(
      'SELECT page_count * page_size AS n FROM pragma_page_count, pragma_page_size',
    )
    assert.equal(pages.get()?.['n'], sizeBytes)
    // Once it does what the original did since, they are equal.
    copy.exec('DELETE FROM pairs')
    copy.close()
    assert.equal(contentOf(path), contentOf(databaseFile(dataDir)))
  })

  test('of double-quoted strings keeps them', async (t) => {
    const { node, folder, dataDir } = await openHere(t)
    const db = node.database('main', { doubleQuotedStrings: true })
    await db.execute('CREATE TABLE t (a DEFAULT "none", CHECK (a <> "never"))')
    await db.execute('INSERT INTO t DEFAULT VALUES')
    const path = join(folder, 'copy.db')
    await node.database().copyTo(path)
    await node.close()
    assert.equal(contentOf(path, true), contentOf(databaseFile(dataDir), true))
  })

  test('is one moment while writes go on', async (t) => {
    const { node, folder } = await openHere(t)
    const db = node.database()
    await db.execute('CREATE TABLE a (n)')
    await db.execute('CREATE TABLE b (n)')
    const indexes: number[] = []
    let isCopying = true
    const writing = (async () => {
      for (let i = 1; isCopying; i += 1) {
        const both = [`INSERT INTO a VALUES (${i})`, `INSERT INTO b VALUES (${i})`]
        const [written] = await db.batch(both)
        indexes.push(written?.index ?? 0)
      }
    })()
    const path = join(folder, 'copy.db')
    const { index } = await db.copyTo(path)
    isCopying = false
    await writing
    const copy = new DatabaseSync(path)
    const counts = copy.prepare('SELECT (SELECT count(*) FROM a) a, (SELECT count(*) FROM b) b')
    const { a, b } = counts.get() as { a: number; b: number }
    copy.close()
    assert.equal(a, b)
    // Exactly the writes up to the index that was told.
    assert.equal(a, indexes.filter((written) => written <= index).length)
  })

  test('replaces nothing, and goes nowhere else than it may', async (t) => {
    const { node, folder, dataDir } = await openHere(t)
    const db = node.database()
    await db.execute('CREATE TABLE t (a)')
    const taken = join(folder, 'taken.db')
    writeFileSync(taken, 'mine')
    const refused: [unknown, RegExp][] = [
      [taken, /is there already/],
      [join(folder, 'no', 'copy.db'), /there is no folder/],
      [join(taken, 'copy.db'), /there is no folder/],
      [join(dataDir, 'db', '1', 'copy.db'), /in the data directory/],
      ['', /takes the path/],
      [7, /takes the path/],
      ['a\0b', /takes the path/],
    ]
    for (const [path, message] of refused) {
      await assert.rejects(db.copyTo(path as string), { code: 'ERR_INVALID_ARGUMENT', message })
    }
    await assert.rejects(node.database('other').copyTo(join(folder, 'other.db')), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /no database 'other'/,
    })
    await assert.rejects(db.copyTo(join(folder, 'a.db'), { timeout: 1 } as never), {
      code: 'ERR_INVALID_ARGUMENT',
    })
    assert.deepEqual(readdirSync(folder), ['taken.db'])
  })

  test('that came to be meanwhile by another hand stays', async (t) => {
    const { node, folder } = await openHere(t)
    const db = node.database()
    await db.execute('CREATE TABLE t (a)')
    const path = join(folder, 'copy.db')
    const copies = await Promise.allSettled([db.copyTo(path), db.copyTo(path)])
    assert.deepEqual(copies.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.deepEqual(readdirSync(folder), ['copy.db'])
    contentOf(path)
  })

  test('that is given up leaves nothing', async (t) => {
    const { node, folder } = await openHere(t)
    const db = node.database()
    await db.execute('CREATE TABLE t (a)')
    await db.execute(
      'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 64) ' +
        'INSERT INTO t SELECT randomblob(1000000) FROM c',
    )
    const controller = new AbortController()
    const copy = db.copyTo(join(folder, 'copy.db'), { signal: controller.signal })
    const ended = assert.rejects(copy, { code: 'ERR_ABORTED' })
    while (readdirSync(folder).length === 0) await new Promise((next) => setImmediate(next))
    controller.abort()
    await ended
    assert.deepEqual(readdirSync(folder), [])
    assert.equal(existsSync(join(folder, 'copy.db')), false)
  })
})
