import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type CoreParts, createMix } from '../../src/engine/assembly.ts'
import { EngineMix } from '../../src/engine/engine-mix.ts'
import { Membership, type MembershipOptions } from '../../src/engine/membership.ts'
import { EMPTY_CONF_STATE } from '../../src/raft/raft.ts'

const MEMBER = { memberId: 1, nodeId: 'n1', address: 'host:1', wantedRole: 'voter' } as const

function createTold(others: { id: number; fingerprint: string }[]): {
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
    const { mix, warnings } = createTold(others)
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
    const { mix } = createTold([
      { id: 2, fingerprint: 'new' },
      { id: 3, fingerprint: 'new' },
      { id: 4, fingerprint: 'old' },
      { id: 5, fingerprint: 'new' },
    ])
    assert.deepEqual(mix.preferredLeaders(), [2, 3, 5])
  })

  it('keeps the leader where as many run what it runs', () => {
    const even = createTold([
      { id: 2, fingerprint: 'new' },
      { id: 3, fingerprint: 'old' },
      { id: 4, fingerprint: 'new' },
    ])
    assert.deepEqual(even.mix.preferredLeaders(), [])
  })

  it('does not count learners', () => {
    const { mix } = createTold([
      { id: 8, fingerprint: 'new' },
      { id: 9, fingerprint: 'new' },
    ])
    assert.deepEqual(mix.preferredLeaders(), [])
  })

  it('counts members that are away by what the databases hold of them', () => {
    const membership = createMembership(['old', 'old', 'new', 'new'])
    const peers = [
      { id: 2, isConnected: true, hello: { fingerprint: 'new' } },
      { id: 3, isConnected: false, hello: { fingerprint: 'gone' } },
    ]
    const warnings: string[] = []
    const parts = {
      config: { memberId: 1, fingerprint: 'old' },
      ports: { toUser: ({ message }: { message: string }) => warnings.push(message) },
      transport: { peers: () => peers },
    }
    const mix = createMix(parts as unknown as CoreParts, membership)
    assert.deepEqual(mix.preferredLeaders(), [2, 3, 4])
    mix.tick()
    assert.match(warnings[0] ?? '', /'n2' \(new\), 'n3' \(new\), 'n4' \(new\)\./)
    assert.equal(membership.fingerprint(9), null)
  })
})

/** Voters from 1 on, of whom the databases hold these fingerprints. */
function createMembership(fingerprints: readonly string[]): Membership {
  const voters = fingerprints.map((_, at) => at + 1)
  const members = voters.map((memberId) => ({ ...MEMBER, memberId, nodeId: `n${memberId}` }))
  const known = new Map(fingerprints.map((fingerprint, at) => [at + 1, fingerprint]))
  const confState = { ...EMPTY_CONF_STATE, voters }
  const options = {} as MembershipOptions
  return new Membership(options, { confState, members, fingerprints: known })
}
