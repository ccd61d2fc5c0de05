import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { HardState } from '../../src/raft/types.ts'
import { makeBatch, makeEntries } from '../log/conformance.ts'
import { drawOperation } from '../log/model.ts'
import { LogRig } from '../log/rig.ts'
import { DurableLog } from './durable-log.ts'

const SEEDS = 60
const OPERATIONS = 40

describe('what is durable of a log', () => {
  it('is an append whose write is done, not one that is under way', () => {
    const rig = new LogRig('durable')
    rig.create()
    const durable = new DurableLog(rig.disk, 'log')
    durable.refresh()
    const hardState: HardState = { term: 2, vote: 3, commit: 0 }
    rig.opened.append(makeBatch({ entries: makeEntries(1, 3, 2, 10), hardState }), () => {})
    assert.deepEqual(durable.refresh(), [])
    assert.deepEqual([durable.last, durable.term(3)], [0, null])
    rig.disk.settle()
    assert.deepEqual(durable.refresh(), [hardState])
    assert.deepEqual([durable.last, durable.term(3), durable.term(4)], [3, 2, null])
  })

  it('is not what was written without a sync', () => {
    const rig = new LogRig('unsynced')
    rig.create()
    const durable = new DurableLog(rig.disk, 'log')
    const hardState: HardState = { term: 2, vote: 3, commit: 0 }
    rig.opened.append(makeBatch({ hardState, mustSync: false }), () => {})
    rig.disk.settle()
    durable.refresh()
    assert.equal(durable.hardState.vote, 0)
  })

  it('is what the next process finds after a power loss that takes all else', () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const rig = new LogRig(seed)
      rig.create()
      const durable = new DurableLog(rig.disk, 'log')
      for (let i = 0; i < OPERATIONS; i += 1) {
        rig.submit(drawOperation(rig.random, rig.state))
        for (let steps = rig.random.below(8); steps > 0; steps -= 1) rig.disk.step()
        durable.refresh()
      }
      rig.disk.crash({ kept: 0, garbage: 0 })
      const promised = contentOf(durable)
      rig.reopen()
      const { hardState } = rig.state
      const { firstIndex, lastIndex } = rig.opened
      const terms = range(firstIndex, lastIndex).map((index) => rig.opened.term(index))
      assert.deepEqual(promised, { hardState, firstIndex, lastIndex, terms }, `seed ${seed}`)
      durable.refresh()
      assert.deepEqual(contentOf(durable), promised, `seed ${seed}, after recovery`)
    }
  })
})

function contentOf(durable: DurableLog): object {
  const { hardState, compacted, last } = durable
  const terms = range(compacted + 1, last).map((index) => durable.term(index))
  return { hardState, firstIndex: compacted + 1, lastIndex: last, terms }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last + 1 - first }, (_, i) => first + i)
}
