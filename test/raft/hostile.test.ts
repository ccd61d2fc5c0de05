import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Message } from '../../src/raft/raft.ts'
import { Cluster, confStateOf, entryAt, messageFrom, seed } from './cluster.ts'

const three = confStateOf([1, 2, 3])
const odd: fc.Arbitrary<unknown> = fc.constantFrom(
  -1,
  -2,
  -(2 ** 60),
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  2 ** 60,
  null,
  undefined,
  'x',
  {},
  [],
  10n,
  true,
)
const number: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 6 }) },
  { weight: 1, arbitrary: odd },
)
const type: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom('append', 'appendResponse', 'vote', 'voteResponse') },
  { weight: 30, arbitrary: fc.constantFrom('heartbeat', 'heartbeatResponse', 'preVote') },
  { weight: 30, arbitrary: fc.constantFrom('preVoteResponse', 'snapshot', 'timeoutNow') },
  { weight: 30, arbitrary: fc.constantFrom('readIndex', 'readIndexResponse', 'transferLeader') },
  { weight: 30, arbitrary: fc.constantFrom('propose', 'hup', 'beat', 'storageAppendResponse') },
  { weight: 1, arbitrary: fc.constantFrom('toString', '__proto__', '', 7, null, undefined) },
)
const entry = fc.record({
  index: number,
  term: number,
  type: fc.constantFrom<unknown>('normal', 'confChange', 'confChangeV2', 'other', null),
  data: fc.oneof<fc.Arbitrary<unknown>[]>(fc.uint8Array({ maxLength: 4 }), odd),
})
const ids: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 10, arbitrary: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }) },
  { weight: 1, arbitrary: odd },
)
const snapshot = fc.record({
  meta: fc.record({
    index: number,
    term: number,
    confState: fc.record({
      voters: ids,
      learners: ids,
      votersOutgoing: ids,
      learnersNext: ids,
      autoLeave: fc.constantFrom<unknown>(true, false, null),
    }),
  }),
  data: fc.uint8Array({ maxLength: 4 }),
})
const hostileMessage: fc.Arbitrary<unknown> = fc.record({
  type,
  from: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 1, max: 4 }) },
    { arbitrary: odd, weight: 1 },
  ),
  to: fc.constant(1),
  term: number,
  logTerm: number,
  index: number,
  commit: number,
  vote: number,
  reject: fc.oneof({ weight: 9, arbitrary: fc.boolean() }, { weight: 1, arbitrary: odd }),
  rejectHint: number,
  entries: fc.oneof<fc.Arbitrary<unknown>[]>(fc.array(entry, { maxLength: 3 }), odd),
  snapshot: fc.oneof<fc.Arbitrary<unknown>[]>(snapshot, fc.constant(null), odd),
  context: fc.oneof<fc.Arbitrary<unknown>[]>(fc.uint8Array({ maxLength: 9 }), odd),
  responses: fc.constant([]),
})

describe('hostile peers', () => {
  for (const role of ['follower', 'leader', 'candidate'] as const) {
    it(`nothing that is sent to a ${role} makes it throw`, () => {
      const property = fc.property(fc.array(hostileMessage, { maxLength: 40 }), (messages) => {
        const cluster = new Cluster(three, { preVote: false })
        const own = cluster.member(1)
        seed(own, [1, 1, 2], 2, 1)
        if (role === 'leader') cluster.elect(1)
        if (role === 'candidate') own.raft.campaign()
        for (const message of messages) {
          own.raft.step(message as Message)
          own.raft.tick()
        }
        const { commit, lastIndex, term, progress } = own.raft.status()
        for (const value of [commit, lastIndex, term]) assert.ok(Number.isSafeInteger(value))
        assert.ok(commit <= lastIndex)
        for (const { match, next } of progress) assert.ok(match < next && match <= lastIndex)
        own.raft.takeReady()
      })
      fc.assert(property, { seed: 7, numRuns: 1_500 })
    })
  }

  it('refuses what only this node’s own threads may say', () => {
    const cluster = new Cluster(three)
    const { raft } = cluster.member(1)
    for (const each of ['hup', 'beat', 'checkQuorum', 'unreachable', 'snapshotStatus'] as const) {
      assert.equal(raft.step(messageFrom({ type: each, term: 1 })), 'localMessage')
      assert.equal(raft.step(messageFrom({ type: each, from: -1, term: 1 })), 'localMessage')
    }
    const applied = { type: 'storageApplyResponse', entries: [entryAt(9, 1)] } as const
    assert.equal(raft.step(messageFrom(applied)), 'localMessage')
    assert.equal(raft.applied, 0)
  })

  it('refuses messages for others, without a term, or with gaps', () => {
    const cluster = new Cluster(three)
    const { raft } = cluster.member(1)
    const heartbeat = { type: 'heartbeat', term: 1 } as const
    assert.equal(raft.step(messageFrom({ ...heartbeat, to: 2 })), 'invalid')
    assert.equal(raft.step(messageFrom({ ...heartbeat, term: 0 })), 'invalid')
    const append = { type: 'append', term: 3 } as const
    const gapped = [entryAt(1, 1), entryAt(3, 1)]
    assert.equal(raft.step(messageFrom({ ...append, entries: gapped })), 'invalid')
    const falling = [entryAt(1, 2), entryAt(2, 1)]
    assert.equal(raft.step(messageFrom({ ...append, entries: falling })), 'invalid')
    const future = [entryAt(1, 4)]
    assert.equal(raft.step(messageFrom({ ...append, entries: future })), 'invalid')
    assert.equal(raft.lastIndex, 0)
    assert.equal(raft.term, 0)
  })

  it('refuses an acknowledgement of entries that the leader does not have', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    const answer = { type: 'appendResponse', term: 1, index: 99 } as const
    assert.equal(cluster.raft(1).step(messageFrom(answer)), 'invalid')
    cluster.propose(1, 'a')
    cluster.settle()
    assert.deepEqual(cluster.member(2).values, ['a'])
  })

  it('never takes back what is committed, whoever asks', () => {
    const cluster = new Cluster(three)
    const own = cluster.member(1)
    seed(own, [1, 1, 1], 1, 3)
    const entries = [entryAt(2, 2), entryAt(3, 2)]
    own.raft.step(messageFrom({ type: 'append', term: 2, index: 1, logTerm: 1, entries }))
    own.raft.step(messageFrom({ type: 'append', term: 2, index: 3, logTerm: 2, entries: [] }))
    cluster.settle()
    assert.equal(own.storage.term(3), 1)
    assert.equal(own.raft.commit, 3)
  })
})
