/** A new secret or certificate while the transport works: what goes on, and what is over. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Clock } from '../../src/base/ports.ts'
import type { Reply, TransportSecurity } from '../../src/transport/transport.ts'
import { TestAuthority } from '../certificates/authority.ts'
import {
  clock,
  codeOf,
  isLinked,
  linkNodes,
  openNode,
  payloads,
  SECRET,
  type TestNode,
  until,
} from './cluster.ts'

const NEW_SECRET = 'a new secret of more than sixteen bytes'

function psk(...secrets: string[]): TransportSecurity {
  return { kind: 'psk', secrets }
}

function rotate({ transport }: TestNode, security: TransportSecurity): Promise<void> {
  return new Promise((resolve, reject) => {
    transport.rotate(security, (error) => (error === null ? resolve() : reject(error)))
  })
}

/** Two nodes, linked in both directions. */
async function openPair(
  t: TestContext,
  security: TransportSecurity,
): Promise<readonly [TestNode, TestNode]> {
  const a = await openNode(t, { memberId: 1, security })
  const b = await openNode(t, { memberId: 2, security })
  await linkNodes(a, b)
  return [a, b]
}

test('links are made anew in both directions, and no process counts as gone', async (t) => {
  const [a, b] = await openPair(t, psk(SECRET))
  for (const secrets of [[NEW_SECRET, SECRET], [NEW_SECRET]]) {
    for (const node of [a, b]) {
      const reconnects = (): number[] => [a, b].map((one) => one.transport.traffic().reconnects)
      const before = reconnects()
      await rotate(node, psk(...secrets))
      await until('both links again', () => isLinked(a, 2) && isLinked(b, 1))
      await until('new ones, whoever dialed', () =>
        reconnects().every((count, at) => count >= (before[at] as number) + 2),
      )
    }
  }
  a.transport.send(2, 'bulk', 7, [])
  await until('a frame on the new links', () => payloads(b).length === 1)
  for (const { log } of [a, b]) {
    assert.ok(!log.events.some((event) => event.endsWith('processGone')), log.events.join())
  }
  const late = await openNode(t, { memberId: 3, security: psk(SECRET) })
  assert.equal(codeOf((await late.call(a.address, 1, 'x')).error), 'ERR_HANDSHAKE')
  assert.equal(codeOf((await a.call(late.address, 1, 'x')).error), 'ERR_HANDSHAKE')
})

test('a call under way gets its answer, on either side; later ones go the new way', async (t) => {
  const [a, b] = await openPair(t, psk(SECRET))
  const waiting: Reply[] = []
  let handshakes = 0
  b.log.refuse = ({ purpose }) => {
    if (purpose === 'call') handshakes += 1
    return null
  }
  b.log.answer = (_from, kind, body, reply) => {
    if (kind === 1) waiting.push(reply)
    else reply(null, body)
  }
  for (const node of [a, b]) {
    const slow = a.call(2, 1, 'slow')
    await until('it is there', () => waiting.length === 1)
    handshakes = 0
    await rotate(node, psk(NEW_SECRET, SECRET))
    // Until it has heard of it, the other side may take the old socket.
    for (let calls = 0; handshakes === 0; calls += 1) {
      assert.ok(calls < 1_000, 'calls go on as before')
      const { error, body } = await a.call(2, 2, 'quick')
      assert.deepEqual([error, body], [null, 'quick'])
    }
    waiting.pop()?.(null, new TextEncoder().encode('answered'))
    assert.deepEqual(await slow, { error: null, body: 'answered' })
  }
})

test('calls without an end of calls between: none fails while secrets change', async (t) => {
  const [a, b] = await openPair(t, psk(SECRET))
  let isOver = false
  let count = 0
  const callers = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const { error } = await a.call(2, 2, 'x')
      assert.equal(error, null)
      count += 1
    }
  })
  for (const secrets of [[NEW_SECRET, SECRET], [NEW_SECRET], [NEW_SECRET, SECRET], [SECRET]]) {
    for (const node of [b, a]) {
      await rotate(node, psk(...secrets))
      const wanted = count + 20
      await until('more calls', () => count >= wanted)
    }
  }
  isOver = true
  await Promise.all(callers)
})

