/** Interactive transactions on one node: what they see, what stays, and what ends them. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { ColmenaError, type ColmenaNode, type Database, type OpenOptions } from '../../src/index.ts'
import { abortedError } from '../../src/node/failures.ts'
import type { NodeCore } from '../../src/node/node-core.ts'
import { Transaction } from '../../src/node/transaction.ts'
import { openOrShare } from './shared-node.ts'

interface Opened {
  readonly node: ColmenaNode
  readonly db: Database
}

async function openHere(t: TestContext, more: Partial<OpenOptions> = {}): Promise<Opened> {
  const { node } = await openOrShare(t, more)
  const db = node.database()
  await db.batch([
    'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE, note TEXT)',
    "INSERT INTO t VALUES (1, 10, 'first')",
  ])
  return { node, db }
}

async function ids(db: Database): Promise<unknown[]> {
  return (await db.execute('SELECT id FROM t ORDER BY id')).rows.map((row) => row['id'])
}

/** One of which the leader, or nobody, says what `step` says. */
function waiting(
  step: NodeCore['transactions']['step'],
  signal: AbortSignal | undefined,
): Transaction {
  const core = {
    isOpen: true,
    checkOpen: () => {},
    config: { electionTimeoutMs: 10_000 },
    transactions: { nextNumber: () => 1, step, end: () => {} },
    writes: { checkAccepted: () => {} },
  } as unknown as NodeCore
  const files = (): never => assert.fail('it reads no file')
  const place = { core, database: 'main', doubleQuotedStrings: false, changes: false, files }
  return new Transaction(place, {
    mode: 'write',
    level: 'weak',
    after: undefined,
    maxStalenessMs: undefined,
    intMode: 'number',
    signal,
  })
}

