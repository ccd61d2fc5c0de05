/** A node with a real extension: its reads of every kind, restarts, and other lists. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, type TestContext, test } from 'node:test'
import { type ColmenaNode, type ExtensionOptions, open } from '../../src/index.ts'
import { until } from '../processes/wait.ts'
import { VECTOR, VECTOR_SCHEMA } from '../sqlite/vector.ts'
import { temporaryDirectory } from './temporary.ts'

const INSERT = 'INSERT INTO v (id, body) VALUES (?, vec_f32(?))'
const TEXTS = ['[1.000000,0.000000,0.000000]', '[2.000000,0.000000,0.000000]']

async function openHere(
  t: TestContext,
  dataDir: string,
  extensions: readonly ExtensionOptions[] | undefined = [VECTOR],
): Promise<ColmenaNode> {
  const node = await open({ dataDir, extensions })
  t.after(() => node.close())
  return node
}

function spread(row: object): object {
  return { ...row }
}

async function fill(node: ColmenaNode): Promise<void> {
  const db = node.database()
  for (const sql of VECTOR_SCHEMA) await db.execute(sql)
  await db.execute(INSERT, [1, '[1,0,0]'])
  await db.execute('INSERT INTO w (rowid, body) SELECT id, body FROM v')
}

suite('a node with an extension', () => {
  test('has it in every read, and in a transaction', async (t) => {
    const dataDir = temporaryDirectory(t)
    const node = await openHere(t, dataDir)
    await fill(node)
    const db = node.database()
    const sql = 'SELECT vec_to_json(body) AS text FROM v ORDER BY id'
    const wanted = TEXTS.map((text) => ({ text }))
    const rowsOf = async (options: object): Promise<unknown> => {
      const { rows } = await db.execute(sql, [], options)
      return rows.map(spread)
    }
    for (const consistency of ['none', 'lease', 'weak', 'strong'] as const) {
      assert.deepEqual(await rowsOf({ consistency }), wanted, consistency)
    }
    assert.deepEqual(await rowsOf({ isolated: true }), wanted)
    const nearest = "SELECT rowid FROM w WHERE body MATCH '[2,0,0]' AND k = 1"
    const isolated = await db.execute(nearest, [], { isolated: true })
    assert.deepEqual(isolated.rows[0], { rowid: 101 })
    assert.deepEqual((await db.batch([sql], { mode: 'read' }))[0]?.rows.length, 2)
    const prepared = db.reader.prepare(sql)
    assert.deepEqual(prepared.all().map(spread), wanted)
    assert.deepEqual([...prepared.iterate()].map(spread), wanted)
    assert.deepEqual((await db.describe(sql)).columns, ['text'])
    const seen = await db.transaction(async (tx) => {
      await tx.execute(INSERT, [2, '[0,1,0]'])
      return (await tx.execute('SELECT vec_length(body) AS n, text FROM v WHERE id = 2')).rows[0]
    })
    assert.deepEqual({ ...seen }, { n: 3, text: '[0.000000,1.000000,0.000000]' })
    const path = join(temporaryDirectory(t), 'copy.db')
    await db.copyTo(path)
    const copy = new DatabaseSync(path, { allowExtension: true })
    copy.loadExtension(VECTOR.path)
    assert.equal(copy.prepare('SELECT vec_to_json(body) AS text FROM v').all().length, 4)
    copy.close()
  })

  test('lets no statement load another', async (t) => {
    const node = await openHere(t, temporaryDirectory(t))
    const db = node.database()
    await db.execute('CREATE TABLE t (a)')
    for (const sql of ['SELECT load_extension(?)', 'INSERT INTO t SELECT load_extension(?)']) {
      const refused = { code: 'ERR_REFUSED_SQL', message: /load_extension/ }
      await assert.rejects(db.execute(sql, [VECTOR.path]), refused)
      if (sql.startsWith('SELECT')) {
        await assert.rejects(db.execute(sql, [VECTOR.path], { isolated: true }), refused)
      }
      await assert.rejects(
        db.transaction((tx) => tx.execute(sql, [VECTOR.path])),
        refused,
      )
    }
  })

  test('goes on with it after a restart', async (t) => {
    const dataDir = temporaryDirectory(t)
    const before = await openHere(t, dataDir)
    await fill(before)
    await before.close()
    const node = await openHere(t, dataDir)
    const { rows } = await node.database().execute('SELECT id FROM near ORDER BY far')
    assert.deepEqual(
      rows.map(({ id }) => id),
      [1, 101],
    )
    await node.database().execute(INSERT, [2, '[0,1,0]'])
  })

  test('does not open where the library is missing, and leaves nothing behind', async (t) => {
    const dataDir = join(temporaryDirectory(t), 'data')
    const path = join(dataDir, 'missing.so')
    await assert.rejects(open({ dataDir, extensions: [{ ...VECTOR, path }] }), {
      name: 'ColmenaError',
      code: 'ERR_EXTENSION_FAILED',
      message: /vec@0\.1\.9 .*missing\.so/,
    })
    assert.equal(existsSync(dataDir), false)
    const node = await openHere(t, dataDir)
    await until('the cluster is told of the list', async () => {
      const [own] = await node.members()
      return own?.fingerprint?.endsWith(' extensions vec@0.1.9')
    })
  })
})
