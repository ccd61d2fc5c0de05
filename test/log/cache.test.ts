import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { TailCache } from '../../src/log/cache.ts'

const COUNT = 100
const DATA_BYTES = 1_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

describe('tail cache', () => {
  it('lets the data of what it evicts go', async () => {
    const cache = new TailCache()
    const evicted = fill(cache)
    cache.evict(10 * DATA_BYTES, COUNT + 1)
    assert.ok(cache.first > COUNT - 10)
    // References held by a turn of the event loop stay alive in it.
    await new Promise((resolve) => setImmediate(resolve))
    collect()
    const alive = evicted.slice(0, cache.first - 1).filter((data) => data.deref() !== undefined)
    assert.equal(alive.length, 0, `${alive.length} of ${cache.first - 1} evicted entries are held`)
    assert.equal(cache.get(COUNT)?.data.length, DATA_BYTES)
  })
})

function fill(cache: TailCache): readonly WeakRef<Uint8Array>[] {
  return Array.from({ length: COUNT }, (_, at) => {
    const data = new Uint8Array(DATA_BYTES)
    cache.append({ index: at + 1, term: 1, type: 'normal', data })
    return new WeakRef(data)
  })
}
