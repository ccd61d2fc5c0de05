import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type ConfChange,
  type ConfChangeSingle,
  type ConfState,
  createMessage,
  encodeConfChange,
  type MemberId,
} from '../../src/raft/raft.ts'
import { bytes, Cluster, confStateOf, type Member, messageFrom, seed } from './cluster.ts'

const three = confStateOf([1, 2, 3])
const NO_BYTES = new Uint8Array(0)

function change(
  type: ConfChangeSingle['type'],
  id: MemberId,
  transition: ConfChange['transition'] = 'auto',
): ConfChange {
  return { transition, changes: [{ type, id }], context: NO_BYTES }
}

const leave: ConfChange = { transition: 'auto', changes: [], context: NO_BYTES }

function joint(...changes: ConfChangeSingle[]): ConfChange {
  return { transition: 'jointExplicit', changes, context: NO_BYTES }
}

/**
 * A member that starts with nothing learns the configuration from a snapshot, which must be one
 * that knows of it: so this leader's snapshot is always of what it has applied.
 */
function compactAll(member: Member): void {
  const { storage } = member
  storage.compact(member.raft.applied)
  storage.snapshotSource = () => {
    const { applied, confState } = member.raft
    const term = storage.term(applied) as number
    return { meta: { index: applied, term, confState }, data: NO_BYTES }
  }
}

function votersOf(state: ConfState): readonly (readonly MemberId[])[] {
  return [state.voters, state.votersOutgoing]
}

