/** What the cards and event rows say. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Elections } from '../../src/demo/elections.ts'
import { LagHistory } from '../../src/demo/lag.ts'
import { type Facts, tellStory } from '../../src/demo/story.ts'

const FOLLOWER: Facts = {
  stage: 'steady',
  isCutOff: false,
  isLearner: false,
  role: 'follower',
  leaderId: 'node-2',
  lagEntries: 0,
  haltedReason: null,
  levelAfterMs: 2_140,
}

describe('a card', () => {
  const stories: readonly (readonly [string, Partial<Facts>])[] = [
    ['Follower of node-2.', {}],
    ['Killed.', { stage: 'killed' }],
    ['Does not answer.', { stage: 'gone' }],
    ['Starting, reading its log.', { stage: 'starting' }],
    ['Behind by 1,240 entries, catching up.', { stage: 'catching-up', lagEntries: 1_240 }],
    ['Behind by 1 entry, catching up.', { stage: 'catching-up', lagEntries: 1 }],
    ['Looking for the leader.', { stage: 'catching-up' }],
    ['Level again after 2.1 s.', { stage: 'level-again' }],
    ['Leads: it puts every write in order.', { role: 'leader' }],
    ['Asks the others to elect it.', { role: 'candidate', leaderId: null }],
    ['Hears no leader.', { leaderId: null }],
    ['Learner of node-2: all the data, no vote.', { isLearner: true }],
    ['Applies nothing: the disk is full.', { haltedReason: 'the disk is full' }],
    ['Cut off from the others: its own data can be read, writes wait.', { isCutOff: true }],
  ]
  for (const [story, facts] of stories) {
    it(`says "${story}"`, () => assert.equal(tellStory({ ...FOLLOWER, ...facts }), story))
  }
})

describe('an election', () => {
  it('is told once, with how long nobody led', () => {
    const elections = new Elections()
    assert.equal(elections.told('a', 'a', 3, 100), 'a elected in term 3')
    assert.equal(elections.told('b', 'a', 3, 110), null)
    elections.lost('a', 1_000)
    assert.equal(elections.leaderId, null)
    assert.equal(
      elections.told('b', 'b', 4, 1_210.4),
      'b elected in term 4, 210 ms without a leader',
    )
    assert.equal(elections.told('c', 'b', 4, 1_220), null)
    assert.deepEqual([elections.leaderId, elections.leaderOf(3)], ['b', 'a'])
  })

  it('is not waited for because a follower is away, or hears nobody', () => {
    const elections = new Elections()
    elections.told('a', 'a', 3, 100)
    elections.lost('b', 200)
    elections.told('b', null, 3, 300)
    assert.equal(elections.leaderId, 'a')
    assert.equal(elections.told('c', 'c', 5, 900), 'c elected in term 5')
  })

  it('is not needed where the leader itself says that it still leads', () => {
    const elections = new Elections()
    elections.told('a', 'a', 3, 100)
    elections.lost('a', 200)
    elections.told('b', 'a', 3, 210)
    assert.equal(elections.leaderId, null)
    elections.told('a', 'a', 3, 220)
    assert.equal(elections.leaderId, 'a')
  })

  it('is not needed where the leader is heard again in time', () => {
    const elections = new Elections()
    elections.told('a', 'a', 3, 100)
    elections.lost('a', 200)
    elections.found('a')
    assert.equal(elections.leaderId, 'a')
  })
})

describe('a lag', () => {
  it('is the time for which there has been more than what is applied', () => {
    const lag = new LagHistory()
    for (const [at, index] of [
      [0, 10],
      [250, 20],
      [500, 20],
      [750, 30],
    ] as const) {
      lag.add(at, index)
    }
    assert.equal(lag.target, 30)
    assert.deepEqual(
      [30, 29, 20, 15].map((index) => lag.lagMs(1_000, index)),
      [0, 250, 250, 750],
    )
  })

  it('is remembered for two minutes, and the target for ever', () => {
    const lag = new LagHistory()
    lag.add(0, 10)
    for (let at = 1_000; at <= 300_000; at += 1_000) lag.add(at, 10 + at)
    assert.ok(lag.lagMs(300_000, 10) <= 121_000)
    lag.add(900_000, 300_010)
    assert.equal(lag.target, 300_010)
  })

  it('is none to what died with a leader', () => {
    const lag = new LagHistory()
    for (const [at, index] of [
      [0, 10],
      [250, 25],
      [500, 12],
    ] as const) {
      lag.add(at, index)
    }
    assert.equal(lag.target, 12)
    assert.equal(lag.lagMs(600, 12), 0)
  })
})
