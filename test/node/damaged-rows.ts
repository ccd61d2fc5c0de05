import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'

const PAGE_BYTES = 4096
/** The schema and our own tables come first: damage behind them is found by reading rows. */
const SOUND_PAGES = 10

/** Rows that are worth damaging. */
export const FILL_ROWS: readonly string[] = [
  'CREATE TABLE t (b)',
  `INSERT INTO t WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 500)
   SELECT randomblob(500) FROM c`,
]

/** Makes rubbish of a closed node's rows. */
export function damageRows(dataDir: string): void {
  const [generation = ''] = readdirSync(join(dataDir, 'db'))
  const path = join(dataDir, 'db', generation, 'main.db')
  const { DatabaseSync } = requireSqlite()
  const database = new DatabaseSync(path)
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  database.close()
  const bytes = readFileSync(path)
  assert.ok(bytes.length > 2 * SOUND_PAGES * PAGE_BYTES, 'there are rows to damage')
  writeFileSync(path, bytes.fill(0x5a, SOUND_PAGES * PAGE_BYTES))
}