describe('membership', () => {
  it('a new voter catches up, votes and counts', () => {
    const cluster = new Cluster(confStateOf([1]))
    cluster.elect(1)
    compactAll(cluster.member(1))
    cluster.propose(1, 'a')
    cluster.addMember(2)
    cluster.settle()
    assert.equal(cluster.raft(1).proposeConfChange(change('addNode', 2)), 'ok')
    cluster.settle()
    cluster.tickAll(2)
    assert.equal(cluster.raft(2).applied, 3)
    assert.deepEqual(cluster.raft(2).confState.voters, [1, 2])
    cluster.isolate(2)
    cluster.propose(1, 'b')
    cluster.settle()
    assert.deepEqual(cluster.member(1).values, ['a'], 'two voters: one is no quorum')
    cluster.heal()
    cluster.tickAll(2)
    assert.deepEqual(cluster.member(2).values, ['b'])
  })

  it('learners get entries but neither commit nor keep a leader in office', () => {
    const cluster = new Cluster(confStateOf([1, 2, 3], [4, 5]))
    cluster.elect(1)
    cluster.isolate(2, 3)
    cluster.propose(1, 'a')
    cluster.settle()
    assert.equal(cluster.member(4).storage.lastIndex(), 2)
    assert.equal(cluster.raft(1).commit, 1)
    cluster.tickAll(25)
    assert.equal(cluster.raft(1).role, 'follower')
  })

  it('a change waits until everything before it is applied', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.member(1).isApplyHeld = true
    cluster.raft(1).proposeConfChange(change('addLearner', 4))
    cluster.raft(1).proposeConfChange(change('addLearner', 5))
    cluster.settle()
    cluster.member(1).isApplyHeld = false
    cluster.settle()
    assert.deepEqual(cluster.raft(1).confState.learners, [4])
    cluster.raft(1).proposeConfChange(change('addLearner', 5))
    cluster.settle()
    assert.deepEqual(cluster.raft(1).confState.learners, [4, 5])
  })

  it('a new leader changes nothing before its own first entry is applied', () => {
    const cluster = new Cluster(three, { preVote: false })
    cluster.isLost = ({ type }) => type === 'append'
    seed(cluster.member(1), [1], 1)
    cluster.elect(1)
    cluster.raft(1).proposeConfChange(change('removeNode', 3))
    cluster.heal()
    cluster.tickAll(3)
    assert.deepEqual(cluster.raft(1).confState.voters, [1, 2, 3])
    assert.ok(cluster.member(1).traced.includes('confChangeIgnored'))
  })

  it('no second change while joint, and no leaving while not', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.raft(1).proposeConfChange(leave)
    cluster.settle()
    assert.deepEqual(votersOf(cluster.raft(1).confState), [[1, 2, 3], []])
    cluster.raft(1).proposeConfChange(joint({ type: 'removeNode', id: 3 }))
    cluster.settle()
    assert.deepEqual(votersOf(cluster.raft(1).confState), [
      [1, 2],
      [1, 2, 3],
    ])
    cluster.raft(1).proposeConfChange(change('addNode', 4))
    cluster.settle()
    assert.deepEqual(votersOf(cluster.raft(1).confState), [
      [1, 2],
      [1, 2, 3],
    ])
    cluster.raft(1).proposeConfChange(leave)
    cluster.settle()
    assert.deepEqual(votersOf(cluster.raft(2).confState), [[1, 2], []])
    const refused = cluster.member(1).traced.filter((code) => code === 'confChangeIgnored')
    assert.equal(refused.length, 2, 'refused before the log, not only when applied')
  })

  it('a change that was dropped for the quota does not count as pending', () => {
    const cluster = new Cluster(three, { uncommittedBytesMax: 10 })
    cluster.elect(1)
    cluster.propose(1, '0123456789')
    assert.equal(cluster.raft(1).proposeConfChange(change('addLearner', 4)), 'dropped')
    cluster.settle()
    assert.equal(cluster.raft(1).proposeConfChange(change('addLearner', 4)), 'ok')
    cluster.settle()
    assert.deepEqual(cluster.raft(1).confState.learners, [4])
  })

  it('a joint configuration needs both majorities, also after a restart of all', () => {
    const cluster = new Cluster(confStateOf([1, 2, 3]))
    cluster.elect(1)
    compactAll(cluster.member(1))
    for (const id of [4, 5]) cluster.addMember(id)
    const changes = [2, 3].map((id): ConfChangeSingle => ({ type: 'removeNode', id }))
    changes.push(...[4, 5].map((id): ConfChangeSingle => ({ type: 'addNode', id })))
    cluster.raft(1).proposeConfChange(joint(...changes))
    cluster.settle()
    assert.deepEqual(votersOf(cluster.raft(5).confState), [
      [1, 4, 5],
      [1, 2, 3],
    ])
    const before = cluster.raft(1).commit
    cluster.isolate(2, 3)
    cluster.propose(1, 'new half only')
    cluster.settle()
    assert.equal(cluster.raft(1).commit, before)
    cluster.heal()
    cluster.tickAll(2)
    assert.equal(cluster.raft(1).commit, before + 1)
    for (const member of cluster.members) {
      member.storage.createSnapshot(member.raft.applied, member.raft.confState)
      member.restart({ appliedIndex: member.raft.applied })
    }
    cluster.isolate(2, 3)
    cluster.tickAll(40)
    assert.equal(cluster.leader(), undefined, '1, 4 and 5 are no majority of the old half')
    cluster.isolate(4, 5)
    cluster.tickAll(40)
    assert.equal(cluster.leader(), undefined, '1, 2 and 3 are no majority of the new half')
    cluster.isolate(3, 5)
    cluster.raft(1).campaign()
    cluster.settle()
    cluster.tickAll(10)
    assert.ok(cluster.leader() !== undefined)
  })

  it('a configuration that leaves by itself is left by the next leader', () => {
    const cluster = new Cluster(confStateOf([1, 2, 3, 4]))
    cluster.elect(1)
    const changes: ConfChangeSingle[] = [{ type: 'removeNode', id: 4 }]
    cluster.member(1).isApplyHeld = true
    cluster.raft(1).proposeConfChange({ transition: 'jointImplicit', changes, context: NO_BYTES })
    cluster.settle()
    assert.equal(cluster.raft(2).confState.autoLeave, true)
    cluster.member(1).isDown = true
    cluster.tickAll(12)
    cluster.raft(2).campaign()
    cluster.settle()
    cluster.tickAll(3)
    assert.equal(cluster.leader()?.id, 2)
    cluster.member(1).isDown = false
    cluster.member(1).isApplyHeld = false
    cluster.tickAll(5)
    assert.deepEqual(votersOf(cluster.raft(2).confState), [[1, 2, 3], []])
  })

  it('leaving by itself is tried again when a transfer stood in the way', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    const changes: ConfChangeSingle[] = [{ type: 'removeNode', id: 3 }]
    cluster.raft(1).proposeConfChange({ transition: 'jointImplicit', changes, context: NO_BYTES })
    cluster.isLost = ({ type }) => type === 'timeoutNow'
    cluster.member(1).isApplyHeld = true
    cluster.settle()
    cluster.raft(1).transferLeader(2)
    cluster.member(1).isApplyHeld = false
    cluster.settle()
    assert.equal(cluster.raft(1).confState.autoLeave, true)
    cluster.tickAll(10)
    cluster.propose(1, 'next')
    cluster.settle()
    assert.deepEqual(votersOf(cluster.raft(1).confState), [[1, 2], []])
  })

  it('a removed leader steps down after the rest knows, and the rest elects', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.raft(1).proposeConfChange(change('removeNode', 1))
    cluster.settle()
    assert.equal(cluster.raft(1).role, 'follower')
    assert.ok(cluster.raft(2).commit >= 2)
    cluster.tickAll(12)
    cluster.raft(2).campaign()
    cluster.settle()
    assert.equal(cluster.leader()?.id, 2)
    assert.deepEqual(cluster.raft(2).confState.voters, [2, 3])
    assert.equal(cluster.raft(1).campaign(), 'dropped')
  })

  it('without stepping down a removed leader takes no more proposals', () => {
    const cluster = new Cluster(three, { stepDownOnRemoval: false })
    cluster.elect(1)
    cluster.raft(1).proposeConfChange(change('removeNode', 1))
    cluster.settle()
    assert.equal(cluster.raft(1).role, 'leader')
    assert.equal(cluster.raft(1).propose([bytes('x')]), 'dropped')
  })

  it('a removed member that ticks on disturbs nobody', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.raft(1).proposeConfChange(change('removeNode', 3))
    cluster.settle()
    cluster.heal()
    cluster.tickAll(300)
    assert.equal(cluster.leader()?.id, 1)
    assert.equal(cluster.raft(1).term, 1)
  })

  it('to a removed member nothing is sent, and its answers are refused', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.raft(1).proposeConfChange(change('removeNode', 3))
    cluster.settle()
    const from = cluster.delivered.length
    cluster.propose(1, 'a')
    cluster.tickAll(5)
    const sent = cluster.delivered.slice(from).filter((each) => each.from === 1 && each.to === 3)
    assert.deepEqual(sent, [])
    const answer = messageFrom({ type: 'appendResponse', from: 3, term: 1, index: 2 })
    assert.equal(cluster.raft(1).step(answer), 'unknownPeer')
  })

  it('removing a dead voter commits what waited for it', () => {
    const cluster = new Cluster(confStateOf([1, 2]), { checkQuorum: false })
    cluster.elect(1)
    cluster.isolate(2)
    cluster.propose(1, 'a')
    cluster.settle()
    assert.equal(cluster.raft(1).commit, 1)
    cluster.raft(1).applyConfChange(change('removeNode', 2))
    assert.equal(cluster.raft(1).commit, 2)
  })

  it('a member that was just added does not depose the leader by being new', () => {
    const cluster = new Cluster(confStateOf([1]))
    cluster.elect(1)
    cluster.tick(1, 9)
    cluster.raft(1).applyConfChange(change('addNode', 2))
    cluster.tick(1)
    assert.equal(cluster.raft(1).role, 'leader')
  })

  it('an impossible change in the log changes nothing, on every member', () => {
    const cluster = new Cluster(three, { disableConfChangeValidation: true })
    cluster.elect(1)
    const impossible = [
      leave,
      {
        transition: 'auto',
        changes: [1, 2, 3].map((id): ConfChangeSingle => ({ type: 'removeNode', id })),
        context: NO_BYTES,
      } satisfies ConfChange,
    ]
    for (const each of impossible) {
      assert.equal(cluster.raft(1).proposeConfChange(each), 'ok')
      cluster.settle()
    }
    cluster.propose(1, 'after')
    cluster.settle()
    for (const { raft, values, traced } of cluster.members) {
      assert.deepEqual(votersOf(raft.confState), [[1, 2, 3], []])
      assert.deepEqual(values, ['after'])
      assert.ok(traced.includes('confChangeInvalid'))
    }
  })

  it('a change that cannot be decoded never reaches the log', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    const message = createMessage('propose', 2, 1)
    message.entries = [{ index: 0, term: 0, type: 'confChangeV2', data: bytes('garbage') }]
    assert.equal(cluster.raft(1).step(message), 'invalid')
    message.entries = [
      { index: 0, term: 0, type: 'confChange', data: encodeConfChange(change('addLearner', 4)) },
    ]
    assert.equal(cluster.raft(1).step(message), 'ok')
    cluster.settle()
    assert.deepEqual(cluster.raft(3).confState.learners, [4])
  })

  it('a restarted member has the configuration it had', () => {
    const cluster = new Cluster(three)
    cluster.elect(1)
    cluster.raft(1).proposeConfChange(change('addLearner', 4))
    cluster.settle()
    for (let life = 0; life < 2; life++) {
      const member = cluster.member(2)
      const before = member.raft.confState
      const { applied } = member.raft
      member.storage.createSnapshot(applied, before)
      if (member.storage.firstIndex() <= applied) member.storage.compact(applied)
      member.restart({ appliedIndex: applied })
      assert.deepEqual(member.raft.confState, before)
    }
  })
})
