import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canBeReplaced, nextStep, type Policy, type Sight } from '../../src/cluster/policy.ts'
import { type FakeMember, memberOf } from './fake-cluster.ts'

const POLICY: Policy = {
  voterTarget: 3,
  deadVoterTimeoutMs: 30_000,
  deadLearnerTimeoutMs: 60_000,
}

function sightOf(members: readonly FakeMember[], rest: Partial<Sight> = {}): Sight {
  const seen = members.map(memberOf)
  const offering = new Set(seen.map(({ memberId }) => memberId))
  const knownMs = (): number => rest.ledMs ?? 1_000_000
  return { members: seen, ledMs: 1_000_000, knownMs, isFound: () => false, offering, ...rest }
}

/** `promote c`, or `-`. */
function step(members: readonly FakeMember[], rest?: Partial<Sight>, policy = POLICY): string {
  const next = nextStep(policy, sightOf(members, rest))
  return next === null ? '-' : `${next.change} ${next.member.nodeId}`
}

const leader: FakeMember = { id: 'a', role: 'voter', isLeader: true }
const voter = (id: string, silentMs = 0): FakeMember => ({ id, role: 'voter', silentMs })
const learner = (id: string, silentMs = 0, match = 100): FakeMember => {
  return { id, role: 'learner', silentMs, match }
}
const waiting = (id: string, silentMs = 0): FakeMember => {
  return { id, role: 'learner', wantedRole: 'voter', silentMs }
}

