import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it, type TestContext } from 'node:test'
import type { SqlValue } from '../../src/command/command.ts'
import { requireSqlite, type Writer } from '../../src/sqlite/sqlite.ts'
import { commit, ENVIRONMENT, failureOf, openWriter, rowsOf, runAll, scalar } from './fixture.ts'

/** 2023-11-14 22:13:20.123 */
const NOW = '2023-11-14 22:13:20.123'

/** What plain SQLite answers to an expression with the time spelled out. */
function plain(expression: string): SqlValue {
  const db = new (requireSqlite().DatabaseSync)(':memory:', { readBigInts: true })
  try {
    return db.prepare(`SELECT ${expression} AS value`).get()?.['value'] as SqlValue
  } finally {
    db.close()
  }
}

describe('frozen time', () => {
  const cases: readonly (readonly [frozen: string, same: string])[] = [
    ['CURRENT_TIMESTAMP', `datetime('${NOW}')`],
    ['CURRENT_DATE', `date('${NOW}')`],
    ['CURRENT_TIME', `time('${NOW}')`],
    ['date()', `date('${NOW}')`],
    ['time()', `time('${NOW}')`],
    ['datetime()', `datetime('${NOW}')`],
    ['julianday()', `julianday('${NOW}')`],
    ['unixepoch()', `unixepoch('${NOW}')`],
    ["date('now')", `date('${NOW}')`],
    ["date('NOW', '+1 month', 'start of month')", `date('${NOW}', '+1 month', 'start of month')`],
    ["time('now', 'subsec')", `time('${NOW}', 'subsec')`],
    ["datetime('subsec')", `datetime('${NOW}', 'subsec')`],
    ["datetime('subsecond', '-1 day')", `datetime('${NOW}', 'subsec', '-1 day')`],
    ["unixepoch('now', 'subsec')", `unixepoch('${NOW}', 'subsec')`],
    ["julianday('now')", `julianday('${NOW}')`],
    ["strftime('%Y-%j %f')", `strftime('%Y-%j %f', '${NOW}')`],
    ["strftime('%s', 'now', '-1 hour')", `strftime('%s', '${NOW}', '-1 hour')`],
    ["strftime('now', '2020-01-01')", `strftime('now', '2020-01-01')`],
    ["timediff('now', '2020-01-01')", `timediff('${NOW}', '2020-01-01')`],
    ["timediff('2020-01-01', 'now')", `timediff('2020-01-01', '${NOW}')`],
    ["datetime(x'6e6f77')", `datetime('${NOW}')`],
    ["datetime('now', 'localtime')", `datetime('${NOW}')`],
    ["datetime('now', 'UTC')", `datetime('${NOW}')`],
    ["datetime(1700000000, 'localtime', 'unixepoch')", 'NULL'],
    ["datetime('now', 'unixepoch')", `datetime('${NOW}', 'unixepoch')`],
    ["datetime(1700000000, 'unixepoch')", `datetime(1700000000, 'unixepoch')`],
    ['date(2460000.5)', 'date(2460000.5)'],
    ["date('no date')", 'NULL'],
    ['date(NULL)', 'NULL'],
    ["datetime('now', NULL)", 'NULL'],
    ["date(' now')", "date(' now')"],
  ]

  it('is answered as SQLite would at that time', (test) => {
    const writer = openWriter(test)
    for (const [frozen, same] of cases) {
      assert.deepEqual(scalar(writer, `SELECT ${frozen}`), plain(same), frozen)
    }
  })

  it('reaches values that are bound', (test) => {
    const writer = openWriter(test)
    assert.equal(scalar(writer, 'SELECT date(?)', ['now']), '2023-11-14')
    assert.equal(scalar(writer, 'SELECT date(?, ?)', ['now', '+1 day']), '2023-11-15')
  })

  it('moves with the unit, also for statements prepared before', (test) => {
    const writer = openWriter(test)
    assert.equal(scalar(writer, "SELECT date('now')"), '2023-11-14')
    assert.equal(scalar(writer, 'SELECT CURRENT_DATE'), '2023-11-14')
    writer.resetUnit({ ...ENVIRONMENT, wallMs: 0 }, 1)
    assert.equal(scalar(writer, "SELECT date('now')"), '1970-01-01')
    assert.equal(scalar(writer, 'SELECT CURRENT_DATE'), '1970-01-01')
  })

  it('means UTC by localtime and utc, whatever TZ says', () => {
    const script =
      "import { Writer } from './src/sqlite/sqlite.ts'\n" +
      "const writer = new Writer(':memory:'); writer.begin()\n" +
      'writer.resetUnit({ wallMs: 1700000000123, seedHigh: 0, seedLow: 0 }, 0)\n' +
      "const sql = \"SELECT datetime('now', 'localtime'), datetime('2020-06-01', 'utc')\"\n" +
      'process.stdout.write(JSON.stringify(writer.run(sql, []).rows))'
    const run = (zone: string): string =>
      execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
        env: { ...process.env, TZ: zone },
        encoding: 'utf8',
      })
    assert.equal(run('Asia/Tokyo'), '[["2023-11-14 22:13:20","2020-06-01 00:00:00"]]')
    assert.equal(run('America/New_York'), run('Asia/Tokyo'))
  })
})

