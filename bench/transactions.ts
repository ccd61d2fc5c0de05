/** Transactions of a member, beside plain writes and SQLite's own. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { ColmenaNode } from '../src/index.ts'
import type { TransactionTimes } from './protocol.ts'

const SCHEMA = 'CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, balance INTEGER)'
const READ = 'SELECT balance FROM accounts WHERE id = ?'
const TAKE = 'UPDATE accounts SET balance = balance - ? WHERE id = ?'
const ADD = 'INSERT INTO accounts (balance) VALUES (?)'

/** One of each per round, so that a slow spell of the machine meets all of them. */
export async function transact(
  node: ColmenaNode,
  folder: string | null,
  rounds: number,
): Promise<TransactionTimes> {
  const times = { rawMs: [] as number[], plainMs: [] as number[], transactionMs: [] as number[] }
  const db = node.database()
  await db.batch([SCHEMA, 'INSERT OR IGNORE INTO accounts VALUES (1, 1000000)'])
  using raw = folder === null ? null : openRaw(folder)
  for (let round = 0; round < rounds; round += 1) {
    if (raw !== null) times.rawMs.push(await timed(() => transactRaw(raw)))
    times.plainMs.push(await timed(() => db.execute(ADD, [round])))
    const transaction = (): Promise<unknown> =>
      db.transaction(async (tx) => {
        await tx.execute(READ, [1])
        await tx.execute(TAKE, [1, 1])
        await tx.execute(ADD, [1])
      })
    times.transactionMs.push(await timed(transaction))
  }
  return times
}

function openRaw(folder: string): DatabaseSync {
  const raw = new DatabaseSync(join(folder, 'raw-transactions.db'))
  raw.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  raw.exec(`${SCHEMA}; INSERT OR IGNORE INTO accounts VALUES (1, 1000000)`)
  return raw
}

function transactRaw(raw: DatabaseSync): void {
  raw.exec('BEGIN IMMEDIATE')
  raw.prepare(READ).get(1)
  raw.prepare(TAKE).run(1, 1)
  raw.prepare(ADD).run(1)
  raw.exec('COMMIT')
}

async function timed(work: () => unknown): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}
