/** What users do to databases that go through many lives: their schema stays small. */
import { createHash } from 'node:crypto'
import type { ColmenaNode, Database } from '../../src/index.ts'
import type { SeededRandom } from '../simulated/random.ts'

export const DATABASES = ['main', 'other', 'gone'] as const

type Deed = (node: ColmenaNode, db: Database, random: SeededRandom) => Promise<unknown>

const SCHEMA = [
  'CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, value, at DEFAULT CURRENT_TIMESTAMP)',
  'CREATE TABLE IF NOT EXISTS pairs (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID',
]
const INSERT = 'INSERT INTO kept (value) VALUES (?)'

export async function createSchema(node: ColmenaNode): Promise<void> {
  for (const name of DATABASES) for (const sql of SCHEMA) await node.database(name).execute(sql)
}

const DEEDS: readonly Deed[] = [
  (_, db, random) => db.execute(INSERT, [random.below(2 ** 30)]),
  (_, db, random) => db.execute(INSERT, [`text ${random.u32()} \u{1f41d}`]),
  (_, db, random) => db.execute(INSERT, [random.bytes(40)]),
  (_, db, random) => db.execute(INSERT, [new Uint8Array(random.between(1, 200) * 1_000).fill(7)]),
  (_, db) => db.execute('INSERT INTO kept (value) VALUES (random()), (randomblob(8))'),
  (_, db) => db.execute("INSERT INTO kept (value) VALUES (datetime('now')), (strftime('%f'))"),
  (_, db) => db.execute('UPDATE kept SET value = random() WHERE id % 3 = 1'),
  (_, db, random) => db.execute('DELETE FROM kept WHERE id % 4 = ?', [random.below(4)]),
  (_, db, random) => db.execute('INSERT OR REPLACE INTO pairs VALUES (?, 2)', [random.below(9)]),
  (_, db) => db.execute('INSERT INTO pairs VALUES (1, 2), (1, 2)').catch(ignoreSql),
  (_, db, random) => db.execute(`CREATE TABLE IF NOT EXISTS more_${random.below(3)} (a, b)`),
  (_, db, random) => db.execute(`DROP TABLE IF EXISTS more_${random.below(3)}`),
  (_, db) => db.execute('CREATE INDEX IF NOT EXISTS by_value ON kept (value)'),
  (_, db) => db.execute('DROP INDEX IF EXISTS by_value'),
  (_, db, random) =>
    db.batch([
      [INSERT, [random.below(9)]],
      ['UPDATE kept SET value = random() WHERE id = last_insert_rowid()'],
    ]),
  (_, db) =>
    db.transaction(async (tx) => {
      const { rows } = await tx.execute('SELECT count(*) AS n FROM kept')
      await tx.execute(INSERT, [Number(rows[0]?.['n'])])
      await tx.execute("DELETE FROM kept WHERE typeof(value) = 'blob' AND length(value) > 50000")
    }),
  async (node, db) => {
    await using lock = await node.lock('one', { ttlMs: 10_000 })
    await db.execute(INSERT, ['fenced'], { fence: lock })
  },
  async (node, db) => {
    // A drop has no time: it is of that of the write before it.
    await db.execute(INSERT, ['before a drop'])
    await node.dropDatabase('gone')
    for (const sql of SCHEMA) await node.database('gone').execute(sql)
  },
  (node) => node.compact('main'),
]

function ignoreSql(error: { readonly code: string }): void {
  if (error.code !== 'ERR_SQL') throw error
}

export async function doOne(node: ColmenaNode, random: SeededRandom): Promise<void> {
  await random.pick(DEEDS)(node, node.database(random.pick(DATABASES)), random)
}

/** Reads rows of one database. */
export type Query = (sql: string) => readonly Readonly<Record<string, unknown>>[]

/** Schema and rows as text, hashed: by queries alone, so that any two sides can be compared. */
export function digestContent(query: Query): string {
  const hash = createHash('sha256')
  const schema = query(
    "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE '%colmena%' ORDER BY type, name",
  )
  for (const { type, name, sql } of schema) {
    hash.update(`${type} ${name} ${sql}\n`)
    if (type !== 'table') continue
    const columns = query(`SELECT name FROM pragma_table_info('${name}')`)
    const texts = columns.map((column) => `quote("${column['name']}")`).join(" || ',' || ")
    for (const { row } of query(`SELECT ${texts} AS row FROM "${name}" ORDER BY 1`)) {
      hash.update(`${row}\n`)
    }
  }
  return hash.digest('hex')
}

/** What a node holds now, by the names of databases. */
export function contentOfNode(
  node: ColmenaNode,
  names: readonly string[],
): Readonly<Record<string, string>> {
  const digests = names.map((name) => {
    const { reader } = node.database(name)
    return [name, digestContent((sql) => reader.prepare<Record<string, unknown>>(sql).all())]
  })
  return Object.fromEntries(digests)
}
