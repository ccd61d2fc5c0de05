import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open } from '../../src/index.ts'
import { temporaryDirectory } from './temporary.ts'

test('a log that ends before what the databases hold stops the start', async (t) => {
  const dataDir = temporaryDirectory(t)
  const log = join(dataDir, 'log')
  const older = join(dataDir, 'older-log')
  const first = await open({ dataDir })
  await first.database().execute('CREATE TABLE t (v)')
  await first.close()
  cpSync(log, older, { recursive: true })
  const second = await open({ dataDir })
  await second.database().batch(['INSERT INTO t VALUES (1)', 'INSERT INTO t VALUES (2)'])
  await second.close()
  cpSync(log, `${older}-whole`, { recursive: true })
  rmSync(log, { recursive: true })
  cpSync(older, log, { recursive: true })
  await assert.rejects(open({ dataDir }), {
    code: 'ERR_LOG_CORRUPT',
    message: /the databases hold entries up to \d+ .* part of the data directory was lost/,
  })
  // Nothing was spoiled by the try: with the log that belongs to it the node opens.
  rmSync(log, { recursive: true })
  cpSync(`${older}-whole`, log, { recursive: true })
  const whole = await open({ dataDir })
  t.after(() => whole.close())
  const { rows } = await whole.database().execute('SELECT count(*) AS n FROM t')
  assert.equal(rows[0]?.['n'], 2)
})
