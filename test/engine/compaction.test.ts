import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Compaction } from '../../src/engine/compaction.ts'
import type { Applier } from '../../src/engine/ports.ts'
import type { Log } from '../../src/log/log.ts'

/** A log that a snapshot has just reset: nothing applied is in it, so nothing can be compacted. */
function createRig(): {
  compaction: Compaction
  log: { isFull: boolean; tries: number }
  now: { ms: number }
} {
  const now = { ms: 5_000 }
  const state = { isFull: false, tries: 0 }
  const log = {
    firstIndex: 101,
    indexRetaining: () => 0,
    status: () => ({ isFull: state.isFull }),
    retrySpace: () => {
      state.tries += 1
    },
  } as unknown as Log
  const compaction = new Compaction({
    log,
    clock: { nowMs: () => now.ms, wallMs: () => 0, setTimer: () => () => {} },
    applier: {} as Applier,
    logRetainBytes: 1,
    applied: () => 50,
    neededIndex: () => null,
    warning: (code, message) => assert.fail(`${code} ${message}`),
  })
  return { compaction, log: state, now }
}

describe('compaction', () => {
  it('looks for space again while the log is full, though there is nothing to compact', () => {
    const { compaction, log, now } = createRig()
    compaction.tick()
    assert.equal(log.tries, 0, 'there is room')
    log.isFull = true
    compaction.tick()
    assert.equal(log.tries, 1)
    now.ms += 100
    compaction.tick()
    assert.equal(log.tries, 1, 'not with every tick: each try writes what still fits')
    now.ms += 1_000
    compaction.tick()
    assert.equal(log.tries, 2)
    log.isFull = false
    now.ms += 10_000
    compaction.tick()
    assert.equal(log.tries, 2)
  })
})
