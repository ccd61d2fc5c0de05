import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, linkNodes, openNode, SECRET, until } from './cluster.ts'
import { openProxy } from './raw-peer.ts'

const OTHER_SECRET = 'quite another secret of enough bytes'

function psk(...secrets: string[]): { readonly kind: 'psk'; readonly secrets: readonly string[] } {
  return { kind: 'psk', secrets }
}

test('a wrong secret fails the call and gives one warning on each side', async (t) => {
  const a = await openNode(t, { memberId: 1, security: psk(SECRET) })
  const b = await openNode(t, { memberId: 2, security: psk(OTHER_SECRET) })
  for (let i = 0; i < 3; i += 1) {
    const { error } = await a.call(b.address, 1, 'hello')
    assert.equal(codeOf(error), 'ERR_HANDSHAKE')
    assert.match(error?.message ?? '', /another secret/)
    assert.equal(error?.outcome, 'not-applied')
  }
  a.transport.setPeer(2, b.address)
  await until('a warning', () => a.log.warnings.length > 0)
  await until('many tries', () => a.transport.peers()[0]?.lastError != null)
  await a.call(b.address, 1, 'again')
  assert.equal(a.log.warnings.length, 1)
  assert.equal(b.log.warnings.length, 1)
  assert.match(b.log.warnings[0]?.message ?? '', /another secret/)
  assert.deepEqual(b.log.events, [])
})

test('while secrets rotate, nodes with any one in common talk', async (t) => {
  const old = await openNode(t, { memberId: 1, security: psk(SECRET) })
  const both = await openNode(t, { memberId: 2, security: psk(OTHER_SECRET, SECRET) })
  const renewed = await openNode(t, { memberId: 3, security: psk(OTHER_SECRET) })
  await linkNodes(old, both, [1, 2])
  await linkNodes(both, renewed, [2, 3])
  assert.equal((await both.call(old.address, 1, 'x')).body, 'x')
  assert.equal((await both.call(renewed.address, 1, 'x')).body, 'x')
  assert.equal(codeOf((await old.call(renewed.address, 1, 'x')).error), 'ERR_HANDSHAKE')
})

test('a short secret, or none in the list, is refused', async (t) => {
  const code = 'ERR_WEAK_SECRET'
  await assert.rejects(openNode(t, { memberId: 1, security: psk('x'.repeat(15)) }), { code })
  await assert.rejects(openNode(t, { memberId: 1, security: psk(SECRET, 'short') }), { code })
  await assert.rejects(openNode(t, { memberId: 1, security: psk() }), { code })
  await openNode(t, { memberId: 1, security: psk('x'.repeat(16)) })
})

test('a node with a secret and one without never talk, and say why', async (t) => {
  const secured = await openNode(t, { memberId: 1, security: psk(SECRET) })
  const open = await openNode(t, { memberId: 2 })
  const toOpen = await secured.call(open.address, 1, 'x')
  assert.equal(codeOf(toOpen.error), 'ERR_HANDSHAKE')
  assert.match(toOpen.error?.message ?? '', /without a secret/)
  await until('a warning', () => open.log.warnings.length === 1)
  assert.match(
    open.log.warnings[0]?.message ?? '',
    /has a secret or certificates, and this side has neither/,
  )
  const toSecured = await open.call(secured.address, 1, 'x')
  assert.equal(codeOf(toSecured.error), 'ERR_HANDSHAKE')
  assert.match(toSecured.error?.message ?? '', /has a secret/)
  await until('a warning there', () => secured.log.warnings.length === 1)
  assert.match(secured.log.warnings[0]?.message ?? '', /without the secret/)
})

test('nothing readable is on the wire, and a changed byte ends the socket', async (t) => {
  const a = await openNode(t, { memberId: 1, security: psk(SECRET) })
  const b = await openNode(t, { memberId: 2, security: psk(SECRET) })
  const seen: Buffer[] = []
  let isTampering = false
  const proxy = await openProxy(t, b.transport.port, (chunk) => {
    seen.push(Buffer.from(chunk))
    if (isTampering) chunk[chunk.length - 1] = (chunk[chunk.length - 1] as number) ^ 1
    return chunk
  })
  assert.equal((await a.call(proxy.address, 1, 'readable words')).body, 'readable words')
  const wire = Buffer.concat(seen).toString('latin1')
  assert.ok(!wire.includes('readable') && !wire.includes('node-1') && !wire.includes(SECRET))
  isTampering = true
  const { error } = await a.call(proxy.address, 1, 'changed words')
  assert.equal(codeOf(error), 'ERR_FAILED')
  assert.equal(error?.outcome, 'unknown')
})

test('with a secret too, nobody there is told as nobody there', async (t) => {
  const a = await openNode(t, { memberId: 1, security: psk(SECRET) })
  const { error } = await a.call('127.0.0.1:1', 1, '')
  assert.equal(codeOf(error), 'ERR_FAILED')
  assert.match(error?.message ?? '', /cannot reach/)
})
