import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Life } from './life.ts'

/** Seeds that every run lives through; `npm run simulate -- --seeds A..B` goes on from there. */
const SEEDS = 200
/** Simulated milliseconds of faults in each of them. */
const FAULT_MS = 6_000

/** Seeds that once broke something, with the length of the faults that it took. */
const REGRESSIONS = [
  // An entry was cut off in the very batch that committed its successor.
  { seed: 2, faultMs: 20_000 },
  // A link that broke under many commands lost the first of them again and again.
  { seed: 161, faultMs: 20_000 },
  // The leader offered an old snapshot for ever to a member that was past it.
  { seed: 752, faultMs: 20_000 },
]

function live(seed: number, faultMs: number): void {
  const report = new Life({ seed, faultMs, skipsSync: false }).run()
  assert.equal(report.violation, null, `npm run simulate -- --seed ${seed} --fault-ms ${faultMs}`)
}

describe('simulated lives', () => {
  for (let from = 1; from <= SEEDS; from += 20) {
    it(`keep every invariant, seeds ${from} to ${from + 19}`, () => {
      for (let seed = from; seed < from + 20; seed += 1) live(seed, FAULT_MS)
    })
  }

  for (const { seed, faultMs } of REGRESSIONS) {
    it(`keep every invariant, seed ${seed}`, () => live(seed, faultMs))
  }

  it('elect nobody while the wires of a follower break every 200 ms for a minute', () => {
    for (let seed = 1; seed <= 2; seed += 1) {
      const life = new Life({ seed, faultMs: 0, skipsSync: false })
      const { leaders, acknowledged } = life.runFlapping(200, 60_000)
      assert.equal(leaders, 0, `seed ${seed}`)
      assert.ok(acknowledged > 1_000, `seed ${seed}: ${acknowledged} writes`)
    }
  })

  it('are the same for the same seed', () => {
    const [first, second] = [1, 2].map(() =>
      new Life({ seed: 7, faultMs: FAULT_MS, skipsSync: false }).run(),
    )
    assert.deepEqual(first, second)
  })

  it('show what is lost when acknowledgements do not wait for the disk', () => {
    let seed = 1
    while (!new Life({ seed, faultMs: FAULT_MS, skipsSync: true }).run().lostWrite) {
      seed += 1
      assert.ok(seed <= SEEDS, `no lost write within ${SEEDS} seeds`)
    }
  })
})
