import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ReadQueue } from '../../src/raft/read-queue.ts'
import { bytes, Cluster, confStateOf, type Member, messageFrom, text } from './cluster.ts'

const three = confStateOf([1, 2, 3])

function answers(member: Member): [number, string][] {
  return member.readStates.map(({ index, context }) => [index, text(context)])
}

describe('reads', () => {
  it('a read is answered with the commit index once a quorum confirmed the leader', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.propose(1, 'a')
    cluster.settle()
    assert.equal(cluster.raft(1).readIndex(bytes('r')), 'ok')
    assert.deepEqual(answers(cluster.member(1)), [])
    cluster.settle()
    assert.deepEqual(answers(cluster.member(1)), [[2, 'r']])
  })

  it('a follower’s read goes to the leader and comes back', () => {
    const cluster = new Cluster(three)
    assert.equal(cluster.raft(2).readIndex(bytes('early')), 'noLeader')
    cluster.elect(1)
    assert.equal(cluster.raft(2).readIndex(bytes('r')), 'ok')
    cluster.settle()
    assert.deepEqual(answers(cluster.member(2)), [[1, 'r']])
  })

  it('many reads share the confirmation of one round', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.isolate(1)
    for (let i = 0; i < 5; i++) cluster.raft(1).readIndex(bytes(`${i}`))
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 0)
    cluster.heal()
    cluster.tick(1)
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 5)
  })

  it('before the first commit of its term a leader answers nothing', () => {
    const cluster = new Cluster(three, { preVote: false })
    cluster.isLost = ({ type }) => type === 'append'
    cluster.elect(1)
    cluster.raft(1).readIndex(bytes('r'))
    cluster.tick(1)
    cluster.settle()
    assert.deepEqual(answers(cluster.member(1)), [])
    cluster.heal()
    cluster.tick(1, 2)
    cluster.settle()
    cluster.tick(1, 2)
    cluster.settle()
    assert.deepEqual(answers(cluster.member(1)), [[1, 'r']])
  })

  it('echoes of an earlier round confirm no later read with the same context', () => {
    const cluster = new Cluster(three, { checkQuorum: false })
    cluster.elect(1)
    const { raft } = cluster.member(1)
    raft.readIndex(bytes('same'))
    cluster.takeReady(cluster.member(1))
    const heartbeat = cluster.network.find(({ type }) => type === 'heartbeat')!
    const { context } = heartbeat
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 1)
    cluster.isolate(1)
    cluster.elect(2)
    cluster.propose(2, 'newer')
    cluster.settle()
    raft.readIndex(bytes('same'))
    for (const from of [2, 3]) {
      raft.step(messageFrom({ type: 'heartbeatResponse', from, term: 1, context }))
    }
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 1)
  })

  it('an echo of a counter that was never sent counts as nothing', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    const { raft } = cluster.member(1)
    cluster.isolate(1)
    raft.readIndex(bytes('r'))
    const forged = new Uint8Array(8).fill(0x0f)
    for (const context of [forged, bytes('short'), new Uint8Array(64)]) {
      for (const from of [2, 3]) {
        raft.step(messageFrom({ type: 'heartbeatResponse', from, term: 1, context }))
      }
    }
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 0)
  })

  it('learners confirm nothing', () => {
    const cluster = new Cluster(confStateOf([1, 2, 3], [4, 5]))
    cluster.elect(1)
    cluster.isolate(2, 3)
    cluster.raft(1).readIndex(bytes('r'))
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 0)
    cluster.heal()
    cluster.tick(1)
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 1)
  })

  it('needs three of four and three of five', () => {
    for (const voters of [
      [1, 2, 3, 4],
      [1, 2, 3, 4, 5],
    ]) {
      const cluster = new Cluster(confStateOf(voters), { checkQuorum: false })
      cluster.elect(1)
      cluster.isolate(1, 2)
      cluster.raft(1).readIndex(bytes('r'))
      cluster.settle()
      assert.equal(cluster.member(1).readStates.length, 0)
      cluster.isolate(1, 2, 3)
      cluster.tick(1)
      cluster.settle()
      assert.equal(cluster.member(1).readStates.length, 1)
    }
  })

  it('waiting reads are bounded, and gone when the term is', () => {
    const cluster = new Cluster(three, { pendingReadsMax: 10, preVote: false })
    cluster.isLost = ({ type }) => type === 'append'
    cluster.elect(1)
    const { raft } = cluster.member(1)
    const results = Array.from({ length: 15 }, () => raft.readIndex(bytes('r')))
    assert.equal(results.filter((result) => result === 'ok').length, 10)
    assert.equal(results.filter((result) => result === 'dropped').length, 5)
    raft.step(messageFrom({ type: 'heartbeat', from: 2, term: 9 }))
    cluster.heal()
    cluster.settle()
    cluster.tickAll(30)
    assert.equal(cluster.member(1).readStates.length, 0)
  })

  it('the configuration at the moment of confirmation decides', () => {
    const cluster = new Cluster(confStateOf([1, 2, 3, 4, 5]), { checkQuorum: false })
    cluster.elect(1)
    const { raft } = cluster.member(1)
    cluster.isolate(1, 2)
    raft.readIndex(bytes('r'))
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 0)
    const none = new Uint8Array(0)
    for (const id of [5, 4]) {
      raft.applyConfChange({
        transition: 'auto',
        changes: [{ type: 'removeNode', id }],
        context: none,
      })
    }
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 1, 'two of three have echoed')
  })

  it('a single voter answers at once', () => {
    const cluster = new Cluster(confStateOf([1]))
    cluster.elect(1)
    cluster.raft(1).readIndex(bytes('r'))
    cluster.takeReady(cluster.member(1))
    assert.deepEqual(answers(cluster.member(1)), [[1, 'r']])
  })

  it('a single voter answers nothing before the first commit of its term', () => {
    const cluster = new Cluster(confStateOf([1]))
    const alone = cluster.member(1)
    // What it acknowledged before it was stopped is in its log, and its commit index may be behind.
    alone.raft.campaign()
    while (alone.raft.role !== 'leader') {
      cluster.takeReady(alone)
      cluster.writeNext(alone)
    }
    assert.equal(alone.raft.readIndex(bytes('r')), 'ok')
    cluster.takeReady(alone)
    assert.deepEqual(answers(alone), [])
    cluster.settle()
    assert.deepEqual(answers(alone), [[1, 'r']])
  })

  it('by lease a read is answered without a round, until a transfer revokes the lease', () => {
    const cluster = new Cluster(three, { readOnly: 'lease' })
    cluster.elect(1)
    cluster.isolate(1)
    cluster.raft(1).readIndex(bytes('lease'))
    cluster.takeReady(cluster.member(1))
    assert.deepEqual(answers(cluster.member(1)), [[1, 'lease']])
    cluster.raft(1).transferLeader(2)
    cluster.raft(1).readIndex(bytes('revoked'))
    cluster.settle()
    cluster.tick(1, 10)
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 1, 'a late target may have been elected')
    cluster.heal()
    cluster.tick(1)
    cluster.settle()
    assert.equal(cluster.member(1).readStates.length, 2, 'a quorum can still confirm')
  })

  it('who promised a lease does not forget the leader', () => {
    const lease = new Cluster(three, { readOnly: 'lease' })
    lease.elect(1)
    assert.equal(lease.raft(2).forgetLeader(), 'dropped')
    assert.equal(lease.raft(2).leader, 1)
    const safe = new Cluster(three)
    safe.elect(1)
    assert.equal(safe.raft(2).forgetLeader(), 'ok')
    assert.equal(safe.raft(2).leader, 0)
  })

  it('the counter fits in its eight bytes beyond 32 bits', () => {
    const queue = new ReadQueue(10)
    queue.add(messageFrom({ type: 'readIndex' }), 1)
    assert.equal(queue.decodeEcho(queue.heartbeatContext()), 1)
    const large = new Uint8Array([0, 0, 0, 0, 1, 0, 0, 0])
    assert.equal(queue.decodeEcho(large), 0)
  })
})