suite('a transaction', () => {
  test('sees its own writes, with true counts and rows, and nobody else does', async (t) => {
    const { db } = await openHere(t)
    const tx = await db.transaction()
    const inserted = await tx.execute('INSERT INTO t (n) VALUES (?), (?) RETURNING id', [20, 30])
    assert.deepEqual(inserted.rows, [{ id: 2 }, { id: 3 }])
    assert.equal(inserted.rowsAffected, 2)
    assert.equal(inserted.lastInsertRowid, 3n)
    const updated = await tx.execute('UPDATE t SET n = n + 1 WHERE n > 10')
    assert.equal(updated.rowsAffected, 2)
    const seen = await tx.execute('SELECT n FROM t ORDER BY n')
    assert.deepEqual(seen.rows, [{ n: 10 }, { n: 21 }, { n: 31 }])
    assert.equal(seen.consistency, 'strong')
    assert.deepEqual(await ids(db.withConsistency('none')), [1])
    await tx.commit()
    assert.equal(tx.closed, true)
    assert.deepEqual(await ids(db), [1, 2, 3])
    assert.equal(tx.index, (await db.execute('SELECT 1')).index)
  })

  test('keeps the random numbers and times that it showed, whatever it read', async (t) => {
    const { db } = await openHere(t)
    const shown = await db.transaction(async (tx) => {
      const insert = 'INSERT INTO t (note) VALUES (hex(randomblob(8)) || CURRENT_TIMESTAMP)'
      const rows: unknown[] = []
      for (let i = 0; i < 3; i += 1) {
        rows.push(...(await tx.execute(`${insert} RETURNING id, note`)).rows)
        await tx.execute('SELECT random(), last_insert_rowid() FROM t')
        await tx.execute('INSERT INTO t (id) VALUES (1)').catch(() => {})
        await tx.execute('SELECT nothing FROM nowhere').catch(() => {})
        await tx.execute('INSERT INTO nowhere VALUES (1)').catch(() => {})
      }
      return rows
    })
    const kept = await db.execute('SELECT id, note FROM t WHERE id > 1 ORDER BY id')
    assert.deepEqual(kept.rows, shown)
    assert.equal(new Set(kept.rows.map((row) => row['note'])).size, 3)
  })

  test('rolls back by word, by close, and by an error of its work', async (t) => {
    const { db } = await openHere(t)
    const rolled = await db.transaction('write')
    await rolled.execute('DELETE FROM t')
    await rolled.rollback()
    await rolled.rollback()
    {
      using closed = await db.transaction('write')
      await closed.execute('DELETE FROM t')
    }
    const failure = new Error('sold out')
    const work = async (tx: Transaction): Promise<void> => {
      await tx.execute('DELETE FROM t')
      throw failure
    }
    await assert.rejects(db.transaction(work), failure)
    await db.execute('INSERT INTO t (n) VALUES (11)')
    assert.deepEqual(await ids(db), [1, 2])
  })

  test('goes on after a statement that failed, with what that one left', async (t) => {
    const { db } = await openHere(t)
    await db.transaction(async (tx) => {
      const partly = 'INSERT OR FAIL INTO t (n) VALUES (40), (10), (50)'
      await assert.rejects(tx.execute(partly), { code: 'ERR_SQL', message: /UNIQUE/ })
      assert.deepEqual((await tx.execute('SELECT n FROM t')).rows, [{ n: 10 }, { n: 40 }])
      await assert.rejects(
        tx.batch(['INSERT INTO t (n) VALUES (60)', 'INSERT INTO x VALUES (1)']),
        {
          message: /statement 2 of 2: no such table: x/,
        },
      )
    })
    assert.deepEqual(await ids(db), [1, 2, 3])
  })

  test('has savepoints, one in the other, also by function', async (t) => {
    const { db } = await openHere(t)
    await db.transaction(async (tx) => {
      await tx.execute('SAVEPOINT "outer one"')
      await tx.execute('CREATE TABLE made (a)')
      await tx.execute('INSERT INTO made VALUES (1)')
      await tx.execute('ROLLBACK TO "outer one"')
      await assert.rejects(tx.execute('SELECT * FROM made'), /no such table/)
      await assert.rejects(tx.execute('RELEASE nowhere'), { message: /no such savepoint: nowhere/ })
      await assert.rejects(tx.execute('SAVEPOINT _colmena_unit'), { code: 'ERR_REFUSED_SQL' })
      await tx.executeMultiple('RELEASE SAVEPOINT "outer one"; INSERT INTO t (n) VALUES (20)')
      const inner = tx.transaction(async (nested) => {
        await nested.execute('INSERT INTO t (n) VALUES (30)')
        await nested.transaction((deeper) => deeper.execute('INSERT INTO t (n) VALUES (40)'))
        throw new Error('not this')
      })
      await assert.rejects(inner, /not this/)
      await tx.transaction((nested) => nested.execute('INSERT INTO t (n) VALUES (50)'))
    })
    const { rows } = await db.execute('SELECT n FROM t ORDER BY n')
    assert.deepEqual(rows, [{ n: 10 }, { n: 20 }, { n: 50 }])
  })

  test('has no two savepoints at once: neither takes back what the other did', async (t) => {
    const { db } = await openHere(t)
    const aside = { code: 'ERR_INVALID_ARGUMENT', message: /another nested transaction/ } as const
    await db.transaction(async (tx) => {
      const [first, second] = await Promise.allSettled([
        tx.transaction(async (nested) => {
          await nested.execute('INSERT INTO t (n) VALUES (20)')
          throw new Error('not this')
        }),
        tx.transaction((nested) => nested.execute('INSERT INTO t (n) VALUES (30)')),
      ])
      assert.deepEqual([first.status, second.status], ['rejected', 'rejected'])
      assert.throws(() => {
        throw (second as PromiseRejectedResult).reason
      }, aside)
      await tx.transaction((nested) => nested.execute('INSERT INTO t (n) VALUES (40)'))
    })
    const { rows } = await db.execute('SELECT n FROM t ORDER BY n')
    assert.deepEqual(rows, [{ n: 10 }, { n: 40 }])
    let forgotten: Promise<unknown> | undefined
    const forgetful = db.transaction((tx) =>
      tx.transaction(async (nested) => {
        await nested.execute('INSERT INTO t (n) VALUES (50)')
        forgotten = nested.transaction((inner) => inner.execute('INSERT INTO t (n) VALUES (60)'))
      }),
    )
    await assert.rejects(forgetful, { code: 'ERR_INVALID_ARGUMENT', message: /not awaited/ })
    await assert.rejects(forgotten as Promise<unknown>, { outcome: 'not-applied' })
    const left = db.transaction(async (tx) => {
      const failed = tx.transaction(async (nested) => {
        forgotten = nested.transaction(() => new Promise(() => {}))
        throw new Error('not this')
      })
      await assert.rejects(failed, /not this/)
      await tx.execute('INSERT INTO t (n) VALUES (70)')
    })
    await assert.rejects(left, { code: 'ERR_CLOSED', message: /nested .* not awaited/ })
    const late = db.transaction(async (tx) => {
      await tx.transaction(async (nested) => {
        await nested.execute('INSERT INTO t (n) VALUES (80)')
        forgotten = nested.transaction((inner) => inner.execute('INSERT INTO t (n) VALUES (90)'))
      })
      await forgotten
    })
    await assert.rejects(late, {
      code: 'ERR_INVALID_ARGUMENT',
      message: /before the end of the one/,
    })
    assert.equal((await db.execute('SELECT n FROM t')).rows.length, 2)
  })

  test('decides by what it saw: of many that want one row, one gets it', async (t) => {
    const { db } = await openHere(t)
    await db.execute('UPDATE t SET note = NULL')
    const claims = Array.from({ length: 20 }, (_, claimant) =>
      db.transaction(async (tx) => {
        const claim = 'UPDATE t SET note = ? WHERE note IS NULL'
        const { rowsAffected } = await tx.execute(claim, [`${claimant}`])
        if (rowsAffected === 0) throw new Error('taken')
        return claimant
      }),
    )
    const results = await Promise.allSettled(claims)
    const won = results.filter(({ status }) => status === 'fulfilled')
    assert.equal(won.length, 1)
    const { rows } = await db.execute('SELECT note FROM t')
    assert.deepEqual(rows, [{ note: String((won[0] as { value: unknown }).value) }])
  })

  test('counts right where many transactions and writes meet', async (t) => {
    const { db } = await openHere(t)
    await db.execute("INSERT INTO t VALUES (100, 100, 'counter')")
    const add = async (): Promise<void> => {
      await db.transaction(async (tx) => {
        const { rows } = await tx.execute('SELECT n FROM t WHERE id = 100')
        await tx.execute('UPDATE t SET n = ? WHERE id = 100', [Number(rows[0]?.['n']) + 1])
      })
    }
    const write = (n: number): Promise<unknown> =>
      db.execute('INSERT INTO t (n) VALUES (?)', [n + 1_000])
    await Promise.all(Array.from({ length: 30 }, (_, n) => [add(), write(n)]).flat())
    const { rows } = await db.execute('SELECT n FROM t WHERE id = 100')
    assert.deepEqual(rows, [{ n: 130 }])
  })

  test('makes a database that was not there; deferred constraints fail its commit', async (t) => {
    const { node } = await openHere(t)
    const db = node.database('other')
    await db.transaction(async (tx) => {
      await tx.execute('CREATE TABLE parent (id INTEGER PRIMARY KEY)')
      const reference = 'REFERENCES parent DEFERRABLE INITIALLY DEFERRED'
      await tx.execute(`CREATE TABLE child (id INTEGER PRIMARY KEY, parent ${reference})`)
      await tx.execute('INSERT INTO child VALUES (1, 7)')
      await tx.execute('INSERT INTO parent VALUES (7)')
    })
    const broken = db.transaction((tx) => tx.execute('INSERT INTO child VALUES (2, 8)'))
    await assert.rejects(broken, { code: 'ERR_SQL', message: /FOREIGN KEY/ })
    const { rows } = await db.execute('SELECT count(*) AS n FROM child')
    assert.deepEqual(rows, [{ n: 1 }])
  })

  test('is over when a trigger rolls all back, and nothing of it stays', async (t) => {
    const { db } = await openHere(t)
    await db.execute(
      'CREATE TRIGGER no BEFORE DELETE ON t BEGIN ' + "SELECT RAISE(ROLLBACK, 'never delete'); END",
    )
    const tx = await db.transaction()
    await tx.execute('INSERT INTO t (n) VALUES (20)')
    const aborted = { code: 'ERR_TX_ABORTED', retryable: true, message: /never delete/ }
    await assert.rejects(tx.execute('DELETE FROM t'), aborted)
    await assert.rejects(tx.execute('SELECT 1'), { code: 'ERR_CLOSED', message: /never delete/ })
    await assert.rejects(tx.commit(), { code: 'ERR_CLOSED' })
    assert.deepEqual(await ids(db), [1])
  })
})

