/** Calls that nobody means as they are written: each is refused, says why, and changes nothing. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { BatchStatement, Database } from '../../src/index.ts'
import { WRITE_LIMITS } from '../../src/node/writes.ts'
import { shareNode } from './shared-node.ts'

async function openHere(): Promise<Database> {
  const { node } = await shareNode()
  const db = node.database()
  await db.execute('CREATE TABLE t (a)')
  return db
}

async function countOf(db: Database): Promise<unknown> {
  return (await db.execute('SELECT count(*) AS n FROM t')).rows[0]?.['n']
}

suite('several statements where one is asked for', () => {
  test('are refused in every call that takes one, and none of them runs', async () => {
    const db = await openHere()
    const insert = 'INSERT INTO t VALUES (1)'
    const scripts = [
      `${insert}; ${insert}`,
      `SELECT 1; ${insert}`,
      `BEGIN; ${insert}; COMMIT`,
      `${insert}; -- and another one\n${insert};`,
    ]
    const refused = { code: 'ERR_REFUSED_SQL', message: /several statements|BEGIN/ }
    for (const script of scripts) {
      await assert.rejects(db.execute(script), refused, script)
      await assert.rejects(db.execute(script, [], { isolated: true }), refused, script)
      await assert.rejects(db.batch([insert, script]), refused, script)
      await assert.rejects(
        db.transaction((tx) => tx.execute(script)),
        refused,
        script,
      )
      assert.throws(() => db.reader.prepare(script), refused, script)
    }
    assert.equal(await countOf(db), 0)
  })

  test('are not what a semicolon at the end, in a string or in a trigger makes', async () => {
    const db = await openHere()
    await db.execute("INSERT INTO t VALUES ('a; b'); -- the end;")
    await db.execute('CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; SELECT 1; END;')
    assert.equal(await countOf(db), 1)
  })
})

suite('statements of a transaction outside of one', () => {
  test('are refused by execute and batch, and leave nothing open', async () => {
    const db = await openHere()
    for (const sql of ['BEGIN', 'begin immediate', 'COMMIT', 'END', 'ROLLBACK', 'SAVEPOINT s']) {
      const refused = { code: 'ERR_REFUSED_SQL', message: /transaction/ }
      await assert.rejects(db.execute(sql), refused, sql)
      await assert.rejects(db.batch(['INSERT INTO t VALUES (1)', sql]), refused, sql)
    }
    assert.equal(await countOf(db), 0)
    await db.transaction((tx) => tx.execute('INSERT INTO t VALUES (1)'))
    assert.equal(await countOf(db), 1)
  })
})

suite('blobs that are larger than what goes through the log at once', () => {
  const { unitBytesMax } = WRITE_LIMITS
  const insert = (sizeBytes: number): { sql: string; args: [Uint8Array] } => ({
    sql: 'INSERT INTO t VALUES (?)',
    args: [new Uint8Array(sizeBytes)],
  })
  const tooLarge = {
    code: 'ERR_TOO_LARGE',
    outcome: 'not-applied',
    retryable: false,
    message: new RegExp(`at most ${unitBytesMax}`),
  } as const

  test('are refused, alone, in a batch, and in a transaction', async () => {
    const db = await openHere()
    const { sql, args } = insert(unitBytesMax)
    await assert.rejects(db.execute(sql, args), tooLarge)
    const halves: BatchStatement[] = [insert(unitBytesMax / 2), insert(unitBytesMax / 2)]
    await assert.rejects(db.batch(halves), tooLarge)
    await assert.rejects(
      db.transaction(async (tx) => {
        await tx.execute(sql, [new Uint8Array(unitBytesMax / 2)])
        await tx.execute(sql, [new Uint8Array(unitBytesMax / 2)])
      }),
      tooLarge,
    )
    const huge = db.execute(sql, [new Uint8Array(512 * 1024 * 1024)])
    await assert.rejects(huge, tooLarge)
    assert.equal(await countOf(db), 0)
  })

  test('go through by parts, and one that just fits does', async () => {
    const db = await openHere()
    const { sql, args } = insert(unitBytesMax - 1_000)
    await db.execute(sql, args)
    await db.execute(sql, args)
    const { rows } = await db.execute('SELECT sum(length(a)) AS size FROM t')
    assert.equal(rows[0]?.['size'], 2 * (unitBytesMax - 1_000))
  })
})
