import { describe, it } from 'node:test'
import { live } from './live.ts'

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

describe('simulated lives that once broke something', () => {
  it('keep every invariant where the simulator had broken one', () => {
    for (const seed of OF_THE_SIMULATOR) live({ seed, faultMs: 1_000 })
  })

  for (const { seed, faultMs } of REGRESSIONS) {
    it(`keep every invariant, seed ${seed}`, () => {
      live({ seed, faultMs })
    })
  }
})
