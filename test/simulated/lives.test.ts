import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ReachedState } from './invariants.ts'
import { live } from './live.ts'

/** Seeds that every run lives through; `npm run simulate -- --seeds A..B` goes on from there. */
const SEEDS = 500
/** Simulated milliseconds of faults in each of them. */
const FAULT_MS = 300
const AT_ONCE = 50

/** States that the fixed seeds must come to, or they test less than they seem to. */
const AIMS: readonly ReachedState[] = [
  'a damaged log was refused',
  'a follower answered a strong read',
  'a joint configuration',
  'a leader lost power',
  'a lease was good without a leader',
  'a member lost its directory',
  'a process died while it applied',
  'a relaxed member came back as another',
  'a removed member was told',
  'a snapshot took the place of a log',
  'a strong read went by a lease',
  'a strong read went by a lease while the engine stood still',
  'an old leader was overwritten',
]

describe('simulated lives', () => {
  const reached = new Set<ReachedState>()
  for (let from = 1; from <= SEEDS; from += AT_ONCE) {
    it(`keep every invariant, seeds ${from} to ${from + AT_ONCE - 1}`, () => {
      for (let seed = from; seed < from + AT_ONCE; seed += 1) {
        for (const state of live({ seed, faultMs: FAULT_MS })) reached.add(state)
      }
    })
  }

  it('come to every state that they aim at', () => {
    for (const state of AIMS) assert.ok(reached.has(state), state)
  })
})
