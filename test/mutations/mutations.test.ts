/** Every known mistake can still be made, and the simulator still finds three of them at once. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Gate } from './gate.ts'
import { hazards, mutationsOf } from './hazards.ts'
import { mutate } from './mutation.ts'
import { mutations } from './mutations.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Found by the first few lives: each shows another of the gate's ways through. */
const QUICK = ['vote-forgotten-in-term', 'ack-before-durable', 'commit-by-the-fastest']
const QUICK_SEEDS = 20
/** As many as the review of the design found. */
const HAZARDS = 39

describe('mutations', () => {
  it('have names of their own, one sentence each, and something that they break', () => {
    const ids = mutations.map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length)
    for (const { id, bug, breaks } of mutations) {
      assert.match(id, /^[a-z0-9]+(-[a-z0-9]+)*$/)
      assert.match(bug, /^[A-Z].*\.$/, id)
      assert.ok(breaks.length > 0, id)
      for (const one of breaks) assert.match(one, /^[ADEHLMRST]\d+$/, id)
    }
  })

  it('fit the code of today, and leave it code', () => {
    const originals = new Map<string, string>()
    for (const mutation of mutations) {
      const { file, caughtBy } = mutation
      const original = originals.get(file) ?? readFileSync(join(root, file), 'utf8')
      originals.set(file, original)
      const mutated = stripTypeScriptTypes(mutate(original, mutation))
      assert.notEqual(mutated, stripTypeScriptTypes(original), mutation.id)
      if ('lives' in caughtBy) continue
      for (const test of caughtBy.tests) assert.ok(existsSync(join(root, test)), test)
    }
  })

  it('that no longer fit are named, with how often their text is there', () => {
    const [mutation] = mutations
    assert.ok(mutation)
    assert.throws(() => mutate('', mutation), new RegExp(`${mutation.id}.* 0 times`))
    const twice = mutation.text + mutation.text
    assert.throws(() => mutate(twice, mutation), new RegExp(`${mutation.id}.* 2 times`))
  })
})

describe('hazards', () => {
  it('are all there, and each mutation names one that is', () => {
    const numbers = hazards.map(({ number }) => number)
    assert.deepEqual(
      numbers,
      Array.from({ length: HAZARDS }, (_, at) => at + 1),
    )
    const named = mutations.flatMap(({ breaks }) => breaks).filter((one) => /^H/.test(one))
    for (const one of named) assert.ok(numbers.includes(Number(one.slice(1))), one)
  })

  for (const hazard of hazards) {
    it(`${hazard.number}: ${hazard.rule}`, () => {
      const { open, tests = [] } = hazard
      const ids = mutationsOf(hazard, mutations)
      // What is built now has a mistake to be made in it.
      assert.equal(ids.length === 0, open !== undefined)
      for (const [file, name] of tests) {
        assert.ok(readFileSync(join(root, file), 'utf8').includes(name), `${file}: ${name}`)
      }
    })
  }
})

describe('the gate', () => {
  it('finds three mistakes by lives from the first seed on', async (t) => {
    const gate = new Gate()
    t.after(() => gate.close())
    for (const id of QUICK) {
      const mutation = mutations.find((one) => one.id === id)
      assert.ok(mutation, id)
      const { isCaught, by, seed } = await gate.judge(mutation, { seeds: QUICK_SEEDS })
      assert.ok(isCaught, `${id}: ${by}`)
      assert.ok(seed !== null && seed <= QUICK_SEEDS, id)
    }
  })

  it('does not take for found what changes nothing', async (t) => {
    const gate = new Gate()
    t.after(() => gate.close())
    const harmless = {
      id: 'harmless',
      bug: 'None.',
      file: 'src/raft/core.ts',
      text: '  term = 0\n',
      replacement: '  term = 0 + 0\n',
      breaks: [],
      caughtBy: { lives: { faultMs: 100 } },
    }
    const { isCaught, by, seedsRun } = await gate.judge(harmless, { seeds: 2 })
    assert.deepEqual(
      { isCaught, by, seedsRun },
      {
        isCaught: false,
        by: 'every invariant held',
        seedsRun: 2,
      },
    )
  })
})
