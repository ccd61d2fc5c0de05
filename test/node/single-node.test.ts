import assert from 'node:assert/strict'
import { chmodSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import {
  type ColmenaNode,
  type OpenOptions,
  open,
  SqlError,
  withConsistency,
} from '../../src/index.ts'
import { engineFingerprint } from '../../src/sqlite/sqlite.ts'
import { temporaryDirectory } from './temporary.ts'

async function openHere(
  t: TestContext,
  dataDir = temporaryDirectory(t),
  more: Partial<OpenOptions> = {},
): Promise<ColmenaNode> {
  const node = await open({ dataDir, logSegmentBytes: 1024 * 1024, ...more })
  t.after(() => node.close())
  return node
}

suite('a single node', () => {
  test('writes, reads, and knows itself', async (t) => {
    const node = await openHere(t)
    const db = node.database()
    await db.execute('CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT)')
    const written = await db.execute('INSERT INTO kv VALUES (?, ?)', ['hello', 'world'])
    assert.equal(written.rowsAffected, 1)
    assert.equal(written.consistency, undefined)
    const read = await db.execute('SELECT value FROM kv WHERE key = ?', ['hello'])
    assert.deepEqual(read.rows, [{ value: 'world' }])
    assert.equal(read.consistency, 'weak')
    const [batched] = await db.batch(["UPDATE kv SET value = 'you'"], 'write')
    const { term, terms } = await node.status()
    for (const write of [written, batched]) {
      assert.equal(write?.term, term)
      assert.ok(write?.timing !== undefined)
      assert.ok(write.timing.committedMs > 0)
      assert.ok(write.timing.appliedMs >= write.timing.committedMs)
    }
    assert.deepEqual([read.term, read.timing], [undefined, undefined])
    assert.deepEqual([terms.at(-1)?.term, terms.at(-1)?.leaderId], [term, node.nodeId])
    assert.ok(read.index >= written.index)
    assert.equal(node.isLeader, true)
    assert.deepEqual(await node.waitForLeader(), { id: node.nodeId, address: '' })
    assert.equal(node.address, '')
    const [member, ...others] = await node.members()
    assert.deepEqual(others, [])
    assert.equal(member?.memberId, node.memberId)
    assert.equal(member?.role, 'voter')
    assert.equal(member?.fingerprint, engineFingerprint())
  })

  test("keeps what it has from other users, also in a directory that isn't its own", async (t) => {
    const dataDir = temporaryDirectory(t)
    chmodSync(dataDir, 0o755)
    await using node = await open({ dataDir })
    await node.database().execute('CREATE TABLE t (x)')
    // What SQLite makes to lock the directory holds nothing.
    const found = readdirSync(dataDir).filter((name) => !name.startsWith('lock'))
    assert.deepEqual(found.sort(), ['db', 'identity.json', 'log'])
    for (const name of found) {
      assert.equal(statSync(join(dataDir, name)).mode & 0o077, 0, name)
    }
  })

  test('is back after a restart, by the same call', async (t) => {
    const dataDir = temporaryDirectory(t)
    const first = await openHere(t, dataDir)
    await first.database().execute('CREATE TABLE t (a)')
    await first.database().execute('INSERT INTO t VALUES (1)')
    await first.close()
    const second = await openHere(t, dataDir)
    assert.equal(second.nodeId, first.nodeId)
    assert.equal(second.memberId, first.memberId)
    await second.database().execute('INSERT INTO t VALUES (2)')
    const { rows } = await second.database().execute('SELECT a FROM t ORDER BY a')
    assert.deepEqual(rows, [{ a: 1 }, { a: 2 }])
  })

  test('answers status as plain JSON', async (t) => {
    const node = await openHere(t)
    await node.database().execute('CREATE TABLE t (a)')
    const status = await node.status()
    assert.deepEqual(JSON.parse(JSON.stringify(status)), status)
    assert.equal(status.role, 'leader')
    assert.equal(status.nodeId, node.nodeId)
    assert.equal(status.lagEntries, status.commitIndex - status.appliedIndex)
    assert.equal(status.nodejsVersion, process.versions.node)
    assert.match(status.sqliteVersion, /^3\./)
    assert.deepEqual(
      status.databases.map(({ name }) => name),
      ['main'],
    )
    assert.ok(status.databases.every(({ sizeBytes }) => sizeBytes > 0) && status.logBytes > 0)
    assert.ok(status.counters.writes >= 1 && status.counters.elections >= 1)
  })

  test('shows none of its own tables, by whatever call they are asked for', async (t) => {
    const db = (await openHere(t)).database()
    await db.execute('CREATE TABLE mine (a)')
    const tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    const listed = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
    const found = [{ name: 'mine' }]
    assert.deepEqual((await db.execute(tables)).rows, found)
    assert.deepEqual((await db.batch([tables]))[0]?.rows, found)
    assert.deepEqual((await db.batch(['INSERT INTO mine VALUES (1)', tables]))[1]?.rows, found)
    assert.deepEqual({ ...(db.reader.prepare(tables).get() as object) }, found[0])
    assert.equal(db.reader.prepare(tables).all().length, 1)
    assert.equal([...db.reader.prepare(tables).iterate()].length, 1)
    const names = (await db.execute(listed)).rows.map(({ name }) => name)
    assert.deepEqual(names.sort(), ['mine', 'sqlite_schema'])
    await db.execute('CREATE TABLE copied AS SELECT name FROM sqlite_schema')
    assert.deepEqual((await db.execute('SELECT name FROM copied')).rows, found)
  })

  test('says in its status how large a write-ahead file is', async (t) => {
    const node = await openHere(t)
    const db = node.database()
    const walBytes = async (): Promise<number> => (await node.status()).databases[0]?.walBytes ?? 0
    await db.execute('CREATE TABLE t (a)')
    const before = await walBytes()
    await db.execute('INSERT INTO t VALUES (zeroblob(100000))')
    assert.ok(before > 0 && (await walBytes()) > before + 100_000)
    const [main] = (await node.status()).databases
    assert.ok(main !== undefined && main.walBytes <= main.sizeBytes)
  })

  test('values come back as they went in', async (t) => {
    const db = (await openHere(t)).database()
    await db.execute('CREATE TABLE t (a, b, c, d, e, f)')
    const bytes = new Uint8Array([0, 255, 7])
    await db.execute('INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)', [
      1,
      2n ** 60n,
      0.5,
      'é',
      bytes,
      null,
    ])
    const { rows, columns } = await db.execute('SELECT * FROM t')
    assert.deepEqual(columns, ['a', 'b', 'c', 'd', 'e', 'f'])
    assert.deepEqual(rows, [{ a: 1, b: 2n ** 60n, c: 0.5, d: 'é', e: bytes.buffer, f: null }])
    const types = await db.execute('SELECT typeof(a) a, typeof(b) b, typeof(c) c FROM t')
    assert.deepEqual(types.rows, [{ a: 'integer', b: 'integer', c: 'real' }])
    const returned = await db.execute({
      sql: 'INSERT INTO t (a) VALUES ($a) RETURNING a AS x',
      args: { a: true },
    })
    assert.deepEqual(returned.rows, [{ x: 1 }])
    assert.equal(returned.lastInsertRowid, 2n)
  })

  test('many callers at once get their own answers', async (t) => {
    const db = (await openHere(t)).database()
    await db.execute('CREATE TABLE t (a INTEGER PRIMARY KEY, b)')
    const ids = Array.from({ length: 500 }, (_, i) => i + 1)
    const results = await Promise.all(
      ids.map((id) => db.execute('INSERT INTO t VALUES (?, ?) RETURNING a', [id, id])),
    )
    assert.deepEqual(
      results.map(({ rows }) => rows[0]?.['a']),
      ids,
    )
    const failed = await Promise.allSettled([
      db.execute('INSERT INTO t VALUES (1, 1)'),
      db.execute('INSERT INTO t VALUES (501, 1)'),
    ])
    assert.deepEqual(
      failed.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    )
  })
})

suite('batches and scripts', () => {
  test('a batch is all or nothing', async (t) => {
    const db = (await openHere(t)).database()
    const [, second] = await db.batch([
      'CREATE TABLE t (a PRIMARY KEY)',
      ['INSERT INTO t VALUES (?)', [1]],
      { sql: 'INSERT INTO t VALUES (2)' },
    ])
    assert.equal(second?.rowsAffected, 1)
    const failing = db.batch(['INSERT INTO t VALUES (3)', 'INSERT INTO t VALUES (1)', 'SELECT 1'])
    await assert.rejects(failing, (error: unknown) => {
      assert.ok(error instanceof SqlError)
      assert.equal(error.statementIndex, 1)
      assert.equal(error.sqliteMessage, 'UNIQUE constraint failed: t.a')
      assert.equal(error.outcome, 'not-applied')
      return true
    })
    assert.deepEqual((await db.execute('SELECT count(*) n FROM t')).rows, [{ n: 2 }])
    assert.deepEqual(await db.batch([]), [])
  })

  test('a batch of reads never enters the log', async (t) => {
    const node = await openHere(t)
    const db = node.database()
    await db.execute('CREATE TABLE t (a)')
    const before = (await node.status()).lastIndex
    const results = await db.batch(['SELECT 1 a', 'SELECT count(*) n FROM t'], 'write')
    assert.deepEqual(
      results.map(({ rows }) => rows),
      [[{ a: 1 }], [{ n: 0 }]],
    )
    assert.equal(results[0]?.consistency, 'weak')
    assert.equal((await node.status()).lastIndex, before)
    const mixed = db.batch(['SELECT 1', 'INSERT INTO t VALUES (1)'], 'read')
    await assert.rejects(mixed, { code: 'ERR_INVALID_ARGUMENT', message: /statement 2/ })
  })

  test('a script stops at its first error', async (t) => {
    const db = (await openHere(t)).database()
    const script = `
      CREATE TABLE t (a); -- a comment; with a semicolon
      INSERT INTO t VALUES (';');
      INSERT INTO nowhere VALUES (1);
      INSERT INTO t VALUES (2);`
    await assert.rejects(db.executeMultiple(script), {
      code: 'ERR_SQL',
      statementIndex: 2,
      message: /statement 3 of 4: no such table: nowhere/,
    })
    assert.deepEqual((await db.execute('SELECT a FROM t')).rows, [{ a: ';' }])
    const astray = db.executeMultiple('INSERT INTO t VALUES (3); COMMIT; DELETE FROM t')
    await assert.rejects(astray, { code: 'ERR_REFUSED_SQL', message: /2 of 3 is COMMIT without/ })
    assert.deepEqual((await db.execute('SELECT count(*) n FROM t')).rows, [{ n: 2 }])
  })
})

suite('errors', () => {
  test("are SQLite's words, with a code to match on", async (t) => {
    const db = (await openHere(t)).database()
    await assert.rejects(db.execute('SELEC 1'), {
      code: 'ERR_SQL',
      sqliteCode: 1,
      message: 'near "SELEC": syntax error',
    })
    await assert.rejects(db.execute('SELECT * FROM nowhere'), {
      code: 'ERR_SQL',
      message: 'no such table: nowhere',
    })
    await assert.rejects(db.execute('SELECT 1; SELECT 2'), { code: 'ERR_REFUSED_SQL' })
    await assert.rejects(db.execute("ATTACH 'x' AS y"), { code: 'ERR_REFUSED_SQL' })
    await assert.rejects(db.execute('SELECT ?', [undefined as unknown as null]), {
      code: 'ERR_INVALID_ARGUMENT',
    })
    await assert.rejects(db.execute(7 as unknown as string), { code: 'ERR_INVALID_ARGUMENT' })
    const misspelt = { consistancy: 'strong' } as object
    await assert.rejects(db.execute('SELECT 1', [], misspelt), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /is 'consistency' meant/,
    })
    await assert.rejects(db.batch(['SELECT 1'], 'reed' as 'read'), { code: 'ERR_INVALID_ARGUMENT' })
  })

  test('a signal that was aborted before the call', async (t) => {
    const node = await openHere(t)
    const db = node.database()
    const signal = AbortSignal.abort(new Error('no'))
    const aborted = { code: 'ERR_ABORTED', outcome: 'not-applied' }
    await assert.rejects(db.execute('CREATE TABLE t (a)', [], { signal }), aborted)
    await assert.rejects(db.execute('SELECT 1', [], { signal }), aborted)
    await assert.rejects(node.status({ signal }), aborted)
    await assert.rejects(node.dropDatabase('x', { signal }), aborted)
    await assert.rejects(open({ dataDir: temporaryDirectory(t), signal }), aborted)
    assert.deepEqual(await node.databases(), [])
  })
})

