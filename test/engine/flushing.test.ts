import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FLUSH_EVERY_MS, Flushing } from '../../src/engine/flushing.ts'

it('a relaxed log is flushed again and again until it is closed, also while it is idle', () => {
  let flushes = 0
  let due: (() => void) | null = null
  const clock = {
    nowMs: () => 0,
    wallMs: () => 0,
    setTimer: (afterMs: number, run: () => void) => {
      assert.equal(afterMs, FLUSH_EVERY_MS)
      assert.equal(due, null, 'one at a time')
      due = run
      return () => {
        due = null
      }
    },
  }
  const flushing = new Flushing({ flush: () => (flushes += 1) }, clock)
  flushing.start()
  for (let round = 1; round <= 3; round += 1) {
    const run = due as (() => void) | null
    assert.ok(run !== null)
    due = null
    run()
    assert.equal(flushes, round)
  }
  flushing.stop()
  assert.equal(due, null)
})
