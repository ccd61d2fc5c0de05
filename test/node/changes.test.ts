/** What listeners are told on one node: changed rows, watched queries, applied writes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, type TestContext, test } from 'node:test'
import {
  type AppliedEvent,
  type Change,
  type Changes,
  type ColmenaNode,
  type Database,
  type DatabaseOptions,
  type OpenOptions,
  open,
} from '../../src/index.ts'
import { openOrShare } from './shared-node.ts'

interface Opened {
  readonly dataDir: string
  readonly node: ColmenaNode
  readonly db: Database
}

const SCHEMA = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, data BLOB, twice AS (id * 2))',
  'CREATE TABLE u (a TEXT NOT NULL, b REAL, PRIMARY KEY (a)) WITHOUT ROWID',
]

async function openHere(
  t: TestContext,
  options: Partial<OpenOptions> = {},
  settings: DatabaseOptions = { changes: true },
): Promise<Opened> {
  const { dataDir, node } = await openOrShare(t, options)
  const db = node.database('main', settings)
  await db.batch(SCHEMA)
  return { dataDir, node, db }
}

async function take(changes: Changes, count: number): Promise<Change[]> {
  const taken: Change[] = []
  while (taken.length < count) {
    const { value, done } = await changes.next()
    assert.ok(!done, 'the changes end')
    taken.push(value)
  }
  return taken
}

function short(change: Change): string {
  if (change.kind === 'schema') return 'schema'
  const { kind, table, before, after } = change
  return `${kind} ${table} ${JSON.stringify(before)} ${JSON.stringify(after)}`
}

suite('changes', () => {
  test('tell every row before and after, in the order of the log', async (t) => {
    const { db } = await openHere(t)
    const { index } = await db.execute("INSERT INTO t VALUES (1, 'a', x'01'), (2, NULL, NULL)")
    await db.execute("INSERT INTO u VALUES ('k', 1)")
    await db.batch([
      "UPDATE t SET v = 'b' WHERE id = 1",
      'UPDATE u SET b = b + 0.5',
      'DELETE FROM t WHERE id = 2',
    ])
    await db.transaction(async (tx) => {
      await tx.execute("UPDATE t SET v = 'seen by nobody'")
      await tx.execute("UPDATE t SET id = 9, v = 'c'")
    })
    await assert.rejects(db.execute('INSERT INTO u VALUES (NULL, 1)'))
    await db.execute("REPLACE INTO u VALUES ('k', 7)")
    await using changes = db.changes({ from: 0 })
    const told = await take(changes, 10)
    const bytes = (change: Change | undefined): unknown =>
      change?.kind === 'insert' ? new Uint8Array(change.after?.['data'] as ArrayBuffer) : null
    assert.deepEqual(bytes(told[2]), Uint8Array.of(1))
    const data = '"data":{}'
    assert.deepEqual(told.slice(2).map(short), [
      `insert t null {"id":1,"v":"a",${data}}`,
      'insert t null {"id":2,"v":null,"data":null}',
      'insert u null {"a":"k","b":1}',
      'delete t {"id":2,"v":null,"data":null} null',
      `update t {"id":1,"v":"a",${data}} {"id":1,"v":"b",${data}}`,
      'update u {"a":"k","b":1} {"a":"k","b":1.5}',
      `delete t {"id":1,"v":"b",${data}} null`,
      `insert t null {"id":9,"v":"c",${data}}`,
    ])
    assert.deepEqual(
      told.map((change) => change.isLast),
      [false, true, false, true, true, false, false, true, false, true],
    )
    assert.equal(told[2]?.index, index)
    assert.equal(told[2]?.database, 'main')
    const [last] = await take(changes, 1)
    assert.equal(last && short(last), 'update u {"a":"k","b":1.5} {"a":"k","b":7}')
  })

  test('go on from any index, after a restart too, with the tables asked for', async (t) => {
    const { dataDir, node, db } = await openHere(t)
    const indexes: number[] = []
    for (let id = 1; id <= 5; id += 1) {
      const [first] = await db.batch([
        `INSERT INTO t (id) VALUES (${id})`,
        `INSERT INTO u VALUES ('${id}', 0)`,
      ])
      indexes.push(first?.index ?? 0)
    }
    await node.close()
    await using again = await open({ dataDir })
    await using changes = again.database().changes({ from: indexes[1], tables: ['T'] })
    const told = await take(changes, 3)
    assert.deepEqual(
      told.map(({ index }) => index),
      indexes.slice(2),
    )
    assert.ok(
      told.every((change) => change.isLast && change.kind !== 'schema' && change.table === 't'),
    )
  })

  test('that wait are told of what comes, and begin where they are started', async (t) => {
    const { db } = await openHere(t)
    const { index } = await db.execute('INSERT INTO t (id) VALUES (1)')
    await using changes = db.changes()
    assert.equal(await changes.start(), index)
    const waiting = changes.next()
    await db.execute('INSERT INTO t (id) VALUES (2)')
    assert.equal((await waiting).value?.kind, 'insert')
    const ended = changes.next()
    await changes.return()
    assert.deepEqual(await ended, { value: undefined, done: true })
    assert.equal((await changes.next()).done, true)
  })

  test('of a database that was not made to keep them come while somebody listens', async (t) => {
    const { node, db } = await openHere(t, {}, {})
    const { index } = await db.execute('INSERT INTO t (id) VALUES (1)')
    await assert.rejects(db.changes({ from: index - 1 }).next(), { code: 'ERR_FELL_BEHIND', index })
    const changes = db.changes({ from: index })
    await changes.start()
    await db.execute('INSERT INTO t (id) VALUES (2)')
    const [told] = await take(changes, 1)
    assert.equal(told?.kind === 'insert' && told.after?.['id'], 2)
    await changes.return()
    // What another listener asks is heard after that: from then on nothing is kept.
    await using other = node.database('other').changes()
    await other.start()
    await db.execute('INSERT INTO t (id) VALUES (3)')
    const late = db.changes({ from: told?.index })
    await assert.rejects(late.next(), { code: 'ERR_FELL_BEHIND' })
  })

  test('that are not kept any more are said to be lost, with where to go on', async (t) => {
    const { db } = await openHere(t, { changesBytesMax: 65_536 })
    await using changes = db.changes()
    const from = await changes.start()
    for (let id = 1; id <= 40; id += 1) {
      await db.execute('INSERT INTO t (v) VALUES (?)', ['x'.repeat(4_000)])
    }
    const behind = await changes.next().catch((error: unknown) => error)
    const { code, index, retryable } = behind as { code: string; index: number; retryable: boolean }
    assert.deepEqual([code, retryable], ['ERR_FELL_BEHIND', false])
    assert.equal(index, from + 40)
    await using rest = db.changes({ from: index })
    await rest.start()
    await db.execute('DELETE FROM t WHERE id = 1')
    const [next] = await take(rest, 1)
    assert.equal(next?.kind, 'delete')
  })

  test('of tables that can not be told whole are refused, then and later', async (t) => {
    const { db } = await openHere(t)
    await db.execute('CREATE TABLE keyless (a)')
    const refused = { code: 'ERR_NO_PRIMARY_KEY', message: /'keyless'/, retryable: false }
    await assert.rejects(db.changes().next(), refused)
    await assert.rejects(db.changes({ tables: ['t', 'KEYLESS'.toLowerCase()] }).next(), refused)
    await assert.rejects(db.changes({ tables: ['none'] }).start(), { code: 'ERR_NOT_FOUND' })
    await db.execute('DROP TABLE keyless')
    await using all = db.changes()
    await all.start()
    await db.execute('CREATE TABLE nullable (a TEXT PRIMARY KEY)')
    assert.equal((await all.next()).value?.kind, 'schema')
    await assert.rejects(all.next(), { code: 'ERR_NO_PRIMARY_KEY', message: /'nullable'/ })
  })

  test('end with what ends them: a signal, a drop, the node', async (t) => {
    const { node, db } = await openHere(t)
    const controller = new AbortController()
    const aborted = db.changes({ signal: controller.signal })
    const dropped = db.changes()
    await Promise.all([aborted.start(), dropped.start()])
    const first = aborted.next()
    controller.abort()
    await assert.rejects(first, { code: 'ERR_ABORTED' })
    const second = assert.rejects(dropped.next(), { code: 'ERR_DATABASE_DROPPED' })
    await node.dropDatabase('main')
    await second
    const closed = node.database('later').changes()
    assert.ok((await closed.start()) > 0)
    const third = assert.rejects(closed.next(), { code: 'ERR_CLOSED' })
    await node.close()
    await third
  })

  test('of a database that is not there yet begin with its first write', async (t) => {
    const { node } = await openHere(t)
    const later = node.database('later', { changes: true })
    await using changes = later.changes()
    await changes.start()
    await later.batch(['CREATE TABLE a (id INTEGER PRIMARY KEY)', 'INSERT INTO a VALUES (1)'])
    assert.deepEqual(
      (await take(changes, 2)).map(({ kind }) => kind),
      ['schema', 'insert'],
    )
  })

  test('asked for wrongly are refused at once', async (t) => {
    const { node, db } = await openHere(t)
    for (const [wrong, message] of [
      [{ tables: 't' }, /tables is "t"/],
      [{ tables: [] }, /tables is/],
      [{ from: -1 }, /from is -1/],
      [{ table: ['t'] }, /table/],
    ] as const) {
      const call = (): unknown => db.changes(wrong as never)
      assert.throws(call, { code: 'ERR_INVALID_OPTION', message })
    }
    const other = node.database('main', { changes: false })
    const refused = { code: 'ERR_INVALID_OPTION', message: /changes false/ }
    await assert.rejects(other.execute('DELETE FROM t'), refused)
    await assert.rejects(
      other.transaction((tx) => tx.execute('DELETE FROM t')),
      refused,
    )
  })
})

suite('a watched query', () => {
  test('is answered anew when a table that it reads has changed, and only then', async (t) => {
    const { node, db } = await openHere(t, {}, {})
    await db.execute('CREATE VIEW shown AS SELECT count(*) AS n FROM t')
    await using watch = db.watch<{ n: number }>('SELECT n FROM shown WHERE n >= :least', {
      least: 0,
    })
    const next = async (): Promise<number | undefined> => (await watch.next()).value?.rows[0]?.n
    assert.equal(await next(), 0)
    const answer = next()
    await db.execute("INSERT INTO u VALUES ('other table', 1)")
    await node.database('other').execute('CREATE TABLE t (id)')
    await db.execute('INSERT INTO t (id) VALUES (1)')
    assert.equal(await answer, 1)
    await db.execute('INSERT INTO t (id) VALUES (2)')
    await db.execute('INSERT INTO t (id) VALUES (3)')
    // Writes that came while an answer was dealt with are answered together, at least once.
    const until = async (count: number): Promise<void> => {
      for (let n: number | undefined; n !== count; n = await next()) assert.ok((n ?? 0) < count)
    }
    await until(3)
    await db.execute(
      'CREATE TRIGGER fill AFTER INSERT ON u BEGIN INSERT INTO t (v) VALUES (1); END',
    )
    await db.execute("INSERT INTO u VALUES ('through a trigger', 1)")
    await until(4)
    await db.batch(['DROP VIEW shown', 'CREATE VIEW shown AS SELECT count(*) + 10 AS n FROM t'])
    await until(14)
  })

  test('is answered anew when the schema that it reads has changed', async (t) => {
    const { db } = await openHere(t, {}, {})
    await using watch = db.watch('SELECT * FROM u')
    await watch.next()
    const answer = watch.next()
    await db.execute('ALTER TABLE u ADD COLUMN c DEFAULT 1')
    assert.deepEqual((await answer).value?.columns, ['a', 'b', 'c'])
  })

  test('says what is wrong with it, and ends', async (t) => {
    const { node, db } = await openHere(t)
    await assert.rejects(db.watch('SELECT * FROM none').next(), { code: 'ERR_SQL' })
    await assert.rejects(db.watch('DELETE FROM t').next(), { code: 'ERR_REFUSED_SQL' })
    const controller = new AbortController()
    const watch = db.watch('SELECT * FROM t', [], { signal: controller.signal })
    await watch.next()
    const waiting = watch.next()
    controller.abort()
    await assert.rejects(waiting, { code: 'ERR_ABORTED' })
    const other = db.watch('SELECT * FROM t')
    await other.next()
    const last = assert.rejects(other.next(), { code: 'ERR_CLOSED' })
    await node.close()
    await last
  })
})

suite('applied writes', () => {
  test('are told in order with their statements and results', async (t) => {
    const { node, db } = await openHere(t, {}, {})
    const events: AppliedEvent[] = []
    node.on('applied', (event) => events.push(event))
    const { index } = await db.execute('INSERT INTO t (v) VALUES (?) RETURNING id', ['x'])
    await db.batch([
      { sql: 'INSERT INTO u VALUES (:a, :b)', args: { a: 'k', b: 1.5 } },
      'SELECT count(*) AS n FROM u',
      'DELETE FROM t',
    ])
    await assert.rejects(db.execute("INSERT INTO u VALUES ('k', 2)"))
    while (events.length < 3) await once(node, 'applied')
    const [first, second, third] = events
    assert.deepEqual(first?.statements, [
      { sql: 'INSERT INTO t (v) VALUES (?) RETURNING id', args: ['x'] },
    ])
    assert.deepEqual(first?.results[0]?.rows, [{ id: 1 }])
    assert.deepEqual([first?.index, first?.database, first?.error], [index, 'main', undefined])
    assert.deepEqual(second?.statements[0]?.args, { a: 'k', b: 1.5 })
    assert.deepEqual(
      second?.results.map(({ rowsAffected }) => rowsAffected),
      [1, 0, 1],
    )
    assert.equal(third?.error?.code, 'ERR_SQL')
    assert.deepEqual(third?.results, [])
    const heard = events.length
    node.removeAllListeners('applied')
    await db.execute('DELETE FROM u')
    assert.equal(events.length, heard)
  })
})
