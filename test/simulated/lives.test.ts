import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ReachedState } from './invariants.ts'
import { Life, type LifeOptions } from './life.ts'

/** Seeds that every run lives through; `npm run simulate -- --seeds A..B` goes on from there. */
const SEEDS = 500
/** Simulated milliseconds of faults in each of them. */
const FAULT_MS = 1_000
const AT_ONCE = 50

/** Seeds that once broke something, with the length of the faults that it took. */
const REGRESSIONS = [
  // An entry was cut off in the very batch that committed its successor.
  { seed: 2, faultMs: 20_000 },
  // A link that broke under many commands lost the first of them again and again.
  { seed: 161, faultMs: 20_000 },
  // The leader offered an old snapshot for ever to a member that was past it.
  { seed: 752, faultMs: 20_000 },
  // Entries behind a snapshot were told to be stored while its databases were still on their way.
  { seed: 255, faultMs: 20_000 },
  // A sole voter answered a strong read by a commit index of before it was stopped.
  { seed: 241, faultMs: 6_000 },
  // A vote, behind a seal that a failed write had left in the cache, was durable nowhere.
  { seed: 394, faultMs: 6_000 },
  // A learner that had missed its own removal never asked whether it was still a member.
  { seed: 607, faultMs: 6_000 },
  // An entry was blamed for a death that came right after its commit, and never tried again.
  { seed: 1517, faultMs: 6_000 },
]

/** The simulator itself had been wrong in these: its wires, its rot, its power losses. */
const OF_THE_SIMULATOR = [
  ...[1402, 3860, 4257, 4320, 4754, 5983, 7337],
  ...[8488, 10535, 14116, 15540, 16906, 17798],
]

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

function live(options: LifeOptions): readonly ReachedState[] {
  const report = new Life(options).run()
  const replay = `npm run simulate -- --seed ${options.seed} --fault-ms ${options.faultMs}`
  assert.deepEqual(report.violations, [], replay)
  assert.ok(report.isJudged, replay)
  return report.reached
}

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

  it('keep every invariant where the simulator had broken one', () => {
    for (const seed of OF_THE_SIMULATOR) live({ seed, faultMs: FAULT_MS })
  })

  for (const { seed, faultMs } of REGRESSIONS) {
    it(`keep every invariant, seed ${seed}`, () => {
      live({ seed, faultMs })
    })
  }
})
