/** Lives that take a course of their own, and lives whose ground is taken away. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { hasNode26, node26 } from '../package/node-26.ts'
import { Life, type LifeReport } from './life.ts'
import type { LeaseMode, SimulatedProcess } from './process.ts'
import { CALM_SHAPE, LEASED_SHAPE, POWER_SHAPE } from './shape.ts'

const FAULT_MS = 6_000
const SEEDS_MAX = 200
/** Enough to tell one life from another. */
const SHORT_FAULT_MS = 1_500
const SIMULATE = fileURLToPath(new URL('../../scripts/simulate.mjs', import.meta.url))

/** What a lease rests on, broken, and a seed that finds it out. */
const BROKEN_LEASES: readonly [mode: LeaseMode, what: string, seed: number][] = [
  ['unkept', 'members vote for others in spite of their promises', 2],
  ['forgotten', 'a member that starts again knows of no promise', 39],
  ['drifting', 'clocks differ by more than leases allow for', 63],
]

function calm(seed: number): Life {
  return new Life({ seed, faultMs: 0, shape: CALM_SHAPE })
}

function leads(process: SimulatedProcess | undefined): boolean {
  return process?.shared.readEngine().ownTermCommitted === true
}

/**
 * Loses what leads, again and again, in a cluster whose first leader has a calendar that is ahead.
 * Tells who led, in order.
 */
function leadersWhereOneIsAhead(seed: number, aheadMs: number, kills: number): string[] {
  const life = calm(seed)
  const { cluster } = life
  const [off] = cluster.machines as [SimulatedProcess]
  off.clock.step(aheadMs)
  const leaders = [off.name]
  const { violations } = life.play(() => {
    life.until('it hands leadership over', () => cluster.leader !== off && leads(cluster.leader))
    for (let kill = 0; kill < kills; kill += 1) {
      const leader = cluster.leader as SimulatedProcess
      leaders.push(leader.name)
      leader.crash(false)
      life.until('another leads', () => leads(cluster.leader))
      leader.start()
      // Who lacks an entry could not win: then the one that waits longer would, in the end.
      life.until('all have the same log', () => {
        const lasts = new Set(cluster.machines.map(({ running }) => running?.log.lastIndex))
        return cluster.isLevel && lasts.size === 1
      })
    }
  })
  assert.deepEqual(violations, [])
  return leaders
}

describe('lives of a course of their own', () => {
  it('elect nobody while the wires of a follower break every 200 ms for a minute', () => {
    for (const seed of [1]) {
      const life = calm(seed)
      const { cluster } = life
      let before = 0
      let after = 0
      const report = life.play(() => {
        before = cluster.invariants.terms
        life.work()
        life.repeat('flapping', 200, 200, () => {
          const follower = cluster.machines.find((process) => process !== cluster.leader)
          if (follower !== undefined) cluster.leader?.resetLink(follower.memberId)
        })
        life.pass(60_000)
        after = cluster.invariants.terms
      })
      assert.deepEqual(report.violations, [])
      assert.equal(after - before, 0, `seed ${seed}`)
      assert.ok(report.acknowledged > 500, `seed ${seed}: ${report.acknowledged} writes`)
    }
  })

  it('are led by nobody whose clock is a year ahead, once that is known', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const [first, ...others] = leadersWhereOneIsAhead(seed, 365 * 86_400_000, 4)
      assert.equal(first, 'n0')
      assert.ok(!others.includes('n0'), `seed ${seed}: ${others.join()}`)
    }
  })

  for (const [leases, what, seed] of BROKEN_LEASES) {
    it(`have a stale strong read by a lease where ${what}`, () => {
      const life = new Life({ seed, faultMs: FAULT_MS, shape: { ...LEASED_SHAPE, leases } })
      assert.match(life.run().violations.join(), /^strong reads: one at \d+ misses a write/)
    })
  }

  it('lose an acknowledged write when acknowledgements do not wait for the disk', () => {
    let report: LifeReport | undefined
    for (let seed = 99; seed <= SEEDS_MAX && (report?.lostWrites.length ?? 0) === 0; seed += 1) {
      const options = { seed, faultMs: FAULT_MS, skipsSync: true, shape: POWER_SHAPE }
      report = new Life(options).run()
    }
    assert.match(report?.lostWrites[0] ?? '', /^w\d+, acknowledged at \d+, is missing on n\d/)
    // Long before, others' disks tell that what counts as committed is not durable.
    const rules = report?.violations.map((violation) => violation.split(':')[0]) ?? []
    assert.ok(rules.includes('durable commit') && rules.includes('acknowledgements'))
    assert.ok(rules.indexOf('durable commit') < rules.indexOf('durability'))
  })

  it('are the same for the same seed, event by event', () => {
    const run = (seed: number): LifeReport => new Life({ seed, faultMs: SHORT_FAULT_MS }).run()
    const report = run(7)
    assert.deepEqual(report, run(7))
    assert.notEqual(report.trace, run(8).trace)
  })

  it('are the same on Node.js 26', (t) => {
    if (!hasNode26) {
      t.diagnostic('Node.js 26 comes with `npm ci` on Linux x64 only: nothing was run')
      assert.equal(existsSync(node26), false)
      return
    }
    const { trace } = new Life({ seed: 7, faultMs: SHORT_FAULT_MS }).run()
    const args = [SIMULATE, '--seed', '7', '--fault-ms', String(SHORT_FAULT_MS)]
    const { stdout, stderr } = spawnSync(node26, args, { encoding: 'utf8' })
    assert.match(stdout, new RegExp(`trace ${trace}\n`), stderr)
  })
})
