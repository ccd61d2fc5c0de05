import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { LEAVING, OFFER, Steward } from '../../src/cluster/steward.ts'
import { ColmenaError } from '../../src/index.ts'
import { nextUncaught } from '../node/uncaught.ts'
import { until } from '../processes/wait.ts'
import { FakeNode, memberOf } from './fake-cluster.ts'

interface Rig {
  readonly node: FakeNode
  readonly steward: Steward
  readonly did: string[]
  readonly failed: string[]
  nowMs: number
}

const stewards: Steward[] = []

function createRig(state: FakeNode['state'], offering = ['b', 'c', 'd'], everyMs = 1): Rig {
  const node = new FakeNode(state)
  const [did, failed]: [string[], string[]] = [[], []]
  const policy = { voterTarget: 3, deadVoterTimeoutMs: 30_000, deadLearnerTimeoutMs: 60_000 }
  /** Learners offer their votes all the time, unless a test lets them rest. */
  const rig: Rig = {
    node,
    did,
    failed,
    nowMs: 1_000,
    steward: new Steward({
      node,
      policy,
      isFound: () => false,
      everyMs,
      nowMs: () => rig.nowMs,
      did: (reason) => did.push(reason),
      failed: (message) => failed.push(message),
    }),
  }
  stewards.push(rig.steward)
  offer(rig, offering)
  return rig
}

/** As if learners offered their votes with each look of this one. */
function offer({ node, steward }: Rig, ids: readonly string[]): void {
  const seeing = node.members.bind(node)
  node.members = async () => {
    const members = await seeing()
    for (const { nodeId, memberId } of members) if (ids.includes(nodeId)) steward.offered(memberId)
    return members
  }
}

/** Time goes by while it looks; what it did last. */
async function pass(rig: Rig, ms: number): Promise<string | null> {
  let did: string | null = null
  for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
    rig.nowMs += Math.min(leftMs, 1_000)
    did = await rig.steward.look()
  }
  return did
}

const leader = { id: 'a', role: 'voter', isLeader: true } as const
const voter = (id: string) => ({ id, role: 'voter' }) as const
const learner = (id: string) => ({ id, role: 'learner' }) as const

