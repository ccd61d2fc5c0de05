import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deadlines } from '../../src/node/deadlines.ts'
import { Requests } from '../../src/node/requests.ts'
import { StorageQueries } from '../../src/node/storage-queries.ts'

test('a storage thread that never says a thing keeps no status waiting', async (t) => {
  const deadlines = new Deadlines(20, () => performance.now())
  t.after(() => deadlines.close())
  const requests = new Requests(deadlines)
  const queries = new StorageQueries({ requests, patienceMs: 10, post: () => {} })
  assert.deepEqual((await queries.status(undefined)).databases, [])
  // Any other end of the call is its caller's to hear of.
  await assert.rejects(queries.status(AbortSignal.abort()), { code: 'ERR_ABORTED' })
})
