import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Willingness } from '../../src/cluster/willingness.ts'
import { memberOf } from './fake-cluster.ts'

const voter = memberOf({ id: 'a', role: 'voter' })
const learner = memberOf({ id: 'a', role: 'learner' })
const HOUR_MS = 3_600_000

describe('the willingness of a node to vote', () => {
  it('is there while it is a learner that nobody has asked yet', () => {
    const will = new Willingness()
    assert.ok(!will.offers(undefined, true, 0))
    assert.ok(will.offers(learner, true, 1))
    assert.ok(!will.offers({ ...learner, wantedRole: 'voter' }, true, 2))
    assert.ok(!will.offers(voter, true, 3))
  })

  it('rests for an hour after its vote was taken by hand', () => {
    const will = new Willingness()
    will.offers(voter, true, 0)
    assert.ok(!will.offers(voter, true, 60_000))
    assert.ok(!will.offers(learner, true, 61_000))
    assert.ok(!will.offers(learner, true, 60_999 + HOUR_MS))
    assert.ok(will.offers(learner, true, 61_000 + HOUR_MS))
  })

  it('does not rest where it hears only after its start that its vote is gone', () => {
    const will = new Willingness()
    assert.ok(!will.offers(voter, true, 0))
    assert.ok(will.offers(learner, true, 1_000))
  })

  it('is back at once where it is given the vote again', () => {
    const will = new Willingness()
    will.offers(voter, true, 0)
    will.offers(learner, true, 61_000)
    will.offers(voter, true, 62_000)
    assert.ok(!will.offers(learner, true, 63_000), 'and then taken again')
  })

  it('does not rest where the cluster took its vote, as it was cut off', () => {
    const will = new Willingness()
    will.offers(voter, true, 0)
    will.offers(voter, false, 1_000)
    will.offers(voter, false, 2_000)
    will.offers(voter, true, 61_999)
    assert.ok(will.offers(learner, true, 61_999))
    const other = new Willingness()
    other.offers(voter, true, 0)
    other.offers(voter, false, 61_000)
    other.offers(voter, true, 62_000)
    assert.ok(!other.offers(learner, true, 63_000), 'an election is no cut')
  })

  it('ends when it leaves', () => {
    const will = new Willingness()
    assert.ok(will.offers(learner, true, 0))
    will.leave()
    assert.ok(!will.offers(learner, true, 1))
  })
})
