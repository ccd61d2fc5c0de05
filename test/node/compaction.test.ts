/** `node.compact`, as its caller sees it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { suite, type TestContext, test } from 'node:test'
import {
  type AppliedEvent,
  type ColmenaError,
  type ColmenaNode,
  type Database,
  open,
} from '../../src/index.ts'
import { databaseFile } from '../processes/content.ts'
import { temporaryDirectory } from './temporary.ts'

interface Here {
  readonly node: ColmenaNode
  readonly db: Database
  readonly dataDir: string
}

/** A database of which nine tenths are free. */
async function openFull(t: TestContext, changes?: boolean): Promise<Here> {
  const dataDir = temporaryDirectory(t)
  const node = await open({ dataDir })
  t.after(() => node.close())
  const db = node.database('main', { changes })
  await db.execute('CREATE TABLE plain (v)')
  await db.execute('CREATE TABLE keyed (id INTEGER PRIMARY KEY, v)')
  for (const table of ['plain', 'keyed']) {
    const values = JSON.stringify(Array.from({ length: 500 }, (_, at) => at))
    const insert = `INSERT INTO ${table} (v) SELECT value || hex(zeroblob(500)) FROM json_each(?)`
    await db.execute(insert, [values])
    await db.execute(`DELETE FROM ${table} WHERE rowid % 10 <> 0`)
  }
  return { node, db, dataDir }
}

async function rowids(db: Database, table: string): Promise<unknown[]> {
  const { rows } = await db.execute(`SELECT rowid AS id FROM ${table} ORDER BY rowid`)
  return rows.map((row) => row['id'])
}

const FIRST = Array.from({ length: 50 }, (_, at) => at + 1)

suite('compact', () => {
  test('gives back what is free, and tells by how much and where in the log', async (t) => {
    const { node, db, dataDir } = await openFull(t)
    const { index: before } = await db.execute('SELECT 1')
    const { beforeBytes, afterBytes, index } = await node.compact()
    assert.ok(index > before)
    assert.ok(afterBytes < beforeBytes / 3, `${beforeBytes}, then ${afterBytes}`)
    assert.equal(statSync(databaseFile(dataDir)).size, afterBytes)
    assert.deepEqual(await rowids(db, 'plain'), FIRST)
    assert.deepEqual(
      await rowids(db, 'keyed'),
      FIRST.map((id) => id * 10),
    )
    const { rows } = await db.execute('INSERT INTO plain VALUES (1) RETURNING rowid AS id')
    assert.deepEqual(rows, [{ id: 51 }])
  })

  test('is the one way: as SQL it stays refused', async (t) => {
    const { db } = await openFull(t)
    for (const sql of ['VACUUM', 'VACUUM main', "VACUUM INTO 'x.db'", '/* */ vacuum']) {
      await assert.rejects(db.execute(sql), { code: 'ERR_REFUSED_SQL', message: /compact/ })
      await assert.rejects(db.batch(['SELECT 1', sql]), { code: 'ERR_REFUSED_SQL' })
      await assert.rejects(db.migrate([sql]), { code: 'ERR_REFUSED_SQL' })
      await assert.rejects(db.executeMultiple(sql), { code: 'ERR_REFUSED_SQL' })
      await assert.rejects(
        db.transaction((tx) => tx.execute(sql)),
        { code: 'ERR_REFUSED_SQL' },
      )
    }
  })

  test('has an entry for itself, whatever is written in the same turn', async (t) => {
    const { node, db } = await openFull(t)
    const [first, compacted, second, last] = await Promise.all([
      db.execute('INSERT INTO plain VALUES (1) RETURNING rowid AS id'),
      node.compact(),
      db.execute('INSERT INTO plain VALUES (2) RETURNING rowid AS id'),
      node.compact(),
    ])
    const indexes = [first, compacted, second, last].map(({ index }) => index)
    assert.deepEqual(
      indexes,
      [...new Set(indexes)].sort((a, b) => a - b),
    )
    assert.deepEqual([first.rows, second.rows], [[{ id: 501 }], [{ id: 52 }]])
  })

  test('waits for a transaction that is open, and is no write to any listener', async (t) => {
    const { node, db } = await openFull(t, true)
    const events: AppliedEvent[] = []
    node.on('applied', (event) => events.push(event))
    await using changes = db.changes({ tables: ['keyed'] })
    await changes.start()
    const tx = await db.transaction()
    await tx.execute("INSERT INTO keyed (v) VALUES ('of tx')")
    const compacting = node.compact('main')
    await tx.execute("INSERT INTO keyed (v) VALUES ('of tx too')")
    await tx.commit()
    const { index } = await compacting
    const committed = tx.index ?? 0
    assert.ok(index > committed)
    const { index: after } = await db.execute("INSERT INTO keyed (v) VALUES ('after')")
    const told: number[] = []
    for (let change = await changes.next(); ; change = await changes.next()) {
      assert.ok(!change.done)
      told.push(change.value.index)
      if (change.value.index === after) break
    }
    assert.deepEqual(told, [committed, committed, after])
    while (events.at(-1)?.index !== after) await once(node, 'applied')
    const indexes = events.map((event) => event.index)
    assert.equal(indexes.includes(index), false)
  })

  test('is refused inside a transaction, which would wait for itself', async (t) => {
    const { node, db } = await openFull(t)
    await db.transaction(async () => {
      await assert.rejects(node.compact(), { code: 'ERR_INVALID_ARGUMENT', message: /inside/ })
    })
  })

  test('has watched queries answered anew', async (t) => {
    const { db, node } = await openFull(t)
    await using answers = db.watch('SELECT max(rowid) AS id FROM plain')
    assert.deepEqual((await answers.next()).value?.rows, [{ id: 500 }])
    await node.compact()
    assert.deepEqual((await answers.next()).value?.rows, [{ id: 50 }])
  })

  test('ends at its own time or by its signal, and says what becomes of it', async (t) => {
    const { node, db } = await openFull(t)
    const tx = await db.transaction()
    await tx.execute("INSERT INTO keyed (v) VALUES ('held')")
    const late = await node.compact('main', { timeoutMs: 1 }).catch((error: unknown) => error)
    assert.match(String(late), /within 1 ms/)
    assert.equal((late as ColmenaError).code, 'ERR_TIMEOUT')
    const controller = new AbortController()
    const aborted = node.compact('main', { signal: controller.signal })
    controller.abort()
    await assert.rejects(aborted, { code: 'ERR_ABORTED' })
    await tx.rollback()
    assert.ok((await node.compact()).afterBytes > 0)
  })

  test('knows databases and options that there are, and no others', async (t) => {
    const { node } = await openFull(t)
    await assert.rejects(node.compact('other'), { code: 'ERR_NOT_FOUND', message: /'other'/ })
    assert.deepEqual(await node.databases(), ['main'])
    const invalid = { code: 'ERR_INVALID_ARGUMENT' }
    for (const name of ['system', 'Main', '', null, 7]) {
      await assert.rejects(node.compact(name as string), invalid)
    }
    const wrong = [null, 7, { timeout: 1 }, { timeoutMs: 0 }, { timeoutMs: 2 ** 31 }]
    for (const options of [...wrong, { timeoutMs: 1.5 }, { signal: true }]) {
      await assert.rejects(node.compact('main', options as never), invalid, String(options))
    }
    const signal = AbortSignal.abort()
    await assert.rejects(node.compact('main', { signal }), { code: 'ERR_ABORTED' })
    await node.close()
    await assert.rejects(node.compact(), { code: 'ERR_CLOSED' })
  })
})