suite('a transaction that reads', () => {
  test('keeps one snapshot, and refuses to write', async (t) => {
    const { db } = await openHere(t)
    const tx = await db.transaction('read')
    assert.equal((await tx.execute('SELECT * FROM t')).rows.length, 1)
    await db.execute('INSERT INTO t (n) VALUES (20)')
    const { rows, consistency } = await tx.execute('SELECT * FROM t')
    assert.equal(rows.length, 1)
    assert.equal(consistency, 'weak')
    await assert.rejects(tx.execute('DELETE FROM t'), { code: 'ERR_INVALID_ARGUMENT' })
    await tx.commit()
    assert.equal((await db.execute('SELECT * FROM t')).rows.length, 2)
  })

  test('reads nothing, and keeps no snapshot, where it is closed while a read waits', async (t) => {
    const { db } = await openHere(t)
    const tx = await db.transaction('read', { consistency: 'strong' })
    const waiting = assert.rejects(tx.execute('SELECT * FROM t'), { code: 'ERR_CLOSED' })
    // The read has begun by then, and no answer of the engine's thread can have come.
    await null
    await null
    tx.close()
    await waiting
  })

  test('goes over to writing where it is deferred and nobody wrote meanwhile', async (t) => {
    const { db } = await openHere(t)
    const change = async (tx: Transaction): Promise<void> => {
      const { rows } = await tx.execute('SELECT n FROM t WHERE id = 1')
      await tx.execute('UPDATE t SET n = ? WHERE id = 1', [Number(rows[0]?.['n']) + 1])
      assert.deepEqual((await tx.execute('SELECT n FROM t')).rows, [{ n: 11 }])
    }
    await db.transaction(change, { mode: 'deferred' })
    const late = db.transaction(
      async (tx) => {
        await tx.execute('SELECT n FROM t')
        await Promise.resolve()
        await other.execute('UPDATE t SET n = 50')
        await tx.execute('UPDATE t SET n = n + 1')
      },
      { mode: 'deferred' },
    )
    const other = db
    await assert.rejects(late, { code: 'ERR_INVALID_ARGUMENT' })
    const handle = await db.transaction('deferred')
    await handle.execute('SELECT n FROM t')
    await db.execute('UPDATE t SET n = 50')
    const stale = { code: 'ERR_TX_ABORTED', retryable: true, outcome: 'not-applied' }
    await assert.rejects(handle.execute('UPDATE t SET n = n + 1'), stale)
    assert.deepEqual((await db.execute('SELECT n FROM t')).rows, [{ n: 50 }])
  })
})