describe('a steward', () => {
  after(() => Promise.all(stewards.map((steward) => steward.close())))

  it('acts one step at a time while its node leads, and says why', async () => {
    const { node, steward, did } = createRig([leader, learner('b'), learner('c')])
    assert.match((await steward.look()) ?? '', /^'b' is to vote/)
    assert.deepEqual(node.asked, ['promote b'])
    await steward.look()
    assert.equal(await steward.look(), null)
    assert.deepEqual(node.asked, ['promote b', 'promote c'])
    assert.equal(did.length, 2)
  })

  it('looks again at once after a step, as one that takes a vote has another to give', async () => {
    const never = 2_000_000
    const { node, steward } = createRig([leader, learner('b'), learner('c')], ['b', 'c'], never)
    steward.start()
    await until('both are to vote', () => node.asked.length === 2)
  })

  it('goes on, and can be closed, where whoever is told of a failure throws', async () => {
    const rig = createRig([leader, learner('b')], ['b'])
    const { node, steward } = rig
    const seeing = node.members
    node.members = () => Promise.reject(new ColmenaError('ERR_TIMEOUT', 'too late'))
    rig.failed.push = () => {
      throw new Error('a bug of the host')
    }
    const caught = nextUncaught()
    steward.start()
    assert.match(String(await caught), /a bug of the host/)
    node.members = seeing
    await until('it goes on', () => node.asked.length === 1)
    await steward.close()
  })

  it('looks at once when its node begins to lead, since when it counts silence', async () => {
    const never = 2_000_000
    const { node, steward } = createRig([leader, learner('b'), learner('c')], ['b', 'c'], never)
    node.isLeader = false
    steward.start()
    await steward.look()
    node.isLeader = true
    node.emit('leader', { id: 'a', term: 2 })
    await until('both are to vote', () => node.asked.length === 2)
  })

  it('does nothing where its node does not lead', async () => {
    const { node, steward } = createRig([{ ...leader, isLeader: false }, learner('b')])
    await steward.look()
    node.isLeader = false
    node.set('a', { isLeader: true })
    await steward.look()
    assert.deepEqual(node.asked, [])
  })

  it('counts silence from when its node began to lead, each time anew', async () => {
    const rig = createRig([leader, voter('b'), { ...voter('c'), silentMs: 1e6 }, learner('d')])
    const { node, steward } = rig
    steward.start()
    // The loop looks at every moment of this time; nothing may be done before its end.
    await until('it has looked', async () => (await steward.look()) === null)
    assert.equal(await pass(rig, 29_999), null)
    node.emit('leader', { id: 'a', term: 2 })
    rig.nowMs += 1
    assert.equal(await steward.look(), null)
    assert.equal(await pass(rig, 29_999), null)
    assert.deepEqual(node.asked, [])
    rig.nowMs += 1
    await until('the silent voter is replaced', () => node.asked.length >= 2)
    assert.deepEqual(node.asked, ['demote c', 'promote d'])
    await steward.close()
  })

  it('counts nothing of the time in which its process stood still', async () => {
    const rig = createRig([leader, voter('b'), voter('c'), learner('d')])
    const { node, steward } = rig
    assert.equal(await steward.look(), null)
    // Another may lead by now; what b and d had said before is read now, and c had said nothing.
    node.set('c', { silentMs: 40_000 })
    rig.nowMs += 40_000
    assert.equal(await steward.look(), null)
    node.set('c', { silentMs: 1e6 })
    assert.equal(await pass(rig, 29_999), null)
    assert.match((await pass(rig, 1)) ?? '', /^'c' votes no more/)
  })

  it('removes nobody who has just joined and was not heard yet', async () => {
    const rig = createRig([leader, voter('b'), voter('c')], [])
    const { node, steward } = rig
    await steward.look()
    rig.nowMs += 1e6
    node.state = [...node.state, { ...learner('d'), silentMs: null }]
    assert.equal(await steward.look(), null)
    assert.equal(await pass(rig, 59_999), null)
    rig.nowMs += 1
    assert.match((await steward.look()) ?? '', /^'d' is removed: silent for 60 s/)
  })

  it('asks learners that offer their vote, for as long as they do', async () => {
    const rig = createRig([leader, voter('b'), learner('c')], [])
    const { node, steward } = rig
    steward.start()
    const [, , c] = await node.members()
    await until('it has looked', async () => (await steward.look()) === null)
    node.call(OFFER.key, { memberId: c?.memberId })
    rig.nowMs += 3_001
    assert.equal(await steward.look(), null, 'that was long ago')
    assert.deepEqual(node.asked, [])
    node.call(OFFER.key, { memberId: c?.memberId })
    await until('it is asked', () => node.asked.length > 0)
    assert.deepEqual(node.asked, ['promote c'])
    await steward.close()
  })

  it('offers the vote of a learner, and of no other member', async () => {
    const { node, steward } = createRig([voter('a'), { ...voter('b'), isLeader: true }])
    node.isLeader = false
    await steward.look()
    assert.deepEqual(node.forwarded, [])
    node.set('a', { role: 'learner' })
    node.leader = null
    await steward.look()
    assert.deepEqual(node.forwarded, [], 'there is nobody to offer it to')
  })

  it('lets voters leave, one after the other, as far as others can vote for them', async () => {
    const { node, steward } = createRig([leader, voter('b'), voter('c'), learner('d')], ['d'])
    steward.start()
    const [first, second] = await Promise.all([
      node.call(LEAVING.key, { nodeId: 'b', offering: [] }),
      node.call(LEAVING.key, { nodeId: 'c', offering: [] }),
    ])
    assert.deepEqual([first, second], [{ isReplaced: true }, { isReplaced: false }])
    await until('another votes', () => node.asked.includes('promote d'))
    assert.deepEqual(node.asked, ['demote b', 'promote d'], 'and not the one that leaves')
    assert.deepEqual(await node.call(LEAVING.key, { nodeId: 'x', offering: [] }), {
      isReplaced: false,
    })
    await steward.close()
  })

  it('knows from a leader that leaves who offered to vote', async () => {
    const old = createRig([leader, voter('b'), voter('c'), learner('d')])
    assert.equal(await old.steward.look(), null)
    const leave = old.steward.leave()
    const [, , , d] = await old.node.members()
    assert.equal(leave.nodeId, 'a')
    assert.ok(leave.offering.includes(d?.memberId ?? 0))

    const members = [{ ...leader, isLeader: false }, voter('b'), voter('c'), learner('d')]
    const { node, steward } = createRig(members, [])
    Object.assign(node, { nodeId: 'b', memberId: memberOf(voter('b')).memberId })
    node.set('b', { isLeader: true })
    node.set('d', { silentMs: null })
    assert.equal(await steward.replace({ ...leave, offering: [] }), false)
    const asked: boolean[] = []
    const replacing = steward.replace(leave).then((isReplaced) => asked.push(isReplaced))
    await node.members()
    assert.deepEqual([asked, node.asked], [[], []], 'it has not heard from d yet')
    node.set('d', { silentMs: 0 })
    await replacing
    assert.deepEqual(asked, [true])
    assert.deepEqual(node.asked, ['demote a'])
    assert.match((await steward.look()) ?? '', /^'d' is to vote/)
  })

  it('tells a trouble once, goes on, and ends', async () => {
    const { node, steward, failed } = createRig([leader, learner('b')])
    node.failure = new ColmenaError('ERR_BUSY', 'not just now', { retryable: true })
    steward.start()
    await until('it has tried several times', () => node.asked.length > 3)
    assert.deepEqual(failed, ['not just now'])
    node.failure = null
    await until('it has done it', () => node.state[1]?.wantedRole === 'voter')
    node.set('b', { wantedRole: 'learner' })
    node.failure = new ColmenaError('ERR_BUSY', 'not just now', { retryable: true })
    await until('it is told again', () => failed.length === 2)
    await steward.close()
    await steward.close()
    assert.ok(!node.isHandling)
    const { length } = node.asked
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(node.asked.length, length)
  })
})
