/** What heals a cluster after its trouble must lead out of every state that trouble leads into. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heal } from './heal.ts'
import type { Rig } from './rig.ts'

test('two learners are told to vote together: one alone would have to wait for ever', async () => {
  const wanted = new Set<string>()
  const names = ['a', 'b', 'c', 'd', 'e']
  // As leaders keep it: the number of voters stays odd.
  const isLearner = (name: string): boolean => 'de'.includes(name) && wanted.size < 2
  const seats = names.map((name) => ({
    name,
    disk: null,
    handle: {
      call: async (_method: string, _change: string, of: string) => void wanted.add(of),
    },
  }))
  const rig = {
    seats,
    count: seats.length,
    wires: { heal: () => {} },
    setTrouble: () => {},
    resume: () => {},
    revive: async () => {},
    name: ({ name }: { name: string }) => name,
    statuses: async () => {
      return seats.map((seat) => ({ seat, status: { isLearner: isLearner(seat.name) } }))
    },
  }
  await heal(rig as unknown as Rig)
  assert.deepEqual([...wanted], ['d', 'e'])
})
