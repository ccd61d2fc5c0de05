import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameReader } from '../../src/transport/frame.ts'
import type { TransportSecurity } from '../../src/transport/transport.ts'
import {
  bytes,
  clock,
  createIdentity,
  linkNodes,
  openNode,
  payloads,
  SECRET,
  until,
} from './cluster.ts'
import { connectRaw, frameBytes, helloBytes, openRawServer } from './raw-peer.ts'

const MIB = 1024 * 1024

const SECURITIES: readonly TransportSecurity[] = [
  { kind: 'plaintext' },
  { kind: 'psk', secrets: [SECRET] },
]

for (const security of SECURITIES) {
  test(`frames travel whole and in order (${security.kind})`, async (t) => {
    const a = await openNode(t, { memberId: 1, security })
    const b = await openNode(t, { memberId: 2, security })
    await linkNodes(a, b)
    for (let i = 0; i < 100; i += 1) {
      assert.ok(a.transport.send(2, 'bulk', 7, [bytes('entry '), bytes(`${i}`)]))
    }
    assert.ok(a.transport.send(2, 'control', 8, [bytes('beat')]))
    assert.ok(b.transport.send(1, 'control', 9, []))
    await until('all frames', () => payloads(b).length === 101 && payloads(a).length === 1)
    assert.ok(a.transport.traffic().sentBytes > 100 * 'entry 0'.length)
    assert.ok(b.transport.traffic().receivedBytes > 100 * 'entry 0'.length)
    const bulk = payloads(b).filter((frame) => frame.lane === 'bulk')
    assert.deepEqual(
      bulk.map((frame) => frame.body),
      Array.from({ length: 100 }, (_, i) => `entry ${i}`),
    )
    assert.ok(payloads(b).some((f) => f.lane === 'control' && f.kind === 8 && f.body === 'beat'))
    assert.deepEqual(payloads(a), [{ from: 2, lane: 'control', kind: 9, body: '' }])
    assert.ok(a.log.events.includes('connected 2'))
  })

  test(`a call is answered (${security.kind})`, async (t) => {
    const a = await openNode(t, { memberId: 1, security })
    const b = await openNode(t, { memberId: 2, security })
    b.log.answer = (from, kind, body, reply) =>
      reply(null, bytes(`${from.memberId} ${kind} ${new TextDecoder().decode(body)}`))
    assert.deepEqual(await a.call(b.address, 5, 'hello'), { error: null, body: '1 5 hello' })
    await linkNodes(a, b)
    assert.deepEqual(await a.call(2, 6, 'again'), { error: null, body: '1 6 again' })
  })
}

test('links come back after a restart, and the end is seen as that of a process', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const first = await openNode(t, { memberId: 2 })
  await linkNodes(a, first)
  const { port } = first.transport
  await first.close()
  await until('the end', () => a.log.events.includes('disconnected 2 processGone'))
  assert.equal(a.transport.send(2, 'control', 1, []), false)
  assert.equal(a.transport.traffic().reconnects, 0)
  const second = await openNode(t, { memberId: 2, bind: { host: '127.0.0.1', port } })
  await linkNodes(a, second)
  assert.deepEqual(a.log.events, ['connected 2', 'disconnected 2 processGone', 'connected 2'])
  await until('both lanes', () => a.transport.traffic().reconnects === 2)
})

test('a link that is removed on purpose is not taken for a death', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  await linkNodes(a, b)
  a.transport.removePeer(2)
  await until('the end of the link', () => b.log.events.length === 2)
  assert.deepEqual(b.log.events, ['connected 1', 'disconnected 1 link'])
  assert.equal(a.transport.send(2, 'control', 1, []), false)
  assert.deepEqual(a.transport.peers(), [])
})

test('a changed address is dialed', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  a.transport.setPeer(2, '127.0.0.1:1')
  await until('a failed try', () => a.transport.peers()[0]?.lastError != null)
  assert.equal(a.transport.peers()[0]?.lastError?.code, 'ERR_FAILED')
  await linkNodes(a, b)
  const [peer] = a.transport.peers()
  assert.equal(peer?.address, b.address)
  assert.equal(peer?.lastError, null)
  assert.equal(peer?.hello?.nodeId, 'node-2')
})

test('the status of a link has its round trip and last contact', async (t) => {
  const a = await openNode(t, { memberId: 1, pingMs: 10 })
  const b = await openNode(t, { memberId: 2, pingMs: 10 })
  await linkNodes(a, b)
  await until('a round trip', () => a.transport.peers()[0]?.rttMs !== null)
  const contactMs = a.transport.peers()[0]?.lastContactMs ?? 0
  await until('a later contact', () => (a.transport.peers()[0]?.lastContactMs ?? 0) > contactMs)
})

