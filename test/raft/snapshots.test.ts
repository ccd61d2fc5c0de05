import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Message, Snapshot } from '../../src/raft/raft.ts'
import { Cluster, confStateOf, entryAt, type Member, messageFrom, seed } from './cluster.ts'

const three = confStateOf([1, 2, 3])

function snapshotAt(index: number, term: number): Snapshot {
  return { meta: { index, term, confState: three }, data: new Uint8Array(0) }
}

function install(index: number, term: number, messageTerm: number): Message {
  const snapshot = snapshotAt(index, term)
  return messageFrom({ type: 'snapshot', term: messageTerm, snapshot })
}

/** A leader whose log is compacted beyond what the isolated member 3 has. */
function compacted(): Cluster {
  const cluster = new Cluster(three)
  cluster.elect(1)
  cluster.isolate(3)
  cluster.propose(1, 'a', 'b', 'c')
  cluster.settle()
  compactAt(cluster.member(1), 4)
  return cluster
}

function compactAt({ storage }: Member, index: number): void {
  storage.createSnapshot(index, three)
  storage.compact(index)
}

describe('snapshots', () => {
  it('a member that is too far behind gets one, and the entries after it', () => {
    const cluster = compacted()
    cluster.heal()
    cluster.tickAll(2)
    const { state, match } = cluster.raft(1).status().progress[2]!
    assert.deepEqual([state, match], ['replicate', 4])
    cluster.propose(1, 'd')
    cluster.settle()
    assert.deepEqual(cluster.member(3).values, ['d'])
    assert.equal(cluster.raft(3).applied, 5)
  })

  it('none is sent to a member that was not heard of, nor while none is ready', () => {
    const cluster = compacted()
    const { raft, storage } = cluster.member(1)
    cluster.tickAll(21)
    assert.equal(raft.status().progress[2]!.recentActive, false)
    raft.reportUnreachable(3)
    cluster.propose(1, 'd')
    assert.equal(raft.status().progress[2]!.state === 'snapshot', false)
    storage.snapshotSource = () => 'unavailable'
    cluster.heal()
    cluster.tickAll(3)
    assert.ok(cluster.member(1).traced.includes('snapshotUnavailable'))
    assert.notEqual(raft.status().progress[2]!.state, 'snapshot')
  })

  it('while one is on its way nothing else is sent', () => {
    const cluster = compacted()
    cluster.isLost = ({ type, to }) => to === 3 && type === 'snapshot'
    cluster.tickAll(2)
    assert.equal(cluster.raft(1).status().progress[2]!.state, 'snapshot')
    const from = cluster.delivered.length
    cluster.propose(1, 'd')
    cluster.tickAll(3)
    const sent = cluster.delivered
      .slice(from)
      .filter(({ type, to }) => to === 3 && type === 'append')
    assert.deepEqual(sent, [])
  })

  it('one that failed is tried again after a heartbeat', () => {
    const cluster = compacted()
    cluster.isLost = ({ type, to }) => to === 3 && type === 'snapshot'
    cluster.tickAll(2)
    cluster.raft(1).reportSnapshot(3, false)
    const { state, next, paused } = cluster.raft(1).status().progress[2]!
    assert.deepEqual([state, next, paused], ['probe', 2, true])
    cluster.heal()
    cluster.tickAll(2)
    assert.equal(cluster.raft(1).status().progress[2]!.match, 4)
  })

  it('one that was installed while its answer was lost is gone on from', () => {
    const cluster = compacted()
    cluster.isLost = ({ type, from }) => from === 3 && type === 'appendResponse'
    cluster.tickAll(2)
    cluster.heal()
    cluster.raft(1).reportSnapshot(3, true)
    assert.equal(cluster.raft(1).status().progress[2]!.next, 5)
    cluster.tickAll(2)
    assert.equal(cluster.raft(1).status().progress[2]!.match, 4)
  })

  it('an old one is ignored and answered with the commit index', () => {
    const cluster = new Cluster(three)
    const own = cluster.member(1)
    seed(own, [1, 1, 1], 1, 3)
    own.storage.compact(3)
    own.restart({ appliedIndex: 3 })
    own.raft.step(install(2, 1, 1))
    cluster.settle()
    assert.equal(own.storage.lastIndex(), 3)
    assert.equal(cluster.delivered.at(-1)?.index, 3)
  })

  it('a conflicting log below it is dropped, an equal one is kept', () => {
    const conflicting = new Cluster(three)
    seed(conflicting.member(1), [1, 1, 2, 2, 2], 2)
    conflicting.raft(1).step(install(4, 3, 3))
    conflicting.settle()
    assert.equal(conflicting.raft(1).lastIndex, 4)
    assert.equal(conflicting.raft(1).applied, 4)
    const equal = new Cluster(three)
    seed(equal.member(1), [1, 1, 3, 3, 3], 3)
    equal.raft(1).step(install(4, 3, 3))
    equal.settle()
    assert.equal(equal.raft(1).lastIndex, 5)
    assert.equal(equal.raft(1).commit, 4)
  })

  it('nothing is applied, and no campaign starts, until it is in place', () => {
    const cluster = new Cluster(three)
    const own = cluster.member(1)
    own.isAppendHeld = true
    own.raft.step(install(7, 1, 1))
    const next = { type: 'append', term: 1, index: 7, logTerm: 1, commit: 8 } as const
    own.raft.step(messageFrom({ ...next, entries: [entryAt(8, 1, 'x')] }))
    cluster.settle()
    assert.deepEqual(own.values, [])
    assert.equal(own.raft.campaign(), 'dropped')
    own.isAppendHeld = false
    cluster.settle()
    assert.deepEqual(own.values, ['x'])
    assert.equal(own.raft.campaign(), 'ok')
  })

  it('a second one may come while the first is being installed', () => {
    const cluster = new Cluster(three)
    const own = cluster.member(1)
    own.isAppendHeld = true
    own.raft.step(install(5, 1, 1))
    cluster.takeReady(own)
    own.raft.step(install(9, 2, 2))
    cluster.takeReady(own)
    cluster.writeNext(own)
    assert.equal(own.raft.status().lastIndex, 9)
    cluster.writeNext(own)
    cluster.settle()
    assert.equal(own.raft.applied, 9)
    assert.equal(own.storage.lastIndex(), 9)
  })

  it('one that was installed under an earlier term counts all the same', () => {
    const cluster = new Cluster(three)
    const own = cluster.member(1)
    own.isAppendHeld = true
    own.raft.step(install(5, 1, 1))
    cluster.takeReady(own)
    own.raft.step(messageFrom({ type: 'heartbeat', from: 3, term: 2 }))
    own.isAppendHeld = false
    cluster.settle()
    assert.equal(own.raft.applied, 5)
    assert.equal(own.raft.campaign(), 'ok')
  })

  it('compaction under way to a slow member turns into a snapshot', () => {
    const cluster = new Cluster(three, { messageBytesMax: 0, inflightMessagesMax: 2 })
    cluster.elect(1)
    cluster.isolate(3)
    for (let i = 0; i < 10; i++) cluster.propose(1, `${i}`)
    cluster.settle()
    compactAt(cluster.member(1), 8)
    cluster.heal()
    cluster.tickAll(4)
    assert.equal(cluster.raft(1).status().progress[2]!.match, 11)
    assert.equal(cluster.raft(3).applied, 11)
  })

  it('one whose configuration lacks this member is refused', () => {
    const cluster = new Cluster(three)
    const own = cluster.member(1)
    const confState = confStateOf([2, 3])
    const snapshot = { meta: { index: 5, term: 1, confState }, data: new Uint8Array(0) }
    own.raft.step(messageFrom({ type: 'snapshot', term: 1, snapshot }))
    assert.equal(own.raft.lastIndex, 0)
  })

  it('a commit index beyond the log at a restart is brought back to the log', () => {
    const cluster = new Cluster(three)
    const own = cluster.member(1)
    seed(own, [1, 1], 1, 9)
    assert.equal(own.raft.commit, 2)
  })

  it('what was applied is committed, even if the disk knows of an older commit index', () => {
    const cluster = new Cluster(three)
    const own = cluster.member(1)
    seed(own, [1, 1, 1], 1, 1)
    own.restart({ appliedIndex: 3 })
    assert.equal(own.raft.commit, 3)
    assert.equal(own.raft.applied, 3)
    assert.throws(() => own.restart({ appliedIndex: 4 }), /missing from the log/)
  })
})
