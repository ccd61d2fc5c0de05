/** Whatever the members of a cluster were, one change at a time leaves this one alone to vote. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMemberRecords } from '../../src/command/command.ts'
import { changesToAlone, decidesAlone } from '../../src/node/recovery-end.ts'
import {
  applyConfChangeToState,
  type ConfState,
  changeConfiguration,
  EMPTY_CONF_STATE,
} from '../../src/raft/raft.ts'

const SELF = 2

const CONFIGURATIONS: Readonly<Record<string, ConfState>> = {
  'a voter of three': { ...EMPTY_CONF_STATE, voters: [1, 2, 3] },
  'a voter of five, with learners': {
    ...EMPTY_CONF_STATE,
    voters: [1, 2, 3, 4, 5],
    learners: [6, 7],
  },
  'a learner': { ...EMPTY_CONF_STATE, voters: [1, 3], learners: [2] },
  'a learner of one voter': { ...EMPTY_CONF_STATE, voters: [1], learners: [2] },
  'half-way to more voters': {
    ...EMPTY_CONF_STATE,
    voters: [1, 2, 3],
    votersOutgoing: [1],
    autoLeave: true,
  },
  'half-way out of the vote': {
    voters: [1, 3],
    votersOutgoing: [1, 2, 3],
    learners: [],
    learnersNext: [2],
    autoLeave: true,
  },
  'none of them, half-way to more voters': {
    ...EMPTY_CONF_STATE,
    voters: [1, 3, 4],
    votersOutgoing: [1, 3],
    autoLeave: true,
  },
  'half-way out of the cluster': {
    ...EMPTY_CONF_STATE,
    voters: [1, 3],
    votersOutgoing: [1, 2, 3],
    autoLeave: true,
  },
}

for (const [name, confState] of Object.entries(CONFIGURATIONS)) {
  test(`${name} ends alone`, () => {
    // A restored node brings a record of its own.
    const ids = new Set([
      SELF,
      ...Object.values(confState).filter(Array.isArray).flat(),
    ] as number[])
    const records = [...ids].map((memberId) => {
      const wantedRole = 'learner'
      return { memberId, nodeId: `n${memberId}`, address: `h:${memberId}`, wantedRole } as const
    })
    const membership = { confState, records }
    assert.equal(decidesAlone(membership, SELF), false)
    const changes = changesToAlone(membership, SELF)
    let state = confState
    for (const change of changes) {
      const outcome = changeConfiguration(state, change)
      assert.equal(
        typeof outcome,
        'object',
        `${JSON.stringify(change)} of ${JSON.stringify(state)}`,
      )
      state = applyConfChangeToState(state, change)
    }
    assert.deepEqual(state, { ...EMPTY_CONF_STATE, voters: [SELF] })
    const told = changes.flatMap(({ context }) => decodeMemberRecords(context))
    assert.deepEqual(told, [
      { ...records.find(({ memberId }) => memberId === SELF), wantedRole: 'voter' },
    ])
  })
}
