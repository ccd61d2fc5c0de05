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
    lastVoid: () => 0,
    held: () => Number.POSITIVE_INFINITY,
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

  for (const [what, needs, cutTo] of [
    ['what the databases do not hold durably', {}, 80],
    ['what a snapshot on its way needs next', { needed: 60 }, 60],
    ['what somebody reads', { held: 40 }, 40],
  ] as const) {
    it(`keeps ${what}`, () => assert.equal(compactedTo(needs), cutTo))
  }

  it('drops what a new member would try in vain, once it is passed', () => {
    assert.equal(compactedTo({ retained: 10 }), 10)
    assert.equal(compactedTo({ retained: 10, lastVoid: 70 }), 70)
    assert.equal(compactedTo({ held: 10, lastVoid: 70 }), 70)
    assert.equal(compactedTo({ retained: 10, lastVoid: 101 }), 80)
  })
})

interface Needs {
  readonly retained?: number
  readonly lastVoid?: number
  readonly needed?: number
  readonly held?: number
}

/** All of a log of 100 entries is applied, and what goes up to 80 is durable. */
function compactedTo({ retained = 90, lastVoid = 0, needed, held = 100 }: Needs): number {
  let compacted = 0
  const compaction = new Compaction({
    log: {
      firstIndex: 1,
      indexRetaining: () => retained,
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
    lastVoid: () => lastVoid,
    held: () => held,
    neededIndex: () => needed ?? null,
    warning: (code, message) => assert.fail(`${code} ${message}`),
  })
  compaction.tick()
  return compacted
}
