import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { ColmenaError } from '../../src/base/errors.ts'
import type { Reply } from '../../src/transport/transport.ts'
import { bytes, codeOf, linkNodes, openNode, text, until } from './cluster.ts'
import { openRawServer } from './raw-peer.ts'

test('many calls share one socket, and answers find their callers in any order', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  const waiting: (() => void)[] = []
  let handshakes = 0
  b.log.refuse = () => {
    handshakes += 1
    return null
  }
  b.log.answer = (_from, _kind, body, reply) => {
    waiting.push(() => reply(null, body))
  }
  const calls = Array.from({ length: 50 }, (_, i) => a.call(b.address, 1, `call ${i}`))
  await until('all calls', () => waiting.length === 50)
  for (const answer of waiting.reverse()) answer()
  const answers = await Promise.all(calls)
  assert.deepEqual(
    answers.map((answer) => answer.body),
    Array.from({ length: 50 }, (_, i) => `call ${i}`),
  )
  assert.equal(handshakes, 1)
})

test('an error arrives with its code, message and outcome', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  b.log.answer = (_from, _kind, _body, reply) =>
    reply(
      new ColmenaError('ERR_NO_LEADER', 'no leader here', {
        retryable: true,
        outcome: 'committed',
        index: 77,
      }),
    )
  const { error } = await a.call(b.address, 1, '')
  assert.equal(error?.code, 'ERR_NO_LEADER')
  assert.equal(error?.message, 'no leader here')
  assert.equal(error?.retryable, true)
  assert.equal(error?.outcome, 'committed')
  assert.equal(error?.index, 77)
})

test('a call without an answer times out; the late answer harms nobody', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  const late: Reply[] = []
  b.log.answer = (_from, kind, body, reply) => {
    if (kind === 1) late.push(reply)
    else reply(null, body)
  }
  const { error } = await a.call(b.address, 1, '', 50)
  assert.equal(codeOf(error), 'ERR_TIMEOUT')
  assert.equal(error?.outcome, 'unknown')
  late[0]?.(null, bytes('late'))
  late[0]?.(null, bytes('twice'))
  assert.equal((await a.call(b.address, 2, 'next')).body, 'next')
})

test('a socket that gave no sign of life is not used for the next call', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const server = await openRawServer(t, 2, [])
  const call = async (): Promise<ColmenaError | null> =>
    (await a.call(server.address, 1, '', 50)).error
  // On a slow machine the first ones may end before there is a socket at all.
  for (let tries = 1; (await call())?.outcome !== 'unknown'; tries += 1) assert.ok(tries < 200)
  const first = server.sockets.get('call')
  assert.ok(first)
  assert.equal(codeOf(await call()), 'ERR_TIMEOUT')
  await until('another socket', () => server.sockets.get('call') !== first)
})

test('nobody there: the call fails, and certainly did nothing', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  for (const [to, pattern] of [
    ['127.0.0.1:1', /cannot reach 127\.0\.0\.1:1/],
    [99, /member 99/],
  ] as const) {
    const { error } = await a.call(to, 1, '')
    assert.equal(codeOf(error), 'ERR_FAILED')
    assert.match(error?.message ?? '', pattern)
    assert.equal(error?.retryable, true)
    assert.equal(error?.outcome, 'not-applied')
  }
  assert.equal(codeOf((await a.call('nonsense', 1, '')).error), 'ERR_INVALID_ARGUMENT')
})

test('the other side dies over a call: whether it was done is unknown', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  let asked = 0
  b.log.answer = () => {
    asked += 1
  }
  const call = a.call(b.address, 1, '')
  await until('the question', () => asked === 1)
  await b.close()
  const { error } = await call
  assert.equal(codeOf(error), 'ERR_FAILED')
  assert.equal(error?.outcome, 'unknown')
})

test('bodies are bounded in both directions', async (t) => {
  const a = await openNode(t, { memberId: 1, frameBytesMax: 4096 })
  const b = await openNode(t, { memberId: 2, frameBytesMax: 4096 })
  await linkNodes(a, b)
  const largest = 'x'.repeat(4096)
  assert.equal((await a.call(2, 1, largest)).body, largest)
  assert.equal(codeOf((await a.call(2, 1, `${largest}x`)).error), 'ERR_TOO_LARGE')
  b.log.answer = (_from, _kind, _body, reply) => reply(null, bytes(`${largest}x`))
  const { error } = await a.call(2, 1, '')
  assert.equal(codeOf(error), 'ERR_TOO_LARGE')
  assert.equal(error?.outcome, 'unknown')
})

test('one caller cannot pile up calls without end', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  // Answering one call many times must not make room for others.
  b.log.answer = (_from, _kind, _body, reply) => {
    for (let i = 0; i < 10; i += 1) reply(null)
  }
  await a.call(b.address, 1, '')
  const replies: Reply[] = []
  b.log.answer = (_from, _kind, _body, reply) => replies.push(reply)
  const calls = Array.from({ length: 1030 }, () => a.call(b.address, 1, ''))
  const busy = await Promise.race(calls)
  assert.equal(codeOf(busy.error), 'ERR_BUSY')
  assert.equal(replies.length, 1024)
  for (const reply of replies) reply(null)
  const answers = await Promise.all(calls)
  assert.equal(answers.filter((answer) => answer.error === null).length, 1024)
})

test('a body can be kept: later frames do not write into it', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  const kept: Uint8Array[] = []
  b.log.answer = (_from, _kind, body, reply) => {
    kept.push(body)
    reply(null)
  }
  for (let i = 0; i < 20; i += 1) await a.call(b.address, 1, `body ${i} `.repeat(i * 100))
  kept.forEach((body, i) => {
    assert.equal(text(body), `body ${i} `.repeat(i * 100))
  })
})

test('a caller is told when too many of its own calls wait', async (t) => {
  const a = await openNode(t, { memberId: 1 })
  const server = await openRawServer(t, 2, [])
  const calls = Array.from({ length: 4097 }, () => a.call(server.address, 1, ''))
  const busy = await Promise.race(calls)
  assert.equal(codeOf(busy.error), 'ERR_BUSY')
  assert.equal(busy.error?.outcome, 'not-applied')
  await a.close()
  const codes = (await Promise.all(calls)).map((answer) => codeOf(answer.error))
  assert.equal(codes.filter((code) => code === 'ERR_CLOSED').length, 4096)
})

test('a server that never answers the handshake is given up in time', async (t) => {
  const a = await openNode(t, { memberId: 1, handshakeTimeoutMs: 50 })
  const server = net.createServer((socket) => socket.resume())
  t.after(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  const { error } = await a.call(`127.0.0.1:${port}`, 1, '', 600_000)
  assert.equal(codeOf(error), 'ERR_TIMEOUT')
  assert.match(error?.message ?? '', /did not finish the handshake/)
  assert.equal(error?.outcome, 'not-applied')
})
