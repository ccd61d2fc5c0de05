import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../src/base/bytes.ts'
import { decodeRefusal, encodeHello } from '../../src/transport/hello.ts'
import { WIRE_KIND } from '../../src/transport/wire-kind.ts'
import { codeOf, createIdentity, isLinked, linkNodes, openNode, until } from './cluster.ts'
import { connectRaw, frameBytes, helloBytes } from './raw-peer.ts'

test('nodes of two clusters refuse each other, and both say so', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const other = createIdentity(2, { clusterId: new Uint8Array(16).fill(8) })
  const b = await openNode(t, { memberId: 2, identity: () => other })
  const { error } = await a.call(b.address, 1, '')
  assert.equal(codeOf(error), 'ERR_OTHER_CLUSTER')
  a.transport.setPeer(2, b.address)
  await until('a warning here', () => a.log.warnings.some((w) => w.code === 'ERR_OTHER_CLUSTER'))
  await until('a warning there', () => b.log.warnings.some((w) => w.code === 'ERR_OTHER_CLUSTER'))
  assert.deepEqual(b.log.events, [])
})

test('nodes with other extensions refuse each other, and both lists are named', async (t) => {
  const lists = ['vec@1', 'vec@2', 'vec@1,geo@1', 'geo@1,vec@1']
  const open = async (at: number): Promise<Awaited<ReturnType<typeof openNode>>> => {
    const fingerprint = at === 0 ? 'engine' : `engine extensions ${lists[at - 1]}`
    const identity = createIdentity(at + 1, { fingerprint })
    return await openNode(t, { memberId: at + 1, identity: () => identity })
  }
  const nodes = await Promise.all(Array.from({ length: lists.length + 1 }, (_, at) => open(at)))
  for (const [here, a] of nodes.entries()) {
    for (const [there, b] of nodes.entries()) {
      if (here === there) continue
      const { error } = await a.call(b.address, 1, '')
      assert.equal(codeOf(error), 'ERR_OTHER_EXTENSIONS')
      for (const at of [here, there]) {
        assert.ok(error?.message.includes(lists[at - 1] ?? '(none)'))
      }
    }
  }
  const same = createIdentity(9, { fingerprint: 'another engine extensions vec@1' })
  const friend = await openNode(t, { memberId: 9, identity: () => same })
  assert.equal((await friend.call(nodes[1]?.address ?? '', 1, '')).error, null)
})

test('who does not know its cluster yet can call, but not link', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const stranger = createIdentity(0, { clusterId: new Uint8Array(16) })
  const b = await openNode(t, { memberId: 0, identity: () => stranger })
  let caller = -1
  a.log.answer = (from, _kind, _body, reply) => {
    caller = from.memberId
    reply(null)
  }
  assert.equal((await b.call(a.address, 1, '')).error, null)
  assert.equal(caller, 0)
  b.transport.setPeer(1, a.address)
  await until('a refusal', () => b.transport.peers()[0]?.lastError?.code === 'ERR_HANDSHAKE')
  assert.deepEqual(a.log.events, [])
})

test('a node that became a member calls as one', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  let identity = createIdentity(0, { clusterId: new Uint8Array(16) })
  const b = await openNode(t, { memberId: 0, identity: () => identity })
  const callers: number[] = []
  a.log.answer = (from, _kind, _body, reply) => {
    callers.push(from.memberId)
    reply(null)
  }
  await b.call(a.address, 1, '')
  identity = createIdentity(4, { bootNonce: identity.bootNonce })
  await b.call(a.address, 1, '')
  assert.deepEqual(callers, [0, 4])
})

test('a second live process of one member is kept out, until the first is gone', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const first = await openNode(t, { memberId: 2 })
  await linkNodes(a, first)
  const second = await openNode(t, { memberId: 2 })
  assert.equal(codeOf((await second.call(a.address, 1, '')).error), 'ERR_ALREADY_OPEN')
  second.transport.setPeer(1, a.address)
  await until('a refusal', () => second.transport.peers()[0]?.lastError != null)
  assert.equal(second.transport.peers()[0]?.lastError?.code, 'ERR_ALREADY_OPEN')
  assert.ok(isLinked(a, 2))
  await first.close()
  await until('its turn', () => second.transport.send(1, 'control', 1, []))
})

