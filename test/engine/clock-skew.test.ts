import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ClockSkew } from '../../src/engine/clock-skew.ts'
import { Yielding } from '../../src/engine/yielding.ts'
import type { Raft } from '../../src/raft/raft.ts'

const YEAR_MS = 365 * 86_400_000

class Fixture {
  readonly raft = { id: 1, patience: 1 }
  readonly warnings: string[] = []
  readonly skew: ClockSkew

  constructor(voters: readonly number[]) {
    this.skew = new ClockSkew({
      raft: this.raft as unknown as Raft,
      voters: () => voters,
      maxClockSkewMs: 5_000,
      warning: (code, message) => this.warnings.push(`${code}: ${message}`),
    })
  }
}

/** A leader, who is told by the others how far they are ahead of it. */
function lead(ahead: Readonly<Record<number, number | null>>, voters = [1, 2, 3]): Fixture {
  const fixture = new Fixture(voters)
  for (const [id, ms] of Object.entries(ahead)) fixture.skew.said(Number(id), ms)
  fixture.skew.judge()
  return fixture
}

describe('a member compares its clock with the leader', () => {
  const cases = [
    ['nothing, where the answer was under way', 1_000, 1_500, 1_200, 0],
    ['how far it is ahead at least', 9_000, 9_500, 1_000, 8_000],
    ['how far it is behind at least', 1_000, 1_500, 9_500, -8_000],
    // An answer that took a minute: the leader's word may be as old as the question.
    ['nothing, however long that took', 1_000, 61_000, 1_000, 0],
  ] as const
  for (const [what, sentMs, nowMs, leaderMs, aheadMs] of cases) {
    it(`and finds ${what}`, () => {
      const { skew } = new Fixture([1, 2, 3])
      skew.compared(sentMs, nowMs, leaderMs)
      assert.equal(skew.aheadMs, aheadMs)
      skew.leaderChanged()
      assert.equal(skew.aheadMs, null)
    })
  }
})

describe('the leader judges clocks', () => {
  it('by the median of the voters', () => {
    const { skew } = lead({ 2: 100, 3: -200 })
    assert.deepEqual(skew.status, { skewMs: 0, isOff: false })
    assert.equal(skew.skewOf(2), 100)
    assert.equal(skew.skewOf(3), -200)
    assert.equal(skew.skewOf(4), null)
    assert.deepEqual(skew.preferredLeaders(), [])
  })

  it('and is off itself where the others agree on another time', () => {
    const { skew, raft, warnings } = lead({ 2: -YEAR_MS, 3: -YEAR_MS - 10 })
    assert.deepEqual(skew.status, { skewMs: YEAR_MS, isOff: true })
    assert.deepEqual(skew.preferredLeaders(), [2, 3])
    assert.equal(raft.patience, 4)
    assert.match(warnings.join(), /^ERR_CLOCK_SKEW: .* 31536000000 ms ahead of the median/)
    skew.judge()
    assert.equal(warnings.length, 1)
  })

  it('and names no one whose clock is off to lead in its place', () => {
    const { skew } = lead({ 2: -YEAR_MS, 3: -YEAR_MS, 4: -YEAR_MS, 5: 0 }, [1, 2, 3, 4, 5])
    assert.deepEqual(skew.preferredLeaders(), [2, 3, 4])
  })

  const undecided = [
    ['not all are known', { 2: -YEAR_MS, 3: null }, [1, 2, 3]],
    ['every clock is another', { 2: -YEAR_MS, 3: YEAR_MS }, [1, 2, 3]],
    ['two stand against each other', { 2: -YEAR_MS }, [1, 2]],
    ['only learners agree', { 3: -YEAR_MS, 4: -YEAR_MS }, [1, 2]],
  ] as const
  for (const [what, ahead, voters] of undecided) {
    it(`but finds nobody off where ${what}`, () => {
      const { skew, raft } = lead(ahead, [...voters])
      assert.deepEqual(skew.status, { skewMs: null, isOff: false })
      assert.deepEqual(skew.preferredLeaders(), [])
      assert.equal(raft.patience, 1)
    })
  }
})

describe('a node that is told that its clock is off', () => {
  it('is patient until it hears that it is not, and says both once', () => {
    const { skew, raft, warnings } = new Fixture([1, 2, 3])
    skew.told(-60_000)
    skew.told(-60_001)
    assert.equal(raft.patience, 4)
    // Also while nobody leads: the word of the last leader counts.
    skew.leaderChanged()
    skew.told(null)
    assert.equal(skew.status.isOff, true)
    skew.told(5_000)
    assert.equal(raft.patience, 1)
    assert.equal(warnings.length, 2)
    assert.match(warnings[0] as string, /60000 ms behind the median of the voters', more than/)
    assert.match(warnings[1] as string, /agrees with the others' again/)
  })
})

describe('a leader hands over', () => {
  it('for the first reason that names somebody, and seldom', () => {
    const transfers: number[] = []
    const now = { ms: 0 }
    const reasons: number[][] = [[], [3]]
    const raft = {
      id: 1,
      role: 'leader',
      committedInOwnTerm: true,
      status: () => ({ progress: [2, 3].map((id) => ({ id, match: 5, recentActive: true })) }),
      transferLeader: (id: number) => {
        transfers.push(id)
        return 'ok'
      },
    }
    const yielding = new Yielding({
      raft: raft as unknown as Raft,
      clock: { nowMs: () => now.ms, wallMs: () => 0, setTimer: () => () => {} },
      reasons: [() => reasons[0] as number[], () => reasons[1] as number[]],
    })
    yielding.tick()
    yielding.tick()
    assert.deepEqual(transfers, [3])
    reasons[0] = [2]
    now.ms = 10_000
    yielding.tick()
    assert.deepEqual(transfers, [3, 2])
    raft.role = 'follower'
    now.ms = 20_000
    yielding.tick()
    assert.deepEqual(transfers, [3, 2])
  })
})
