/** Who can't store or apply hands leadership over, and not round and round. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HandingOver } from '../../src/engine/leadership.ts'

function createRig(): { handing: HandingOver; now: { ms: number }; count: () => number } {
  const now = { ms: 1_000 }
  let count = 0
  const transferAway = (): boolean => {
    count += 1
    return true
  }
  const clock = { nowMs: () => now.ms, wallMs: () => 0, setTimer: () => () => {} }
  const handing = new HandingOver({ raft: { role: 'leader' }, transferAway }, clock)
  return { handing, now, count: () => count }
}

test('a leader that gets it back while its databases stand still keeps it for a while', () => {
  const { handing, now, count } = createRig()
  handing.tick(false, false)
  assert.equal(count(), 0)
  handing.tick(true, false)
  handing.tick(true, false)
  assert.equal(count(), 1, 'all may stand still at one entry')
  now.ms += 10_000
  handing.tick(true, false)
  assert.equal(count(), 2)
})

test('a leader without room for its log keeps nothing', () => {
  const { handing, count } = createRig()
  handing.tick(true, true)
  handing.tick(false, true)
  assert.equal(count(), 2)
})
