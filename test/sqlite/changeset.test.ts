import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SqlValue } from '../../src/command/command.ts'
import { readChangeset } from '../../src/sqlite/changeset.ts'
import { ENVIRONMENT, openWriter, rowsOf } from './fixture.ts'

const COLUMNS = ['a', 'b', 'c', 'd'] as const
const SCHEMA = [
  'CREATE TABLE plain (a INTEGER PRIMARY KEY, b TEXT, c REAL, d)',
  'CREATE TABLE "Zwei Schlüssel" (a, b TEXT, c, d BLOB, g AS (a || b) STORED, ' +
    'PRIMARY KEY (b, a)) WITHOUT ROWID',
  'CREATE TABLE copied (a INTEGER PRIMARY KEY, b TEXT, c REAL, d)',
  'CREATE TABLE no_key (a, b, c, d)',
]
const TABLES = ['plain', '"Zwei Schlüssel"', 'copied', 'no_key']

const key = fc.integer({ min: -3, max: 6 }).map((value): SqlValue => BigInt(value))
const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ unit: 'grapheme', maxLength: 300 }).map((text) => text.replaceAll('\0', '')),
  fc.uint8Array({ maxLength: 300 }),
)
type Change = readonly [sql: string, args: readonly SqlValue[]]
const table = fc.constantFrom(...TABLES)
const change: fc.Arbitrary<Change> = fc.oneof(
  fc
    .tuple(table, key, fc.constantFrom('x', 'y', 'Ω'), value, value)
    .map(
      ([name, a, b, c, d]): Change => [
        `REPLACE INTO ${name} (a, b, c, d) VALUES (?, ?, ?, ?)`,
        [a, b, c, d],
      ],
    ),
  fc
    .tuple(table, fc.constantFrom('c', 'd'), value, key)
    .map(
      ([name, column, set, a]): Change => [
        `UPDATE ${name} SET ${column} = ? WHERE a < ?`,
        [set, a],
      ],
    ),
  fc
    .tuple(table, key, key)
    .map(([name, a, b]): Change => [`UPDATE OR IGNORE ${name} SET a = ? WHERE a = ?`, [a, b]]),
  fc.tuple(table, key).map(([name, a]): Change => [`DELETE FROM ${name} WHERE a = ?`, [a]]),
  table.map((name): Change => [`DELETE FROM ${name}`, []]),
  fc.constant<Change>(['INSERT OR IGNORE INTO copied SELECT * FROM plain', []]),
)

/** What is in a table, each row by its key. */
type Content = Map<string, readonly SqlValue[]>

function keyOf(row: readonly SqlValue[]): string {
  return `${row[0]} ${row[1]}`
}

test('changed rows are told whole, and lead from what was to what is', (context) => {
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 12 }), { maxLength: 6 }), (units) => {
      const writer = openWriter(context)
      for (const sql of SCHEMA) writer.run(sql, [])
      writer.recordChanges(true)
      const content = (name: string): Content =>
        new Map(
          rowsOf(writer, `SELECT a, b, c, d FROM ${name}`).map((row) => [
            name === '"Zwei Schlüssel"' ? keyOf(row) : `${row[0]}`,
            row,
          ]),
        )
      units.forEach((unit, ordinal) => {
        const before = new Map(TABLES.map((name) => [name, content(name)]))
        writer.resetUnit(ENVIRONMENT, ordinal)
        writer.startRecording(true)
        for (const [sql, args] of unit) writer.run(sql, args)
        const changes = writer.recorded()?.changes
        assert.ok(changes)
        for (const told of changes) {
          assert.ok(told.kind === 'rows' && told.table !== 'no_key')
          assert.deepEqual(told.columns, COLUMNS)
          const name = TABLES.find((quoted) => quoted.replaceAll('"', '') === told.table)
          const rows = before.get(name ?? '') as Content
          for (const row of told.rows) applyChange(rows, row, name === '"Zwei Schlüssel"')
        }
        for (const name of TABLES.slice(0, 3)) {
          assert.deepEqual(sorted(before.get(name) as Content), sorted(content(name)))
        }
      })
      writer.rollback()
    }),
    { seed: 32, numRuns: 120 },
  )
})

