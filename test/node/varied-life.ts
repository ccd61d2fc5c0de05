/** What users do to a node, in all its kinds. */
import type { ColmenaNode, Database } from '../../src/index.ts'
import type { SeededRandom } from '../simulated/random.ts'

const NAMES = ['main', 'other', 'gone']

const SCHEMA = [
  'CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, value, at DEFAULT CURRENT_TIMESTAMP)',
  'CREATE TABLE IF NOT EXISTS pairs (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID',
  'CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5(body)',
]

/** Does one thing after another, as the seed has it. */
export async function liveVaried(
  node: ColmenaNode,
  random: SeededRandom,
  steps: number,
): Promise<void> {
  for (const name of NAMES) for (const sql of SCHEMA) await node.database(name).execute(sql)
  for (let step = 0; step < steps; step += 1) {
    const name = NAMES[random.below(NAMES.length)] as string
    const deed = DEEDS[random.below(DEEDS.length)] as Deed
    await deed(node, node.database(name), random, step)
  }
}

type Deed = (
  node: ColmenaNode,
  db: Database,
  random: SeededRandom,
  step: number,
) => Promise<unknown>

const insert = 'INSERT INTO kept (value) VALUES (?)'

const DEEDS: readonly Deed[] = [
  (_, db, random) => db.execute(insert, [random.below(2 ** 30)]),
  (_, db, __, step) => db.execute(insert, [`text ${step} \u{1f41d}`]),
  (_, db, random) => db.execute(insert, [BigInt(random.u32()) * 2n ** 31n]),
  (_, db, random) => db.execute(insert, [Uint8Array.from({ length: 50 }, () => random.u32())]),
  (_, db, random) => db.execute(insert, [new Uint8Array(100_000 + random.below(400_000)).fill(7)]),
  (_, db) => db.execute(insert, [null]),
  (_, db) => db.execute('INSERT INTO kept (value) VALUES (random()), (randomblob(8))'),
  (_, db) => db.execute("INSERT INTO kept (value) VALUES (datetime('now')), (strftime('%f'))"),
  (_, db, __, step) => db.execute('INSERT INTO texts VALUES (?)', [`the bee ${step}`]),
  (_, db, random) => db.execute('DELETE FROM kept WHERE id % 7 = ?', [random.below(7)]),
  (_, db) => db.execute('INSERT INTO pairs VALUES (1, 2)').catch(() => {}),
  (_, db, __, step) => db.execute(`CREATE INDEX by_value_${step} ON kept (value)`),
  (_, db, __, step) => db.execute(`ALTER TABLE kept ADD COLUMN more_${step} DEFAULT 3`),
  (_, db, random) =>
    db.batch([
      [insert, [random.below(9)]],
      ['UPDATE kept SET value = random() WHERE id = last_insert_rowid()'],
    ]),
  (_, db) =>
    db.transaction(async (tx) => {
      const { rows } = await tx.execute('SELECT count(*) AS n FROM kept')
      await tx.execute(insert, [Number(rows[0]?.['n'])])
      await tx.execute('UPDATE kept SET value = random() WHERE id = last_insert_rowid()')
    }),
  async (node, db, _, step) => {
    await using lock = await node.lock(`lock ${step % 3}`, { ttlMs: 10_000 })
    await db.execute(insert, ['fenced'], { fence: lock })
  },
  (node, db, _, step) =>
    node.once(`once ${step % 5}`, { ttlMs: 60_000 }, async () => {
      const { index } = await db.execute(insert, ['once'])
      return index
    }),
  async (node) => {
    await node.dropDatabase('gone')
    for (const sql of SCHEMA) await node.database('gone').execute(sql)
  },
  (node) => node.compact('main'),
]
