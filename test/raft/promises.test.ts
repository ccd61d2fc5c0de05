import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Cluster, confStateOf } from './cluster.ts'

const three = confStateOf([1, 2, 3])
/** More than any time-out that is drawn. */
const LONG_TICKS = 30

/** Members that keep their votes while `keepers` has them. */
function createCluster(keepers: Set<number>, confState = three): Cluster {
  const cluster = new Cluster(confState)
  for (const member of cluster.members) {
    member.restart({ keepsVote: () => keepers.has(member.id) })
  }
  return cluster
}

describe('a vote that is kept', () => {
  it('is given to nobody, though the leader is silent and forgotten', () => {
    const keepers = new Set<number>()
    const cluster = createCluster(keepers)
    cluster.elect(1)
    cluster.tickAll(3)
    keepers.add(2)
    cluster.isolate(1)
    cluster.raft(2).forgetLeader()
    cluster.raft(3).forgetLeader()
    cluster.raft(3).campaign()
    cluster.settle()
    cluster.tickAll(LONG_TICKS)
    assert.deepEqual([cluster.raft(2).term, cluster.raft(3).role], [1, 'precandidate'])
    keepers.clear()
    cluster.tickAll(LONG_TICKS)
    assert.notEqual(cluster.leader()?.id, undefined)
  })

  it('is none for oneself either, and one campaigns as soon as it is free', () => {
    const keepers = new Set([1])
    const cluster = createCluster(keepers)
    assert.equal(cluster.raft(1).campaign(), 'dropped')
    cluster.tick(1, LONG_TICKS)
    assert.equal(cluster.raft(1).role, 'follower')
    keepers.clear()
    cluster.tick(1)
    cluster.settle()
    assert.equal(cluster.leader()?.id, 1)
  })

  it('does not hold up a transfer, nor a sole voter', () => {
    const keepers = new Set<number>()
    const cluster = createCluster(keepers)
    cluster.elect(1)
    for (const id of [1, 2, 3]) keepers.add(id)
    cluster.raft(1).transferLeader(2)
    cluster.settle()
    assert.equal(cluster.leader()?.id, 2)
    const alone = createCluster(new Set([1]), confStateOf([1]))
    assert.equal(alone.raft(1).campaign(), 'ok')
  })
})

describe('a leader is backed by the votes that are kept for it', () => {
  it('from the first commit of its term on', () => {
    const cluster = new Cluster(three)
    cluster.isLost = ({ type }) => type === 'appendResponse'
    cluster.elect(1)
    assert.equal(cluster.raft(1).role, 'leader')
    assert.equal(cluster.raft(1).isBackedByVotes, false)
    cluster.heal()
    cluster.tickAll(3)
    assert.equal(cluster.raft(1).isBackedByVotes, true)
    assert.equal(cluster.raft(2).isBackedByVotes, false)
  })

  it('until it tells another one to take over, and then no more in its term', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.tickAll(3)
    cluster.isLost = ({ type }) => type === 'timeoutNow'
    cluster.raft(1).transferLeader(3)
    assert.equal(cluster.raft(1).isBackedByVotes, false)
    cluster.settle()
    cluster.tickAll(LONG_TICKS)
    // The transfer has failed, but the word to take over may still be under way.
    assert.equal(cluster.raft(1).status().leadTransferee, 0)
    assert.equal(cluster.raft(1).role, 'leader')
    assert.equal(cluster.raft(1).isBackedByVotes, false)
  })

  it('not while it waits for the one that is to take over', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.propose(1, 'a')
    cluster.settle()
    assert.equal(cluster.raft(1).isBackedByVotes, true)
    cluster.raft(1).transferLeader(3)
    assert.equal(cluster.raft(1).isBackedByVotes, false)
  })

  it('not while a change of members is in its log and not applied', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.tickAll(3)
    cluster.member(1).isApplyHeld = true
    cluster.raft(1).proposeConfChange({
      transition: 'auto',
      changes: [{ type: 'addLearner', id: 4 }],
      context: new Uint8Array(0),
    })
    assert.equal(cluster.raft(1).isBackedByVotes, false)
    cluster.settle()
    assert.equal(cluster.raft(1).isBackedByVotes, false)
    cluster.member(1).isApplyHeld = false
    cluster.settle()
    cluster.tickAll(3)
    assert.equal(cluster.raft(1).isBackedByVotes, true)
  })
})
