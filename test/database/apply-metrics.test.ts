import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ColmenaError } from '../../src/base/errors.ts'
import { ApplyCounts } from '../../src/database/apply-metrics.ts'
import type { GroupOutcome } from '../../src/database/database.ts'

const APPLIED: GroupOutcome = {
  appliedIndex: 3,
  appliedTerm: 1,
  halted: null,
  results: [],
  ownSequences: [],
  drops: [],
  endedLeases: [],
  confIndex: null,
  ownOrigin: 'registered',
  originsChanged: false,
  databasesChanged: false,
}

test('a group counts once it is applied, however often it was halted before', () => {
  const counts = new ApplyCounts()
  const error = new ColmenaError('ERR_APPLY_HALTED', 'no room')
  const halted = { error, retry: 'pause', isDivergent: false, quarantine: null } as const
  assert.equal(counts.measure(3, () => ({ ...APPLIED, halted })).halted, halted)
  assert.deepEqual([counts.value().entries, counts.value().groupMs.count], [0, 0])
  assert.equal(
    counts.measure(3, () => APPLIED),
    APPLIED,
  )
  assert.deepEqual([counts.value().entries, counts.value().groupMs.count], [3, 1])
})