suite('databases', () => {
  test('are made by their first write, and dropped with all they hold', async (t) => {
    const node = await openHere(t)
    const db = node.database('analytics')
    assert.deepEqual(await node.databases(), [])
    assert.deepEqual((await db.execute('SELECT count(*) n FROM sqlite_schema')).rows, [{ n: 0 }])
    await db.execute('CREATE TABLE t (a)')
    await node.database('other').execute('CREATE TABLE o (a)')
    assert.deepEqual(await node.databases(), ['analytics', 'other'])
    assert.equal(await node.dropDatabase('analytics'), true)
    assert.equal(await node.dropDatabase('analytics'), false)
    assert.deepEqual(await node.databases(), ['other'])
    await assert.rejects(db.execute('SELECT * FROM t'), { code: 'ERR_SQL' })
    await db.execute('CREATE TABLE t (b)')
    assert.deepEqual((await db.execute('SELECT b FROM t')).rows, [])
  })

  test('refuse options that there are not', async (t) => {
    const node = await openHere(t)
    assert.throws(() => node.database('main', { consistancy: 'strong' } as object), {
      code: 'ERR_INVALID_OPTION',
      message: /is 'consistency' meant/,
    })
  })

  test('have names that are file names everywhere', async (t) => {
    const node = await openHere(t)
    for (const name of ['', 'A', 'a.b', '../x', 'a'.repeat(65), 'system', 7 as unknown as string]) {
      assert.throws(() => node.database(name), { code: 'ERR_INVALID_ARGUMENT' })
      await assert.rejects(node.dropDatabase(name), { code: 'ERR_INVALID_ARGUMENT' })
    }
  })

  test('take double-quoted text for strings if they were made so', async (t) => {
    const dataDir = temporaryDirectory(t)
    const node = await openHere(t, dataDir)
    const legacy = node.database('legacy', { doubleQuotedStrings: true })
    assert.deepEqual((await legacy.execute('SELECT "a" AS a')).rows, [{ a: 'a' }])
    await legacy.batch(['CREATE TABLE t (v)', 'INSERT INTO t VALUES ("text")'])
    const other = node.database('legacy', { doubleQuotedStrings: false })
    const refused = { code: 'ERR_INVALID_OPTION', outcome: 'not-applied', retryable: false }
    await assert.rejects(other.execute('SELECT v FROM t'), refused)
    await assert.rejects(other.execute('INSERT INTO t VALUES (1)'), refused)
    assert.throws(() => other.reader.prepare('SELECT v FROM t'), refused)
    await node.close()
    const again = await openHere(t, dataDir)
    const plain = again.database('legacy').withConsistency('strong')
    await plain.execute('INSERT INTO t VALUES ("more")')
    assert.deepEqual((await plain.execute('SELECT "v", "x" AS x FROM t')).rows, [
      { v: 'text', x: 'x' },
      { v: 'more', x: 'x' },
    ])
    await assert.rejects(again.database().execute('SELECT "x"'), { code: 'ERR_SQL' })
    const wrong = 1 as unknown as boolean
    assert.throws(() => again.database('x', { doubleQuotedStrings: wrong }), {
      code: 'ERR_INVALID_OPTION',
      message: /doubleQuotedStrings is 1/,
    })
  })

  test('a handle is closed alone', async (t) => {
    const node = await openHere(t)
    const handle = node.database()
    assert.equal(handle.closed, false)
    handle.close()
    assert.equal(handle.closed, true)
    await assert.rejects(handle.execute('SELECT 1'), { code: 'ERR_CLOSED', message: /handle/ })
    assert.throws(() => handle.reader.prepare('SELECT 1'), { code: 'ERR_CLOSED' })
    assert.equal((await node.database().execute('SELECT 1')).rows.length, 1)
  })
})

