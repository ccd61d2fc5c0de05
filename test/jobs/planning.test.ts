/** What an exchange with the log costs each node: its statements are planned once. */
import assert from 'node:assert/strict'
import { constants, DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import type { Database, InputStatement } from '../../src/index.ts'
import { claimStatements } from '../../src/jobs/claim.ts'
import { type End, endStatements } from '../../src/jobs/end.ts'
import { setUp } from '../../src/jobs/schema.ts'

async function openTables(): Promise<DatabaseSync> {
  const db = new DatabaseSync(':memory:')
  const database = {
    batch: async (statements: readonly (string | InputStatement)[]) => {
      for (const statement of statements) {
        db.exec(typeof statement === 'string' ? statement : statement.sql)
      }
    },
    execute: async () => ({ rows: [] }),
  }
  await setUp(database as unknown as Database, new AbortController().signal)
  return db
}

function succeeded(id: string, log: string | null): End {
  const rest = { result: 'null', error: null, delayMs: 0, counts: true }
  return { id, attempt: 1, state: 'succeeded', outcome: 'succeeded', log, ...rest }
}

describe('the statements of an exchange', () => {
  it('are planned once, whatever a claim wants and whatever ended', async () => {
    using db = await openTables()
    const exchange = (want: number, ids: readonly string[]): readonly InputStatement[] => [
      ...endStatements(ids.map((id) => succeeded(id, 'a line'))),
      ...claimStatements({ token: 'a', nodeId: 'n', types: ['mail', 'scrape'], want, leaseMs: 1 }),
    ]
    const prepared = exchange(1, ['a']).map(({ sql }) => db.prepare(sql))
    const run = (want: number, ids: readonly string[]): void => {
      for (const [at, { args }] of exchange(want, ids).entries()) {
        prepared[at]?.all(...((args ?? []) as string[]))
      }
    }
    // Asked of each part of a plan that is made. To set it drops those that there are.
    let planned = 0
    db.setAuthorizer(() => {
      planned += 1
      return constants.SQLITE_OK
    })
    run(1, ['a'])
    assert.notEqual(planned, 0)
    planned = 0
    run(8, ['b', 'c'])
    run(2, ['d'])
    assert.equal(planned, 0)
  })

  it('note no attempt that leaves nothing to note', () => {
    assert.equal(endStatements([succeeded('a', null)]).length, 1)
    assert.equal(endStatements([succeeded('a', null), succeeded('b', 'a line')]).length, 2)
  })
})
