/** Mutual TLS: who is let in, who is not, and what both sides read about it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import tls from 'node:tls'
import { atDay, TestAuthority, type Tls } from '../certificates/authority.ts'
import { codeOf, linkNodes, openNode, SECRET, type TestNode, until } from './cluster.ts'
import { openProxy } from './raw-peer.ts'

const authority = await TestAuthority.create()

/** Calls, and gives the one line that each side has then: the caller's error, the other's log. */
async function refusedCall(
  caller: TestNode,
  other: TestNode,
): Promise<{ readonly error: string; readonly warning: string }> {
  const { error } = await caller.call(other.address, 1, 'let me in')
  assert.equal(codeOf(error), 'ERR_HANDSHAKE')
  assert.equal(error?.outcome, 'not-applied')
  return { error: error?.message ?? '', warning: other.log.warnings.at(-1)?.message ?? '' }
}

test('nodes with certificates of one CA link and call', async (t) => {
  const a = await openNode(t, { memberId: 1, security: await authority.tls('node-1') })
  const b = await openNode(t, { memberId: 2, security: await authority.tls('node-2') })
  await linkNodes(a, b)
  assert.equal((await a.call(b.address, 1, 'x')).body, 'x')
  assert.deepEqual([...a.log.warnings, ...b.log.warnings], [])
})

test('a certificate of another CA is refused by whoever sees it', async (t) => {
  const stranger = await TestAuthority.create('another CA')
  const a = await openNode(t, { memberId: 1, security: await authority.tls('node-1') })
  const b = await openNode(t, { memberId: 2, security: await stranger.tls('node-2') })
  const both = [authority, stranger]
  const c = await openNode(t, { memberId: 3, security: await stranger.tls('node-3', both) })
  const dialer = await refusedCall(a, b)
  assert.match(
    dialer.error,
    /not trusted: the certificate of CN=node-2 was signed by CN=another CA/,
  )
  const accepted = await refusedCall(c, a)
  assert.match(accepted.error, /refused: the certificate of CN=node-3 was signed by CN=another CA/)
  assert.match(
    accepted.warning,
    /refused a connection from 127.0.0.1: the certificate of CN=node-3/,
  )
  assert.deepEqual([a.log.events, b.log.events], [[], []])
})

test('while a CA is replaced, nodes that trust both talk to those of either', async (t) => {
  const renewed = await TestAuthority.create('new CA')
  const both = [renewed, authority]
  const a = await openNode(t, { memberId: 1, security: await authority.tls('node-1', both) })
  const b = await openNode(t, { memberId: 2, security: await renewed.tls('node-2', both) })
  const c = await openNode(t, { memberId: 3, security: await renewed.tls('node-3') })
  const d = await openNode(t, { memberId: 4, security: await authority.tls('node-4') })
  assert.equal((await a.call(b.address, 1, 'x')).body, 'x')
  assert.equal((await b.call(a.address, 1, 'x')).body, 'x')
  await refusedCall(a, c)
  await refusedCall(d, b)
})

test('one that has expired, or is not valid yet, is named with its dates', async (t) => {
  const [old, expired] = await atDay(t, -20, async () => {
    const made = await TestAuthority.create('test CA', 3_650)
    return [made, await made.tls('node-2', [made], 5)] as const
  })
  const future = await atDay(t, 20, () => old.tls('node-3'))
  const a = await openNode(t, { memberId: 1, security: await old.tls('node-1') })
  const b = await openNode(t, { memberId: 2, security: expired })
  const c = await openNode(t, { memberId: 3, security: future })
  const hasExpired = /the certificate of CN=node-2 has expired, at 20\d\d-\d\d-\d\dT/
  assert.match((await refusedCall(a, b)).error, hasExpired)
  const accepted = await refusedCall(b, a)
  assert.match(accepted.error, hasExpired)
  assert.match(accepted.warning, hasExpired)
  const notYet = /the certificate of CN=node-3 is not valid yet, but from 20.*look at the clocks/
  assert.match((await refusedCall(a, c)).error, notYet)
  assert.match((await refusedCall(c, a)).error, notYet)
})

test("another node's name is refused, though the CA is right", async (t) => {
  const a = await openNode(t, { memberId: 1, security: await authority.tls('node-1') })
  const b = await openNode(t, { memberId: 2, security: await authority.tls('node-3') })
  const dialer = await refusedCall(a, b)
  assert.match(
    dialer.error,
    /not trusted: node 'node-2' has shown a certificate for DNS:node-3, IP/,
  )
  const accepted = await refusedCall(b, a)
  assert.match(accepted.error, /refused: node 'node-2' has shown a certificate for DNS:node-3, IP/)
  assert.match(accepted.warning, /colmena ca issue/)
  a.transport.setPeer(2, b.address)
  b.transport.setPeer(1, a.address)
  await until('warnings of both links', () => [a, b].every(({ log }) => log.warnings.length > 0))
  assert.deepEqual(a.log.events, [])
})

