/** Machines of Fly.io, as deploys, failures and people treat them. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { deployMachine, openFly, startMachine } from './deploys.ts'
import { memberAt } from './lan.ts'
import { Load } from './load.ts'
import type { Machines } from './machines.ts'

describe('machines of Fly.io', () => {
  let machines: Machines
  let load: Load

  before(async () => {
    machines = await openFly()
    load = await Load.start(machines, { clients: 3, restMs: 50 })
  })
  after(async () => {
    try {
      await load.stop()
    } finally {
      await machines[Symbol.asyncDispose]()
    }
  })

  it('are deployed one by one, with their volumes, and lose no write', async (t) => {
    const ids = await memberIds()
    for (const at of machines.places) {
      await deployMachine(machines, at)
      t.diagnostic(`machine ${at + 1}: a write waited for ${load.lapMs().toFixed(0)} ms at most`)
    }
    await load.check()
    assert.deepEqual(await memberIds(), ids)
  })

  it('are replaced by new ones, whose volumes are empty', async (t) => {
    const [at] = machines.places as [number]
    const { memberId } = await memberAt(machines, at)
    await deployMachine(machines, at, { replaces: true })
    t.diagnostic(`a write waited for ${load.lapMs().toFixed(0)} ms at most`)
    const after = await memberAt(machines, at)
    assert.equal(after.nodeId, machines.idOf(at))
    const members = await machines.node(at).call('members')
    assert.ok(!members.some((member) => member.memberId === memberId))
    await load.check()
  })

  it('of which one was removed while it was away: it forgets all, and joins anew', async () => {
    const at = machines.places.length - 1
    const { memberId, nodeId } = await memberAt(machines, at)
    assert.equal(await machines.terminate(at), 0)
    await machines.node(0).call('changeMember', 'remove', nodeId)
    await startMachine(machines, at)
    const back = await memberAt(machines, at)
    assert.equal(back.nodeId, nodeId)
    assert.notEqual(back.memberId, memberId)
    await load.check()
  })

  it('all come back from a loss of power as they were', async () => {
    const ids = await memberIds()
    await load.stop()
    await Promise.all(machines.places.map((at) => machines.powerCut(at)))
    await Promise.all(machines.places.map((at) => startMachine(machines, at)))
    assert.deepEqual(await memberIds(), ids)
    await load.check()
  })

  async function memberIds(): Promise<readonly number[]> {
    const all = machines.places.map((at) => memberAt(machines, at))
    return (await Promise.all(all)).map(({ memberId }) => memberId)
  }
})
