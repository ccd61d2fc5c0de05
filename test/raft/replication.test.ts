import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Inflights } from '../../src/raft/inflights.ts'
import { Progress } from '../../src/raft/progress.ts'
import type { Message } from '../../src/raft/raft.ts'
import {
  bytes,
  Cluster,
  confStateOf,
  entriesOf,
  entryAt,
  type Member,
  messageFrom,
  seed,
} from './cluster.ts'

const three = confStateOf([1, 2, 3])

function append(index: number, logTerm: number, ...terms: number[]): Partial<Message> {
  const entries = terms.map((term, i) => entryAt(index + 1 + i, term))
  return { type: 'append', index, logTerm, entries }
}

/** A member with this log and term, that hears from leader 2. */
function follower(terms: number[], term: number, commit = 0): { cluster: Cluster; own: Member } {
  const cluster = new Cluster(three, { checkQuorum: false, preVote: false })
  const own = cluster.member(1)
  seed(own, terms, term, commit)
  return { cluster, own }
}

function logOf({ storage }: Member): number[] {
  const terms: number[] = []
  for (let i = storage.firstIndex(); i <= storage.lastIndex(); i++) {
    terms.push(storage.term(i) as number)
  }
  return terms
}

describe('replication', () => {
  it('commits on all members, in order', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    for (const value of ['a', 'b', 'c']) cluster.propose(1, value)
    cluster.propose(1, 'd', 'e')
    cluster.settle()
    for (const each of cluster.members) assert.deepEqual(each.values, ['a', 'b', 'c', 'd', 'e'])
  })

  it('a follower passes proposals on, or drops them if told so', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.propose(2, 'from 2')
    cluster.settle()
    assert.deepEqual(cluster.member(3).values, ['from 2'])
    cluster.member(2).restart({ disableProposalForwarding: true })
    cluster.tickAll()
    assert.equal(cluster.raft(2).propose([bytes('x')]), 'dropped')
    assert.equal(new Cluster(three).raft(1).propose([bytes('x')]), 'dropped')
  })

  it('an entry of an older term commits only with one of the present term (figure 8)', () => {
    const cluster = new Cluster(confStateOf([1, 2, 3, 4, 5]), { preVote: false })
    seed(cluster.member(1), [1, 2], 3)
    seed(cluster.member(2), [1, 2], 3)
    seed(cluster.member(3), [1], 3)
    const leader = cluster.raft(1)
    leader.campaign()
    cluster.pump(cluster.member(1))
    for (const from of [2, 3]) leader.step(messageFrom({ type: 'voteResponse', from, term: 4 }))
    cluster.pump(cluster.member(1))
    assert.equal(leader.role, 'leader')
    for (const from of [2, 3]) {
      leader.step(messageFrom({ type: 'appendResponse', from, term: 4, index: 2 }))
    }
    assert.equal(leader.commit, 0)
    assert.equal(leader.committedInOwnTerm, false)
    for (const from of [2, 3]) {
      leader.step(messageFrom({ type: 'appendResponse', from, term: 4, index: 3 }))
    }
    assert.equal(leader.commit, 3)
    assert.equal(leader.committedInOwnTerm, true)
  })

  it('an append that comes late or twice takes nothing away', () => {
    const { cluster, own } = follower([], 1)
    const long = messageFrom({ ...append(0, 0, 1, 1, 1, 1, 1), type: 'append', term: 1 })
    const short = messageFrom({ ...append(0, 0, 1, 1, 1), type: 'append', term: 1 })
    for (const message of [long, short, long, short]) own.raft.step(message)
    cluster.settle()
    assert.deepEqual(logOf(own), [1, 1, 1, 1, 1])
  })

  it('the log of every shape in figure 7 becomes the leader’s', () => {
    const leaderTerms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
    const shapes = [
      [1, 1, 1, 4, 4, 5, 5, 6, 6],
      [1, 1, 1, 4],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ]
    for (const shape of shapes) {
      const cluster = new Cluster(three, { preVote: false })
      seed(cluster.member(1), leaderTerms, 8)
      seed(cluster.member(2), shape, 7)
      seed(cluster.member(3), leaderTerms, 8)
      cluster.raft(1).campaign()
      cluster.settle()
      cluster.propose(1, 'x')
      cluster.settle()
      assert.deepEqual(logOf(cluster.member(2)), [...leaderTerms, 9, 9])
    }
  })

  it('a follower’s commit index goes no further than what the message proves', () => {
    const { own } = follower([1, 1, 1], 2)
    own.raft.step(messageFrom({ ...append(1, 1), type: 'append', term: 2, commit: 3 }))
    assert.equal(own.raft.commit, 1)
    own.raft.step(messageFrom({ ...append(1, 1, 2), type: 'append', term: 2, commit: 9 }))
    assert.equal(own.raft.commit, 2)
  })

  it('a heartbeat carries the commit index only as far as the logs are known to match', () => {
    const cluster = new Cluster(three, { preVote: false })
    seed(cluster.member(1), [1, 1], 3)
    seed(cluster.member(3), [1, 2], 2)
    cluster.isLost = ({ from, to, type }) => (from === 3 || to === 3) && type === 'append'
    cluster.elect(1)
    assert.equal(cluster.raft(1).commit, 3)
    cluster.tick(1)
    cluster.settle()
    assert.equal(cluster.raft(3).commit, 0)
  })

  it('a long divergent tail takes about one round trip per term', () => {
    const cluster = new Cluster(three, { preVote: false })
    const count = 30_000
    const theirs = Array.from({ length: count }, (_, i) => (i < count / 3 ? 2 : i < 20_000 ? 4 : 6))
    const ours = Array.from({ length: count }, (_, i) => (i < count / 2 ? 3 : 7))
    seed(cluster.member(1), [1, ...ours], 8)
    seed(cluster.member(2), [1, ...theirs], 8)
    seed(cluster.member(3), [1, ...ours], 8)
    cluster.raft(1).campaign()
    cluster.settle()
    const rejections = cluster.delivered.filter(({ type, from, reject }) => {
      return type === 'appendResponse' && from === 2 && reject
    })
    assert.ok(rejections.length > 0 && rejections.length <= 6, `${rejections.length} rejections`)
    assert.deepEqual(logOf(cluster.member(2)), [1, ...ours, 9])
  })

  it('an anchor that is compacted is acknowledged by the commit index', () => {
    const { cluster, own } = follower([1, 1, 1, 1], 1, 4)
    own.storage.compact(3)
    own.restart({ appliedIndex: 4 })
    own.raft.step(messageFrom({ ...append(1, 1, 1, 1), type: 'append', term: 1, commit: 2 }))
    cluster.settle()
    const answer = cluster.delivered.at(-1)
    assert.equal(answer?.index, 4)
    assert.equal(answer?.reject, false)
    assert.equal(own.storage.lastIndex(), 4)
  })

  it('a rejection that comes after an acknowledgement moves nothing back', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.propose(1, 'a', 'b')
    cluster.settle()
    const { raft } = cluster.member(1)
    const stale = { type: 'appendResponse', from: 2, term: 1, reject: true } as const
    for (const index of [0, 1, 2, 3]) {
      raft.step(messageFrom({ ...stale, index, rejectHint: 0 }))
      for (const { match, next } of raft.status().progress) assert.ok(match < next)
    }
    assert.deepEqual(
      raft.status().progress.map(({ match, state }) => [match, state]),
      [
        [3, 'replicate'],
        [3, 'replicate'],
        [3, 'replicate'],
      ],
    )
  })

  it('a rejection that comes twice takes a probed member below nothing it acknowledged', () => {
    const member = new Progress(2, 6, false, new Inflights(8, 1_000))
    assert.equal(member.decreaseNext(5, 3), true)
    member.updateMatch(5)
    member.becomeReplicate()
    member.becomeProbe()
    member.decreaseNext(5, 3)
    assert.deepEqual([member.match, member.next], [5, 6])
  })

  it('an unreachable but complete follower streams again after one heartbeat', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.raft(1).reportUnreachable(2)
    assert.equal(cluster.raft(1).status().progress[1]!.state, 'probe')
    cluster.tick(1)
    cluster.settle()
    assert.equal(cluster.raft(1).status().progress[1]!.state, 'replicate')
  })

  it('an entry on its way to disk may be replaced, whenever the writes complete', () => {
    for (const completeFirst of [0, 1, 2]) {
      const { cluster, own } = follower([], 1)
      own.isAppendHeld = true
      own.raft.step(messageFrom({ ...append(0, 0, 1, 1, 1, 1), type: 'append', term: 1 }))
      cluster.takeReady(own)
      for (let i = 0; i < completeFirst; i++) cluster.writeNext(own)
      own.raft.step(messageFrom({ ...append(1, 1, 2, 2), type: 'append', from: 3, term: 2 }))
      cluster.takeReady(own)
      own.isAppendHeld = false
      cluster.settle()
      assert.deepEqual(logOf(own), [1, 2, 2])
      assert.equal(own.raft.lastIndex, 3)
    }
  })

  it('the same entries written again are stable only when their last write is', () => {
    const { cluster, own } = follower([], 1)
    own.isAppendHeld = true
    const old = messageFrom({ ...append(0, 0, 1, 1), type: 'append', term: 1 })
    own.raft.step(old)
    cluster.takeReady(own)
    own.raft.step(messageFrom({ ...append(0, 0, 2), type: 'append', from: 3, term: 2 }))
    cluster.takeReady(own)
    own.raft.step({ ...old, term: 3, commit: 2 })
    cluster.takeReady(own)
    cluster.writeNext(own)
    cluster.writeNext(own)
    assert.deepEqual(logOf(own), [2])
    cluster.pump(own)
    assert.deepEqual(own.applied, [], 'nothing is applied that the disk does not hold')
    own.isAppendHeld = false
    cluster.settle()
    assert.deepEqual(own.applied, entriesOf(1, 1))
  })

  it('what was written under an earlier term becomes stable by the next write', () => {
    const { cluster, own } = follower([], 1)
    own.isAppendHeld = true
    own.raft.step(messageFrom({ ...append(0, 0, 1), type: 'append', term: 1 }))
    cluster.takeReady(own)
    own.raft.step(messageFrom({ type: 'heartbeat', from: 3, term: 2 }))
    own.isAppendHeld = false
    cluster.settle()
    own.raft.step(messageFrom({ type: 'heartbeat', from: 3, term: 2, commit: 1 }))
    cluster.settle()
    assert.deepEqual(own.values, ['1/1'])
  })

  it('a leader whose disk stalls commits by its followers alone', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.member(1).isAppendHeld = true
    cluster.member(3).isDown = true
    cluster.propose(1, 'x')
    cluster.settle()
    assert.equal(cluster.raft(1).commit, 1)
    cluster.member(3).isDown = false
    cluster.tickAll(3)
    assert.equal(cluster.raft(1).commit, 2)
    assert.deepEqual(cluster.member(2).values, ['x'])
    assert.deepEqual(cluster.member(1).values, [], 'the leader applies what its own disk holds')
  })

  it('a leader’s own acknowledgement of an earlier term counts nothing', () => {
    const cluster = new Cluster(three, { preVote: false, checkQuorum: false })
    cluster.elect(1)
    const own = cluster.member(1)
    own.isAppendHeld = true
    cluster.isolate(1)
    cluster.propose(1, 'lost', 'lost', 'lost')
    cluster.takeReady(own)
    cluster.raft(2).campaign()
    cluster.settle()
    cluster.heal()
    cluster.tickAll(2)
    assert.equal(own.raft.role, 'follower')
    const before = own.raft.commit
    own.isAppendHeld = false
    cluster.settle()
    assert.ok(own.raft.commit <= before + 1)
    assert.deepEqual(own.values, [])
  })

  it('a single member applies nothing before its disk holds it', () => {
    const cluster = new Cluster(confStateOf([1]))
    cluster.elect(1)
    const own = cluster.member(1)
    own.isAppendHeld = true
    cluster.propose(1, 'x')
    cluster.settle()
    assert.deepEqual(own.values, [])
    own.isAppendHeld = false
    cluster.settle()
    assert.deepEqual(own.values, ['x'])
  })

  it('an acknowledgement leaves only when the entries are durable', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    for (const id of [2, 3]) cluster.member(id).isAppendHeld = true
    cluster.propose(1, 'x')
    cluster.settle()
    assert.equal(cluster.raft(1).commit, 1)
    cluster.member(2).isAppendHeld = false
    cluster.settle()
    assert.equal(cluster.raft(1).commit, 2)
  })

  it('entries that storage must fetch are sent once it has them', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.propose(1, 'a', 'b', 'c')
    cluster.settle()
    const { storage, raft } = cluster.member(1)
    storage.fetchingUpTo = 4
    cluster.heal()
    cluster.tickAll(3)
    const before = raft.status().progress[2]!
    assert.equal(before.match, 1)
    assert.equal(cluster.member(3).values.length, 0)
    assert.equal(raft.hasReady(), false)
    storage.fetchingUpTo = 0
    raft.retrySends()
    cluster.settle()
    assert.deepEqual(cluster.member(3).values, ['a', 'b', 'c'])
  })

  it('committed entries that storage must fetch are applied once it has them', () => {
    const cluster = new Cluster(confStateOf([1]))
    const own = cluster.member(1)
    seed(own, [1, 1, 1], 1, 3)
    own.storage.fetchingUpTo = 3
    assert.equal(own.raft.hasReady(), true)
    cluster.settle()
    assert.equal(own.raft.hasReady(), false, 'an owner that waits is not made to spin')
    assert.deepEqual(own.values, [])
    own.storage.fetchingUpTo = 0
    own.raft.retrySends()
    cluster.settle()
    assert.deepEqual(own.values, ['1/1', '1/2', '1/3'])
  })

  it('a member that lost acknowledged entries neither throws nor commits, and is mended', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.propose(1, 'a', 'b', 'c')
    cluster.settle()
    const amnesiac = cluster.member(3)
    amnesiac.storage.loseFrom(3)
    amnesiac.storage.hardState = { ...amnesiac.storage.hardState, commit: 2 }
    amnesiac.restart()
    cluster.tickAll(3)
    assert.equal(amnesiac.raft.commit, 2)
    assert.ok(amnesiac.traced.includes('commitBeyondLast'))
    cluster.raft(1).resetProgress(3)
    cluster.propose(1, 'd')
    cluster.tickAll(3)
    assert.deepEqual(amnesiac.values, ['a', 'b', 'c', 'd'])
    assert.equal(cluster.raft(1).status().progress[2]!.match, 5)
  })
})