suite('prepared reads', () => {
  test('get, all and iterate', async (t) => {
    const db = (await openHere(t)).database()
    await db.batch(['CREATE TABLE t (a, b)', "INSERT INTO t VALUES (1, 'x'), (2, 'y')"])
    const all = db.reader.prepare<{ a: number; b: string }>('SELECT * FROM t ORDER BY a')
    assert.deepEqual(all.columns(), ['a', 'b'])
    const plain = all.all().map((row) => ({ ...row }))
    assert.deepEqual(plain, [
      { a: 1, b: 'x' },
      { a: 2, b: 'y' },
    ])
    const one = db.reader.prepare<{ b: string }>('SELECT b FROM t WHERE a = :a')
    assert.equal(one.get({ a: 2 })?.b, 'y')
    assert.equal(one.get({ a: 3 }), undefined)
    const seen: number[] = []
    for (const { a } of all.iterate()) seen.push(a)
    assert.deepEqual(seen, [1, 2])
    await db.execute('INSERT INTO t VALUES (3, ?)', ['z'])
    assert.equal(all.all().length, 3)
  })

  test('an open iterator keeps its snapshot, and makes no other read old', async (t) => {
    const db = (await openHere(t)).database()
    await db.batch(['CREATE TABLE t (a)', 'INSERT INTO t VALUES (1), (2)'])
    const statement = db.reader.prepare('SELECT a FROM t')
    const rows = statement.iterate()
    rows.next()
    await db.execute('INSERT INTO t VALUES (3)')
    assert.deepEqual((await db.execute('SELECT count(*) n FROM t')).rows, [{ n: 3 }])
    assert.equal(statement.all().length, 3)
    assert.equal([...rows].length, 1)
  })

  test('fail with our errors, at once or row by row', async (t) => {
    const db = (await openHere(t)).database()
    const { reader } = db
    const large = 'SELECT 9223372036854775807 AS n'
    const tooLarge = { name: 'ColmenaError', code: 'ERR_TOO_LARGE', message: /bigints: true/ }
    assert.throws(() => reader.prepare(large).all(), tooLarge)
    assert.throws(() => reader.prepare(large).get(), tooLarge)
    assert.throws(() => reader.prepare(large).iterate().next(), tooLarge)
    assert.equal(reader.prepare<{ n: bigint }>(large, { bigints: true }).get()?.n, 2n ** 63n - 1n)
    const least = reader.prepare('SELECT 1, -9223372036854775808 AS n')
    assert.throws(() => least.get(), tooLarge)
    assert.throws(() => least.all(), tooLarge)
    assert.throws(() => [...least.iterate()], tooLarge)
    // A longer text than a string can hold would be undefined, or no row.
    const tooLong = 'SELECT CAST(zeroblob(536870889) AS TEXT) AS t'
    const refused = { name: 'SqlError', message: /too big/ }
    assert.throws(() => reader.prepare(tooLong).get(), refused)
    await assert.rejects(db.execute(tooLong), refused)
    const rows = reader.prepare("SELECT json(column1) FROM (VALUES ('[]'), ('['))").iterate()
    assert.equal(rows.next().done, false)
    assert.throws(() => rows.next(), { name: 'SqlError', code: 'ERR_SQL' })
    assert.equal(rows.next().done, true)
  })

  test('take SQL text and the one option that they know', async (t) => {
    const { reader } = (await openHere(t)).database()
    const invalid = { name: 'ColmenaError', code: 'ERR_INVALID_ARGUMENT' }
    assert.throws(() => reader.prepare(5 as never), invalid)
    assert.throws(() => reader.prepare('SELECT 1', null as never), invalid)
    assert.throws(() => reader.prepare('SELECT 1', { bigint: true } as never), invalid)
    assert.throws(() => reader.prepare('SELECT 1', { bigints: 1 } as never), invalid)
  })

  test('refuse writes, what can not be prepared, and stronger levels', async (t) => {
    const db = (await openHere(t)).database()
    await db.execute('CREATE TABLE t (a)')
    assert.throws(() => db.reader.prepare('DELETE FROM t'), { code: 'ERR_REFUSED_SQL' })
    assert.throws(() => db.reader.prepare('SELECT * FROM nowhere'), { code: 'ERR_SQL' })
    const statement = db.reader.prepare('SELECT * FROM t')
    withConsistency('weak', () => {
      const stronger = { code: 'ERR_INVALID_ARGUMENT', message: /withConsistency\('weak'\)/ }
      assert.throws(() => db.reader.prepare('SELECT 1'), stronger)
      assert.throws(() => statement.get(), stronger)
      assert.throws(() => statement.all(), stronger)
      assert.throws(() => statement.iterate().next(), stronger)
    })
    withConsistency('none', () => assert.deepEqual(statement.all(), []))
  })
})