test('a name is compared to the letter', async (t) => {
  const security = await authority.tls('NODE-1')
  const a = await openNode(t, { memberId: 1, security })
  const b = await openNode(t, { memberId: 2, security: await authority.tls('node-2') })
  assert.match((await refusedCall(b, a)).error, /'node-1' has shown a certificate for DNS:NODE-1/)
})

test('with a secret or in plaintext: refused, and told what is here', async (t) => {
  const a = await openNode(t, { memberId: 1, security: await authority.tls('node-1') })
  const psk = { kind: 'psk', secrets: [SECRET] } as const
  const b = await openNode(t, { memberId: 2, security: psk })
  const c = await openNode(t, { memberId: 3 })
  const toTls = await refusedCall(b, a)
  assert.match(toTls.error, /another TLS: it has certificates \(tls\), and this node a secret/)
  await until('a warning', () => a.log.warnings.length === 1)
  assert.match(a.log.warnings[0]?.message ?? '', /another TLS: perhaps it has a secret, and this/)
  const toPsk = await refusedCall(a, b)
  assert.match(toPsk.error, /another TLS: it has a secret, and this node certificates \(tls\)/)
  await until('a warning', () => b.log.warnings.length === 1)
  assert.match((await refusedCall(a, c)).error, /perhaps it runs without certificates/)
  assert.match((await refusedCall(c, a)).error, /perhaps it has a secret or certificates/)
})

/** A TLS client of our own make, to `port`; resolves with all that it was sent, once it is over. */
async function strangerOf(port: number, options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    ...{ host: '127.0.0.1', port, rejectUnauthorized: false },
    checkServerIdentity: () => undefined,
    ...options,
  })
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  return socket
}

test('a stranger without a certificate is told why, and can say nothing', async (t) => {
  const a = await openNode(t, { memberId: 1, security: await authority.tls('node-1') })
  const socket = await strangerOf(a.transport.port, {})
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'close')
  const said = Buffer.concat(chunks).toString('latin1')
  assert.match(said, /no certificate was shown/)
  assert.ok(!said.includes('node-1'))
  assert.match(a.log.warnings[0]?.message ?? '', /127.0.0.1: no certificate was shown/)
  assert.deepEqual(a.log.events, [])
})

test('no session is resumed: each connection shows its certificate', async (t) => {
  const a = await openNode(t, { memberId: 1, security: await authority.tls('node-1') })
  const own = await authority.tls('node-2')
  const first = await strangerOf(a.transport.port, own)
  const sessions: Buffer[] = []
  first.on('session', (session) => sessions.push(session))
  await until('tickets, which lead nowhere', () => sessions.length > 0)
  first.destroy()
  const second = await strangerOf(a.transport.port, { ...own, session: sessions.at(-1) as Buffer })
  assert.equal(second.isSessionReused(), false)
  second.destroy()
})

test('a recorded handshake is of no use to whoever plays it again', async (t) => {
  const a = await openNode(t, { memberId: 1, security: await authority.tls('node-1') })
  const b = await openNode(t, { memberId: 2, security: await authority.tls('node-2') })
  const recorded: Buffer[] = []
  const proxy = await openProxy(t, a.transport.port, (chunk) => {
    recorded.push(Buffer.from(chunk))
    return chunk
  })
  assert.equal((await b.call(proxy.address, 1, 'words')).body, 'words')
  const wire = Buffer.concat(recorded).toString('latin1')
  assert.ok(!wire.includes('words') && !wire.includes('node-2') && !wire.includes('test CA'))
  let calls = 0
  a.log.answer = (_from, _kind, body, reply) => {
    calls += 1
    reply(null, body)
  }
  const replay = net.connect(a.transport.port, '127.0.0.1')
  replay.on('error', () => {})
  replay.resume()
  for (const chunk of recorded) replay.write(chunk)
  await once(replay, 'close')
  assert.equal(calls, 0)
  assert.deepEqual(a.log.events, [])
  await until('one warning', () => a.log.warnings.length === 1)
})

test('what is no certificate is an error of open', async (t) => {
  const own = await authority.tls('node-1')
  for (const change of [{ cert: 'x' }, { key: 'x' }] satisfies Partial<Tls>[]) {
    const promise = openNode(t, { memberId: 1, security: { ...own, ...change } })
    await assert.rejects(promise, { code: 'ERR_INVALID_OPTION' }, JSON.stringify(change))
  }
  const other = await authority.tls('node-1')
  const mixed = openNode(t, { memberId: 1, security: { ...own, key: other.key } })
  await assert.rejects(mixed, { code: 'ERR_INVALID_OPTION', message: /key values mismatch/ })
})

test('a node that shows a good certificate, but no hello, is cut off in time', async (t) => {
  const security = await authority.tls('node-1')
  const a = await openNode(t, { memberId: 1, handshakeTimeoutMs: 100, security })
  const socket = await strangerOf(a.transport.port, await authority.tls('node-2'))
  await once(socket, 'close')
  const silent = net.connect(a.transport.port, '127.0.0.1')
  silent.on('error', () => {})
  await once(silent, 'close')
})
