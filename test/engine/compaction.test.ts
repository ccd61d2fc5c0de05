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

  for (const [what, needed, cutTo] of [
    ['what the databases do not hold durably', null, 80],
    ['what a snapshot on its way needs next', 60, 60],
  ] as const) {
    it(`keeps ${what}`, () => {
      let compacted = 0
      const compaction = new Compaction({
        log: {
          firstIndex: 1,
          indexRetaining: () => 90,
          status: () => ({ isFull: false }),
          compact: (index: number) => {
            compacted = index
          },
        } as unknown as Log,
        clock: { nowMs: () => 0, wallMs: () => 0, setTimer: () => () => {} },
        applier: {
          makeDurable: (_: number, done: (error: Error | null, durable: number) => void) =>
            done(null, 80),
        } as unknown as Applier,
        logRetainBytes: 1,
        applied: () => 100,
        neededIndex: () => needed,
        warning: (code, message) => assert.fail(`${code} ${message}`),
      })
      compaction.tick()
      assert.equal(compacted, cutTo)
    })
  }
})
