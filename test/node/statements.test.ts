/** What a database does with a statement beside running it, and with several as a migration. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type ColmenaNode, type Database, type InputArgs, open } from '../../src/index.ts'

let dataDir: string
let node: ColmenaNode
let databases = 0

before(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'colmena-node-'))
  node = await open({ dataDir, logSegmentBytes: 1024 * 1024 })
})

after(async () => {
  await node?.close()
  rmSync(dataDir, { recursive: true, force: true })
})

/** An empty database of its own for each test, on the one node they share. */
async function createDatabase(): Promise<Database> {
  databases += 1
  const db = node.database(`db${databases}`)
  await db.executeMultiple('CREATE TABLE first (a); DROP TABLE first')
  return db
}

suite('describe', () => {
  test('tells columns, parameters and kind without running anything', async () => {
    const db = await createDatabase()
    await db.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)')
    assert.deepEqual(await db.describe('SELECT id, name AS n, 1 + 1 FROM t WHERE id = :id'), {
      columns: ['id', 'n', '1 + 1'],
      columnTypes: ['INTEGER', 'TEXT', ''],
      parameters: [':id'],
      isExplain: false,
      isReadOnly: true,
    })
    const insert = await db.describe("INSERT INTO t VALUES (?, ' :no ') RETURNING id")
    assert.deepEqual(insert.columns, ['id'])
    assert.deepEqual(insert.parameters, [null])
    assert.equal(insert.isReadOnly, false)
    const explain = await db.describe('EXPLAIN QUERY PLAN DELETE FROM t')
    assert.deepEqual([explain.isExplain, explain.isReadOnly], [true, true])
    assert.equal((await db.describe('DROP TABLE t')).isReadOnly, false)
    assert.deepEqual((await db.execute('SELECT count(*) AS n FROM t')).rows, [{ n: 0 }])
  })

  test('counts parameters as SQLite does', async () => {
    const db = await createDatabase()
    const named: [sql: string, parameters: (string | null)[]][] = [
      ['SELECT ?, :a, $b, @c, :a, ?', [null, ':a', '$b', '@c', null]],
      ['SELECT :a, ?1, ?', [':a', null]],
    ]
    const byPosition: typeof named = [
      ['SELECT 1 -- ?', []],
      ["SELECT ?, '?', ?", [null, null]],
      ['SELECT ?3, ?, ?1', ['?1', null, '?3', null]],
    ]
    for (const [sql, parameters] of [...named, ...byPosition]) {
      assert.deepEqual((await db.describe(sql)).parameters, parameters, sql)
    }
    for (const [sql, { length }] of [...named, ...byPosition]) {
      assert.equal((await db.execute(sql, new Array(length).fill(7))).rows.length, 1, sql)
    }
  })

  test('wants an argument for each parameter, and no more', async () => {
    const db = await createDatabase()
    await db.execute('CREATE TABLE t (a, b, c)')
    const wrong: [sql: string, args: InputArgs | undefined, message: RegExp][] = [
      ['INSERT INTO t VALUES (?, ?, 1)', [1, 2, 3], /takes 2 arguments, and 3 were passed/],
      ['INSERT INTO t VALUES (?, ?, 1)', [1], /takes 2 arguments, and 1 was passed; null is NULL/],
      ['INSERT INTO t VALUES (?, ?, 1)', undefined, /takes 2 arguments, and 0 were passed/],
      ['INSERT INTO t VALUES (?1, ?3, 1)', [1, 2], /takes 3 arguments, and 2 were passed/],
      ['INSERT INTO t VALUES (1, 2, 3)', [1], /takes 0 arguments, and 1 was passed/],
      ['INSERT INTO t VALUES (:a, @b, $c)', { a: 1, b: 2 }, /no argument for \$c was passed/],
      ['INSERT INTO t VALUES (:a, 2, 3)', { a: 1, z: 2 }, /has no parameter 'z'/],
      ['INSERT INTO t VALUES (:a, ?, 3)', { a: 1 }, /parameter 2 has no name: .* an array/],
      ['INSERT INTO t VALUES (:a, 2, 3)', [], /takes 1 argument, and 0 were passed/],
    ]
    for (const [sql, args, message] of wrong) {
      const error = { code: 'ERR_INVALID_ARGUMENT', outcome: 'not-applied', message }
      await assert.rejects(db.execute(sql, args), error, sql)
      const select = sql.replace(/INSERT INTO t VALUES \((.*)\)/, 'SELECT $1')
      await assert.rejects(db.execute(select, args), error, select)
      assert.throws(() => db.reader.prepare(select).all(args), error, select)
    }
    assert.equal((await db.execute('SELECT * FROM t')).rows.length, 0)
  })

  test('binds by position what has a name, as SQLite numbers it', async () => {
    const db = await createDatabase()
    const array = await db.execute('SELECT ? a, :b b, ? c, :b d, ?2 e, @e f', [1, 2, 3, 4])
    assert.deepEqual(array.rows, [{ a: 1, b: 2, c: 3, d: 2, e: 2, f: 4 }])
    const numbered = await db.execute('SELECT ?2 a, ?1 b', { 1: 'one', 2: 'two' })
    assert.deepEqual(numbered.rows, [{ a: 'two', b: 'one' }])
  })

  test('answers what can not be prepared with its error', async () => {
    const db = await createDatabase()
    await assert.rejects(db.describe('SELECT * FROM nowhere'), { code: 'ERR_SQL' })
    await assert.rejects(db.describe('BEGIN'), { code: 'ERR_REFUSED_SQL' })
    await assert.rejects(db.describe(7 as unknown as string), { code: 'ERR_INVALID_ARGUMENT' })
  })
})

