import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ColmenaError } from '../../src/base/errors.ts'
import type { LogChunk } from '../../src/engine/engine.ts'
import { answerShipping } from '../../src/engine/shipping.ts'
import type { StatusParts } from '../../src/engine/status.ts'
import type { Entry } from '../../src/raft/raft.ts'

const READ = { method: 'readLog', after: 10, bytesMax: 1_000 } as const

interface Rig {
  readonly firstIndex?: number
  readonly lastVoid?: number
  readonly applied?: number
  /** What the log answers with, one after the other; the last one stays. */
  readonly entries?: readonly (Entry[] | 'compacted' | 'unavailable')[]
  readonly loadError?: Error
}

function read(rig: Rig): { error: ColmenaError | null; chunk: LogChunk | null; loads: number } {
  const { firstIndex = 1, lastVoid = 0, applied = 20, loadError = null } = rig
  const entries = [...(rig.entries ?? [[entryAt(11)]])]
  const seen = { error: null as ColmenaError | null, chunk: null as LogChunk | null, loads: 0 }
  const log = {
    firstIndex,
    load: (_lo: number, _hi: number, _bytes: number, done: (error: Error | null) => void) => {
      seen.loads += 1
      done(loadError)
    },
    entries: () => (entries.length > 1 ? entries.shift() : entries[0]),
  }
  const parts = {
    core: { skipping: { lastVoid } },
    log,
    ports: { shared: { applied: () => applied } },
    applier: {
      digests: (index: number, done: (digests: Map<string, string>) => void) =>
        done(new Map([['main@1', String(index)]])),
    },
  } as unknown as StatusParts
  answerShipping(parts, READ, (error, value) => {
    seen.error = error
    seen.chunk = value as LogChunk | null
  })
  return seen
}

function entryAt(index: number): Entry {
  return { index, term: 1, type: 'normal', data: new Uint8Array() }
}

describe('reading the log for a backup', () => {
  it('gives entries, and what they left in the databases', () => {
    const { chunk } = read({ entries: [[entryAt(11), entryAt(12)]] })
    assert.deepEqual([chunk?.first, chunk?.last], [11, 12])
    assert.deepEqual(chunk?.digests, { 'main@1': '12' })
  })

  it('gives none that are not applied here', () => {
    const { chunk, loads } = read({ applied: 10 })
    assert.deepEqual([chunk?.first, chunk?.last, loads], [11, 10, 0])
  })

  it('asks again where what was loaded gave way to what others read', () => {
    const { chunk, loads } = read({ entries: ['unavailable', [entryAt(11)]] })
    assert.deepEqual([chunk?.last, loads], [11, 2])
  })

  it('fails where the log begins later', () => {
    const { error } = read({ firstIndex: 12 })
    assert.deepEqual([error?.code, error?.index], ['ERR_FELL_BEHIND', 11])
  })

  it('fails before an entry that was skipped: a replay would try it', () => {
    assert.equal(read({ lastVoid: 10 }).error, null)
    const { error } = read({ lastVoid: 11 })
    assert.deepEqual([error?.code, error?.index], ['ERR_FELL_BEHIND', 11])
  })

  it('tells what the disk says', () => {
    const loadError = new Error('EIO')
    assert.equal(read({ loadError }).error, loadError)
  })
})
