import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bytes, Cluster, confStateOf, messageFrom } from './cluster.ts'

const three = confStateOf([1, 2, 3])
const NO_BYTES = new Uint8Array(0)

describe('leadership transfer', () => {
  it('goes to a complete member, asked of the leader or of a follower', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.raft(1).transferLeader(2)
    cluster.settle()
    assert.equal(cluster.leader()?.id, 2)
    cluster.raft(1).transferLeader(3)
    cluster.settle()
    assert.equal(cluster.leader()?.id, 3)
    assert.equal(new Cluster(three).raft(1).transferLeader(2), 'noLeader')
  })

  it('wins although pre-vote is on and everybody is in the lease of the leader', () => {
    const cluster = new Cluster(three, { preVote: true, checkQuorum: true })
    cluster.elect(1)
    cluster.tickAll(5)
    cluster.raft(1).transferLeader(3)
    cluster.settle()
    assert.equal(cluster.leader()?.id, 3)
    assert.equal(
      cluster.delivered.some(({ type, from }) => type === 'preVote' && from === 3),
      false,
    )
  })

  it('waits for a member that lags, which then has every entry', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.propose(1, 'a', 'b')
    cluster.settle()
    cluster.raft(1).transferLeader(3)
    assert.equal(cluster.raft(1).propose([bytes('no')]), 'dropped')
    cluster.heal()
    cluster.tickAll(3)
    assert.equal(cluster.leader()?.id, 3)
    assert.deepEqual(cluster.member(3).values, ['a', 'b'])
    const sent = cluster.delivered.find(({ type }) => type === 'timeoutNow')
    assert.equal(sent?.to, 3)
  })

  it('a target that cannot be reached blocks proposals for one election timeout', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.propose(1, 'a')
    cluster.settle()
    cluster.raft(1).transferLeader(3)
    for (let i = 0; i < 9; i++) cluster.tickAll()
    assert.equal(cluster.raft(1).propose([bytes('b')]), 'dropped')
    cluster.tickAll()
    assert.equal(cluster.raft(1).propose([bytes('b')]), 'ok')
    assert.equal(cluster.raft(1).role, 'leader')
    assert.equal(cluster.raft(1).status().leadTransferee, 0)
  })

  it('nothing acknowledged is lost when proposals go on during transfers', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    const accepted: string[] = []
    for (let i = 0; i < 60; i++) {
      const leader = cluster.leader()
      if (i % 10 === 5) leader?.raft.transferLeader((leader.id % 3) + 1)
      if (leader?.raft.propose([bytes(`${i}`)]) === 'ok') accepted.push(`${i}`)
      cluster.settle()
    }
    assert.ok(accepted.length >= 50)
    for (const member of cluster.members) assert.deepEqual(member.values, accepted)
  })

  it('to a learner, a stranger, or oneself leaves nothing behind', () => {
    const cluster = new Cluster(confStateOf([1, 2], [3]))
    cluster.elect(1)
    for (const id of [3, 9, 1]) {
      cluster.raft(1).transferLeader(id)
      assert.equal(cluster.raft(1).status().leadTransferee, 0)
      assert.equal(cluster.raft(1).propose([bytes('x')]), 'ok')
    }
    cluster.settle()
    assert.equal(cluster.leader()?.id, 1)
  })

  it('a second target replaces the first; the same one changes nothing', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.isolate(1)
    cluster.propose(1, 'a')
    cluster.raft(1).transferLeader(2)
    cluster.tick(1, 3)
    cluster.raft(1).transferLeader(2)
    assert.equal(cluster.raft(1).status().electionElapsed, 3)
    cluster.raft(1).transferLeader(3)
    assert.equal(cluster.raft(1).status().leadTransferee, 3)
    assert.equal(cluster.raft(1).status().electionElapsed, 0)
    cluster.raft(1).transferLeader(1)
    assert.equal(cluster.raft(1).status().leadTransferee, 0)
  })

  it('ends when the target is removed or demoted', () => {
    for (const type of ['removeNode', 'addLearner'] as const) {
      const cluster = new Cluster(three)
      cluster.elect(1)
      cluster.isolate(3)
      cluster.propose(1, 'a')
      cluster.settle()
      cluster.raft(1).transferLeader(3)
      cluster.raft(1).applyConfChange({
        transition: 'auto',
        changes: [{ type, id: 3 }],
        context: NO_BYTES,
      })
      assert.equal(cluster.raft(1).status().leadTransferee, 0)
    }
  })

  it('a call to campaign from an earlier term is ignored', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.elect(1 + 1 - 1)
    cluster.raft(1).transferLeader(2)
    cluster.takeReady(cluster.member(1))
    const late = cluster.network.find(({ type }) => type === 'timeoutNow')!
    cluster.network = []
    cluster.tick(1, 10)
    cluster.settle()
    cluster.raft(1).transferLeader(3)
    cluster.settle()
    assert.equal(cluster.leader()?.id, 3)
    const { term } = cluster.raft(3)
    cluster.deliver(late)
    cluster.settle()
    assert.equal(cluster.leader()?.id, 3)
    assert.equal(cluster.raft(3).term, term)
  })

  it('a higher term ends the transfer', () => {
    const cluster = new Cluster(three, { checkQuorum: false })
    cluster.elect(1)
    cluster.isolate(1)
    cluster.propose(1, 'a')
    cluster.raft(1).transferLeader(2)
    cluster.raft(1).step(messageFrom({ type: 'vote', from: 3, term: 9 }))
    assert.equal(cluster.raft(1).role, 'follower')
    assert.equal(cluster.raft(1).status().leadTransferee, 0)
  })
})