suite('migrate', () => {
  test('makes a table anew that others refer to', async () => {
    const db = await createDatabase()
    await db.batch([
      'CREATE TABLE p (id INTEGER PRIMARY KEY)',
      'CREATE TABLE c (p REFERENCES p (id) ON DELETE CASCADE)',
      'INSERT INTO p VALUES (1)',
      'INSERT INTO c VALUES (1)',
    ])
    const results = await db.migrate([
      'PRAGMA foreign_keys = OFF',
      'CREATE TABLE p2 (id INTEGER PRIMARY KEY, name TEXT)',
      ['INSERT INTO p2 SELECT id, ? FROM p', ['a']],
      'DROP TABLE p',
      'ALTER TABLE p2 RENAME TO p',
      'PRAGMA foreign_keys = ON',
    ])
    assert.deepEqual(
      results.map(({ rowsAffected }) => rowsAffected),
      [0, 0, 1, 0, 0, 0],
    )
    assert.deepEqual(results[5]?.rows, [{ foreign_keys: 0 }])
    const { rows } = await db.execute('SELECT name FROM c JOIN p ON p.id = c.p')
    assert.deepEqual(rows, [{ name: 'a' }])
    await assert.rejects(db.execute('INSERT INTO c VALUES (2)'), { sqliteCode: 787 })
  })

  test('applies nothing where a foreign key leads nowhere in the end', async () => {
    const db = await createDatabase()
    await db.batch(['CREATE TABLE p (id PRIMARY KEY)', 'CREATE TABLE c (p REFERENCES p)'])
    const orphan = db.migrate(['INSERT INTO c VALUES (1)', 'CREATE TABLE later (a)'])
    await assert.rejects(orphan, { code: 'ERR_SQL', sqliteCode: 787, statementIndex: 1 })
    await assert.rejects(db.migrate('x' as unknown as []), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(db.execute('SELECT * FROM later'), { code: 'ERR_SQL' })
  })

  test('leaves the check to a later one where it is asked to', async () => {
    const db = await createDatabase()
    await db.batch(['CREATE TABLE p (id PRIMARY KEY)', 'CREATE TABLE c (p REFERENCES p)'])
    await db.migrate(['INSERT INTO c VALUES (1)'], { foreignKeyCheck: false })
    await assert.rejects(db.migrate(['CREATE TABLE later (a)']), { sqliteCode: 787 })
    await db.migrate(['INSERT INTO p VALUES (1)'], { foreignKeyCheck: true })
    for (const wrong of [{ foreignKeyCheck: 0 }, { foreignKeysCheck: false }, null]) {
      const call = db.migrate(['SELECT 1'], wrong as unknown as { foreignKeyCheck: boolean })
      await assert.rejects(call, { code: 'ERR_INVALID_ARGUMENT' })
    }
  })
})

suite('exact numbers', () => {
  test('are doubles and integers as SQLite tells them apart, both ways', async () => {
    const db = await createDatabase()
    const kinds = 'SELECT ?1 AS v, typeof(?1) AS kind'
    const exact = { exactNumbers: true }
    assert.deepEqual((await db.execute(kinds, [1])).rows, [{ v: 1, kind: 'integer' }])
    assert.deepEqual((await db.execute(kinds, [1], exact)).rows, [{ v: 1, kind: 'real' }])
    assert.deepEqual((await db.execute(kinds, [1n], exact)).rows, [{ v: 1n, kind: 'integer' }])
    const [batched] = await db.batch([[kinds, [2]]], exact)
    assert.deepEqual(batched?.rows, [{ v: 2, kind: 'real' }])
    await db.execute('CREATE TABLE t (a INTEGER, b)')
    const insert = 'INSERT INTO t VALUES (?, ?) RETURNING a, b'
    const written = await db.execute({ sql: insert, args: [3, 3] }, exact)
    assert.deepEqual(written.rows, [{ a: 3n, b: 3 }])
    const [, migrated] = await db.migrate(['DELETE FROM t', [insert, [4, 4]]], exact)
    assert.deepEqual(migrated?.rows, [{ a: 4n, b: 4 }])
    await assert.rejects(db.execute(kinds, [Number.NaN], exact), { code: 'ERR_INVALID_ARGUMENT' })
    const wrong = { exactNumbers: 1 } as unknown as { exactNumbers: boolean }
    await assert.rejects(db.execute(kinds, [1], wrong), { code: 'ERR_INVALID_ARGUMENT' })
  })
})

suite('a script that turns foreign keys off', () => {
  const PARENT_ANEW = `
    PRAGMA foreign_keys=OFF;
    CREATE TABLE new_p (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO new_p (id) SELECT id FROM p;
    DROP TABLE p;
    ALTER TABLE new_p RENAME TO p;
    PRAGMA foreign_keys=ON;`

  async function openFamily(): Promise<Database> {
    const db = await createDatabase()
    await db.executeMultiple(`
      CREATE TABLE p (id INTEGER PRIMARY KEY);
      CREATE TABLE c (p REFERENCES p (id) ON DELETE CASCADE);
      INSERT INTO p VALUES (1), (2);
      INSERT INTO c VALUES (1), (2);`)
    return db
  }

  async function countChildren(db: Database): Promise<unknown> {
    return (await db.execute('SELECT count(*) AS n FROM c JOIN p ON p.id = c.p')).rows[0]?.['n']
  }

  test('makes a table anew that others refer to, and enforces them again after', async () => {
    const db = await openFamily()
    await db.executeMultiple(
      `PRAGMA defer_foreign_keys=ON; ${PARENT_ANEW} INSERT INTO c VALUES (1)`,
    )
    assert.equal(await countChildren(db), 3)
    await db.execute('SELECT name FROM p')
    const script = `${PARENT_ANEW} INSERT INTO c VALUES (9)`
    await assert.rejects(db.executeMultiple(script), { sqliteCode: 787, statementIndex: 6 })
  })

  test('takes a BEGIN … COMMIT around it all for what it is, and the end for =ON', async () => {
    const db = await openFamily()
    const wrapped = PARENT_ANEW.replace('OFF;', 'OFF; BEGIN;').replace(/PRAGMA.*ON;$/, 'COMMIT;')
    await db.executeMultiple(wrapped)
    assert.equal(await countChildren(db), 2)
    await db.executeMultiple('PRAGMA foreign_keys = 0; PRAGMA foreign_keys = yes')
  })

  test('applies all of it or nothing, and counts its statements as the script does', async () => {
    const db = await openFamily()
    const failing = PARENT_ANEW.replace('DROP TABLE p;', 'DROP TABLE p; SELEC 1;')
    await assert.rejects(db.executeMultiple(`SELECT 1; ${failing}`), {
      code: 'ERR_SQL',
      statementIndex: 5,
      message: /^statement 6 of 8: near "SELEC"/,
    })
    const orphan = PARENT_ANEW.replace('FROM p', 'FROM p WHERE id = 1')
    await assert.rejects(db.executeMultiple(orphan), {
      sqliteCode: 787,
      message: /row of c refers/,
    })
    assert.equal(await countChildren(db), 2)
    const refused = PARENT_ANEW.replace('DROP TABLE p;', 'ATTACH x AS y; DROP TABLE p;')
    await assert.rejects(db.executeMultiple(refused), {
      code: 'ERR_REFUSED_SQL',
      message: /^statement 4 of 7: ATTACH/,
    })
    await assert.rejects(db.execute('SELECT name FROM p'), { code: 'ERR_SQL' })
  })

  test('has no transactions of its own in there, and none around it', async () => {
    const db = await openFamily()
    const inner = PARENT_ANEW.replace('DROP TABLE p;', 'COMMIT; BEGIN; DROP TABLE p;')
    await assert.rejects(db.executeMultiple(inner), {
      code: 'ERR_REFUSED_SQL',
      message: /^statement 4 of 8 is COMMIT where foreign keys are off/,
    })
    await assert.rejects(db.executeMultiple(`BEGIN; ${PARENT_ANEW} COMMIT`), {
      code: 'ERR_REFUSED_SQL',
      message: /PRAGMA foreign_keys = off is refused/i,
    })
    assert.equal(await countChildren(db), 2)
    await assert.rejects(db.execute('SELECT name FROM p'), { code: 'ERR_SQL' })
  })
})