suite('a transaction that reads in a process of its own', () => {
  test('sees one state, and is over when that is gone', async (t) => {
    const { db } = await openHere(t)
    const tx = await db.transaction('deferred', { isolated: true })
    assert.equal((await tx.execute('SELECT * FROM t')).rows.length, 1)
    assert.equal((await tx.execute('SELECT * FROM t')).rows.length, 1)
    await tx.execute('INSERT INTO t (n) VALUES (20)')
    await tx.commit()
    const reading = await db.transaction('read', { isolated: true })
    assert.equal((await reading.execute('SELECT * FROM t')).rows.length, 2)
    await db.execute('INSERT INTO t (n) VALUES (30)')
    const gone = { code: 'ERR_TX_ABORTED', retryable: true, message: /was written to since/ }
    await assert.rejects(reading.execute('SELECT * FROM t'), gone)
    assert.equal(reading.closed, true)
  })

  test('is not held up by a statement without end, nor is its node', async (t) => {
    const { db } = await openHere(t, { statementTimeoutMs: 300 })
    const tx = await db.transaction('read', { isolated: true })
    const endless = tx.execute(
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n',
    )
    await assert.rejects(endless, { code: 'ERR_TIMEOUT' })
    assert.equal((await tx.execute('SELECT * FROM t')).rows.length, 1)
    await tx.commit()
  })
})

