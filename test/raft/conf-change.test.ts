import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isWellFormed } from '../../src/raft/conf-change.ts'
import {
  applyConfChangeToState,
  type ConfChange,
  type ConfChangeSingle,
  type ConfState,
  changeConfiguration,
  changeSimply,
  committedIndex,
  decodeConfChange,
  EMPTY_CONF_STATE,
  encodeConfChange,
  enterJoint,
  hasQuorum,
  jointVoteResult,
  leaveJoint,
  quorumSize,
} from '../../src/raft/raft.ts'
import { bytes } from './cluster.ts'

const seed = 20_260_101

const single: fc.Arbitrary<ConfChangeSingle> = fc.record(
  {
    type: fc.constantFrom('addNode', 'addLearner', 'removeNode', 'updateNode'),
    id: fc.integer({ min: 0, max: 9 }),
  },
  { noNullPrototype: true },
)

const anyChange: fc.Arbitrary<ConfChange> = fc.record(
  {
    transition: fc.constantFrom('auto', 'jointImplicit', 'jointExplicit'),
    changes: fc.array(
      fc.record(
        { type: single.map(({ type }) => type), id: fc.maxSafeNat() },
        { noNullPrototype: true },
      ),
      {
        maxLength: 8,
      },
    ),
    context: fc.uint8Array({ maxLength: 40 }),
  },
  { noNullPrototype: true },
)

/** Configurations that changes lead to, joint ones among them. */
const anyState: fc.Arbitrary<ConfState> = fc
  .array(fc.record({ changes: fc.array(single, { maxLength: 4 }), how: fc.nat(3) }))
  .map((steps) => {
    let state: ConfState = { ...EMPTY_CONF_STATE, voters: [1] }
    for (const { changes, how } of steps) {
      const transition = (['auto', 'jointImplicit', 'jointExplicit'] as const)[how] ?? 'auto'
      const context = new Uint8Array(0)
      const next = how === 3 ? [] : changes
      state = applyConfChangeToState(state, { transition, changes: next, context })
    }
    return state
  })

