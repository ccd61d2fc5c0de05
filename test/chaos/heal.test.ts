/** What heals a cluster after its trouble must lead out of every state that trouble leads into. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heal } from './heal.ts'
import type { Rig } from './rig.ts'

type Seen = { readonly seat: { readonly name: string }; readonly status: { isLearner: boolean } }

/** Five nodes, of which `seen` makes what is heard of them. */
function makeRig(
  isLearner: (name: string) => boolean,
  told: (name: string) => void,
  seen: (all: readonly Seen[]) => readonly Seen[] = (all) => all,
): Rig {
  const names = ['a', 'b', 'c', 'd', 'e']
  const seats = names.map((name) => ({
    name,
    disk: null,
    handle: {
      call: async (_method: string, _change: string, of: string) => told(of),
    },
  }))
  return {
    seats,
    count: seats.length,
    wires: { heal: () => {} },
    setTrouble: () => {},
    resume: () => {},
    revive: async () => {},
    name: ({ name }: { name: string }) => name,
    statuses: async () => {
      return seen(seats.map((seat) => ({ seat, status: { isLearner: isLearner(seat.name) } })))
    },
  } as unknown as Rig
}

test('two learners are told to vote together: one alone would have to wait for ever', async () => {
  const wanted = new Set<string>()
  // As leaders keep it: the number of voters stays odd.
  const isLearner = (name: string): boolean => 'de'.includes(name) && wanted.size < 2
  await heal(makeRig(isLearner, (name) => wanted.add(name)))
  assert.deepEqual([...wanted], ['d', 'e'])
})

test('nothing has healed while a node is not heard of', async () => {
  let times = 0
  const seen = (all: readonly Seen[]): readonly Seen[] => {
    times += 1
    return times < 4 ? all.slice(1) : all
  }
  const nobody = (): boolean => false
  await heal(makeRig(nobody, () => {}, seen))
  assert.equal(times, 4)
})