suite('a transaction whose ground is taken away', () => {
  test('is over with its database and with its node', async (t) => {
    const { node } = await openHere(t)
    const db = node.database('other')
    await db.execute('CREATE TABLE o (a)')
    const tx = await db.transaction()
    await tx.execute('INSERT INTO o VALUES (1)')
    await node.dropDatabase('other')
    await assert.rejects(tx.execute('SELECT 1'), { code: 'ERR_TX_ABORTED', message: /dropped/ })
    const late = await node.database().transaction()
    await late.execute('DELETE FROM t')
    await node.close()
    await assert.rejects(late.execute('SELECT 1'), { code: 'ERR_CLOSED' })
    await assert.rejects(late.commit(), { code: 'ERR_CLOSED' })
  })
})

suite('a transaction that is used wrongly', () => {
  test('is refused, with a reason, and changes nothing', async (t) => {
    const { db } = await openHere(t)
    const tx = await db.transaction()
    await assert.rejects(tx.execute('BEGIN'), { code: 'ERR_REFUSED_SQL', message: /do not nest/ })
    await assert.rejects(tx.execute('COMMIT'), { code: 'ERR_REFUSED_SQL', message: /commit\(\)/ })
    await assert.rejects(tx.execute('ROLLBACK'), { code: 'ERR_REFUSED_SQL' })
    await assert.rejects(tx.execute('DELETE FROM t; DELETE FROM t'), { code: 'ERR_REFUSED_SQL' })
    await assert.rejects(tx.execute('SELECT ?', [Number.NaN]), { code: 'ERR_INVALID_ARGUMENT' })
    await assert.rejects(tx.execute('ATTACH ? AS x', ['x']), { code: 'ERR_REFUSED_SQL' })
    await tx.commit()
    await assert.rejects(tx.execute('SELECT 1'), { code: 'ERR_CLOSED' })
    await assert.rejects(db.transaction('exclusive' as 'write'), { code: 'ERR_INVALID_ARGUMENT' })
    const nested = db.transaction(async () => {
      await db.transaction(async () => {})
    })
    await assert.rejects(nested, { code: 'ERR_INVALID_ARGUMENT', message: /tx\.transaction/ })
    const beside = db.transaction(() => db.execute('DELETE FROM t'))
    await assert.rejects(beside, { code: 'ERR_INVALID_ARGUMENT', message: /tx\.execute/ })
    await assert.rejects(db.execute('BEGIN'), { code: 'ERR_REFUSED_SQL', message: /transaction/ })
    assert.deepEqual(await ids(db), [1])
  })

  test('is refused where a call was not awaited, and the process does not end of it', async (t) => {
    const { db } = await openHere(t)
    const forgets: ((tx: Transaction) => unknown)[] = [
      (tx) => tx.execute('DELETE FROM t'),
      (tx) => tx.execute('no SQL'),
      (tx) => tx.batch(['DELETE FROM t']),
      (tx) => tx.executeMultiple('DELETE FROM t; DELETE FROM t'),
      (tx) => tx.transaction((nested) => nested.execute('DELETE FROM t')),
    ]
    for (const forget of forgets) {
      for (const first of [[], ['SELECT 1']]) {
        let forgotten: unknown
        const all = db.transaction(async (tx) => {
          for (const sql of first) await tx.execute(sql)
          // Nobody handles what becomes of it, before the transaction is over.
          forgotten = forget(tx)
        })
        await assert.rejects(all, { code: 'ERR_INVALID_ARGUMENT', message: /not awaited/ })
        // Later it can still be asked.
        await assert.rejects(forgotten as Promise<unknown>, {
          code: /^ERR_(TX_ABORTED|CLOSED|SQL)$/,
          outcome: 'not-applied',
        })
      }
    }
    const closed = await db.transaction()
    void closed.execute('DELETE FROM t')
    closed.close()
    await db.execute('INSERT INTO t (n) VALUES (20)')
    assert.deepEqual(await ids(db), [1, 2])
  })

  test('is ended when it is idle, and the writes that waited go on', async (t) => {
    const { db } = await openHere(t, { transactionIdleMs: 200 })
    const tx = await db.transaction()
    await tx.execute('DELETE FROM t')
    await db.execute('INSERT INTO t (n) VALUES (20)')
    const ended = { code: 'ERR_TX_ABORTED', retryable: true, message: /idle for 200 ms/ }
    await assert.rejects(
      tx.commit().then(() => tx.execute('SELECT 1')),
      { code: 'ERR_TX_ABORTED' },
    )
    const other = await db.transaction()
    await other.execute('DELETE FROM t')
    await db.execute('INSERT INTO t (n) VALUES (30)')
    await assert.rejects(other.execute('SELECT 1'), ended)
    assert.deepEqual(await ids(db), [1, 2, 3])
  })

  test('is ended when it takes too long in all', async (t) => {
    const { db } = await openHere(t, { transactionMs: 300 })
    const tx = await db.transaction()
    const busy = async (): Promise<never> => {
      for (;;) await tx.execute('SELECT 1')
    }
    const ended = { code: 'ERR_TX_ABORTED', message: /not done within 300 ms/ }
    await assert.rejects(busy(), ended)
    await db.execute('INSERT INTO t (n) VALUES (20)')
  })

  test('is ended by its signal while it waits for a leader', async () => {
    const controller = new AbortController()
    const step = async (...[, , , signal]: Parameters<NodeCore['transactions']['step']>) => {
      if (signal?.aborted) throw abortedError(signal)
      setImmediate(() => controller.abort())
      throw new ColmenaError('ERR_NO_LEADER', 'there is no leader just now', { retryable: true })
    }
    const tx = waiting(step, controller.signal)
    await assert.rejects(tx.execute('SELECT 1'), { code: 'ERR_ABORTED', outcome: 'not-applied' })
    assert.ok(tx.closed)
  })

  test('is not begun once it is over, though it waited for a leader', async () => {
    let steps = 0
    const step = async (): Promise<never> => {
      steps += 1
      setImmediate(() => tx.close())
      throw new ColmenaError('ERR_NO_LEADER', 'there is no leader just now', { retryable: true })
    }
    const tx = waiting(step, undefined)
    await assert.rejects(tx.execute('SELECT 1'), { code: 'ERR_CLOSED', outcome: 'not-applied' })
    assert.equal(steps, 1)
  })

  test('is ended by its signal, and by more than the log takes at once', async (t) => {
    const { db } = await openHere(t)
    const controller = new AbortController()
    const tx = await db.transaction('write', { signal: controller.signal })
    await tx.execute('DELETE FROM t')
    controller.abort()
    await assert.rejects(tx.execute('SELECT 1'), { code: 'ERR_ABORTED', outcome: 'not-applied' })
    const large = await db.transaction()
    const args = ['x'.repeat(3_000_000)]
    await large.execute('UPDATE t SET note = ?', args)
    await assert.rejects(large.execute('UPDATE t SET note = ?', args), { code: 'ERR_TOO_LARGE' })
    const { rows } = await db.execute('SELECT note FROM t')
    assert.deepEqual(rows, [{ note: 'first' }])
    const reading = await db.transaction()
    const numbers = 'WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)'
    const all = reading.execute(`${numbers} SELECT i, hex(zeroblob(100)) FROM n`)
    await assert.rejects(all, { code: 'ERR_TOO_LARGE', message: /read fewer at a time/ })
    assert.equal((await reading.execute('SELECT 1')).rows.length, 1)
    reading.close()
  })
})
