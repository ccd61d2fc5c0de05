import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TransportSecurity } from '../../src/transport/transport.ts'
import { bytes, linkNodes, openNode, payloads, SECRET, until } from './cluster.ts'

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