test('a process that says nothing any more does not keep its successor out', async (t) => {
  const a = await openNode(t, { memberId: 1, pingMs: 20, silenceMsMax: 1_000_000 })
  // As after a power cut: no FIN ever comes, and nothing else either.
  const frozen = await connectRaw(t, a.transport.port)
  frozen.socket.write(helloBytes('control', createIdentity(2)))
  await until('a session', () => a.log.events.includes('connected 2'))
  const successor = await openNode(t, { memberId: 2 })
  successor.transport.setPeer(1, a.address)
  await until('its turn', () => successor.transport.send(1, 'control', 1, []))
  assert.deepEqual(a.log.events, ['connected 2', 'disconnected 2 processGone', 'connected 2'])
  await until('the old socket is closed', () => frozen.isClosed)
})

test('a node does not talk to itself, nor to another process of its own member', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const itself = await a.call(a.address, 1, '')
  assert.equal(codeOf(itself.error), 'ERR_OWN_ADDRESS')
  assert.match(itself.error?.message ?? '', /this very node/)
  const twin = await openNode(t, { memberId: 1 })
  assert.equal(codeOf((await twin.call(a.address, 1, '')).error), 'ERR_ALREADY_OPEN')
})

test('the member that was wanted must answer', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  a.transport.setPeer(3, b.address)
  await until('a refusal', () => a.transport.peers()[0]?.lastError != null)
  assert.match(a.transport.peers()[0]?.lastError?.message ?? '', /wanted member 3, but member 2/)
  assert.deepEqual(b.log.events, [])
})

test('nodes without a format in common refuse each other', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const newer = createIdentity(2, { formatMin: 2, formatMax: 3 })
  const b = await openNode(t, { memberId: 2, identity: () => newer })
  assert.equal(codeOf((await a.call(b.address, 1, '')).error), 'ERR_UNSUPPORTED_FORMAT')
  assert.equal(a.transport.traffic().formatRejects, 1)
  assert.equal(b.transport.traffic().formatRejects, 1)
})

test('the owner may refuse, on either side, with its own code', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  const refusal = { code: 'ERR_NODE_ID_TAKEN', message: 'member 1 was removed' } as const
  b.log.refuse = (hello) => (hello.isIncoming && hello.memberId === 1 ? refusal : null)
  const { error } = await a.call(b.address, 1, '')
  assert.equal(codeOf(error), 'ERR_NODE_ID_TAKEN')
  assert.match(error?.message ?? '', /member 1 was removed/)
  b.log.refuse = (hello) => (hello.isIncoming ? null : refusal)
  b.transport.setPeer(1, a.address)
  await until('own refusal', () => b.transport.peers()[0]?.lastError?.code === 'ERR_NODE_ID_TAKEN')
})

test('another protocol version is refused in words that every version can read', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const body = encodeHello({ identity: createIdentity(2), purpose: 'call', expects: 0 })
  new DataView(body.buffer).setUint16(4, 999, true)
  const raw = await connectRaw(t, a.transport.port)
  raw.socket.write(frameBytes(WIRE_KIND.hello, body))
  await until('an answer', () => raw.kinds.length === 1)
  assert.equal(raw.kinds[0], WIRE_KIND.refusal)
  const refusal = decodeRefusal(raw.bodies[0] as Uint8Array)
  assert.equal(refusal.code, 'ERR_UNSUPPORTED_FORMAT')
  assert.match(refusal.message, /999/)
  await until('a closed socket', () => raw.isClosed)
})

test('an identity that cannot be sent is refused at the start', async (t) => {
  const long = createIdentity(1, { fingerprint: 'x'.repeat(1025) })
  await assert.rejects(openNode(t, { memberId: 1, identity: () => long }), {
    code: 'ERR_INVALID_ARGUMENT',
  })
})

test('a refusal keeps codes that this version does not know, and no nonsense', () => {
  const refusal = (code: string): Uint8Array =>
    new ByteWriter().u32(0x4e4d4c43).text(code).text('why').finish()
  assert.equal(decodeRefusal(refusal('ERR_OF_TOMORROW')).code, 'ERR_OF_TOMORROW')
  assert.equal(decodeRefusal(refusal('<script>')).code, 'ERR_FAILED')
})