const EVERYWHERE: readonly string[] = [
  'CREATE TABLE d (id INTEGER PRIMARY KEY, t DEFAULT CURRENT_TIMESTAMP, r DEFAULT (random()),' +
    " b DEFAULT (hex(randomblob(8))), u DEFAULT (unixepoch('now', 'subsec')))",
  'CREATE TABLE log (at, what, CHECK (unixepoch(at) <= unixepoch()))',
  'CREATE TRIGGER g AFTER INSERT ON d BEGIN' +
    " INSERT INTO log VALUES (datetime('now'), random() % 1000); END",
  "CREATE VIEW present AS SELECT datetime('now') AS at, random() AS r",
  'INSERT INTO d (id) VALUES (1), (2), (3)',
  'INSERT INTO log SELECT at, r FROM present',
  'CREATE TABLE shuffled AS SELECT id FROM d ORDER BY random()',
  'INSERT INTO log SELECT CURRENT_TIMESTAMP, id FROM d WHERE r % 2 = random() % 2',
  "UPDATE d SET t = datetime('now', '+' || (random() & 7) || ' days')",
]

/** Content of every table after the statements above. */
function runEverywhere(test: TestContext, seedLow: number): string {
  const writer = openWriter(test)
  writer.resetUnit({ ...ENVIRONMENT, seedLow }, 0)
  runAll(writer, ...EVERYWHERE)
  const tables = ['d', 'log', 'shuffled']
  return JSON.stringify(
    tables.map((table) => rowsOf(writer, `SELECT rowid, * FROM ${table}`)),
    (_, value) => (typeof value === 'bigint' ? `${value}` : value),
  )
}

describe('frozen randomness', () => {
  it('gives two nodes the same rows at different times, wherever a call stands', async (test) => {
    const first = runEverywhere(test, 7)
    // The second node runs in another second of its own clock.
    const second = Math.floor(Date.now() / 1000)
    while (Math.floor(Date.now() / 1000) === second) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.equal(runEverywhere(test, 7), first)
    assert.notEqual(runEverywhere(test, 8), first)
    assert.match(first, /2023-11-14 22:13:20/)
  })

  it('differs between calls, statements, units and seeds', (test) => {
    const writer = openWriter(test)
    const drawn = new Set<unknown>()
    const draw = (): void => {
      for (const [value] of rowsOf(writer, 'SELECT random() FROM json_each(?)', ['[1,2,3]'])) {
        drawn.add(value)
      }
    }
    draw()
    draw()
    writer.resetUnit(ENVIRONMENT, 1)
    draw()
    writer.resetUnit({ ...ENVIRONMENT, seedLow: 8 }, 0)
    draw()
    writer.resetUnit({ ...ENVIRONMENT, seedHigh: 6 }, 0)
    draw()
    assert.equal(drawn.size, 15)
    writer.resetUnit(ENVIRONMENT, 0)
    draw()
    assert.equal(drawn.size, 15)
  })

  it('does not depend on what other statements drew', (test) => {
    const writer = openWriter(test)
    writer.run('SELECT random(), random()', [])
    const second = scalar(writer, 'SELECT random()')
    writer.resetUnit(ENVIRONMENT, 0)
    writer.run('SELECT 1', [])
    assert.equal(scalar(writer, 'SELECT random()'), second)
  })

  it('is spread evenly, with integers of 64 bits', (test) => {
    const writer = openWriter(test)
    const sql =
      'WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 4000),' +
      ' r AS MATERIALIZED (SELECT random() AS v FROM c)' +
      ' SELECT sum(v < 0), sum(v & 1), sum((v >> 40) & 1), count(DISTINCT v) FROM r'
    const [negative, odd, middle, distinct] = (rowsOf(writer, sql)[0] ?? []).map(Number)
    for (const count of [negative, odd, middle]) {
      assert.equal(Math.abs(Number(count) - 2000) < 200, true, `${count} of 4000`)
    }
    assert.equal(distinct, 4000)
  })

  it('takes sizes of blobs as SQLite does', (test) => {
    const writer = openWriter(test)
    const sizes: readonly [string, number][] = [
      ['0', 1],
      ['-5', 1],
      ['NULL', 1],
      ['5', 5],
      ["'7'", 7],
      ["'7 apples'", 7],
      ['3.9', 3],
      ["x'38'", 8],
      ["'none'", 1],
    ]
    for (const [size, length] of sizes) {
      assert.equal(scalar(writer, `SELECT length(randomblob(${size}))`), BigInt(length), size)
    }
    assert.deepEqual(failureOf(writer, 'SELECT randomblob(1000000001)'), {
      kind: 'answer',
      error: {
        code: 'ERR_SQL',
        message: 'string or blob too big',
        sqliteCode: 18,
        statementIndex: 0,
      },
    })
  })
})

