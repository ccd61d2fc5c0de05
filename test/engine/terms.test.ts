import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Clock } from '../../src/base/ports.ts'
import { Terms } from '../../src/engine/terms.ts'
import type { Role } from '../../src/raft/raft.ts'

class Rig {
  readonly raft: { role: Role; term: number; leader: number }
  readonly names = new Map<number, string>([[1, 'a']])
  nowMs = 0
  readonly terms: Terms

  constructor(term: number) {
    this.raft = { role: 'follower', term, leader: 0 }
    const clock: Clock = {
      nowMs: () => this.nowMs,
      wallMs: () => 1_000_000 + this.nowMs,
      setTimer: () => () => {},
    }
    const nodeId = (id: number): string | null => this.names.get(id) ?? null
    this.terms = new Terms({ raft: this.raft, clock, nodeId })
  }

  see(term: number, leader: number): boolean {
    this.nowMs += 10
    this.raft.term = term
    this.raft.leader = leader
    return this.terms.look()
  }
}

suite('terms', () => {
  test('are told with their leader and when they were first seen, the newest last', () => {
    const rig = new Rig(4)
    assert.equal(rig.see(4, 0), false)
    assert.equal(rig.see(4, 1), true)
    assert.equal(rig.see(4, 1), false)
    assert.equal(rig.see(4, 0), true)
    assert.equal(rig.see(5, 0), true)
    assert.deepEqual(rig.terms.list(), [
      { term: 4, leaderId: 'a', sinceMs: 1_000_000 },
      { term: 5, leaderId: null, sinceMs: 1_000_050 },
    ])
    assert.equal(rig.terms.elections, 1)
    assert.equal(rig.terms.leaderChanges, 1)
  })

  test('have the name of a leader that became a member later, or has left since', () => {
    const rig = new Rig(0)
    rig.see(1, 1)
    rig.see(2, 2)
    rig.names.clear()
    const leaders = (): (string | null)[] => rig.terms.list().map(({ leaderId }) => leaderId)
    assert.deepEqual(leaders(), ['a', null])
    rig.names.set(2, 'b')
    assert.deepEqual(leaders(), ['a', 'b'])
  })

  test('are kept in a bounded number', () => {
    const rig = new Rig(0)
    assert.deepEqual(rig.terms.list(), [])
    for (let term = 1; term <= 70; term += 1) rig.see(term, 1)
    const terms = rig.terms.list().map(({ term }) => term)
    assert.deepEqual(
      terms,
      Array.from({ length: 50 }, (_, i) => i + 21),
    )
  })

  test('a leader counts as heard when it becomes known and with each of its messages', () => {
    const rig = new Rig(1)
    assert.equal(rig.terms.leaderContactMs, null)
    rig.see(1, 2)
    rig.nowMs += 7
    assert.equal(rig.terms.leaderContactMs, 7)
    rig.terms.heard(3)
    assert.equal(rig.terms.leaderContactMs, 7)
    rig.terms.heard(2)
    assert.equal(rig.terms.leaderContactMs, 0)
    rig.see(1, 0)
    rig.nowMs += 1
    assert.equal(rig.terms.leaderContactMs, 11)
  })
})
