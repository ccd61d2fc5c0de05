import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeConfChange } from '../../src/raft/raft.ts'
import { Cluster, confStateOf, entryAt, messageFrom, seed } from './cluster.ts'

const three = confStateOf([1, 2, 3])

describe('elections', () => {
  it('a member starts as follower and campaigns after its own timeout', () => {
    const cluster = new Cluster(three, { random: (bound) => bound - 1, preVote: false })
    cluster.tick(1, 18)
    assert.equal(cluster.raft(1).role, 'follower')
    cluster.tick(1)
    assert.equal(cluster.raft(1).role, 'candidate')
    assert.equal(cluster.raft(1).term, 1)
  })

  it('a member that is patient waits several times as long, and votes for others meanwhile', () => {
    const cluster = new Cluster(three, { random: (bound) => bound - 1 })
    cluster.raft(1).patience = 4
    cluster.tick(1, 4 * 19 - 1)
    assert.equal(cluster.raft(1).role, 'follower')
    cluster.elect(2)
    assert.equal(cluster.raft(1).leader, 2)
    cluster.tick(1, 4 * 19)
    assert.notEqual(cluster.raft(1).role, 'follower')
  })

  it('draws every timeout from [n, 2n − 1]', () => {
    const drawn: number[] = []
    const random = (bound: number): number => drawn.push(bound) % bound
    const cluster = new Cluster(three, { random })
    assert.ok(drawn.every((bound) => bound === 10))
    assert.equal(cluster.raft(1).status().randomizedElectionTicks, 11)
  })

  for (const preVote of [false, true]) {
    it(`every member can be elected in turn, ${preVote ? 'with' : 'without'} pre-vote`, () => {
      const cluster = new Cluster(three, { preVote, checkQuorum: false })
      for (const id of [1, 2, 3, 1]) {
        cluster.elect(id)
        for (const member of cluster.members) assert.equal(member.raft.leader, id)
      }
    })
  }

  it('a vote leaves only when it is durable, and survives a crash', () => {
    const cluster = new Cluster(three, { preVote: false })
    const voter = cluster.member(3)
    voter.isAppendHeld = true
    voter.raft.step(messageFrom({ type: 'vote', from: 1, to: 3, term: 1 }))
    cluster.settle()
    assert.equal(cluster.delivered.filter((each) => each.type === 'voteResponse').length, 0)
    cluster.writeNext(voter)
    voter.restart()
    voter.raft.step(messageFrom({ type: 'vote', from: 2, to: 3, term: 1 }))
    cluster.settle()
    const answer = cluster.delivered.find(({ type, to }) => type === 'voteResponse' && to === 2)
    assert.equal(answer?.reject, true)
  })

  it('votes of an older term are not counted', () => {
    const cluster = new Cluster(confStateOf([1, 2, 3, 4, 5]), { preVote: false })
    const { raft } = cluster.member(1)
    raft.campaign()
    raft.campaign()
    cluster.pump(cluster.member(1))
    for (const from of [2, 3]) raft.step(messageFrom({ type: 'voteResponse', from, term: 1 }))
    assert.equal(raft.role, 'candidate')
    for (const from of [2, 3]) raft.step(messageFrom({ type: 'voteResponse', from, term: 2 }))
    assert.equal(raft.role, 'leader')
  })

  it('stepping down within a term keeps the vote cast', () => {
    const cluster = new Cluster(three, { preVote: true, checkQuorum: false })
    const { raft } = cluster.member(1)
    raft.step(messageFrom({ type: 'vote', from: 2, term: 1 }))
    raft.campaign()
    raft.step(messageFrom({ type: 'heartbeat', from: 2, term: 1 }))
    raft.forgetLeader()
    raft.step(messageFrom({ type: 'vote', from: 3, term: 1, index: 9, logTerm: 1 }))
    cluster.settle()
    const answers = cluster.delivered.filter(({ type, to }) => type === 'voteResponse' && to === 3)
    assert.deepEqual(
      answers.map((each) => each.reject),
      [true],
    )
  })

  it('a pre-vote granted late does not count as a vote', () => {
    const cluster = new Cluster(three, { preVote: true })
    const { raft } = cluster.member(1)
    raft.campaign()
    cluster.pump(cluster.member(1))
    raft.step(messageFrom({ type: 'preVoteResponse', from: 2, term: 1 }))
    assert.equal(raft.role, 'candidate')
    raft.step(messageFrom({ type: 'preVoteResponse', from: 3, term: 1 }))
    cluster.pump(cluster.member(1))
    assert.equal(raft.role, 'candidate')
  })

  it('granting a pre-vote leaves term, vote and timeout as they are', () => {
    const cluster = new Cluster(three, { preVote: true, checkQuorum: false })
    const { raft } = cluster.member(1)
    cluster.tick(1, 7)
    raft.step(messageFrom({ type: 'preVote', from: 3, term: 5 }))
    const { term, vote, electionElapsed } = raft.status()
    assert.deepEqual({ term, vote, electionElapsed }, { term: 0, vote: 0, electionElapsed: 7 })
  })

  it('a pre-candidate answers as one without a leader, and starts with no votes', () => {
    const cluster = new Cluster(three, { preVote: true })
    cluster.elect(2)
    const { raft } = cluster.member(1)
    cluster.isolate(1)
    cluster.tick(1, 10)
    assert.equal(raft.role, 'precandidate')
    assert.equal(raft.leader, 0)
    cluster.settle()
    raft.step(messageFrom({ type: 'preVoteResponse', from: 2, term: 2, reject: true }))
    assert.equal(raft.role, 'follower')
  })

  it('the leader that stepped down may be pre-voted for once the lease is over', () => {
    const cluster = new Cluster(three, { random: (bound) => bound - 1 })
    cluster.elect(1)
    cluster.member(3).isDown = true
    cluster.isLost = ({ to }) => to === 1
    for (let i = 0; i < 20 && cluster.raft(1).role === 'leader'; i++) cluster.tick(1)
    assert.equal(cluster.raft(1).role, 'follower')
    cluster.settle()
    cluster.heal()
    cluster.tick(2, 9)
    cluster.raft(1).campaign()
    cluster.settle()
    assert.equal(cluster.leader(), undefined)
    cluster.tick(2)
    cluster.raft(1).campaign()
    cluster.settle()
    assert.equal(cluster.leader()?.id, 1)
  })

  it('a voter with an older term gives a usable pre-vote', () => {
    const cluster = new Cluster(three, { preVote: true })
    seed(cluster.member(1), [5, 5], 8)
    seed(cluster.member(2), [5, 5], 5)
    cluster.member(3).isDown = true
    cluster.elect(1)
    assert.equal(cluster.raft(1).term, 9)
  })

  it('a member whose term ran ahead is taken back in', () => {
    const cluster = new Cluster(three, { preVote: false })
    cluster.elect(1)
    cluster.isolate(3)
    cluster.tick(3, 100)
    cluster.settle()
    assert.ok(cluster.raft(3).term >= 10)
    cluster.heal()
    cluster.tickAll(60)
    const terms = cluster.members.map(({ raft }) => raft.term)
    assert.equal(new Set(terms).size, 1)
    assert.ok(cluster.leader() !== undefined)
  })

  it('a stuck pre-candidate of mixed settings is told the term and elects', () => {
    const cluster = new Cluster(three, { preVote: false, checkQuorum: false })
    cluster.elect(1)
    cluster.isolate(3)
    cluster.propose(1, 'x')
    cluster.tick(3, 30)
    cluster.settle()
    cluster.member(3).restart({ preVote: true })
    cluster.member(1).restart({ preVote: true })
    cluster.member(2).restart({ preVote: true })
    cluster.heal()
    cluster.raft(3).campaign()
    cluster.settle()
    cluster.raft(2).campaign()
    cluster.settle()
    cluster.raft(2).campaign()
    cluster.settle()
    assert.equal(cluster.leader()?.id, 2)
  })

  it('compares logs by last term first, then by length', () => {
    const cases: [number[], number[], boolean][] = [
      [[3], [2, 2, 2, 2], true],
      [[2, 2, 2, 2], [3], false],
      [[2, 2], [2], true],
      [[2], [2, 2], false],
      [[2], [2], true],
    ]
    for (const [candidate, voter, isGranted] of cases) {
      const cluster = new Cluster(confStateOf([1, 2]), { preVote: false })
      seed(cluster.member(1), candidate, 3)
      seed(cluster.member(2), voter, 3)
      cluster.raft(1).campaign()
      cluster.settle()
      assert.equal(cluster.raft(1).role === 'leader', isGranted)
    }
  })

  it('a candidate that sees a higher term counts no more votes', () => {
    const cluster = new Cluster(three, { preVote: false })
    const { raft } = cluster.member(1)
    raft.campaign()
    raft.step(messageFrom({ type: 'voteResponse', from: 2, term: 2, reject: true }))
    assert.equal(raft.role, 'follower')
    for (const from of [2, 3]) raft.step(messageFrom({ type: 'voteResponse', from, term: 1 }))
    cluster.pump(cluster.member(1))
    assert.equal(raft.role, 'follower')
    assert.equal(raft.term, 2)
  })

  it('a restarted leader is a follower, and leads again only in a new term', () => {
    const cluster = new Cluster(confStateOf([1]))
    cluster.elect(1)
    cluster.member(1).restart()
    assert.equal(cluster.raft(1).role, 'follower')
    assert.equal(cluster.raft(1).term, 1)
    cluster.tick(1, 10)
    cluster.settle()
    assert.equal(cluster.raft(1).role, 'leader')
    assert.equal(cluster.raft(1).term, 2)
  })

  it('a learner never campaigns, not even after a restart', () => {
    const cluster = new Cluster(confStateOf([1, 2], [3]))
    const learner = cluster.member(3)
    for (let life = 0; life < 2; life++) {
      cluster.tick(3, 100)
      learner.raft.step(messageFrom({ type: 'timeoutNow', from: 1, to: 3, term: 1 }))
      assert.equal(learner.raft.campaign(), 'dropped')
      cluster.settle()
      assert.equal(learner.raft.role, 'follower')
      learner.restart()
    }
  })

  it('a learner votes if it is asked, as it may not know of its promotion', () => {
    const cluster = new Cluster(confStateOf([1, 2], [3]), { preVote: false })
    const promoted = confStateOf([1, 2, 3])
    cluster.member(1).storage.createSnapshot(0, promoted)
    cluster.member(1).restart()
    cluster.member(2).isDown = true
    cluster.elect(1)
  })

  it('a partial partition neither deposes the leader nor inflates terms', () => {
    const cluster = new Cluster(three)
    cluster.elect(2)
    cluster.isLost = ({ from, to }) => from + to === 4 && from !== to
    cluster.tickAll(100)
    assert.equal(cluster.leader()?.id, 2)
    assert.deepEqual(
      cluster.members.map(({ raft }) => raft.term),
      [1, 1, 1],
    )
  })

  it('a leader that cannot hear steps down within two election timeouts', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.isLost = ({ to }) => to === 1
    for (let i = 0; i < 20; i++) {
      cluster.tick(1)
      cluster.settle()
    }
    assert.equal(cluster.raft(1).role, 'follower')
    assert.equal(cluster.raft(1).propose([new Uint8Array(1)]), 'dropped')
  })

  it('refuses to campaign with a committed configuration change unapplied', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.member(2).isApplyHeld = true
    cluster.raft(1).proposeConfChange({
      transition: 'auto',
      changes: [{ type: 'addLearner', id: 4 }],
      context: new Uint8Array(0),
    })
    cluster.settle()
    assert.equal(cluster.raft(2).commit, 2)
    assert.equal(cluster.raft(2).campaign(), 'dropped')
    cluster.member(2).isApplyHeld = false
    cluster.settle()
    assert.equal(cluster.raft(2).campaign(), 'ok')
  })

  it('refuses the same after a restart, when the change is found only in storage', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.raft(1).proposeConfChange({
      transition: 'auto',
      changes: [{ type: 'addLearner', id: 4 }],
      context: new Uint8Array(0),
    })
    cluster.settle()
    const { storage } = cluster.member(2)
    cluster.member(2).restart()
    storage.fetchingUpTo = 2
    assert.equal(cluster.raft(2).campaign(), 'dropped')
    storage.fetchingUpTo = 0
    assert.equal(cluster.raft(2).campaign(), 'dropped')
    cluster.member(2).isDown = false
    cluster.pump(cluster.member(2))
    cluster.pump(cluster.member(2))
    assert.equal(cluster.raft(2).campaign(), 'ok')
  })

  it('a cluster that stops as a whole has a leader again in bounded time', () => {
    let turn = 0
    const cluster = new Cluster(three, { random: (bound) => turn++ % bound })
    cluster.elect(1)
    for (const member of cluster.members) member.restart()
    cluster.tickAll(25)
    assert.ok(cluster.leader() !== undefined)
  })

  it('a cut-off minority with pre-vote keeps its durable term for ever', () => {
    const cluster = new Cluster(confStateOf([1, 2, 3, 4, 5]))
    cluster.elect(1)
    cluster.isolate(4, 5)
    cluster.tickAll(1_000)
    for (const id of [4, 5]) assert.equal(cluster.member(id).storage.hardState.term, 1)
    assert.equal(cluster.leader()?.id, 1)
  })

  it('a vote that comes after pre-campaigning again in the same term counts nothing', () => {
    const cluster = new Cluster(three, { preVote: true })
    const { raft } = cluster.member(1)
    raft.campaign()
    cluster.pump(cluster.member(1))
    raft.step(messageFrom({ type: 'preVoteResponse', from: 2, term: 1 }))
    cluster.pump(cluster.member(1))
    raft.campaign()
    cluster.pump(cluster.member(1))
    assert.equal(raft.role, 'precandidate')
    for (const from of [2, 3]) raft.step(messageFrom({ type: 'voteResponse', from, term: 1 }))
    assert.deepEqual([raft.role, raft.term], ['precandidate', 1])
  })

  it('votes of an earlier pre-campaign are not carried over', () => {
    const cluster = new Cluster(confStateOf([1, 2, 3, 4, 5]), { preVote: true })
    const { raft } = cluster.member(1)
    raft.campaign()
    cluster.pump(cluster.member(1))
    raft.step(messageFrom({ type: 'preVoteResponse', from: 2, term: 1 }))
    raft.campaign()
    raft.step(messageFrom({ type: 'preVoteResponse', from: 3, term: 1 }))
    assert.equal(raft.role, 'precandidate')
  })

  it('the first answer of a voter counts', () => {
    const cluster = new Cluster(three, { preVote: false })
    const { raft } = cluster.member(1)
    raft.campaign()
    cluster.pump(cluster.member(1))
    raft.step(messageFrom({ type: 'voteResponse', from: 2, term: 1, reject: true }))
    raft.step(messageFrom({ type: 'voteResponse', from: 2, term: 1 }))
    assert.equal(raft.role, 'candidate')
  })

  it('a pre-vote of an earlier term is refused aloud, with the term', () => {
    const cluster = new Cluster(three, { preVote: false, checkQuorum: false })
    seed(cluster.member(1), [1], 5)
    cluster.raft(1).step(messageFrom({ type: 'preVote', from: 2, term: 3 }))
    cluster.pump(cluster.member(1))
    const answer = cluster.network.find(({ type }) => type === 'preVoteResponse')
    assert.deepEqual([answer?.term, answer?.reject], [5, true])
  })

  it('a configuration change that was replaced stands in no campaign’s way', () => {
    const cluster = new Cluster(three, { preVote: false })
    const own = cluster.member(1)
    own.isApplyHeld = true
    const data = encodeConfChange({
      transition: 'auto',
      changes: [{ type: 'addLearner', id: 4 }],
      context: new Uint8Array(0),
    })
    const change = { index: 1, term: 1, type: 'confChangeV2', data } as const
    own.raft.step(messageFrom({ type: 'append', term: 1, entries: [change] }))
    const replaced = { type: 'append', term: 2, commit: 1, entries: [entryAt(1, 2)] } as const
    own.raft.step(messageFrom(replaced))
    cluster.settle()
    assert.equal(own.raft.commit, 1)
    assert.equal(own.raft.campaign(), 'ok')
  })
})
