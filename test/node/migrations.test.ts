/** `node.migrate`: what runs, what is refused before anything runs, and what is told. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import {
  type ColmenaNode,
  type Database,
  type Migration,
  type OpenOptions,
  open,
} from '../../src/index.ts'
import { openFake } from './fake-node.ts'
import { openOrShare } from './shared-node.ts'

const NOTES: Migration = {
  version: 1,
  name: 'notes',
  up: `CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
    CREATE INDEX by_text ON notes (text);`,
}
const FIRST_NOTE: Migration = {
  version: 2,
  name: 'first note',
  up: [
    ['INSERT INTO notes (text) VALUES (?)', ['one']],
    'UPDATE notes SET text = text || CURRENT_DATE',
  ],
}

async function openHere(
  t: TestContext,
  options: Partial<OpenOptions> = {},
): Promise<{ readonly node: ColmenaNode; readonly db: Database; readonly dataDir: string }> {
  const { dataDir, node } = await openOrShare(t, options)
  return { node, db: node.database(), dataDir }
}

async function tables(db: Database): Promise<unknown[]> {
  const { rows } = await db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
  return rows.map((row) => row['name'])
}

suite('migrations', () => {
  test('run in order, once in the life of the database, and are told', async (t) => {
    const { node, db, dataDir } = await openHere(t)
    const [notes] = await node.migrate([NOTES])
    const done = await node.migrate([NOTES, FIRST_NOTE])
    assert.deepEqual(done[0], notes)
    assert.deepEqual(
      done.map(({ version, name }) => [version, name]),
      [
        [1, 'notes'],
        [2, 'first note'],
      ],
    )
    const [first, second] = done
    assert.ok(first !== undefined && second !== undefined && first.index < second.index)
    assert.ok(first.ranAt <= second.ranAt && second.ranAt <= new Date())
    const { index } = await db.execute('SELECT 1')
    assert.deepEqual(await node.migrate([NOTES, FIRST_NOTE]), done)
    assert.equal((await db.execute('SELECT 1')).index, index, 'nothing went through the log')
    await node.close()
    const again = await open({ dataDir })
    t.after(() => again.close())
    assert.deepEqual(await again.migrate([NOTES, FIRST_NOTE]), done)
    const { rows } = await again.database().execute('SELECT count(*) AS n FROM notes')
    assert.deepEqual(rows, [{ n: 1 }])
  })

  test('are of one database, and out of sight in it', async (t) => {
    const { node, db } = await openHere(t)
    await node.migrate([NOTES], { database: 'other' })
    assert.deepEqual(await tables(db), [])
    assert.deepEqual(await tables(node.database('other')), ['notes'])
    for (const sql of [
      'SELECT * FROM _colmena_migrations',
      'DELETE FROM _colmena_migrations',
      'DROP TABLE _colmena_migrations',
      "INSERT INTO _colmena_migrations VALUES (2, 'x', x'00', 1, 1)",
    ]) {
      await assert.rejects(node.database('other').execute(sql), { code: 'ERR_REFUSED_SQL' }, sql)
    }
  })

  test('run without foreign keys, which must hold at the end', async (t) => {
    const { node, db } = await openHere(t)
    const tree: Migration = {
      version: 1,
      name: 'tree',
      up: `CREATE TABLE p (id INTEGER PRIMARY KEY);
        CREATE TABLE c (p REFERENCES p ON DELETE CASCADE);
        INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)`,
    }
    const rebuilt = (version: number, ids: string): Migration => ({
      version,
      name: 'rebuilt',
      up: `PRAGMA foreign_keys=OFF; CREATE TABLE new_p (id INTEGER PRIMARY KEY, more);
        INSERT INTO new_p SELECT id, 'x' FROM p WHERE id IN (${ids}); DROP TABLE p;
        ALTER TABLE new_p RENAME TO p; PRAGMA foreign_keys=ON`,
    })
    await node.migrate([tree])
    await assert.rejects(node.migrate([tree, rebuilt(2, '2')]), {
      code: 'ERR_SQL',
      message: /^migration 2 'rebuilt': .*FOREIGN KEY constraint failed/,
    })
    await node.migrate([tree, rebuilt(2, '1')])
    assert.deepEqual((await db.execute('SELECT p, more FROM c JOIN p ON c.p = p.id')).rows, [
      { p: 1, more: 'x' },
    ])
  })

  test('stop at the first that fails: those before it stay, and none after it runs', async (t) => {
    const { node, db } = await openHere(t)
    const broken = {
      version: 2,
      name: 'broken',
      up: 'CREATE TABLE b (x); INSERT INTO b VALUES (y)',
    }
    const later = { version: 3, name: 'later', up: 'CREATE TABLE c (x)' }
    await assert.rejects(node.migrate([NOTES, broken, later]), {
      name: 'SqlError',
      outcome: 'not-applied',
      statementIndex: 1,
      message: "migration 2 'broken': statement 2 of 2: no such column: y",
    })
    assert.deepEqual(await tables(db), ['notes'])
    const mended = { ...broken, up: 'CREATE TABLE b (x)' }
    assert.equal((await node.migrate([NOTES, mended, later])).length, 3)
  })

  test('are known by what they do, and not by how it is laid out', async (t) => {
    const { node } = await openHere(t)
    const done = await node.migrate([NOTES])
    const up =
      '-- Notes.\r\nCREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);\r\n\r\n' +
      'CREATE INDEX by_text ON notes (text)'
    assert.deepEqual(await node.migrate([{ version: 1, name: 'called otherwise', up }]), done)
  })

  test('that have other statements than have run are refused, and nothing changes', async (t) => {
    const { node, db } = await openHere(t)
    await node.migrate([NOTES, FIRST_NOTE])
    const later = { version: 3, name: 'later', up: 'CREATE TABLE c (x)' }
    for (const changed of [
      { ...FIRST_NOTE, up: [['INSERT INTO notes (text) VALUES (?)', ['two']]] as const },
      { ...FIRST_NOTE, up: "INSERT INTO notes (text) VALUES ('one')" },
      { ...FIRST_NOTE, up: [...FIRST_NOTE.up, 'DELETE FROM notes'] as Migration['up'] },
    ]) {
      await assert.rejects(node.migrate([NOTES, changed, later]), {
        code: 'ERR_MIGRATION_CONFLICT',
        outcome: 'not-applied',
        retryable: false,
        message: /^migration 2 'first note' is not what the database ran as 2 'first note'/,
      })
    }
    const early = { version: 1, name: 'early', up: 'CREATE TABLE early (x)' }
    const other = node.database('other')
    await node.migrate([later], { database: 'other' })
    await assert.rejects(node.migrate([early, later], { database: 'other' }), {
      code: 'ERR_MIGRATION_CONFLICT',
      message: /migration 1 'early' comes before 3 'later'/,
    })
    assert.deepEqual(await tables(db), ['notes'])
    assert.deepEqual(await tables(other), ['c'])
  })

  test('are all looked at before the first one runs', async (t) => {
    const { node, db } = await openHere(t)
    const bad: readonly (readonly [unknown, string, RegExp])[] = [
      [NOTES, 'ERR_INVALID_ARGUMENT', /takes an array of migrations/],
      [[NOTES, NOTES], 'ERR_INVALID_ARGUMENT', /migration 1 comes after 1/],
      [[FIRST_NOTE, NOTES], 'ERR_INVALID_ARGUMENT', /migration 1 comes after 2/],
      [[NOTES, null], 'ERR_INVALID_ARGUMENT', /migration 2 of 2 is no object/],
      [[NOTES, { ...FIRST_NOTE, version: 1.5 }], 'ERR_INVALID_ARGUMENT', /version of .* is 1.5/],
      [[{ ...NOTES, version: 0 }], 'ERR_INVALID_ARGUMENT', /whole number from 1 on/],
      [[{ ...NOTES, name: '' }], 'ERR_INVALID_ARGUMENT', /name of migration 1/],
      [[{ ...NOTES, down: 'DROP TABLE notes' }], 'ERR_INVALID_ARGUMENT', /unknown option 'down'/],
      [[NOTES, { ...FIRST_NOTE, up: ' ; -- none' }], 'ERR_INVALID_ARGUMENT', /up of migration 2/],
      [[NOTES, { ...FIRST_NOTE, up: [] }], 'ERR_INVALID_ARGUMENT', /up of migration 2/],
      [[NOTES, { ...FIRST_NOTE, up: [[1]] }], 'ERR_INVALID_ARGUMENT', /the SQL is of type number/],
      [
        [NOTES, { ...FIRST_NOTE, up: 'BEGIN; SELECT 1; COMMIT' }],
        'ERR_REFUSED_SQL',
        /BEGIN in mig/,
      ],
    ]
    for (const [migrations, code, message] of bad) {
      await assert.rejects(node.migrate(migrations as Migration[]), { code, message })
    }
    for (const options of [{ timeoutMs: 0 }, { database: 'No' }, { signal: 1 }, { dbs: 'x' }]) {
      await assert.rejects(node.migrate([NOTES], options as object), {
        code: 'ERR_INVALID_ARGUMENT',
      })
    }
    assert.deepEqual(await tables(db), [])
  })

  test('of which it is not known whether they ran say so, however the tries end', async (t) => {
    const { node, engine } = await openFake(t, { requestTimeoutMs: 50 })
    const tries = Promise.withResolvers<void>()
    engine.answers.set('request', (message) => {
      if (message.kind !== 'request' || message.request.method !== 'outcome') return
      engine.say({ kind: 'reply', id: message.id, value: 0, error: null })
      tries.resolve()
    })
    const told = { code: 'ERR_TIMEOUT', outcome: 'unknown', retryable: false }
    const migrated = assert.rejects(node.migrate([NOTES]), told)
    await tries.promise
    await node.close()
    await migrated
  })

  test('wait for nobody who waits for them', async (t) => {
    const { node, db } = await openHere(t)
    await node.migrate([NOTES])
    await db.transaction(async (tx) => {
      await tx.execute('DELETE FROM notes')
      await assert.rejects(node.migrate([NOTES, FIRST_NOTE]), { code: 'ERR_INVALID_ARGUMENT' })
    })
    const tx = await db.transaction('write')
    await tx.execute('DELETE FROM notes')
    const late = { code: 'ERR_TIMEOUT', retryable: true, message: /migration 2 .* within 50 ms/ }
    await assert.rejects(node.migrate([NOTES, FIRST_NOTE], { timeoutMs: 50 }), late)
    const stop = new AbortController()
    const stopped = node.migrate([NOTES, FIRST_NOTE], { signal: stop.signal })
    stop.abort()
    await assert.rejects(stopped, { code: 'ERR_ABORTED' })
    await tx.rollback()
    assert.equal((await node.migrate([NOTES, FIRST_NOTE])).length, 2)
    assert.deepEqual((await db.execute('SELECT count(*) AS n FROM notes')).rows, [{ n: 1 }])
  })
})
