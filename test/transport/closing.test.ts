import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import net from 'node:net'
import { test } from 'node:test'
import { codeOf, linkNodes, openNode, SECRET, until } from './cluster.ts'
import { openRawServer } from './raw-peer.ts'

test('a busy port is an error that names the address', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const bind = { host: '127.0.0.1', port: a.transport.port }
  await assert.rejects(openNode(t, { memberId: 2, bind }), (error: Error) => {
    assert.equal(codeOf(error), 'ERR_ADDRESS_IN_USE')
    assert.ok(error.message.includes(a.address))
    return true
  })
})

test('nonsense in the options is refused', async (t) => {
  const code = 'ERR_INVALID_OPTION'
  await assert.rejects(openNode(t, { memberId: 1, frameBytesMax: 0 }), { code })
  await assert.rejects(openNode(t, { memberId: 1, pingMs: Number.NaN }), { code })
  const queue = { frameBytesMax: 8192, sendQueueBytesMax: 8191 }
  await assert.rejects(openNode(t, { memberId: 1, ...queue }), { code })
})

test('IPv6 loopback', async (t) => {
  const a = await openNode(t, { memberId: 1, bind: { host: '::1', port: 0 } })
  const b = await openNode(t, { memberId: 2 })
  assert.equal((await b.call(`[::1]:${a.transport.port}`, 1, 'six')).body, 'six')
})

test('close answers every caller, ends every call, and says nothing afterwards', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  await linkNodes(a, b)
  let asked = 0
  b.log.answer = () => {
    asked += 1
  }
  const call = a.call(2, 1, '')
  await until('the question', () => asked === 1)
  const unsent = a.call('127.0.0.1:1', 1, '')
  const closing = [a.close(), a.close()]
  const { error } = await call
  assert.equal(codeOf(error), 'ERR_CLOSED')
  assert.equal(error?.outcome, 'unknown')
  assert.match(codeOf((await unsent).error), /ERR_CLOSED|ERR_FAILED/)
  await Promise.all(closing)
  await a.close()
  assert.deepEqual(a.log.events, ['connected 2'])
  assert.equal(codeOf((await a.call(2, 1, '')).error), 'ERR_FAILED')
  assert.equal(codeOf((await a.call(b.address, 1, '')).error), 'ERR_CLOSED')
  assert.equal(a.transport.send(2, 'control', 1, []), false)
})

test('what was queued before close is still sent', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const server = await openRawServer(t, 2, ['bulk'])
  a.transport.setPeer(2, server.address)
  let sent = 0
  const body = new Uint8Array(100_000)
  await until('a link', () => a.transport.send(2, 'bulk', 1, []))
  // The kernel takes no more, so the rest waits in this process.
  await until('a queue', () => {
    for (let i = 0; i < 10; i += 1) if (a.transport.send(2, 'bulk', 9, [body])) sent += 1
    return a.transport.queuedBytes(2) > 8_000_000
  })
  const bulk = server.sockets.get('bulk')
  assert.ok(bulk !== undefined)
  let receivedBytes = 0
  // Before the frames' reader, which takes the chunks for its own.
  bulk.prependListener('data', (chunk) => {
    receivedBytes += chunk.length
  })
  const closing = a.close()
  bulk.resume()
  await closing
  await until('every frame', () => receivedBytes >= sent * body.length)
})

test('close while dialing', async (t) => {
  for (const security of [{ kind: 'plaintext' }, { kind: 'psk', secrets: [SECRET] }] as const) {
    const a = await openNode(t, { memberId: 1, security })
    // A server that accepts and says nothing: every dial hangs in its handshake.
    const sockets: net.Socket[] = []
    const server = net.createServer((socket) => sockets.push(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = `127.0.0.1:${(server.address() as net.AddressInfo).port}`
    a.transport.setPeer(2, address)
    const call = a.call(address, 1, '')
    await until('three dials', () => sockets.length === 3)
    await a.close()
    const { error } = await call
    assert.equal(codeOf(error), 'ERR_CLOSED')
    assert.equal(error?.outcome, 'not-applied')
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
})

const CLUSTER = new URL('./cluster.ts', import.meta.url)
const LIFE = `
import { NodeLog, clock, createIdentity, random, open } from '${CLUSTER}'
const make = (id) => {
  const identity = createIdentity(id)
  return open({ bind: { host: '127.0.0.1', port: 0 }, identity: () => identity, clock, random,
    security: { kind: 'psk', secrets: ['${SECRET}'] } }, new NodeLog())
}
const [a, b] = [await make(1), await make(2)]
a.setPeer(2, '127.0.0.1:' + b.port)
b.setPeer(1, '127.0.0.1:' + a.port)
a.setPeer(3, '127.0.0.1:1')
await new Promise((resolve) => a.call(2, 1, new Uint8Array(3), 5000, resolve))
a.close(() => b.close(() => console.log('closed', process.getActiveResourcesInfo().join())))
`

test('nothing keeps a process alive after close', async () => {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', LIFE], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  // Nobody ends this process but itself: with a handle left open the test runs into its limit.
  const code = await new Promise((resolve) => child.once('exit', resolve))
  assert.equal(code, 0)
  assert.match(output, /^closed/)
})
