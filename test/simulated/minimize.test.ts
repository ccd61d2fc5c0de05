import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Life } from './life.ts'
import { minimize, reduce } from './minimize.ts'
import { LEASED_SHAPE } from './shape.ts'

const BROKEN = { seed: 37, faultMs: 2_000, leases: 'unkept', shape: LEASED_SHAPE } as const

describe('reducing', () => {
  it('leaves what is needed, in its order', () => {
    const items = Array.from({ length: 100 }, (_, at) => at)
    const needed = [3, 50, 51, 97]
    let tries = 0
    const kept = reduce(items, (some) => {
      tries += 1
      return needed.every((item) => some.includes(item))
    })
    assert.deepEqual(kept, needed)
    assert.ok(tries < 100, `${tries} tries`)
  })

  it('leaves nothing where nothing is needed, and all where all is', () => {
    const items = [1, 2, 3, 4, 5]
    assert.deepEqual(
      reduce(items, () => true),
      [],
    )
    assert.deepEqual(
      reduce(items, (some) => some.length === items.length),
      items,
    )
  })
})

describe('a life that breaks a rule', () => {
  it('is made less, breaks the same rule, and lives again by what is told of it', () => {
    const before = new Life(BROKEN).run()
    const told: string[] = []
    const least = minimize(BROKEN, (text) => told.push(text))
    assert.ok(least !== null)
    const [violation] = least.report.violations
    assert.match(violation ?? '', /^strong reads/)
    assert.ok(least.report.strikes.length < before.strikes.length)
    assert.deepEqual(new Life(least.options).run(), least.report)
    assert.equal(told.length, 5)
  })

  it('is none where all rules hold, or the one that is wanted', () => {
    assert.equal(
      minimize({ seed: 1, faultMs: 200 }, () => {}),
      null,
    )
    assert.equal(
      minimize(BROKEN, () => {}, 'weak reads'),
      null,
    )
  })
})
