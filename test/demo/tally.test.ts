/** What the tally makes of what nodes' files show, without any node. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LOOKED_UP_IDS } from '../../src/demo/node-messages.ts'
import { Tally } from '../../src/demo/tally.ts'

const NODES = 2

/** The answer of a node that has applied so much and has these ids, as often as they are named. */
function found(appliedIndex: number, ...ids: number[]) {
  const counts = new Uint8Array(LOOKED_UP_IDS)
  for (const id of ids) counts[id % LOOKED_UP_IDS] = (counts[id % LOOKED_UP_IDS] as number) + 1
  return { appliedIndex, counts }
}

function createTally(...acknowledged: number[]): Tally {
  const tally = new Tally(0, NODES)
  for (const id of acknowledged) {
    tally.asked(id, 0)
    tally.acknowledged(id, id + 100, 0)
  }
  return tally
}

function figuresOf(tally: Tally) {
  const { acknowledged, everywhere, lost, duplicated } = tally.figures(0)
  return { acknowledged, everywhere, lost, duplicated }
}

describe('the tally', () => {
  it('counts a write as everywhere once each node has shown it', () => {
    const tally = createTally(1, 2)
    tally.looked(0, 0, found(102, 1, 2))
    assert.equal(figuresOf(tally).everywhere, 0)
    tally.looked(1, 0, found(101, 1))
    const expected = { acknowledged: 2, everywhere: 1, lost: 0, duplicated: 0 }
    assert.deepEqual(figuresOf(tally), expected)
  })

  it('misses only what a node must have by what it has applied', () => {
    const tally = createTally(1, 2)
    tally.looked(0, 0, found(101))
    assert.equal(figuresOf(tally).lost, 1)
    tally.looked(0, 0, found(102))
    tally.looked(1, 0, found(102))
    assert.equal(figuresOf(tally).lost, 2, 'a write that two nodes miss is one lost write')
  })

  it('looks again at what was found, and keeps what was lost once', () => {
    const tally = createTally(1)
    for (const node of [0, 1]) tally.looked(node, 0, found(200, 1))
    assert.deepEqual([...tally.wanted(0)], [0], 'the sweep comes by for ever')
    tally.looked(0, 0, found(300))
    const lost = { acknowledged: 1, everywhere: 0, lost: 1, duplicated: 0 }
    assert.deepEqual(figuresOf(tally), lost)
    tally.looked(0, 0, found(400, 1))
    assert.deepEqual(figuresOf(tally), { ...lost, everywhere: 1 })
  })

  it('sees what is there twice', () => {
    const tally = createTally(1, 2)
    for (const node of [0, 1]) tally.looked(node, 0, found(200, 1, 2, 2))
    assert.deepEqual(figuresOf(tally), { acknowledged: 2, everywhere: 2, lost: 0, duplicated: 1 })
  })

  it('promises nothing for what is open, refused, or settled as not there', () => {
    const tally = new Tally(0, NODES)
    for (const id of [1, 2, 3, 4]) tally.asked(id, 0)
    tally.refused(1, 0)
    tally.left(0)
    tally.settled(2, 50, false)
    tally.left(0)
    tally.settled(3, 50, true)
    tally.looked(0, 0, found(1_000, 3))
    tally.looked(1, 0, found(1_000, 3))
    assert.deepEqual(figuresOf(tally), { acknowledged: 1, everywhere: 1, lost: 0, duplicated: 0 })
    assert.equal(tally.openCount, 1)
  })

  it('looks first for what a node has still to show, the oldest first', () => {
    const tally = createTally(...Array.from({ length: 20 }, (_, i) => i * LOOKED_UP_IDS))
    const wanted = tally.wanted(0)
    assert.deepEqual(wanted.slice(0, 3), [0, LOOKED_UP_IDS, 2 * LOOKED_UP_IDS])
    assert.ok(wanted.length < 20)
    tally.looked(0, 0, found(1_000, 0))
    assert.equal(tally.wanted(0)[0], LOOKED_UP_IDS)
  })

  it('gives up old chunks that every node has shown, and keeps their figures', () => {
    const chunks = 250
    const ids = Array.from({ length: chunks }, (_, i) => i * LOOKED_UP_IDS)
    const tally = createTally(...ids)
    const index = chunks * LOOKED_UP_IDS + 100
    tally.shrink()
    assert.equal(tally.keptFrom, 0, 'nothing is given up that a node has still to show')
    for (const id of ids) for (const node of [0, 1]) tally.looked(node, id, found(index, id))
    tally.shrink()
    assert.equal(tally.keptFrom, 50 * LOOKED_UP_IDS)
    // The rows are removed from now on: that they are missing is no loss.
    for (const id of ids.slice(0, 50)) tally.looked(0, id, found(index))
    const expected = { acknowledged: chunks, everywhere: chunks, lost: 0, duplicated: 0 }
    assert.deepEqual(figuresOf(tally), expected)
  })

  it('stays within bounds also while a node is away for long', () => {
    const tally = new Tally(0, NODES)
    const chunks = 700
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      const id = chunk * LOOKED_UP_IDS
      tally.asked(id, 0)
      tally.acknowledged(id, id, 0)
      tally.shrink()
    }
    assert.equal(tally.keptFrom, (chunks - 500) * LOOKED_UP_IDS)
  })

  it('measures the longest time between acknowledged writes while some are asked for', () => {
    const tally = new Tally(0, NODES)
    const pause = (now: number): number => tally.figures(now).longestPauseMs
    tally.asked(1, 1_000)
    assert.equal(pause(1_200), 200)
    tally.acknowledged(1, 1, 1_300)
    assert.equal(pause(9_000), 300, 'nobody asked for anything')
    tally.asked(2, 9_000)
    tally.asked(3, 9_050)
    tally.acknowledged(2, 2, 9_100)
    assert.equal(pause(9_200), 300)
    tally.acknowledged(3, 3, 9_900)
    assert.equal(pause(9_900), 800)
  })
})
