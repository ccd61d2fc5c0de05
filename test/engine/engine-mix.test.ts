import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EngineMix } from '../../src/engine/engine-mix.ts'

function createMix(others: { id: number; fingerprint: string }[]): {
  mix: EngineMix
  warnings: string[]
} {
  const warnings: string[] = []
  const mix = new EngineMix({
    memberId: 1,
    fingerprint: 'old',
    voters: () => [1, 2, 3, 4, 5],
    others: () => others,
    nodeId: (id) => `n${id}`,
    warning: (_code, message) => warnings.push(message),
  })
  return { mix, warnings }
}

describe('a mix of engines', () => {
  it('is said once, and once that it is over', () => {
    const others = [{ id: 2, fingerprint: 'new' }]
    const { mix, warnings } = createMix(others)
    mix.tick()
    mix.tick()
    assert.equal(mix.isMixed, true)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /runs old.*'n2' \(new\)/)
    others[0] = { id: 2, fingerprint: 'old' }
    mix.tick()
    assert.equal(mix.isMixed, false)
    assert.match(warnings[1] ?? '', /same SQLite again/)
  })

  it('leaves leadership to the voters of what most voters run', () => {
    const { mix } = createMix([
      { id: 2, fingerprint: 'new' },
      { id: 3, fingerprint: 'new' },
      { id: 4, fingerprint: 'old' },
      { id: 5, fingerprint: 'new' },
    ])
    assert.deepEqual(mix.preferredLeaders(), [2, 3, 5])
  })

  it('keeps the leader where as many run what it runs', () => {
    const even = createMix([
      { id: 2, fingerprint: 'new' },
      { id: 3, fingerprint: 'old' },
      { id: 4, fingerprint: 'new' },
    ])
    assert.deepEqual(even.mix.preferredLeaders(), [])
  })

  it('does not count learners', () => {
    const { mix } = createMix([
      { id: 8, fingerprint: 'new' },
      { id: 9, fingerprint: 'new' },
    ])
    assert.deepEqual(mix.preferredLeaders(), [])
  })
})
