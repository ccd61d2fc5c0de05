/** Machines on a LAN: who says nothing but a CA has a cluster of them. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createAuthority } from '../../src/certificates/certificates.ts'
import type { NodeHandle } from '../processes/node-handle.ts'
import { until } from '../processes/wait.ts'
import { killVoter, memberAt, openLan, placesOf, reflash } from './lan.ts'
import type { Machines } from './machines.ts'

describe('machines on a LAN', () => {
  let machines: Machines

  before(async () => {
    machines = await openLan()
  })
  after(() => machines[Symbol.asyncDispose]())

  it('make one cluster, of which the first three vote, and see no other one', async () => {
    assert.deepEqual(await placesOf(machines, 'learner'), [3])
    const stranger = await machines.startStranger(3, { discoveryWindowMs: 300 })
    assert.equal((await stranger.call('members')).length, 1)
    for (const node of machines.nodes) assert.equal((await node.call('members')).length, 4)
    const { clusterId } = await stranger.call('status')
    assert.ok(!(await machines.clusterIds()).has(clusterId))
    await stranger.call('close')
  })

  it('have the learner vote in place of who is gone, and is back with nothing', async (t) => {
    const [gone = 0] = await placesOf(machines, 'voter')
    const before = await memberAt(machines, gone)
    const promotedMs = await killVoter(machines, gone)
    t.diagnostic(`replaced in ${promotedMs.toFixed(0)} ms`)
    await reflash(machines, gone)
    const after = await memberAt(machines, gone)
    assert.equal(after.address, before.address)
    assert.notEqual(after.nodeId, before.nodeId)
    const members = await machines.node(gone).call('members')
    assert.ok(!members.some(({ memberId }) => memberId === before.memberId))
    assert.deepEqual(machines.nodes.flatMap(otherClusters), [], 'there was none up to now')
  })

  it('of which each half began a cluster tell of each other, and stay apart', async (t) => {
    const { hosts } = machines
    if (hosts.missing !== null) return t.diagnostic(hosts.missing)
    await machines.stop()
    const { cert: ca, key: caKey } = await createAuthority()
    const settings = { ca, caKey, expectedVoters: 2, discoveryWindowMs: 300 }
    for (const a of [0, 1]) for (const b of [2, 3]) hosts.cut(a, b)
    for (const at of machines.places) machines.wipe(at)
    await Promise.all(machines.places.map((at) => machines.start(at, 'lan', settings)))
    const ids = await machines.clusterIds()
    assert.equal(ids.size, 2)
    hosts.heal()
    for (const half of [
      [0, 1],
      [2, 3],
    ]) {
      const nodes = half.map((at) => machines.node(at))
      await until('one of each half says so', () => {
        return nodes.flatMap(otherClusters).some((text) => /another cluster answers/.test(text))
      })
    }
    assert.deepEqual(await machines.clusterIds(), ids)
    for (const node of machines.nodes) assert.equal((await node.call('members')).length, 2)
  })
})

function otherClusters(node: NodeHandle): readonly string[] {
  const warnings = node.eventsOf('warning')
  return warnings.filter(({ code }) => code === 'ERR_OTHER_CLUSTER').map(({ message }) => message)
}
