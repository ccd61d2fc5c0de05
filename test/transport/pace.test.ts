import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pace } from '../../src/transport/pace.ts'

const BYTES_PER_SECOND = 1_000_000

function startPace(): { pace: Pace; clock: { atMs: number } } {
  const clock = { atMs: 5_000 }
  const pace = new Pace(
    { nowMs: () => clock.atMs, wallMs: () => 0, setTimer: () => assert.fail('it sets no timer') },
    BYTES_PER_SECOND,
  )
  return { pace, clock }
}

test('who sent rests for as long as the bytes take at the rate', () => {
  const { pace, clock } = startPace()
  let sentBytes = 0
  const startedMs = clock.atMs
  while (sentBytes < 10 * BYTES_PER_SECOND) {
    sentBytes += 250_000
    clock.atMs += pace.spend(250_000)
  }
  const tookMs = clock.atMs - startedMs
  assert.ok(tookMs >= 9_900 && tookMs <= 10_000, `10 s of bytes took ${tookMs} ms`)
})

test('several senders share one rate', () => {
  const { pace } = startPace()
  pace.spend(100_000)
  const second = pace.spend(100_000)
  const third = pace.spend(100_000)
  assert.deepEqual([second, third], [150, 250])
})

test('what was not spent is saved for a moment only', () => {
  const { pace, clock } = startPace()
  clock.atMs += 60_000
  assert.equal(pace.spend(50_000), 0)
  assert.equal(pace.spend(50_000), 50)
})
