import assert from 'node:assert/strict'
import { it } from 'node:test'
import { laneOf } from '../../src/engine/wire.ts'
import type { Message } from '../../src/raft/raft.ts'
import { Cluster, confStateOf } from '../raft/cluster.ts'

it('a commit is told the way that the entries before it go, so that it never comes first', () => {
  const cluster = new Cluster(confStateOf([1, 2, 3]))
  cluster.elect(1)
  const leader = cluster.member(1)
  const isSlow = ({ to }: Message): boolean => to === 2
  const onTheWay: Message[] = []
  cluster.isLost = (message) => {
    if (isSlow(message)) onTheWay.push(message)
    return isSlow(message)
  }
  cluster.propose(1, 'a')
  cluster.pump(leader)
  const index = leader.raft.lastIndex
  cluster.propose(1, 'b')
  // Member 3 makes a majority for both; all that member 2 gets is still on its way.
  cluster.settle()
  const appends = onTheWay.filter(({ type }) => type === 'append')
  const told = appends.find(({ commit, entries }) => commit >= index && entries.length === 0)
  assert.ok(told !== undefined && told.index > index, 'it stands on an entry that is on its way')
  assert.deepEqual(
    appends.map(({ type }) => laneOf(type)),
    appends.map(() => 'bulk'),
  )
  assert.equal(laneOf('heartbeat'), 'control', 'and what stands on nothing does not wait')
})