test('who waits too long for an answer is cut off', async (t) => {
  let aheadMs = 0
  let sweeps = 0
  const fast: Clock = {
    wallMs: clock.wallMs,
    nowMs: () => performance.now() + aheadMs,
    setTimer: (delayMs, fire) =>
      clock.setTimer(delayMs, () => {
        if (delayMs === 20) sweeps += 1
        fire()
      }),
  }
  const security = psk(SECRET)
  for (const isCaller of [true, false]) {
    const own = { clock: fast, pingMs: 20, silenceMsMax: 600_000 }
    const a = await openNode(t, { memberId: 1, security, ...(isCaller ? own : {}) })
    const b = await openNode(t, { memberId: 2, security, ...(isCaller ? {} : own) })
    let isThere = false
    b.log.answer = () => {
      isThere = true
    }
    const call = a.call(b.address, 1, 'for ever', 600_000)
    await until('the call', () => isThere)
    await rotate(isCaller ? a : b, psk(NEW_SECRET))
    aheadMs += 9_000
    const answers: Awaited<typeof call>[] = []
    call.then((answer) => answers.push(answer))
    const seen = sweeps
    await until('it looked', () => sweeps > seen + 2)
    assert.equal(answers.length, 0)
    aheadMs += 2_000
    await until('it is cut off', () => answers.length === 1)
    assert.equal(codeOf(answers[0]?.error), 'ERR_FAILED')
    assert.equal(answers[0]?.error?.outcome, 'unknown')
  }
})

