import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Amnesia } from '../../src/engine/amnesia.ts'
import { createMessage, type Message, type Raft } from '../../src/raft/raft.ts'
import type { PeerHello } from '../../src/transport/transport.ts'

function createAmnesia(): { amnesia: Amnesia; warnings: string[]; core: { role: string } } {
  const warnings: string[] = []
  const core = {
    role: 'leader',
    term: 5,
    status: () => ({ progress: [{ id: 2, match: 100 }] }),
  }
  const amnesia = new Amnesia({
    raft: core as unknown as Raft,
    nodeId: (id) => `n${id}`,
    warning: (_code, message) => warnings.push(message),
  })
  return { amnesia, warnings, core }
}

function rejection(fields: Partial<Message>): Message {
  const type = 'appendResponse'
  return { ...createMessage(type, 2, 1), term: 5, reject: true, ...fields }
}

function hello(incarnation: number, boot: number, memberId = 2): PeerHello {
  const bootNonce = new Uint8Array(8).fill(boot)
  return { memberId, nodeId: `n${memberId}`, incarnation, bootNonce } as unknown as PeerHello
}

describe('amnesia', () => {
  it('is a rejection of the same term that ends before what was acknowledged', () => {
    const { amnesia, warnings } = createAmnesia()
    assert.equal(amnesia.isForgetful(rejection({ rejectHint: 100 })), false)
    assert.equal(amnesia.isForgetful(rejection({ rejectHint: 50, term: 4 })), false)
    assert.equal(amnesia.isForgetful(rejection({ rejectHint: 50 })), true)
    const one = createAmnesia().amnesia
    assert.equal(one.isForgetful(rejection({ rejectHint: 99 })), true, 'one entry is enough')
    assert.match(warnings[0] ?? '', /'n2' had acknowledged entries up to 100 .* up to 50/)
  })

  it('is nothing that a follower could judge', () => {
    const { amnesia, core } = createAmnesia()
    core.role = 'follower'
    assert.equal(amnesia.isForgetful(rejection({ rejectHint: 50 })), false)
  })

  it('costs the member its voice, and every new connection', () => {
    const { amnesia } = createAmnesia()
    assert.equal(amnesia.greet(hello(3, 1)), null)
    amnesia.isForgetful(rejection({ rejectHint: 50 }))
    const vote = { ...createMessage('voteResponse', 2, 1), term: 6 }
    assert.equal(amnesia.isForgetful(vote), true)
    assert.equal(amnesia.greet(hello(4, 2))?.code, 'ERR_DATA_DIR')
    assert.equal(amnesia.greet(hello(1, 3, 9)), null)
  })

  it('is an older or equal incarnation from another process: a copied data directory', () => {
    const { amnesia } = createAmnesia()
    assert.equal(amnesia.greet(hello(3, 1)), null)
    assert.equal(amnesia.greet(hello(3, 1)), null)
    assert.equal(amnesia.greet(hello(3, 2))?.code, 'ERR_DATA_DIR')
    assert.equal(amnesia.greet(hello(2, 4))?.code, 'ERR_DATA_DIR')
    assert.equal(amnesia.greet(hello(4, 5)), null)
  })

  it('cannot be told of somebody who is no member yet', () => {
    const { amnesia } = createAmnesia()
    assert.equal(amnesia.greet(hello(3, 1, 0)), null)
    assert.equal(amnesia.greet(hello(1, 2, 0)), null)
  })
})