describe('the policy of a cluster', () => {
  it('has learners vote until the target is reached', () => {
    assert.equal(step([leader]), '-')
    assert.equal(step([leader, learner('b')]), 'promote b')
    assert.equal(step([leader, waiting('b')]), '-', 'the core waits for a third')
    assert.equal(step([leader, waiting('b'), learner('c')]), 'promote c')
    assert.equal(step([leader, voter('b'), voter('c'), learner('d')]), '-')
    assert.equal(step([leader, learner('b')], {}, { ...POLICY, voterTarget: 1 }), '-')
    const five = { ...POLICY, voterTarget: 5 }
    assert.equal(step([leader, voter('b'), voter('c'), learner('d')], {}, five), 'promote d')
  })

  it('takes who has most of the log, is there and has caught up', () => {
    assert.equal(step([leader, learner('b', 0, 90), learner('c', 0, 99)]), 'promote c')
    assert.equal(step([leader, learner('b', 0, 90), learner('c', 9_000, 99)]), 'promote b')
    const far = { ...leader, match: 5_000 }
    assert.equal(step([far, learner('b', 0, 3_999)]), '-')
    assert.equal(step([far, learner('b', 0, 4_000)]), 'promote b')
    assert.equal(step([leader, learner('b', 9_000)]), '-')
  })

  it('lets another wait in place of one that is to vote and does not come', () => {
    const members = [leader, waiting('b', 9_000), waiting('c')]
    assert.equal(step(members), '-')
    assert.equal(step([...members, learner('d')]), 'demote b')
    assert.equal(step([leader, learner('b'), waiting('c'), learner('d', 0, 99)]), 'promote b')
  })

  it('replaces a voter that is silent for too long', () => {
    const members = (silentMs: number): FakeMember[] => {
      return [leader, voter('b'), voter('c', silentMs), learner('d')]
    }
    assert.equal(step(members(29_999)), '-')
    assert.equal(step(members(30_000)), 'demote c')
    assert.equal(step([leader, voter('b'), learner('c', 31_000), learner('d')]), 'promote d')
    const off = { ...POLICY, deadVoterTimeoutMs: 0 }
    assert.equal(step(members(1e9), {}, off), '-')
  })

  it('keeps a silent voter that nobody can replace and whose vote costs nothing', () => {
    const never = { deadLearnerTimeoutMs: 0 }
    const policy = { ...POLICY, ...never }
    assert.equal(step([leader, voter('b'), voter('c', 1e6)]), '-')
    assert.equal(step([leader, voter('b'), voter('c', 1e6), learner('d', 9_000)]), '-')
    // 4 of 5: neither a majority of 5 nor one of 4 may lose more than one.
    assert.equal(step([leader, voter('b'), voter('c'), voter('d'), voter('e', 1e6)]), '-')
    // 3 of 5: none may be lost; of 3 voters one may.
    const three = [leader, voter('b'), voter('c'), voter('d', 4e5), voter('e', 5e5)]
    assert.equal(step(three), 'demote e')
    const then = [leader, voter('b'), voter('c'), voter('d', 1e6), learner('e', 5e5)]
    assert.equal(step(then, {}, policy), 'demote d')
    const done = [leader, voter('b'), voter('c'), learner('d', 1e6), learner('e', 5e5)]
    assert.equal(step(done, {}, policy), '-')
  })

  it('does nothing to voters without a live majority', () => {
    assert.equal(step([leader, voter('b', 1e6), learner('c', 9_000)]), '-')
    assert.equal(step([leader, voter('b', 1e6), voter('c', 1e6), learner('d')]), '-')
    const half = [leader, voter('b'), voter('c', 1e6), voter('d', 1e6), learner('e')]
    assert.equal(step(half), '-')
  })

  it('counts silence from when it began to lead', () => {
    const members = [leader, voter('b'), voter('c', 1e6), learner('d')]
    assert.equal(step(members, { ledMs: 29_999 }), '-')
    assert.equal(step(members, { ledMs: 30_000 }), 'demote c')
    const never = [leader, voter('b'), { ...voter('c'), silentMs: null }, learner('d')]
    assert.equal(step(never, { ledMs: 29_999 }), '-')
    assert.equal(step(never, { ledMs: 30_000 }), 'demote c')
  })

  it('counts silence from when it knew of a member, too', () => {
    const members = [leader, voter('b'), voter('c'), { ...learner('d'), silentMs: null }]
    assert.equal(step(members, { knownMs: () => 59_999 }), '-')
    assert.equal(step(members, { knownMs: () => 60_000 }), 'remove d')
  })

  it('leaves more voters than the target alone, and whoever made them', () => {
    const five = [leader, voter('b'), voter('c'), voter('d'), voter('e')]
    assert.equal(step(five), '-')
    assert.equal(step([...five, learner('f')]), '-')
    assert.equal(step([leader, voter('b'), voter('c'), voter('d'), voter('e', 1e6)]), '-')
    assert.equal(step([leader, voter('b'), voter('c'), waiting('d')]), '-')
  })

  it('has nobody vote who does not offer to', () => {
    const members = [leader, voter('b'), learner('c'), learner('d', 0, 50)]
    assert.equal(step(members), 'promote c')
    const offering = new Set([memberOf(learner('d')).memberId])
    assert.equal(step(members, { offering }), 'promote d')
    assert.equal(step([leader, voter('b'), learner('c')], { offering }), '-')
  })

  it('removes a learner that is silent for too long and found nowhere', () => {
    const members = [leader, voter('b'), voter('c'), learner('d', 60_000)]
    assert.equal(step(members), 'remove d')
    assert.equal(step(members, { isFound: () => true }), '-')
    assert.equal(step(members, { ledMs: 59_999 }), '-')
    assert.equal(step([leader, voter('b'), voter('c'), learner('d', 59_999)]), '-')
    assert.equal(step(members, {}, { ...POLICY, deadLearnerTimeoutMs: 0 }), '-')
    assert.equal(step([leader, voter('b'), voter('c', 1e9)]), '-', 'never a voter')
  })

  it('lets a voter leave only where another has its vote, and never the last one', () => {
    const may = (members: readonly FakeMember[], id: string, ledMs = 1e6): boolean | null => {
      const sight = sightOf(members, { ledMs })
      const member = sight.members.find(({ nodeId }) => nodeId === id)
      return member === undefined ? false : canBeReplaced(POLICY, sight, member)
    }
    const three = [leader, voter('b'), voter('c')]
    assert.ok(!may(three, 'b'))
    assert.ok(may([...three, learner('d')], 'b'))
    assert.ok(!may([...three, learner('d', 9_000)], 'b'), 'it would be as if it had left alone')
    assert.equal(may([...three, learner('d', 9_000)], 'b', 2_999), null, 'it may be heard yet')
    assert.equal(may(three, 'b', 0), false)
    assert.ok(!may([...three, learner('d')], 'd'), 'a learner has no vote to give')
    assert.ok(!may([leader, voter('b'), waiting('c'), learner('d')], 'b'), 'one has left just now')
    const one = { ...POLICY, voterTarget: 1 }
    const sight = sightOf([leader, learner('b')])
    assert.ok(!canBeReplaced(one, sight, sight.members[0] as never))
  })

  it('comes to rest from any state, and lowers no number of failures that is borne', () => {
    const members = fc.array(
      fc.record({
        role: fc.constantFrom('voter', 'learner'),
        wantedRole: fc.constantFrom('voter', 'learner'),
        silentMs: fc.constantFrom(0, 5_000, 40_000, 70_000),
        match: fc.constantFrom(0, 99, 100),
      }),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(members, fc.constantFrom(1, 3, 5), (others, voterTarget) => {
        const named = others.map((other, at) => ({ ...other, id: `m${at}` }) as FakeMember)
        let state = [leader, ...named]
        const bornes = [borne(state)]
        for (let steps = 0; ; steps += 1) {
          assert.ok(steps < 50, 'it has come to rest')
          const next = nextStep({ ...POLICY, voterTarget }, sightOf(state))
          if (next === null) break
          state = settle(state, next.change, next.member.nodeId)
          bornes.push(borne(state))
        }
        const [first = 0] = bornes
        if (first >= 0) assert.ok(Math.min(...bornes) >= Math.min(first, 0), `${bornes}`)
        assert.ok((bornes.at(-1) ?? 0) >= first, `it bears as much as before: ${bornes}`)
      }),
    )
  })
})

/** How many more voters may fail; below 0 there is no majority. */
function borne(members: readonly FakeMember[]): number {
  const voters = members.filter(({ role }) => role === 'voter')
  const live = voters.filter(({ silentMs }) => (silentMs ?? 0) < 30_000).length
  return live - (Math.floor(voters.length / 2) + 1)
}

/** What the core makes of a step: voters stay odd in number. */
function settle(members: readonly FakeMember[], change: string, id: string): FakeMember[] {
  const left = members.filter((member) => change !== 'remove' || member.id !== id)
  const changed = left.map((member): FakeMember => {
    if (member.id !== id) return member
    if (change === 'promote') return { ...member, wantedRole: 'voter' }
    return { ...member, role: 'learner', wantedRole: 'learner' }
  })
  const voters = changed.filter(({ role }) => role === 'voter').length
  const ready = changed.filter(
    ({ role, wantedRole, silentMs, match }) =>
      role === 'learner' && wantedRole === 'voter' && (silentMs ?? 0) <= 3_000 && match !== 0,
  )
  const count = (voters + ready.length) % 2 === 1 ? ready.length : ready.length - 1
  const promoted = new Set(ready.slice(0, Math.max(0, count)).map((member) => member.id))
  return changed.map((member) => (promoted.has(member.id) ? { ...member, role: 'voter' } : member))
}
