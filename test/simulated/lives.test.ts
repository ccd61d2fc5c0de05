import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { hasNode26, node26 } from '../package/node-26.ts'
import type { LeaseState, ReachedState } from './invariants.ts'
import { Life, type LifeReport } from './life.ts'
import type { LeaseMode } from './process.ts'

/** Seeds that every run lives through; `npm run simulate -- --seeds A..B` goes on from there. */
const SEEDS = 200
/** Simulated milliseconds of faults in each of them. */
const FAULT_MS = 6_000

const SIMULATE = fileURLToPath(new URL('../../scripts/simulate.mjs', import.meta.url))

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
]

/** States that the fixed seeds must come to, or they test less than they seem to. */
const AIMS: readonly ReachedState[] = [
  'a follower answered a strong read',
  'a joint configuration',
  'a leader lost power',
  'a lease was good without a leader',
  'a snapshot took the place of a log',
  'an old leader was overwritten',
]

/** Seeds of lives on SQLite's files, below the production's storage thread. */
const SQLITE_SEEDS = 80

/** Seeds of lives with leases. */
const LEASE_SEEDS = 60

/** The same for lives with leases. */
const LEASE_AIMS: readonly LeaseState[] = [
  'a strong read went by a lease',
  'a strong read went by a lease while the engine stood still',
  'an old leader had no lease any more',
]

/** What a lease rests on, broken, and a seed that finds it out. */
const BROKEN_LEASES: readonly [mode: LeaseMode, what: string, seed: number][] = [
  ['unkept', 'members vote for others in spite of their promises', 8],
  ['forgotten', 'a member that starts again knows of no promise', 266],
  ['drifting', 'clocks differ by more than leases allow for', 231],
]

function live(seed: number, faultMs: number): LifeReport {
  const report = new Life({ seed, faultMs, skipsSync: false }).run()
  const replay = `npm run simulate -- --seed ${seed} --fault-ms ${faultMs}`
  assert.deepEqual(report.violations, [], replay)
  assert.ok(report.isJudged, replay)
  return report
}

describe('simulated lives', () => {
  const reached = new Set<ReachedState>()
  for (let from = 1; from <= SEEDS; from += 20) {
    it(`keep every invariant, seeds ${from} to ${from + 19}`, () => {
      for (let seed = from; seed < from + 20; seed += 1) {
        for (const state of live(seed, FAULT_MS).reached) reached.add(state)
      }
    })
  }

  it('come to every state that they aim at', () => {
    assert.deepEqual([...reached].sort(), AIMS)
  })

  it('keep every invariant on real databases, which die in the midst of what they apply', () => {
    const reached = new Set<ReachedState>()
    for (let seed = 1; seed <= SQLITE_SEEDS; seed += 1) {
      const life = new Life({ seed, faultMs: FAULT_MS, skipsSync: false, hasSqlite: true })
      const report = life.run()
      const replay = `npm run simulate -- --seed ${seed} --fault-ms ${FAULT_MS} --sqlite`
      assert.deepEqual(report.violations, [], replay)
      for (const state of report.reached) reached.add(state)
    }
    assert.deepEqual([...reached].sort(), [...AIMS, 'a process died while it applied'].sort())
  })

  for (const { seed, faultMs } of REGRESSIONS) {
    it(`keep every invariant, seed ${seed}`, () => {
      live(seed, faultMs)
    })
  }

  it('elect nobody while the wires of a follower break every 200 ms for a minute', () => {
    for (let seed = 1; seed <= 2; seed += 1) {
      const life = new Life({ seed, faultMs: 0, skipsSync: false })
      const { leaders, acknowledged } = life.runFlapping(200, 60_000)
      assert.equal(leaders, 0, `seed ${seed}`)
      assert.ok(acknowledged > 1_000, `seed ${seed}: ${acknowledged} writes`)
    }
  })

  it('keep every invariant where strong reads go by leases, and clocks are bad', () => {
    const reached = new Set<ReachedState>()
    for (let seed = 1; seed <= LEASE_SEEDS; seed += 1) {
      const life = new Life({ seed, faultMs: FAULT_MS, skipsSync: false, leases: 'kept' })
      const report = life.run()
      const replay = `npm run simulate -- --seed ${seed} --fault-ms ${FAULT_MS} --leases`
      assert.deepEqual(report.violations, [], replay)
      for (const state of report.reached) reached.add(state)
    }
    for (const state of LEASE_AIMS) assert.ok(reached.has(state), state)
  })

  for (const [leases, what, seed] of BROKEN_LEASES) {
    it(`have a stale strong read by a lease where ${what}`, () => {
      const life = new Life({ seed, faultMs: FAULT_MS, skipsSync: false, leases })
      assert.match(life.run().violations.join(), /^strong reads: one at \d+ misses a write/)
    })
  }

  it('are led by nobody whose clock is a year ahead, once that is known', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const life = new Life({ seed, faultMs: 0, skipsSync: false })
      const [first, ...others] = life.runSkewed(365 * 86_400_000, 4)
      assert.equal(first, 'n0')
      assert.deepEqual(
        others.filter((name) => name === 'n0'),
        [],
        `seed ${seed}: ${others.join()}`,
      )
    }
  })

  it('are the same for the same seed, event by event', () => {
    const run = (seed: number): LifeReport =>
      new Life({ seed, faultMs: FAULT_MS, skipsSync: false, leases: 'kept' }).run()
    assert.deepEqual(run(7), run(7))
    assert.notEqual(run(7).trace, run(8).trace)
  })

  it('are the same on Node.js 26', (t) => {
    if (!hasNode26) {
      t.diagnostic('Node.js 26 comes with `npm ci` on Linux x64 only: nothing was run')
      assert.equal(existsSync(node26), false)
      return
    }
    for (const seed of [7, 8]) {
      const { trace } = new Life({ seed, faultMs: FAULT_MS, skipsSync: false }).run()
      const args = [SIMULATE, '--seed', String(seed), '--fault-ms', String(FAULT_MS)]
      const { stdout, stderr } = spawnSync(node26, args, { encoding: 'utf8' })
      assert.match(stdout, new RegExp(`trace ${trace}\n`), stderr)
    }
  })

  it('lose an acknowledged write when acknowledgements do not wait for the disk', () => {
    const lies = { faultMs: FAULT_MS, skipsSync: true }
    let report: LifeReport | undefined
    for (let seed = 1; seed <= SEEDS && (report?.lostWrites.length ?? 0) === 0; seed += 1) {
      report = new Life({ seed, ...lies }).run()
    }
    assert.match(report?.lostWrites[0] ?? '', /^w\d+, acknowledged at \d+, is missing on n\d/)
    // Long before, others' disks tell that what counts as committed is not durable.
    const rules = report?.violations.map((violation) => violation.split(':')[0]) ?? []
    assert.ok(rules.includes('durable commit') && rules.includes('acknowledgements'))
    assert.ok(rules.indexOf('durable commit') < rules.indexOf('durability'))
  })
})