suite('the end', () => {
  test('close twice is close once, and nothing goes after it', async (t) => {
    const node = await openHere(t)
    const db = node.database()
    const statement = db.reader.prepare('SELECT 1')
    const closed: unknown[] = []
    node.on('closed', (event) => closed.push(event))
    assert.equal(node.close(), node.close())
    await node.close()
    assert.deepEqual(closed, [{ reason: 'requested' }])
    assert.equal(db.closed, true)
    assert.equal(node.isLeader, false)
    const gone = { code: 'ERR_CLOSED' }
    await assert.rejects(db.execute('SELECT 1'), gone)
    await assert.rejects(db.execute('CREATE TABLE t (a)'), gone)
    await assert.rejects(db.batch(['SELECT 1']), gone)
    await assert.rejects(db.executeMultiple('SELECT 1'), gone)
    await assert.rejects(node.status(), gone)
    await assert.rejects(node.members(), gone)
    await assert.rejects(node.databases(), gone)
    await assert.rejects(node.dropDatabase('x'), gone)
    await assert.rejects(node.waitForLeader(), gone)
    assert.equal(node.leader, null)
    await assert.rejects(node.transferLeadership(), gone)
    assert.throws(() => node.database(), gone)
    assert.throws(() => statement.get(), gone)
    assert.throws(() => db.reader.prepare('SELECT 1'), gone)
  })

  test('writes that were called before close are answered', async (t) => {
    const dataDir = temporaryDirectory(t)
    const node = await openHere(t, dataDir)
    const db = node.database()
    await db.execute('CREATE TABLE t (a)')
    const writes = Array.from({ length: 100 }, (_, i) =>
      db.execute('INSERT INTO t VALUES (?)', [i]),
    )
    await Promise.all([node.close(), ...writes])
    const again = await openHere(t, dataDir)
    const { rows } = await again.database().execute('SELECT count(*) n FROM t')
    assert.deepEqual(rows, [{ n: 100 }])
  })

  test('one data directory, one node', async (t) => {
    const dataDir = temporaryDirectory(t)
    const node = await openHere(t, dataDir)
    await assert.rejects(open({ dataDir }), { code: 'ERR_ALREADY_OPEN' })
    await node.close()
    await (await open({ dataDir })).close()
  })
})