describe('configuration changes', () => {
  it('every change keeps a configuration well formed, or refuses', () => {
    const property = fc.property(anyState, anyChange, (state, change) => {
      assert.ok(isWellFormed(state), JSON.stringify(state))
      const small = change.changes.map(({ type, id }) => ({ type, id: id % 10 }))
      const after = applyConfChangeToState(state, { ...change, changes: small })
      assert.ok(isWellFormed(after), JSON.stringify(after))
    })
    fc.assert(property, { seed, numRuns: 2_000 })
  })

  it('going through a joint configuration comes to the same as one change after another', () => {
    const arbitrary = fc.array(single, { minLength: 1, maxLength: 12 })
    const property = fc.property(arbitrary, fc.array(single), (setup, changes) => {
      // Voter 1 stays throughout: without it a prefix of the changes could remove all voters.
      const isSafe = ({ type, id }: ConfChangeSingle): boolean => id !== 1 || type === 'addNode'
      const start = runSimply({ ...EMPTY_CONF_STATE, voters: [1] }, setup.filter(isSafe))
      const wanted = changes.filter(isSafe)
      const entered = enterJoint(start, false, wanted)
      assert.ok(typeof entered !== 'string')
      const left = leaveJoint(entered.state)
      assert.ok(typeof left !== 'string')
      assert.deepEqual(left.state, runSimply(start, wanted))
    })
    fc.assert(property, { seed, numRuns: 1_000 })
  })

  it('an invalid change gives back the very same configuration', () => {
    const state: ConfState = { ...EMPTY_CONF_STATE, voters: [1, 2] }
    const context = new Uint8Array(0)
    assert.equal(applyConfChangeToState(state, { transition: 'auto', changes: [], context }), state)
    const changes: ConfChangeSingle[] = [{ type: 'removeNode', id: 1 }]
    const alone: ConfState = { ...EMPTY_CONF_STATE, voters: [1] }
    assert.equal(
      changeConfiguration(alone, { transition: 'auto', changes, context }),
      'removedAllVoters',
    )
    assert.equal(enterJoint(EMPTY_CONF_STATE, true, changes), 'zeroVoters')
  })

  it('more than one voter at a time goes through a joint configuration', () => {
    const state: ConfState = { ...EMPTY_CONF_STATE, voters: [1] }
    const two: ConfChangeSingle[] = [
      { type: 'addNode', id: 2 },
      { type: 'addNode', id: 3 },
    ]
    assert.equal(changeSimply(state, two), 'tooManyVoters')
    const swap: ConfChangeSingle[] = [
      { type: 'addNode', id: 2 },
      { type: 'removeNode', id: 1 },
    ]
    assert.equal(changeSimply(state, swap), 'tooManyVoters')
    const context = new Uint8Array(0)
    const joined = applyConfChangeToState(state, { transition: 'auto', changes: two, context })
    assert.deepEqual(
      [joined.voters, joined.votersOutgoing, joined.autoLeave],
      [[1, 2, 3], [1], true],
    )
  })

  it('is decoded as it was encoded', () => {
    const property = fc.property(anyChange, (change) => {
      assert.deepEqual(decodeConfChange(encodeConfChange(change)), change)
    })
    fc.assert(property, { seed, numRuns: 1_000 })
    assert.equal(
      encodeConfChange({ transition: 'auto', changes: [], context: bytes('') }).length,
      0,
    )
  })

  it('garbage decodes to null, and never throws', () => {
    const property = fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (garbage) => {
      const change = decodeConfChange(garbage)
      if (change === null) return
      for (const { id } of change.changes) assert.ok(Number.isSafeInteger(id) && id >= 0)
    })
    fc.assert(property, { seed, numRuns: 5_000 })
    const valid = encodeConfChange({
      transition: 'auto',
      changes: [{ type: 'addNode', id: 300 }],
      context: new Uint8Array(0),
    })
    for (let cut = 1; cut < valid.length; cut++) {
      assert.equal(decodeConfChange(valid.subarray(0, cut)), null)
    }
  })
})

describe('quorums', () => {
  it('the committed index is the highest that a quorum reached', () => {
    const property = fc.property(
      fc.array(fc.nat(20), { minLength: 1, maxLength: 9 }),
      (reached) => {
        const voters = reached.map((_, i) => i + 1)
        const index = committedIndex(voters, (id) => reached[id - 1])
        const countAt = (at: number): number => reached.filter((each) => each >= at).length
        assert.ok(countAt(index) >= quorumSize(voters.length))
        assert.ok(countAt(index + 1) < quorumSize(voters.length))
      },
    )
    fc.assert(property, { seed, numRuns: 2_000 })
  })

  it('two quorums always share a voter, and a joint decision needs both', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 })
    const property = fc.property(
      ids,
      ids,
      fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
      (incoming, outgoing, votes) => {
        const won = (voters: readonly number[]): boolean =>
          voters.filter((id) => votes[id]).length * 2 > voters.length
        const result = jointVoteResult(incoming, outgoing, (id) => votes[id])
        assert.equal(result === 'won', won(incoming) && won(outgoing))
      },
    )
    fc.assert(property, { seed, numRuns: 2_000 })
    const state: ConfState = { ...EMPTY_CONF_STATE, voters: [1, 2], votersOutgoing: [3, 4, 5] }
    assert.equal(
      hasQuorum(state, (id) => id !== 5),
      true,
    )
    assert.equal(
      hasQuorum(state, (id) => id !== 2),
      false,
    )
  })
})

function runSimply(start: ConfState, changes: readonly ConfChangeSingle[]): ConfState {
  return changes.reduce((state, change) => {
    const outcome = changeSimply(state, [change])
    assert.ok(typeof outcome !== 'string', `${outcome}`)
    return outcome.state
  }, start)
}
