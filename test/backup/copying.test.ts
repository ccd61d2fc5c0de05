import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { putSnapshot } from '../../src/backup/copying.ts'
import { Keys } from '../../src/backup/keys.ts'
import { Store } from '../../src/backup/store.ts'
import type { CopiedDatabases } from '../../src/index.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { FaultyTarget, isDown } from './faulty-target.ts'

test('a target that refuses a snapshot unread leaves nothing that fails later', async (t) => {
  const directory = temporaryDirectory(t)
  const files = [{ name: 'main.db', sizeBytes: 1, sha256: '' }]
  const copy = { directory, files, index: 1, timeMs: 0 } as unknown as CopiedDatabases
  const target = new FaultyTarget()
  target.fault = isDown
  const store = new Store(target, new Keys(undefined))
  const put = putSnapshot(store, 'g', copy, { isCompressed: false, takenMs: 0 })
  await assert.rejects(put, { code: 'ERR_TARGET' })
  // The copy is gone, and an open of it would have failed by now: that would end this process.
  for (let count = 0; count < 20; count += 1) {
    await assert.rejects(stat(join(directory, 'main.db')), { code: 'ENOENT' })
  }
})