describe("nonDeterminism: 'reject'", () => {
  const calls: readonly (readonly [call: string, named: RegExp])[] = [
    ['random()', /random\(\)/],
    ['randomblob(4)', /randomblob\(\)/],
    ['CURRENT_TIMESTAMP', /CURRENT_TIMESTAMP/],
    ['datetime()', /datetime\(\)/],
    ["date('now')", /date\('now'\)/],
    ["strftime('%Y')", /strftime\('now'\)/],
    ["datetime('2020-01-01', 'localtime')", /localtime/],
    ["timediff('now', '2020-01-01')", /timediff\('now'\)/],
  ]

  it('refuses each call by name, and lets reads and fixed dates be', (test) => {
    const writer = openWriter(test)
    writer.resetUnit(ENVIRONMENT, 0, true)
    runAll(writer, 'CREATE TABLE t (a, b DEFAULT (random()))')
    for (const [call, named] of calls) {
      const { kind, error } = failureOf(writer, `INSERT INTO t VALUES (${call}, 1)`)
      assert.equal(kind, 'answer', call)
      assert.equal(error.code, 'ERR_NON_DETERMINISTIC_SQL', call)
      assert.match(error.message, named, call)
    }
    assert.match(failureOf(writer, 'INSERT INTO t (a) VALUES (1)').error.message, /random\(\)/)
    // Not only where the data of the day makes the call.
    const unreached = failureOf(writer, 'INSERT INTO t SELECT random(), 1 WHERE 0')
    assert.equal(unreached.error.code, 'ERR_NON_DETERMINISTIC_SQL')
    runAll(writer, "INSERT INTO t VALUES (date('2020-01-01', '+1 day'), 1)", "SELECT date('now')")
    assert.equal(scalar(writer, 'SELECT a FROM t'), '2020-01-02')
  })

  it('holds for its unit alone, whoever prepared the statement first', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a)', 'INSERT INTO t VALUES (random())')
    writer.resetUnit(ENVIRONMENT, 1, true)
    const { error } = failureOf(writer, 'INSERT INTO t VALUES (random())')
    assert.equal(error.code, 'ERR_NON_DETERMINISTIC_SQL')
    writer.resetUnit(ENVIRONMENT, 2)
    runAll(writer, 'INSERT INTO t VALUES (random())')
    assert.equal(scalar(writer, 'SELECT count(*) FROM t'), 2n)
  })

  it('sees a trigger that came after the statement was first prepared', (test) => {
    const writer = openWriter(test)
    writer.resetUnit(ENVIRONMENT, 0, true)
    runAll(writer, 'CREATE TABLE t (a)', 'CREATE TABLE u (a)', 'INSERT INTO t VALUES (1)')
    runAll(writer, 'CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u VALUES (random()); END')
    const { error } = failureOf(writer, 'INSERT INTO t VALUES (1)')
    assert.equal(error.code, 'ERR_NON_DETERMINISTIC_SQL')
  })
})