test('what is being dialed begins again', async (t) => {
  const a = await openNode(t, { memberId: 1, security: psk(SECRET) })
  const held: Socket[] = []
  const server = net.createServer((socket) => held.push(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const call = a.call(`127.0.0.1:${(server.address() as AddressInfo).port}`, 1, 'x')
  await until('a connection', () => held.length === 1)
  await rotate(a, psk(NEW_SECRET))
  held[0]?.destroy()
  await until('another one', () => held.length === 2)
  held[1]?.destroy()
  assert.equal((await call).error?.outcome, 'not-applied')
})

test('nor does it go by what was replaced, though both sides take it', async (t) => {
  const a = await openNode(t, { memberId: 1, security: psk(SECRET) })
  const b = await openNode(t, { memberId: 2, security: psk(SECRET) })
  const held: Socket[] = []
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    held.push(socket.on('error', () => {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const pass = (socket: Socket): void => {
    const onward = net.connect(b.transport.port, '127.0.0.1')
    onward.on('error', () => {})
    onward.on('close', () => socket.destroy())
    socket.on('close', () => onward.destroy())
    socket.pipe(onward).pipe(socket)
  }
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const [secrets, expected] of [
    [[NEW_SECRET, SECRET], 'x'],
    [[NEW_SECRET], 'ERR_HANDSHAKE'],
  ] as const) {
    await rotate(a, psk(SECRET))
    held.length = 0
    const call = a.call(address, 1, 'x')
    await until('a connection', () => held.length === 1)
    await rotate(a, psk(...secrets))
    const answers: string[] = []
    void call.then(({ error, body }) => answers.push(error === null ? body : codeOf(error)))
    let passed = 0
    await until('an answer', () => {
      // One with the old secret, then one or two with the new ones.
      for (; passed < held.length; passed += 1) pass(held[passed] as Socket)
      return answers.length > 0
    })
    assert.deepEqual(answers, [expected])
    assert.ok(passed >= 2, 'it began again')
  }
})

test('certificates: renewed, and those of an old CA shut out', async (t) => {
  const [old, renewed] = [
    await TestAuthority.create('old CA'),
    await TestAuthority.create('new CA'),
  ]
  const both = [renewed, old]
  const a = await openNode(t, { memberId: 1, security: await old.tls('node-1') })
  const b = await openNode(t, { memberId: 2, security: await old.tls('node-2') })
  await linkNodes(a, b)
  const nodes = [a, b].map((node, at) => ({ node, nodeId: `node-${at + 1}` }))
  for (const [by, trusted] of [
    [old, both],
    [renewed, both],
    [renewed, [renewed]],
  ] as const) {
    for (const { node, nodeId } of nodes) {
      await rotate(node, await by.tls(nodeId, trusted))
      await until('both links again', () => isLinked(a, 2) && isLinked(b, 1))
      assert.equal((await a.call(2, 1, 'x')).body, 'x')
    }
  }
  assert.deepEqual([...a.log.warnings, ...b.log.warnings], [])
  const late = await openNode(t, { memberId: 3, security: await old.tls('node-3', both) })
  const { error } = await late.call(a.address, 1, 'x')
  assert.match(error?.message ?? '', /was signed by CN=old CA/)
  assert.ok(![a, b].some(({ log }) => log.events.some((event) => /processGone/.test(event))))
})

test('a snapshot stream breaks off, and resumes where it was', async (t) => {
  const security = psk(SECRET)
  let isHeld = true
  const own: Clock = {
    ...clock,
    // At this rate each chunk but the first would come after half an hour.
    setTimer: (delayMs, fire) => {
      if (delayMs < 1_000_000) return clock.setTimer(delayMs, fire)
      return isHeld ? () => {} : clock.setTimer(0, fire)
    },
  }
  const a = await openNode(t, { memberId: 1, security, clock: own, snapshotBytesPerSecond: 100 })
  const b = await openNode(t, { memberId: 2, security })
  await linkNodes(a, b)
  const folder = mkdtempSync(join(tmpdir(), 'colmena-rotation-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const content = randomBytes(2 ** 21)
  writeFileSync(join(folder, 'a.db'), content)
  const sha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', content))
  const files = [{ name: 'a.db', sizeBytes: content.length, sha256 }]
  const extra = new Uint8Array(0)
  const manifest = { id: randomBytes(16), index: 1, term: 1, extra, files }
  b.log.directoryFor = () => join(folder, 'received')
  for (const node of [a, b]) {
    const before = b.transport.traffic().receivedBytes
    const sent = a.sendSnapshot(2, manifest, folder)
    await until('bytes', () => b.transport.traffic().receivedBytes > before + 2 ** 18)
    await rotate(node, psk(NEW_SECRET, SECRET))
    const error = await sent
    assert.equal(codeOf(error), 'ERR_FAILED')
    assert.equal(error?.retryable, true)
  }
  isHeld = false
  const before = b.transport.traffic().receivedBytes
  assert.equal(await a.sendSnapshot(2, manifest, folder), null)
  const repeatedBytes = b.transport.traffic().receivedBytes - before
  assert.ok(repeatedBytes < content.length - 2 ** 18, `${repeatedBytes} bytes came again`)
})

test('what can not be used changes nothing', async (t) => {
  const [a, b] = await openPair(t, psk(SECRET))
  await assert.rejects(rotate(a, psk('short')), { code: 'ERR_WEAK_SECRET' })
  const own = await (await TestAuthority.create()).tls('node-1')
  await assert.rejects(rotate(a, { ...own, key: 'x' }), { code: 'ERR_INVALID_OPTION' })
  assert.equal((await a.call(b.address, 1, 'x')).body, 'x')
  assert.equal(a.transport.traffic().reconnects, 0)
})

test('of two rotations at once the later one holds, though it is ready sooner', async (t) => {
  const a = await openNode(t, { memberId: 1, security: psk(SECRET) })
  const many = Array.from({ length: 4 }, (_, at) => `one of several old secrets ${at}`)
  await Promise.all([rotate(a, psk(...many)), rotate(a, psk(NEW_SECRET))])
  const b = await openNode(t, { memberId: 2, security: psk(NEW_SECRET) })
  assert.equal((await b.call(a.address, 1, 'x')).body, 'x')
})

test('closing ends a rotation that is under way', async (t) => {
  const a = await openNode(t, { memberId: 1, security: psk(SECRET) })
  const rotated = rotate(a, psk(NEW_SECRET))
  await Promise.all([a.close(), assert.rejects(rotated, { code: 'ERR_CLOSED' })])
})
