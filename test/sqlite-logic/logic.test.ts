/**
 * The same statements, one after the other, to a database of Colmena's and to plain node:sqlite: as
 * in sqllogictest, what they answer is compared: rows (in their order, where they have one), counts
 * and errors.
 */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { suite, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type Database, isColmenaError, open } from '../../src/index.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { SeededRandom } from '../simulated/random.ts'
import { READS } from './reads.ts'
import { type Made, Pick, SCHEMA } from './shapes.ts'
import { WRITES } from './writes.ts'

const SEED = 20_240_229
const SHAPES = [...READS, ...WRITES]

/** An answer, with what has no other name in both. */
interface Answer {
  readonly columns?: readonly string[]
  readonly rows?: readonly (readonly unknown[])[]
  readonly changes?: number
  readonly rowid?: bigint | undefined
  readonly error?: readonly unknown[]
}

/** Statements in the order of their shapes, over and over. */
function* makeStatements(count: number): Generator<Made> {
  const pick = new Pick(new SeededRandom(SEED))
  for (let at = 0; at < count; at += 1) {
    const made = SHAPES[at % SHAPES.length]?.(pick) as string | Made
    yield typeof made === 'string' ? { sql: made } : made
  }
}

async function askColmena(db: Database, { sql, args }: Made): Promise<Answer> {
  try {
    const result = await db.execute(sql, args, { exactNumbers: true })
    const { columns, rowsAffected, lastInsertRowid } = result
    const rows = ordered(
      sql,
      result.rows.map((row) => Array.from(row, toComparable)),
    )
    if (!isWrite(sql)) return { columns, rows }
    return { columns, rows, changes: rowsAffected, rowid: lastInsertRowid }
  } catch (error) {
    assert.ok(isColmenaError(error), String(error))
    assert.equal(error.code, 'ERR_SQL', `${sql}: ${error.message}`)
    const { sqliteCode, sqliteMessage } = error as unknown as Record<string, unknown>
    return { error: [sqliteCode, sqliteMessage] }
  }
}

function askPlain(db: DatabaseSync, { sql, args }: Made, rowid: bigint | undefined): Answer {
  try {
    const statement = db.prepare(sql)
    statement.setReadBigInts(true)
    statement.setReturnArrays(true)
    const values = Array.isArray(args) ? args : [args ?? {}]
    const read = statement.all(...(values as never[])) as unknown as unknown[][]
    const rows = ordered(
      sql,
      read.map((row) => row.map(toComparable)),
    )
    const columns = statement.columns().map(({ name }) => name)
    if (!isWrite(sql)) return { columns, rows }
    const counts = db.prepare('SELECT changes() AS n, last_insert_rowid() AS id').get()
    // Colmena tells a rowid where one was inserted.
    const id = rowid === undefined ? undefined : BigInt(counts?.['id'] as number)
    return { columns, rows, changes: Number(counts?.['n']), rowid: id }
  } catch (error) {
    const { errcode, message } = error as { readonly errcode?: number; readonly message: string }
    return { error: [errcode, message] }
  }
}

/** What inserts, updates or deletes: after any other, SQLite still tells the counts before. */
function isWrite(sql: string): boolean {
  return /^(INSERT|REPLACE|UPDATE|DELETE)/.test(sql)
}

/** Without an order of their own, that is the plan's, which depends on what ANALYZE found when. */
function ordered(sql: string, rows: unknown[][]): unknown[][] {
  if (/ORDER BY[^)]*$/.test(sql)) return rows
  const keyed = rows.map((row) => ({ row, key: inspect(row) }))
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return keyed.map(({ row }) => row)
}

function toComparable(value: unknown): unknown {
  const isBytes = value instanceof ArrayBuffer || value instanceof Uint8Array
  return isBytes ? `x'${Buffer.from(value as Uint8Array).toString('hex')}'` : value
}

function openPlain(t: TestContext): DatabaseSync {
  const db = new DatabaseSync(':memory:')
  t.after(() => db.close())
  return db
}

/** Runs statements on both sides; each goes to the next of `databases`. */
async function compare(
  databases: readonly Database[],
  plain: DatabaseSync,
  statements: Iterable<Made>,
): Promise<{ readonly count: number; readonly failed: number; readonly empty: number }> {
  let [count, failed, empty] = [0, 0, 0]
  for (const made of statements) {
    const db = databases[count % databases.length] as Database
    const answer = await askColmena(db, made)
    const expected = askPlain(plain, made, answer.rowid)
    assert.deepEqual(answer, expected, `statement ${count}: ${made.sql}`)
    count += 1
    if (answer.error !== undefined) failed += 1
    else if (answer.rows?.length === 0 && answer.changes === undefined) empty += 1
  }
  return { count, failed, empty }
}

/** Every row of every table, at the end. */
async function compareTables(databases: readonly Database[], plain: DatabaseSync): Promise<void> {
  const select = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
  const tables = plain.prepare(select).all()
  const all = [
    'SELECT type, name, tbl_name, sql FROM sqlite_schema',
    ...tables.map(({ name }) => `SELECT * FROM ${name}`),
  ].map((sql) => ({ sql }))
  assert.ok(all.length >= SCHEMA.length)
  for (const db of databases) await compare([db], plain, all)
}

suite('statements answer as plain SQLite answers them', () => {
  test('2,000 of more than 60 shapes, on one node', async (t) => {
    assert.ok(READS.length > 60, 'queries alone')
    const node = await open({ dataDir: temporaryDirectory(t) })
    t.after(() => node.close())
    const databases = [node.database()]
    const plain = openPlain(t)
    await compare(
      databases,
      plain,
      SCHEMA.map((sql) => ({ sql })),
    )
    const rounds = Math.ceil(2_000 / READS.length)
    const { count, failed, empty } = await compare(
      databases,
      plain,
      makeStatements(rounds * SHAPES.length),
    )
    assert.ok(count >= 2_000)
    // Most must say something, or little would be compared.
    assert.ok(failed < count / 8, `${failed} of ${count} failed`)
    assert.ok(empty < count / 5, `${empty} of ${count} were empty`)
    await compareTables(databases, plain)
  })

  test('some hundreds of them, asked of three nodes in turn', async (t) => {
    const addresses = (await findFreePorts(3)).map((port) => `127.0.0.1:${port}`)
    const databases: Database[] = []
    for (const [at, bind] of addresses.entries()) {
      const begins = at === 0 ? { bootstrap: true } : { join: addresses[0] }
      const node = await open({ dataDir: temporaryDirectory(t), bind, ...begins })
      t.after(() => node.close())
      databases.push(node.database())
    }
    const plain = openPlain(t)
    await compare(
      databases,
      plain,
      SCHEMA.map((sql) => ({ sql })),
    )
    await compare(databases, plain, makeStatements(3 * SHAPES.length))
    await compareTables(databases, plain)
  })
})
