/** Levels as a caller asks for them: whose counts, when it is settled, and what the result says. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import {
  type CallOptions,
  type ColmenaNode,
  type Consistency,
  type Database,
  open,
  withConsistency,
} from '../../src/index.ts'
import { temporaryDirectory } from './temporary.ts'

const LEVELS = ['none', 'lease', 'weak', 'strong'] as const

async function openHere(t: TestContext): Promise<ColmenaNode> {
  const node = await open({ dataDir: temporaryDirectory(t), requestTimeoutMs: 2_000 })
  t.after(() => node.close())
  await node.database().execute('CREATE TABLE t (id INTEGER PRIMARY KEY)')
  return node
}

async function levelOf(db: Database, options?: CallOptions): Promise<Consistency | undefined> {
  return (await db.execute('SELECT 1', [], options)).consistency
}

/** A node knows of its age from the first heartbeats on. */
async function untilLeased(db: Database): Promise<void> {
  while ((await levelOf(db, { consistency: 'lease' })) !== 'lease');
}

/** From now on the calendar is so much later, as after a sleep of the machine. */
function moveCalendar(t: TestContext, byMs: number): void {
  const { now } = Date
  t.mock.method(Date, 'now', () => now() + byMs)
}

suite('the level of a read', () => {
  test("is the call's, the handle's, the scope's or the database's, in this order", async (t) => {
    const node = await openHere(t)
    assert.equal(await levelOf(node.database()), 'weak')
    await untilLeased(node.database())
    for (const own of LEVELS) {
      const db = node.database('main', { consistency: own })
      assert.equal(await levelOf(db), own)
      for (const other of LEVELS) {
        const pinned = db.withConsistency(other)
        assert.equal(await withConsistency(own, () => levelOf(pinned)), other)
        assert.equal(await withConsistency(other, () => levelOf(db)), other)
        const call = { consistency: own }
        assert.equal(await withConsistency(other, () => levelOf(db, call)), own)
      }
    }
  })

  test('is the same for batches, transactions and isolated reads', async (t) => {
    const node = await openHere(t)
    const db = node.database()
    await untilLeased(db)
    for (const level of LEVELS) {
      await withConsistency(level, async () => {
        const results = await db.batch(['SELECT 1', 'SELECT 2'])
        results.push(await db.execute('SELECT 3', [], { isolated: true }))
        await db.transaction(
          async (tx) => {
            results.push(await tx.execute('SELECT 4'))
          },
          { mode: 'read' },
        )
        assert.deepEqual(
          results.map((result) => result.consistency),
          [level, level, level, level],
        )
      })
    }
  })

  test('is settled when the call is made, not when it runs', async (t) => {
    const db = (await openHere(t)).database('main', { consistency: 'none' })
    const called = withConsistency('strong', () => levelOf(db))
    const queue: (() => Promise<Consistency | undefined>)[] = []
    withConsistency('strong', () => queue.push(() => levelOf(db)))
    const bound = db.withConsistency('strong')
    queue.push(() => levelOf(bound))
    assert.equal(await called, 'strong')
    // A pool that runs a callback for somebody else: only the handle keeps the level.
    const levels = await withConsistency('weak', () => Promise.all(queue.map((run) => run())))
    assert.deepEqual(levels, ['weak', 'strong'])
  })

  test('is told by the result, also where a lease had to ask', async (t) => {
    const db = (await openHere(t)).database('main', { consistency: 'lease' })
    await untilLeased(db)
    moveCalendar(t, 3_600_000)
    assert.equal(await levelOf(db), 'weak')
    assert.equal(await levelOf(db, { isolated: true }), 'weak')
  })

  test('must be one', async (t) => {
    const db = (await openHere(t)).database()
    const wrong = 'strongest' as 'strong'
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: /'none', 'lease', 'weak' or 'strong'/ }
    assert.throws(() => db.withConsistency(wrong), refused)
    assert.throws(() => withConsistency(wrong, () => {}), refused)
    await assert.rejects(db.execute('SELECT 1', [], { consistency: wrong }), refused)
  })
})

suite('a bound on the age of an answer', () => {
  test('makes the read one of level none, whatever else says', async (t) => {
    const db = (await openHere(t)).database('main', { consistency: 'strong' })
    await untilLeased(db)
    const bounded = { maxStalenessMs: 60_000 }
    assert.equal(await withConsistency('strong', () => levelOf(db, bounded)), 'none')
  })

  test('fails what is older: reads of all kinds, and what they had begun', async (t) => {
    const node = await openHere(t)
    const db = node.database()
    await untilLeased(db)
    moveCalendar(t, 3_600_000)
    const bounded = { maxStalenessMs: 60_000 }
    const stale = { code: 'ERR_STALE', retryable: true, outcome: 'not-applied' }
    await assert.rejects(levelOf(db, bounded), stale)
    await assert.rejects(levelOf(db, { ...bounded, isolated: true }), stale)
    await assert.rejects(db.batch(['SELECT 1', 'SELECT 2'], bounded), stale)
    const tx = await db.transaction('read', bounded)
    await assert.rejects(tx.execute('SELECT 1'), stale)
    tx.close()
    assert.equal((await node.metrics()).reads.errors['ERR_STALE'], 3)
    assert.equal(await levelOf(db, { maxStalenessMs: 2 * 3_600_000 }), 'none')
  })

  test('is a number, and goes with no level that needs none', async (t) => {
    const db = (await openHere(t)).database()
    for (const maxStalenessMs of [-1, Number.NaN, Infinity, '5']) {
      const options = { maxStalenessMs } as CallOptions
      const refused = { code: 'ERR_INVALID_ARGUMENT', message: /maxStalenessMs is/ }
      await assert.rejects(levelOf(db, options), refused)
    }
    await assert.rejects(levelOf(db, { maxStalenessMs: 1, consistency: 'strong' }), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /asks for 'strong'/,
    })
  })
})

suite('a read after an index', () => {
  test('sees the write of that index, and ends at its deadline if none comes', async (t) => {
    const db = (await openHere(t)).database('main', { consistency: 'none' })
    const { index } = await db.execute('INSERT INTO t VALUES (1)')
    const read = await db.execute('SELECT id FROM t', [], { after: index })
    assert.deepEqual(
      [read.rows, read.consistency, read.index >= index],
      [[{ id: 1 }], 'none', true],
    )
    await assert.rejects(levelOf(db, { after: index + 1_000 }), {
      code: 'ERR_TIMEOUT',
      retryable: true,
      message: new RegExp(`index ${index + 1_000}, which it needs, was not applied`),
    })
  })

  test('keeps the arguments that it was called with while it waits', async (t) => {
    const db = (await openHere(t)).database('main', { consistency: 'none' })
    const { index } = await db.execute('INSERT INTO t VALUES (1)')
    const args = [1]
    const reading = db.execute('SELECT id FROM t WHERE id = ?', args, { after: index + 1 })
    args[0] = 2
    await db.execute('INSERT INTO t VALUES (2)')
    assert.deepEqual((await reading).rows, [{ id: 1 }])
  })

  test('takes an index', async (t) => {
    const db = (await openHere(t)).database()
    for (const after of [-1, 1.5, '7', null]) {
      const options = { after } as unknown as CallOptions
      const refused = { code: 'ERR_INVALID_ARGUMENT', message: /after is/ }
      await assert.rejects(levelOf(db, options), refused)
    }
  })
})