test('control frames pass while the bulk lane is not read, and its queue is bounded', async (t) => {
  const sendQueueBytesMax = 4 * MIB
  const a = await openNode(t, { memberId: 1, frameBytesMax: MIB, sendQueueBytesMax })
  const server = await openRawServer(t, 2, ['bulk'])
  a.transport.setPeer(2, server.address)
  await until('both lanes', () => server.sockets.size === 2)
  await until('a link', () => a.transport.send(2, 'bulk', 1, []))
  const block = [new Uint8Array(MIB)]
  // The kernel's buffers take some; then the queue fills, and then frames are dropped.
  await until('a full queue', () => !a.transport.send(2, 'bulk', 1, block))
  assert.ok(a.transport.queuedBytes(2) <= sendQueueBytesMax)
  assert.ok(a.transport.queuedBytes(2) > sendQueueBytesMax - 2 * MIB)
  const beats: number[] = []
  const reader = new FrameReader(MIB)
  server.sockets.get('control')?.on('data', (chunk) => {
    reader.push(chunk)
    for (let frame = reader.next(); frame !== null; frame = reader.next()) beats.push(frame.kind)
  })
  for (let kind = 11; kind <= 20; kind += 1) assert.ok(a.transport.send(2, 'control', kind, []))
  await until('ten heartbeats', () => beats.filter((kind) => kind > 10 && kind < 30).length === 10)
  assert.equal(a.transport.send(2, 'bulk', 1, block), false)
})

test('a frame beyond the limit is not sent', async (t) => {
  const a = await openNode(t, { memberId: 1, frameBytesMax: 8192 })
  const b = await openNode(t, { memberId: 2, frameBytesMax: 8192 })
  await linkNodes(a, b)
  assert.equal(a.transport.send(2, 'bulk', 1, [new Uint8Array(8000), new Uint8Array(193)]), false)
  assert.ok(a.transport.send(2, 'bulk', 1, [new Uint8Array(8000), new Uint8Array(192)]))
  await until('the largest frame', () => payloads(b).length === 1)
})

test('a silent peer loses its links, in both directions', async (t) => {
  const a = await openNode(t, { memberId: 1, pingMs: 10, silenceMsMax: 100 })
  // Outgoing: this one welcomes, and then never answers a ping.
  const server = await openRawServer(t, 2, ['control', 'bulk'])
  a.transport.setPeer(2, server.address)
  await until('a link', () => a.transport.send(2, 'control', 1, []))
  const firstSocket = server.sockets.get('control')
  await until('a second try', () => server.sockets.get('control') !== firstSocket)
  // Incoming: this one says hello, and then nothing.
  const raw = await connectRaw(t, a.transport.port)
  raw.socket.write(helloBytes('control', createIdentity(3)))
  await until('a session', () => a.log.events.includes('connected 3'))
  await until('its end', () => a.log.events.includes('disconnected 3 link'))
  await until('a closed socket', () => raw.isClosed)
})

test('bytes that are no frames close a link with a warning, and nothing else', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  await linkNodes(a, b)
  const identity = createIdentity(3)
  const damaged = frameBytes(5, bytes('damaged'))
  damaged[12] = (damaged[12] as number) ^ 1
  const oversized = Buffer.alloc(64)
  oversized.writeUInt32LE(0x7fff_ffff, 0)
  const unknown = frameBytes(200, new Uint8Array(0))
  for (const [fault, pattern] of [
    [damaged, /checksum/],
    [oversized, /announces/],
    [unknown, /kind 200/],
  ] as const) {
    identity.bootNonce.set(crypto.getRandomValues(new Uint8Array(8)))
    const node = await openNode(t, { memberId: 9 })
    const raw = await connectRaw(t, node.transport.port)
    raw.socket.write(helloBytes('bulk', identity))
    await until('a session', () => node.log.events.includes('connected 3'))
    raw.socket.write(fault)
    await until('a closed socket', () => raw.isClosed)
    await until('the end', () => node.log.events.includes('disconnected 3 link'))
    assert.match(node.log.warnings[0]?.message ?? '', pattern)
    assert.deepEqual(node.log.frames, [])
  }
  assert.ok(a.transport.send(2, 'control', 5, [bytes('well')]))
  await until('a frame', () => payloads(b).length === 1)
})

test('a peer that dials us is dialed at once, whatever the wait', async (t) => {
  // On this clock no wait ever ends.
  const stopped = { ...clock, setTimer: () => () => {} }
  const a = await openNode(t, { memberId: 1, clock: stopped })
  const placeholder = await openNode(t, { memberId: 2 })
  const { port } = placeholder.transport
  await placeholder.close()
  a.transport.setPeer(2, `127.0.0.1:${port}`)
  await until('a failed try', () => a.transport.peers()[0]?.lastError != null)
  const b = await openNode(t, { memberId: 2, bind: { host: '127.0.0.1', port } })
  b.transport.setPeer(1, a.address)
  await until('a link', () => a.transport.send(2, 'control', 1, []))
})

test('one lane that closes is not the end of a peer', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const identity = createIdentity(2)
  const control = await connectRaw(t, a.transport.port)
  control.socket.write(helloBytes('control', identity))
  const bulk = await connectRaw(t, a.transport.port)
  bulk.socket.write(helloBytes('bulk', identity))
  await until('both lanes', () => control.kinds.length === 1 && bulk.kinds.length === 1)
  bulk.socket.end()
  await until('a closed lane', () => bulk.isClosed)
  control.socket.write(frameBytes(5, bytes('alive')))
  await until('a frame', () => a.log.frames.length === 1)
  assert.deepEqual(a.log.events, ['connected 2'])
  control.socket.end()
  await until('the end', () => a.log.events.includes('disconnected 2 processGone'))
})
