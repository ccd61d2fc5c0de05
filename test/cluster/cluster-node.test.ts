import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { describe, it } from 'node:test'
import { ClusterNode } from '../../src/cluster/cluster-node.ts'
import type { Discovery } from '../../src/cluster/discovery.ts'
import type { Steward } from '../../src/cluster/steward.ts'
import { leaveAtSignals } from '../../src/fly/departure.ts'
import { ColmenaError, type ColmenaNode, type NodeEvents } from '../../src/index.ts'
import { until } from '../processes/wait.ts'

interface FakeOptions {
  readonly isLeader?: boolean
  /** What telling the leader comes to, until its signal ends it. */
  readonly told?: (signal: AbortSignal) => Promise<unknown>
  readonly members?: () => readonly { readonly memberId: number }[]
  readonly ready?: () => boolean
}

interface Rig {
  readonly cluster: ClusterNode
  readonly node: EventEmitter<NodeEvents>
  /** What was done, in its order. */
  readonly did: string[]
}

/** A node, with all that looks after it, that notes what is done with it. */
function createRig(options: FakeOptions = {}): Rig {
  const { isLeader = false, told = async () => null } = options
  const { members = () => [{ memberId: 1 }], ready = () => true } = options
  const did: string[] = []
  const note = (what: string) => async (): Promise<void> => void did.push(what)
  const node = Object.assign(new EventEmitter<NodeEvents>(), {
    nodeId: 'a',
    memberId: 1,
    isLeader,
    transferLeadership: note('transfers'),
    forward: (_to: unknown, request: unknown, { signal }: { readonly signal: AbortSignal }) => {
      did.push(`tells ${JSON.stringify(request)}`)
      return told(signal)
    },
    close: note('closes'),
    members: async () => members(),
    status: async () => ({ ready: ready() }),
  })
  const leave = { nodeId: 'a', offering: [7] }
  const cluster = new ClusterNode({
    node: node as unknown as ColmenaNode,
    discovery: { close: note('is found no more') } as unknown as Discovery,
    steward: {
      leave: () => {
        did.push('offers no vote')
        return leave
      },
      close: note('looks no more'),
    } as unknown as Steward,
  })
  return { cluster, node, did }
}

const TELLS = 'tells {"nodeId":"a","offering":[7]}'
const CLOSES = ['looks no more', 'is found no more', 'closes']

describe('a node of a cluster that forms itself', () => {
  it('hands over, tells the next leader that it goes, and closes, once', async () => {
    const { cluster, did } = createRig({ isLeader: true })
    await Promise.all([cluster.leave(), cluster.leave()])
    await cluster.close()
    assert.deepEqual(did, ['offers no vote', 'transfers', TELLS, ...CLOSES])
    const other = createRig()
    await other.cluster.leave()
    assert.deepEqual(other.did, ['offers no vote', TELLS, ...CLOSES])
  })

  it('closes all the same where nobody can be told', async () => {
    const noLeader = new ColmenaError('ERR_NO_LEADER', 'nobody leads', { retryable: true })
    const { cluster, did } = createRig({ told: () => Promise.reject(noLeader) })
    await cluster.leave()
    assert.deepEqual(did.slice(-3), CLOSES)
  })

  it('waits for an answer for as long as its signal lets it', async () => {
    const ending = new AbortController()
    let given: AbortSignal | undefined
    const told = (signal: AbortSignal): Promise<never> => {
      given = signal
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    }
    const { cluster, did } = createRig({ told })
    const leaving = cluster.leave({ signal: ending.signal })
    await until('it has told', () => did.includes(TELLS))
    assert.ok(!did.includes('closes'))
    ending.abort()
    assert.ok(given?.aborted, 'at once, and not at its own deadline')
    await leaving
    assert.deepEqual(did.slice(-3), CLOSES)
  })

  it('is healthy as a member that could write, and throws nothing else', async () => {
    let ready = true
    let members = [{ memberId: 1 }, { memberId: 2 }]
    const { cluster } = createRig({
      members: () => {
        if (members.length === 0) throw new ColmenaError('ERR_CLOSED', 'closed')
        return members
      },
      ready: () => ready,
    })
    assert.equal(await cluster.healthy(), true)
    ready = false
    assert.equal(await cluster.healthy(), false)
    ready = true
    members = [{ memberId: 2 }]
    assert.equal(await cluster.healthy(), false)
    members = []
    assert.equal(await cluster.healthy(), false)
  })

  it('is found no more once its node has ended by itself', async () => {
    const { node, did } = createRig()
    node.emit('closed', { reason: 'failed', cause: new Error('the disk is gone') })
    await until('all is closed', () => did.length === 3)
    assert.deepEqual(did, CLOSES)
  })

  it('ends its process by force where leaving takes too long', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const kills: unknown[] = []
    t.mock.method(process, 'kill', ((...args: unknown[]) => kills.push(args)) as never)
    const exits: unknown[] = []
    t.mock.method(process, 'exit', ((code: number) => exits.push(code)) as never)
    const { cluster } = createRig()
    const { promise, resolve } = Promise.withResolvers<void>()
    cluster.leave = () => promise
    leaveAtSignals(cluster)
    process.emit('SIGINT')
    process.emit('SIGINT')
    t.mock.timers.tick(7_999)
    assert.deepEqual([kills, exits], [[], []])
    t.mock.timers.tick(1)
    assert.deepEqual(kills, [[process.pid, 'SIGKILL']])
    resolve()
    await until('it exits', () => exits.length > 0)
    assert.deepEqual(exits, [0])
  })
})
