/** Links that are made before this node knows its members. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNoNetwork } from '../../src/engine/no-network.ts'
import type { TransportHandlers } from '../../src/transport/transport.ts'
import { createIdentity } from '../transport/cluster.ts'
import { startAlone } from './alone.ts'

test('who says that it is a member is judged once the members are known', (t) => {
  const ended: number[] = []
  let handlers: TransportHandlers | null = null
  const { timeline, told } = startAlone(t, {
    openNetwork: (_options, given, done) => {
      handlers = given
      done(null, { ...createNoNetwork(), endLinksOf: (id) => ended.push(id) })
    },
  })
  // Member 1 is this very node, and nobody is member 7 yet.
  for (const memberId of [1, 7]) {
    const identity = createIdentity(memberId, { nodeId: 'another' })
    const hello = { ...identity, isIncoming: true, remoteAddress: '127.0.0.1' } as const
    const peer = { ...hello, purpose: 'control' } as const
    const { peerHello, connected } = handlers as unknown as TransportHandlers
    assert.equal(peerHello(peer), null, 'nobody knows better yet')
    connected(memberId, peer)
  }
  assert.deepEqual(ended, [])
  while (!told.some(({ kind }) => kind === 'ready') && timeline.nowMs < 60_000) {
    assert.ok(timeline.step())
  }
  assert.deepEqual(ended, [1])
})