function applyChange(
  rows: Content,
  { before, after }: { before: readonly SqlValue[] | null; after: readonly SqlValue[] | null },
  hasTwoKeys: boolean,
): void {
  const place = (row: readonly SqlValue[]): string => (hasTwoKeys ? keyOf(row) : `${row[0]}`)
  if (before !== null) {
    assert.deepEqual(rows.get(place(before)), before)
    rows.delete(place(before))
  }
  if (after !== null) rows.set(place(after), after)
}

function sorted(rows: Content): unknown[] {
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1))
}

test('what a statement leaves undone, and what rolls back, is not told', (context) => {
  const writer = openWriter(context)
  writer.run('CREATE TABLE t (id INTEGER PRIMARY KEY, v)', [])
  writer.recordChanges(true)
  writer.startRecording(true)
  writer.run('INSERT INTO t VALUES (1, 1), (2, 2)', [])
  writer.run('DELETE FROM t WHERE id = 1', [])
  writer.run('UPDATE t SET v = v', [])
  writer.markSavepoint({ kind: 'savepoint', name: 'a' })
  writer.run('INSERT INTO t VALUES (3, 3)', [])
  writer.markSavepoint({ kind: 'rollbackTo', name: 'a' })
  assert.deepEqual(writer.recorded()?.changes, [
    {
      kind: 'rows',
      table: 't',
      columns: ['id', 'v'],
      rows: [{ kind: 'insert', before: null, after: [2n, 2n] }],
    },
  ])
})

test('what was prepared while nothing was recorded is recorded all the same', (context) => {
  const writer = openWriter(context)
  writer.run('CREATE TABLE t (id INTEGER PRIMARY KEY)', [])
  // Without any session it clears the table in one step, then and later.
  writer.run('DELETE FROM t', [])
  writer.run('INSERT INTO t VALUES (1)', [])
  writer.recordChanges(true)
  writer.startRecording(true)
  writer.run('DELETE FROM t', [])
  assert.equal(writer.recorded()?.changes?.length, 1)
})

test('a change of the schema stands between the rows before and after it', (context) => {
  const writer = openWriter(context)
  writer.run('CREATE TABLE t (id INTEGER PRIMARY KEY)', [])
  writer.recordChanges(true)
  writer.startRecording(true)
  writer.run('INSERT INTO t VALUES (1)', [])
  writer.run('ALTER TABLE t ADD COLUMN v DEFAULT 7', [])
  writer.run('INSERT INTO t (id) VALUES (2)', [])
  writer.run('DROP TABLE t', [])
  const rows = (columns: string[], after: SqlValue[]): unknown => ({
    kind: 'rows',
    table: 't',
    columns,
    rows: [{ kind: 'insert', before: null, after }],
  })
  assert.deepEqual(writer.recorded()?.changes, [
    rows(['id'], [1n]),
    { kind: 'schema', sql: 'ALTER TABLE t ADD COLUMN v DEFAULT 7' },
    rows(['id', 'v'], [2n, 7n]),
    { kind: 'schema', sql: 'DROP TABLE t' },
  ])
})

test('a rollback over a change of the schema leaves what can not be told', (context) => {
  const writer = openWriter(context)
  writer.run('CREATE TABLE t (id INTEGER PRIMARY KEY)', [])
  writer.recordChanges(true)
  writer.startRecording(true)
  writer.markSavepoint({ kind: 'savepoint', name: 'a' })
  writer.run('INSERT INTO t VALUES (1)', [])
  writer.run('CREATE TABLE u (id INTEGER PRIMARY KEY)', [])
  writer.markSavepoint({ kind: 'rollbackTo', name: 'a' })
  assert.equal(writer.recorded()?.changes, null)
})

test('bytes that are cut short are an error, never a shorter answer', () => {
  const db = new DatabaseSync(':memory:')
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
  const session = db.createSession()
  db.exec("INSERT INTO t VALUES (1, 'text'), (2, x'00')")
  const bytes = session.changeset()
  const [whole] = readChangeset(bytes)
  assert.equal(whole?.rows.length, 2)
  const ends = new Set<number>([0, bytes.length])
  for (let end = 1; end < bytes.length; end += 1) {
    try {
      const [table] = readChangeset(bytes.subarray(0, end))
      ends.add(end)
      assert.ok((table?.rows.length ?? 0) < 2)
    } catch (error) {
      assert.ok(error instanceof RangeError, String(error))
    }
  }
  // After the table's head, after one row, and after both.
  assert.equal(ends.size, 4)
  assert.throws(() => readChangeset(Uint8Array.of(1)), RangeError)
  db.close()
})
