/** An entry that was not applied yet, and that a leader asked not to try again. */
import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Quarantine } from '../../src/database/database.ts'
import { makeDirectory } from './log-maker.ts'
import { makeLog, startStorage } from './storage-rig.ts'

test('an entry that could not be applied waits for a word, whatever is mended', async (context) => {
  const dataDir = makeDirectory(context)
  const storage = startStorage(context, {}, dataDir)
  const { client } = storage
  await storage.opened
  const path = join(dataDir, 'db/1/app.db')
  fs.mkdirSync(path)
  const log = makeLog(3)
  const [, index = 0] = log.entries.map((entry) => entry.index)
  const hold = (round: number): Promise<Quarantine | null> => {
    return new Promise((resolve) => client.holdEntry({ index, term: 2, round }, resolve))
  }
  assert.equal(await hold(1), null, 'it stands nowhere')
  client.apply(log.entries)
  // The group failed first, then the entry by itself.
  while ((await hold(2)) === null) await storage.until(() => storage.halts.length > 0)
  assert.match(storage.halts.at(-1) ?? '', /waits for what comes of that/)
  await hold(3)
  // It was on its way for long.
  await hold(2)
  fs.rmdirSync(path)
  client.releaseEntry({ index, term: 2, round: 2 })
  await storage.close()
  assert.equal(storage.shared.applied(), index - 1, 'who asked later has not answered yet')

  // Nor does a restart get it going.
  const again = startStorage(context, { genesis: null }, dataDir)
  await again.opened
  again.client.apply(log.entries.slice(1))
  await again.until(() => again.halts.length > 0)
  const other = await new Promise((resolve) => {
    again.client.holdEntry({ index: index + 1, term: 3, round: 1 }, resolve)
  })
  assert.deepEqual(other, { index, unitsDone: 0, hold: { index, term: 2, round: 3 } })
  again.client.voidEntry(index)
  await again.until(() => again.shared.applied() === log.lastIndex)
  assert.equal(again.halts.at(-1), null)
  await again.close()
})

test('an entry that waits is tried again once nothing came of it', async (context) => {
  const dataDir = makeDirectory(context)
  const storage = startStorage(context, {}, dataDir)
  const { client } = storage
  await storage.opened
  fs.mkdirSync(join(dataDir, 'db/1/app.db'))
  const log = makeLog(3)
  const [, index = 0] = log.entries.map((entry) => entry.index)
  client.apply(log.entries)
  const hold = { index, term: 2, round: 1 }
  const ask = (): Promise<unknown> => new Promise((resolve) => client.holdEntry(hold, resolve))
  while ((await ask()) === null) await storage.until(() => storage.halts.length > 0)
  fs.rmdirSync(join(dataDir, 'db/1/app.db'))
  client.releaseEntry(hold)
  await storage.until(() => storage.results.length === 4)
  await storage.close()
})