suite('a node that listens', () => {
  test('says where, and that a port is taken', async (t) => {
    const node = await openHere(t, temporaryDirectory(t), { bind: '127.0.0.1:0', bootstrap: true })
    const port = Number(/^127\.0\.0\.1:(\d+)$/.exec(node.address)?.[1])
    assert.ok(port > 0)
    const [member] = await node.members()
    assert.equal(member?.address, node.address)
    const dataDir = temporaryDirectory(t)
    const busy = open({ dataDir, bind: node.address, bootstrap: true })
    await assert.rejects(busy, { code: 'ERR_ADDRESS_IN_USE', message: new RegExp(`${port}`) })
    // What failed left nothing open.
    await openHere(t, dataDir)
  })
})

suite('events', () => {
  test('tell of applied entries and of the end, to listeners and logger', async (t) => {
    const lines: string[] = []
    const logger = {
      debug: (message: string) => lines.push(`debug ${message}`),
      info: (message: string) => lines.push(`info ${message}`),
    }
    const node = await openHere(t, temporaryDirectory(t), { logger })
    const steps: number[] = []
    node.on('progress', ({ index }) => steps.push(index))
    const { index } = await node.database().execute('CREATE TABLE t (a)')
    await node.database().execute('INSERT INTO t VALUES (1)')
    assert.ok(steps.some((step) => step >= index))
    await node.close()
    assert.ok(lines.includes('debug applied'))
    assert.equal(lines.at(-1), 'info this node is closed')
  })
})
