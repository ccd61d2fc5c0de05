/** The suite for targets tells of each promise that is broken. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { testTarget } from '../../src/backup/backup.ts'
import { BROKEN, makeBroken } from './broken-targets.ts'
import { MemoryTarget } from './memory-target.ts'

describe('the suite for targets', () => {
  for (const [name, breaks, otherwise] of BROKEN) {
    it(`tells ${breaks}: ${name}`, async () => {
      const held = testTarget(() => makeBroken(otherwise)).find((one) => one.name === name)
      assert.ok(held, `there is no case "${name}"`)
      await assert.rejects(held.run(), Error)
    })
  }

  it('has no case that nothing was broken for', () => {
    const cases = testTarget(() => new MemoryTarget()).map(({ name }) => name)
    const broken = new Set(BROKEN.map(([name]) => name))
    assert.deepEqual(
      cases.filter((name) => !broken.has(name)),
      [],
    )
  })
})
