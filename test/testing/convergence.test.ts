/** What a wait for convergence makes of what nodes say, and of their silence. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NodeStatus } from '../../src/index.ts'
import { Convergence } from '../../src/testing/convergence.ts'
import type { Member } from '../../src/testing/member.ts'
import type { Seen } from '../../src/testing/roll-call.ts'

const NODE = {} as Seen['node']
const EQUAL = { reason: null, undecided: null } as NodeStatus['divergence']

function member(id: string, condition: Partial<Member> = {}): Member {
  return { id, node: NODE, hasFailed: false, ...condition } as Member
}

function seen(id: string, status: Partial<NodeStatus>): Seen {
  const all = { term: 1, lastIndex: 9, appliedIndex: 9, divergence: EQUAL, ...status }
  return { id, node: NODE, status: all as NodeStatus }
}

describe('a wait for convergence', () => {
  const leader = seen('node-1', {})
  const led = { leader, followers: [] }
  const [first, second] = [member('node-1'), member('node-2')]

  it('ends once all that run have applied what the leader held at the first look', () => {
    const convergence = new Convergence()
    const late = [leader, seen('node-2', { appliedIndex: 8 })]
    assert.ok(!convergence.judge(led, late, [first, second]))
    assert.equal(convergence.describe(), 'node-2 had applied 8 of 9')
    const later = { leader: seen('node-1', { lastIndex: 20 }), followers: [] }
    assert.ok(convergence.judge(later, [leader, seen('node-2', {})], [first, second]))
  })

  it('goes by what a leader of a later term has', () => {
    const convergence = new Convergence()
    convergence.judge(led, [leader], [first])
    const next = seen('node-1', { term: 2, lastIndex: 8, appliedIndex: 8 })
    assert.ok(convergence.judge({ leader: next, followers: [] }, [next], [first]))
    assert.equal(convergence.toError('').targetIndex, 8)
  })

  it('does not end without a leader, though all have applied all', () => {
    const convergence = new Convergence()
    assert.ok(!convergence.judge(null, [leader], [first]))
    assert.match(convergence.describe(), /^no node came to lead, /)
    assert.deepEqual(convergence.toError('').lagging, [
      { nodeId: 'node-1', appliedIndex: 9, reason: 'behind' },
    ])
    assert.ok(convergence.judge(led, [leader], [first]))
    assert.ok(!convergence.judge(null, [leader], [first]))
    assert.equal(convergence.describe(), 'no node led any more, though all had applied 9')
  })

  it('names those that do not answer, that failed and that differ', () => {
    const convergence = new Convergence()
    const gone = member('node-3', { node: null, hasFailed: true })
    const closed = member('node-4', { node: null })
    const [fifth, sixth] = [member('node-5'), member('node-6')]
    const reason = 'other content' as NodeStatus['divergence']['reason']
    const different = { divergence: { ...EQUAL, reason } }
    const undecided = { divergence: { ...EQUAL, undecided: {} as never } }
    const all = [leader, seen('node-5', different), seen('node-6', undecided)]
    assert.ok(!convergence.judge(led, all, [first, second, gone, closed, fifth, sixth]))
    assert.equal(
      convergence.describe(),
      'node-2 did not answer, node-3 had failed, ' +
        'node-5 was not known to have what the others have, ' +
        'node-6 was not known to have what the others have',
    )
    const error = convergence.toError('so it was')
    assert.deepEqual(
      error.lagging.map(({ nodeId, reason }) => `${nodeId} ${reason}`),
      ['node-2 silent', 'node-3 failed', 'node-5 different', 'node-6 different'],
    )
    assert.deepEqual([error.name, error.message], ['ConvergenceError', 'so it was'])
    assert.deepEqual([error.code, error.retryable, error.targetIndex], ['ERR_TIMEOUT', true, 9])
  })
})
