import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, createIdentity, openNode, SECRET, type TestNode, until } from './cluster.ts'
import { connectRaw, frameBytes, helloBytes, type RawPeer } from './raw-peer.ts'

const HELLO = helloBytes('call', createIdentity(5))

/** The node still serves those who come with good manners. */
async function assertServes(node: TestNode, caller: TestNode): Promise<void> {
  assert.equal((await caller.call(node.address, 1, 'still here')).body, 'still here')
}

const GARBAGE: readonly (readonly [string, Buffer])[] = [
  ['random bytes', Buffer.from(crypto.getRandomValues(new Uint8Array(3000)))],
  ['a web request', Buffer.from('GET / HTTP/1.1\r\nHost: example\r\n\r\n')],
  ['a length beyond the handshake', Buffer.concat([u32(4098), Buffer.alloc(8)])],
  ['a length of 4 GiB', Buffer.concat([u32(0xffff_ffff), Buffer.alloc(8)])],
  ['a length of nothing', Buffer.alloc(16)],
  ['a frame that is no hello', frameBytes(1, bytes('an entry'))],
  ['a hello under another kind', frameBytes(1, HELLO.subarray(9))],
  ['a call before the hello', frameBytes(249, bytes('12345'))],
  ['a hello of garbage', frameBytes(255, crypto.getRandomValues(new Uint8Array(200)))],
  ['a hello cut short', frameBytes(255, HELLO.subarray(9, 60))],
  ['a hello with a tail', frameBytes(255, Buffer.concat([HELLO.subarray(9), Buffer.alloc(1)]))],
  ['a hello with a wrong checksum', Buffer.concat([HELLO.subarray(0, 8), flip(HELLO.subarray(8))])],
]

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(value)
  return buffer
}

function flip(buffer: Buffer): Buffer {
  const copy = Buffer.from(buffer)
  copy[20] = (copy[20] as number) ^ 4
  return copy
}

for (const [name, garbage] of GARBAGE) {
  test(`a stranger's ${name}: closed, warned of once, and handed to nobody`, async (t) => {
    const node = await openNode(t, { memberId: 1 })
    const caller = await openNode(t, { memberId: 2 })
    for (let i = 0; i < 3; i += 1) {
      const raw = await connectRaw(t, node.transport.port)
      raw.socket.write(garbage)
      await until('a closed socket', () => raw.isClosed)
      assert.deepEqual(raw.kinds, [])
    }
    assert.equal(node.log.warnings.length, 1)
    assert.equal(node.log.warnings[0]?.code, 'ERR_HANDSHAKE')
    await assertServes(node, caller)
    assert.deepEqual(node.log.frames, [])
  })
}

test('garbage at a port with a secret', async (t) => {
  const security = { kind: 'psk', secrets: [SECRET] } as const
  const node = await openNode(t, { memberId: 1, security })
  const caller = await openNode(t, { memberId: 2, security })
  for (const [, garbage] of GARBAGE) {
    const raw = await connectRaw(t, node.transport.port)
    raw.socket.end(garbage)
    await until('a closed socket', () => raw.isClosed)
  }
  await assertServes(node, caller)
})

test('a stranger that says its hello byte by byte is cut off in time', async (t) => {
  const node = await openNode(t, { memberId: 1, handshakeTimeoutMs: 150 })
  const raw = await connectRaw(t, node.transport.port)
  let sent = 0
  const drip = setInterval(() => {
    if (sent < HELLO.length - 1) raw.socket.write(HELLO.subarray(sent, ++sent))
  }, 5)
  t.after(() => clearInterval(drip))
  await until('a closed socket', () => raw.isClosed)
  assert.deepEqual(raw.kinds, [])
})

test('a stranger that says nothing is cut off in time, also from TLS', async (t) => {
  for (const security of [{ kind: 'plaintext' }, { kind: 'psk', secrets: [SECRET] }] as const) {
    const node = await openNode(t, { memberId: 1, handshakeTimeoutMs: 50, security })
    const raw = await connectRaw(t, node.transport.port)
    await until('a closed socket', () => raw.isClosed)
  }
})

test('a flood of silent connections is bounded, and honest nodes come through', async (t) => {
  const node = await openNode(t, {
    memberId: 1,
    unauthenticatedMax: 8,
    unauthenticatedPerAddressMax: 8,
    handshakeTimeoutMs: 600_000,
  })
  const caller = await openNode(t, { memberId: 2 })
  const flood: RawPeer[] = []
  for (let i = 0; i < 100; i += 1) flood.push(await connectRaw(t, node.transport.port))
  await until('the oldest are out', () => flood.filter((raw) => raw.isClosed).length === 92)
  assert.ok(flood.slice(0, 92).every((raw) => raw.isClosed))
  await assertServes(node, caller)
  await assertServes(node, caller)
})

test('one address cannot take the room of all', async (t) => {
  const node = await openNode(t, {
    memberId: 1,
    bind: { host: '0.0.0.0', port: 0 },
    unauthenticatedMax: 8,
    unauthenticatedPerAddressMax: 3,
    handshakeTimeoutMs: 600_000,
  })
  const flood: RawPeer[] = []
  for (let i = 0; i < 10; i += 1) flood.push(await connectRaw(t, node.transport.port))
  await until('seven are out', () => flood.filter((raw) => raw.isClosed).length === 7)
})

test('all addresses together are bounded too', async (t) => {
  const node = await openNode(t, {
    memberId: 1,
    bind: { host: '0.0.0.0', port: 0 },
    unauthenticatedMax: 4,
    unauthenticatedPerAddressMax: 3,
    handshakeTimeoutMs: 600_000,
  })
  const flood: RawPeer[] = []
  for (const host of ['127.0.0.1', '127.0.0.2', '127.0.0.3']) {
    flood.push(await connectRaw(t, node.transport.port, host))
    flood.push(await connectRaw(t, node.transport.port, host))
  }
  await until('two are out', () => flood.filter((raw) => raw.isClosed).length === 2)
  // One of the first address, and then one of the second, which had more by then.
  assert.ok(flood[0]?.isClosed && flood[2]?.isClosed)
})

test('an address that floods pushes out its own, and not who came before it', async (t) => {
  const node = await openNode(t, {
    memberId: 1,
    bind: { host: '0.0.0.0', port: 0 },
    unauthenticatedMax: 4,
    unauthenticatedPerAddressMax: 3,
    handshakeTimeoutMs: 600_000,
  })
  const honest = await connectRaw(t, node.transport.port, '127.0.0.1')
  const flood: RawPeer[] = []
  for (const host of ['127.0.0.2', '127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.3']) {
    flood.push(await connectRaw(t, node.transport.port, host))
  }
  await until('two are out', () => flood.filter((raw) => raw.isClosed).length === 2)
  honest.socket.write(HELLO)
  await until('a welcome', () => honest.kinds[0] === 254)
})

test('a hello in single bytes is understood', async (t) => {
  const node = await openNode(t, { memberId: 1 })
  const raw = await connectRaw(t, node.transport.port)
  raw.socket.setNoDelay(true)
  for (const byte of HELLO) {
    raw.socket.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until('a welcome', () => raw.kinds[0] === 254)
})