describe('indexes and generated columns', () => {
  const refused: readonly string[] = [
    "CREATE INDEX i ON t (date('now'), a)",
    "CREATE INDEX i ON t (a) WHERE a < date('now')",
    'CREATE UNIQUE INDEX i ON t ("datetime"(a, \'localtime\'))',
    "CREATE INDEX i ON t (strftime('%Y'))",
    "CREATE INDEX i ON t (unixepoch('subsec'))",
    "CREATE INDEX i ON t (date(a, 'UTC'))",
    "CREATE TABLE x (a, g GENERATED ALWAYS AS (date('now')) STORED)",
    "CREATE TABLE x (a, g AS (time('now')))",
    "ALTER TABLE t ADD COLUMN g AS (date('now'))",
    'CREATE INDEX i ON t (date())',
    'CREATE INDEX i ON t (random())',
    'CREATE INDEX i ON t (CURRENT_TIMESTAMP)',
    'CREATE TABLE x (a, g AS (random()))',
  ]

  it('may not depend on the present', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a)')
    for (const sql of refused) {
      const { kind, error } = failureOf(writer, sql)
      assert.equal(kind, 'answer', sql)
      assert.match(error.message, /index|generated/, sql)
    }
  })

  it('may use dates that stay', (test) => {
    const writer = openWriter(test)
    runAll(
      writer,
      "CREATE TABLE t (a, day AS (date(a, '+1 day')), made DEFAULT (datetime('now')))",
      "CREATE INDEX i ON t (date(a)) WHERE a > '2000-01-01'",
      "CREATE TABLE copy AS SELECT * FROM (WITH w AS (SELECT date('now')) SELECT * FROM w)",
      "INSERT INTO t (a) VALUES (datetime('now')), ('2020-01-01')",
    )
    assert.equal(scalar(writer, 'SELECT count(*) FROM t WHERE date(a) > ?', ['2021-01-01']), 1n)
    commit(writer)
    assert.equal(scalar(writer, 'PRAGMA integrity_check'), 'ok')
  })

  it('is refused where stored text names the present', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a)', "INSERT INTO t VALUES ('now')")
    const { error } = failureOf(writer, 'CREATE INDEX i ON t (date(a))')
    assert.equal(error.code, 'ERR_NON_DETERMINISTIC_SQL')
    runAll(writer, 'DELETE FROM t', 'CREATE INDEX i ON t (date(a))')
    insertStoredPresent(writer)
  })

  it('stays refused across schema changes, rollbacks and commits', (test) => {
    const writer = openWriter(test)
    runAll(writer, 'CREATE TABLE t (a, status)', 'CREATE INDEX i ON t (date(a))')
    insertStoredPresent(writer)
    writer.savepoint()
    runAll(writer, 'ALTER TABLE t ADD COLUMN c', "INSERT INTO t VALUES ('2020-01-01', 'now', 1)")
    writer.rollbackToSavepoint()
    insertStoredPresent(writer)
    runAll(writer, 'ALTER TABLE t RENAME COLUMN a TO at', 'ALTER TABLE t RENAME at TO a')
    insertStoredPresent(writer)
    writer.rollback()
    writer.begin()
    runAll(writer, 'CREATE TABLE t (a, b, g AS (date(b)))', 'CREATE TABLE u (x)')
    assert.equal(failureOf(writer, "INSERT INTO t VALUES ('now', 'now')").kind, 'answer')
    runAll(writer, "INSERT INTO t VALUES ('now', '2020-01-01')")
    commit(writer)
    assert.equal(failureOf(writer, "UPDATE t SET b = 'now'").kind, 'answer')
    runAll(writer, 'DROP TABLE t', 'CREATE TABLE t (a)', "INSERT INTO t VALUES ('now')")
  })
})

/** However the text gets there: bound, copied, or put in by an update. */
function insertStoredPresent(writer: Writer): void {
  runAll(writer, "INSERT INTO t (a) VALUES (datetime('now'))")
  assert.equal(failureOf(writer, 'INSERT INTO t (a) VALUES (?)', ['now']).kind, 'answer')
  assert.equal(failureOf(writer, "INSERT INTO t (a) SELECT 'n' || 'ow'").kind, 'answer')
  assert.equal(failureOf(writer, "UPDATE t SET a = 'Now'").kind, 'answer')
  runAll(writer, "UPDATE t SET a = datetime('now', '-1 day')", 'DELETE FROM t')
  assert.equal(scalar(writer, 'PRAGMA integrity_check'), 'ok')
}
