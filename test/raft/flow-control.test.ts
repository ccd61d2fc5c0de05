import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Inflights } from '../../src/raft/inflights.ts'
import { bytes, Cluster, confStateOf } from './cluster.ts'

const three = confStateOf([1, 2, 3])

describe('flow control', () => {
  it('the window bounds messages by count and by bytes', () => {
    const byCount = new Inflights(3, Number.POSITIVE_INFINITY)
    for (const index of [1, 5, 9]) byCount.add(index, 10)
    assert.equal(byCount.isFull(), true)
    assert.throws(() => byCount.add(10, 1), /invariant/)
    byCount.freeUpTo(5)
    assert.deepEqual([byCount.count, byCount.bytes, byCount.isFull()], [1, 10, false])
    const byBytes = new Inflights(1_000, 100)
    byBytes.add(1, 99)
    assert.equal(byBytes.isFull(), false)
    byBytes.add(2, 1)
    assert.equal(byBytes.isFull(), true)
    byBytes.reset()
    assert.deepEqual([byBytes.count, byBytes.bytes], [0, 0])
  })

  it('the window keeps its order while it grows and wraps', () => {
    const window = new Inflights(1_000, Number.POSITIVE_INFINITY)
    let next = 1
    let freed = 0
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 7; i++) window.add(next++, 1)
      freed += 3
      window.freeUpTo(freed)
      assert.equal(window.count, next - 1 - freed)
      assert.equal(window.bytes, window.count)
    }
  })

  it('no more messages are out than the window holds', () => {
    const cluster = new Cluster(three, { inflightMessagesMax: 4, messageBytesMax: 0 })
    cluster.elect(1)
    cluster.isolate(3)
    for (let i = 0; i < 50; i++) cluster.propose(1, `${i}`)
    cluster.takeReady(cluster.member(1))
    const appends = cluster.network.filter(({ type, to }) => type === 'append' && to === 3)
    assert.equal(appends.length, 4)
    assert.equal(cluster.raft(1).status().progress[2]!.paused, true)
    cluster.settle()
    cluster.heal()
    cluster.tickAll(3)
    assert.equal(cluster.member(3).values.length, 50)
  })

  it('bytes in flight are bounded as well', () => {
    const config = { inflightBytesMax: 2_000, messageBytesMax: 0 }
    const cluster = new Cluster(three, config)
    cluster.elect(1)
    const value = 'x'.repeat(1_000)
    for (let i = 0; i < 10; i++) cluster.propose(1, value)
    cluster.takeReady(cluster.member(1))
    const appends = cluster.network.filter(({ type, to }) => type === 'append' && to === 2)
    assert.equal(appends.length, 2)
    cluster.settle()
    assert.equal(cluster.member(2).values.length, 10)
  })

  it('a full window of lost messages is got going by a heartbeat', () => {
    const cluster = new Cluster(three, { inflightMessagesMax: 3, messageBytesMax: 0 })
    cluster.elect(1)
    cluster.isLost = ({ to, type }) => to === 3 && type === 'append'
    for (let i = 0; i < 5; i++) cluster.propose(1, `${i}`)
    cluster.settle()
    assert.equal(cluster.raft(1).status().progress[2]!.inflightFull, true)
    cluster.heal()
    cluster.tick(1)
    cluster.settle()
    assert.equal(cluster.member(3).values.length, 5)
  })

  it('messages are cut at their bound, but one entry always goes', () => {
    const cluster = new Cluster(three, { messageBytesMax: 300 })
    cluster.elect(1)
    cluster.isolate(3)
    cluster.propose(1, 'x'.repeat(1_000))
    for (let i = 0; i < 9; i++) cluster.propose(1, 'y'.repeat(50))
    cluster.settle()
    cluster.heal()
    const from = cluster.delivered.length
    cluster.tickAll(5)
    const sizes = cluster.delivered
      .slice(from)
      .filter(({ type, to, entries }) => type === 'append' && to === 3 && entries.length > 0)
      .map(({ entries }) => entries.length)
    assert.equal(cluster.member(3).values.length, 10)
    assert.ok(
      sizes.every((count) => count <= 4),
      `${sizes}`,
    )
  })

  it('outstanding apply work is bounded, across every Ready', () => {
    const cluster = new Cluster(confStateOf([1]), { committedBytesMax: 250 })
    cluster.elect(1)
    const own = cluster.member(1)
    own.isApplyHeld = true
    for (let i = 0; i < 20; i++) cluster.propose(1, 'z'.repeat(76))
    cluster.settle()
    const handedOut = own.applyQueue.flatMap(({ entries }) => entries)
    assert.ok(handedOut.length >= 1 && handedOut.length <= 3, `${handedOut.length} entries`)
    own.isApplyHeld = false
    cluster.settle()
    assert.equal(own.values.length, 20)
  })

  it('a leader without followers holds a bounded tail', () => {
    const cluster = new Cluster(three, { uncommittedBytesMax: 10_000, checkQuorum: false })
    cluster.elect(1)
    cluster.isolate(1)
    let refused = 0
    for (let i = 0; i < 10_000; i++) {
      if (cluster.raft(1).propose([bytes('x'.repeat(100))]) === 'dropped') refused++
    }
    assert.equal(refused, 9_900)
    assert.equal(cluster.raft(1).lastIndex, 101)
  })

  it('one proposal of any size may pass when nothing else waits', () => {
    const cluster = new Cluster(three, { uncommittedBytesMax: 10 })
    cluster.elect(1)
    assert.equal(cluster.raft(1).propose([bytes('x'.repeat(100))]), 'ok')
    assert.equal(cluster.raft(1).propose([bytes('x')]), 'dropped')
    assert.equal(cluster.raft(1).propose([new Uint8Array(0)]), 'ok')
  })

  it('the quota is free again after committing, and after losing leadership', () => {
    const cluster = new Cluster(three, { uncommittedBytesMax: 1_000, checkQuorum: false })
    cluster.elect(1)
    cluster.isolate(1)
    while (cluster.raft(1).propose([bytes('x'.repeat(100))]) === 'ok');
    assert.equal(cluster.raft(1).status().uncommittedBytes, 1_000)
    cluster.elect(2)
    cluster.heal()
    cluster.tickAll(2)
    cluster.elect(1)
    assert.equal(cluster.raft(1).status().uncommittedBytes, 0)
    for (let i = 0; i < 30; i++) {
      cluster.propose(1, 'y'.repeat(100))
      cluster.settle()
    }
    assert.equal(cluster.raft(1).status().uncommittedBytes, 0)
  })
})
