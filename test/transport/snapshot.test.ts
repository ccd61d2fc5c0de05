import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ColmenaError } from '../../src/base/errors.ts'
import {
  decodeHave,
  encodeChunk,
  encodeHave,
  encodeManifest,
} from '../../src/transport/snapshot-wire.ts'
import type { SnapshotManifest } from '../../src/transport/transport.ts'
import { WIRE_KIND } from '../../src/transport/wire-kind.ts'
import { bytes, codeOf, createIdentity, openNode, SECRET, type TestNode, until } from './cluster.ts'
import {
  connectRaw,
  frameBytes,
  helloBytes,
  openProxy,
  type RawPeer,
  type Tamper,
  type TestProxy,
} from './raw-peer.ts'

const MIB = 1024 * 1024

interface Shipment {
  readonly source: string
  readonly target: string
  readonly manifest: SnapshotManifest
}

function makeDirectory(t: TestContext): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'colmena-snapshot-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Files of these sizes with random content, and the manifest that describes them. */
function makeShipment(t: TestContext, sizes: Record<string, number>): Shipment {
  const source = makeDirectory(t)
  const target = path.join(makeDirectory(t), 'incoming', '7')
  const files = Object.entries(sizes).map(([name, sizeBytes]) => {
    const content = Buffer.alloc(sizeBytes)
    for (let at = 0; at < sizeBytes; at += 65_536) {
      crypto.getRandomValues(content.subarray(at, Math.min(sizeBytes, at + 65_536)))
    }
    fs.writeFileSync(path.join(source, name), content)
    return { name, sizeBytes, sha256: createHash('sha256').update(content).digest() }
  })
  const id = crypto.getRandomValues(new Uint8Array(16))
  return { source, target, manifest: { id, index: 40, term: 3, extra: bytes('extra'), files } }
}

function assertDelivered({ source, target, manifest }: Shipment): void {
  assert.deepEqual(fs.readdirSync(target).sort(), manifest.files.map((file) => file.name).sort())
  for (const { name } of manifest.files) {
    const [sent, received] = [source, target].map((at) => fs.readFileSync(path.join(at, name)))
    assert.ok(received?.equals(sent as Buffer), `${name} differs`)
  }
}

/** Node 1, whose snapshots to node 2 go through a proxy; other sockets it leaves alone. */
async function openPair(
  t: TestContext,
  shipment: Shipment,
  tamper: Tamper = (chunk) => chunk,
): Promise<{ a: TestNode; b: TestNode; proxy: TestProxy }> {
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  b.log.directoryFor = () => shipment.target
  const proxy = await openProxy(t, b.transport.port, (chunk, passedBytes, purpose) =>
    purpose === 'snapshot' ? tamper(chunk, passedBytes, purpose) : chunk,
  )
  a.transport.setPeer(2, proxy.address)
  return { a, b, proxy }
}

/** Sends until some of main.db is on the receiver's disk, and then cuts the connection. */
async function sendHalf(t: TestContext, shipment: Shipment): Promise<{ a: TestNode; b: TestNode }> {
  // Beyond 3 MiB bytes vanish, so that the stream can't end before it is cut.
  const { a, b, proxy } = await openPair(t, shipment, (chunk, passedBytes) =>
    passedBytes > 3 * MIB ? Buffer.alloc(0) : chunk,
  )
  const sending = a.sendSnapshot(2, shipment.manifest, shipment.source)
  const partial = path.join(shipment.target, 'main.db')
  await until('a part', () => fs.existsSync(partial) && fs.statSync(partial).size > MIB)
  proxy.cut()
  const error = await sending
  assert.equal(codeOf(error), 'ERR_FAILED')
  assert.equal(error?.retryable, true)
  await until('the receiver noticed', () => b.log.events.some((e) => /40 .*broke/.test(e)))
  return { a, b }
}

const SIZES = { 'system.db': 10_000, 'main.db': 5 * MIB + 17, 'empty.db': 0, 'other.db': 1 }

for (const security of [{ kind: 'plaintext' }, { kind: 'psk', secrets: [SECRET] }] as const) {
  test(`a snapshot arrives whole (${security.kind})`, async (t) => {
    const shipment = makeShipment(t, SIZES)
    const a = await openNode(t, { memberId: 1, security })
    const b = await openNode(t, { memberId: 2, security })
    let offered: SnapshotManifest | null = null
    b.log.directoryFor = (from, manifest) => {
      assert.equal(from, 1)
      offered = manifest
      return shipment.target
    }
    a.transport.setPeer(2, b.address)
    assert.equal(await a.sendSnapshot(2, shipment.manifest, shipment.source), null)
    assertDelivered(shipment)
    assert.ok(b.log.events.includes('snapshot 1 40 whole'))
    assert.equal(Buffer.from((offered as unknown as SnapshotManifest).extra).toString(), 'extra')
  })
}

test('a stream that breaks in the middle goes on where it was', async (t) => {
  const shipment = makeShipment(t, SIZES)
  const { a, b } = await sendHalf(t, shipment)
  const kept = fs.statSync(path.join(shipment.target, 'main.db')).size
  let sentBytes = 0
  const proxy = await openProxy(t, b.transport.port, (chunk, passedBytes) => {
    sentBytes = passedBytes + chunk.length
    return chunk
  })
  a.transport.setPeer(2, proxy.address)
  assert.equal(await a.sendSnapshot(2, shipment.manifest, shipment.source), null)
  assertDelivered(shipment)
  assert.ok(sentBytes < 5 * MIB - kept + 100_000, `${sentBytes} bytes, though ${kept} were there`)
})

test('what another snapshot left in the directory is not taken for this one', async (t) => {
  const shipment = makeShipment(t, SIZES)
  const { a, b } = await sendHalf(t, shipment)
  fs.writeFileSync(path.join(shipment.target, 'stray.db'), 'stray')
  const next = makeShipment(t, SIZES)
  b.log.directoryFor = () => shipment.target
  a.transport.setPeer(2, b.address)
  assert.equal(await a.sendSnapshot(2, next.manifest, next.source), null)
  assertDelivered({ ...next, target: shipment.target })
})

test('a damaged chunk ends the stream with a warning, and the next try repairs it', async (t) => {
  const shipment = makeShipment(t, SIZES)
  let isDamaging = true
  const { a, b } = await openPair(t, shipment, (chunk, passedBytes) => {
    if (isDamaging && passedBytes > MIB) chunk[10] = (chunk[10] as number) ^ 1
    return chunk
  })
  assert.equal((await a.sendSnapshot(2, shipment.manifest, shipment.source))?.retryable, true)
  await until('a warning', () => b.log.warnings.length > 0)
  assert.match(b.log.warnings[0]?.message ?? '', /snapshot stream of member 1/)
  isDamaging = false
  assert.equal(await a.sendSnapshot(2, shipment.manifest, shipment.source), null)
  assertDelivered(shipment)
})

test('a file whose content does not match its hash is never handed over', async (t) => {
  const shipment = makeShipment(t, SIZES)
  const { a, b } = await openPair(t, shipment)
  const main = path.join(shipment.source, 'main.db')
  const good = fs.readFileSync(main)
  const bad = Buffer.from(good)
  bad[MIB] = (bad[MIB] as number) ^ 1
  fs.writeFileSync(main, bad)
  const error = await a.sendSnapshot(2, shipment.manifest, shipment.source)
  assert.match(error?.message ?? '', /main\.db does not match its hash/)
  assert.equal(error?.retryable, true)
  await until('the receiver knows', () => b.log.events.some((e) => /does not match/.test(e)))
  assert.ok(!fs.existsSync(path.join(shipment.target, 'main.db')))
  fs.writeFileSync(main, good)
  assert.equal(await a.sendSnapshot(2, shipment.manifest, shipment.source), null)
  assertDelivered(shipment)
})

test('bytes that a power cut left behind under the right name are found out', async (t) => {
  const shipment = makeShipment(t, SIZES)
  const { a, b } = await sendHalf(t, shipment)
  const partial = path.join(shipment.target, 'main.db')
  fs.writeFileSync(partial, Buffer.alloc(fs.statSync(partial).size))
  a.transport.setPeer(2, b.address)
  const error = await a.sendSnapshot(2, shipment.manifest, shipment.source)
  assert.match(error?.message ?? '', /does not match its hash/)
  assert.equal(await a.sendSnapshot(2, shipment.manifest, shipment.source), null)
  assertDelivered(shipment)
})

test('a refused snapshot tells its sender why', async (t) => {
  const shipment = makeShipment(t, SIZES)
  const { a, b } = await openPair(t, shipment)
  b.log.directoryFor = () => null
  const error = await a.sendSnapshot(2, shipment.manifest, shipment.source)
  assert.match(error?.message ?? '', /refused: not wanted/)
  assert.ok(!b.log.events.some((event) => event.startsWith('snapshot')))
})

test('a source that is shorter than promised, or missing, is the sender’s error', async (t) => {
  const shipment = makeShipment(t, { 'a.db': MIB, 'b.db': 10 })
  const { a, b } = await openPair(t, shipment)
  fs.truncateSync(path.join(shipment.source, 'a.db'), 1000)
  const short = await a.sendSnapshot(2, shipment.manifest, shipment.source)
  assert.match(short?.message ?? '', /a\.db ends at 1000 of 1048576/)
  fs.rmSync(path.join(shipment.source, 'a.db'))
  const missing = await a.sendSnapshot(2, shipment.manifest, shipment.source)
  assert.match(missing?.message ?? '', /cannot read a\.db/)
  await until('both ends', () => b.log.events.filter((e) => /broke/.test(e)).length === 2)
})

test('a directory that cannot be written is told to both sides', async (t) => {
  const shipment = makeShipment(t, SIZES)
  const { a, b } = await openPair(t, shipment)
  b.log.directoryFor = () => path.join(shipment.source, 'main.db', 'not-a-directory')
  const error = await a.sendSnapshot(2, shipment.manifest, shipment.source)
  assert.match(error?.message ?? '', /cannot store the snapshot/)
  await until('the owner knows', () => b.log.events.some((e) => /cannot store/.test(e)))
})

test('a cancelled stream ends on both sides', async (t) => {
  const shipment = makeShipment(t, { 'a.db': 8 * MIB })
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  b.log.directoryFor = () => shipment.target
  let cancel = (): void => {}
  const proxy = await openProxy(t, b.transport.port, (chunk, passedBytes, purpose) => {
    if (purpose === 'snapshot' && passedBytes > MIB) cancel()
    return chunk
  })
  a.transport.setPeer(2, proxy.address)
  const error = await new Promise((resolve) => {
    cancel = a.transport.sendSnapshot(2, shipment.manifest, shipment.source, resolve)
  })
  assert.equal(codeOf(error), 'ERR_ABORTED')
  await until('the receiver noticed', () => b.log.events.some((e) => /broke/.test(e)))
})

test('a newer stream of one member takes the place of the older', async (t) => {
  const shipment = makeShipment(t, SIZES)
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  b.log.directoryFor = () => shipment.target
  const stalled = await openProxy(t, b.transport.port, (chunk, passedBytes, purpose) =>
    purpose === 'snapshot' && passedBytes > MIB ? Buffer.alloc(0) : chunk,
  )
  a.transport.setPeer(2, stalled.address)
  const first = a.sendSnapshot(2, shipment.manifest, shipment.source)
  const partial = path.join(shipment.target, 'main.db')
  await until('a part', () => fs.existsSync(partial) && fs.statSync(partial).size > 100_000)
  a.transport.setPeer(2, b.address)
  assert.equal(await a.sendSnapshot(2, shipment.manifest, shipment.source), null)
  assert.equal((await first)?.retryable, true)
  assertDelivered(shipment)
})

/** Node 1 with its stream to node 2 through a proxy that loses everything after 1 MiB. */
async function sendIntoVoid(
  t: TestContext,
  stallMs: readonly [number, number],
): Promise<{ error: ColmenaError | null; b: TestNode }> {
  const shipment = makeShipment(t, SIZES)
  const a = await openNode(t, { memberId: 1, snapshotStallMs: stallMs[0] })
  const b = await openNode(t, { memberId: 2, snapshotStallMs: stallMs[1] })
  b.log.directoryFor = () => shipment.target
  const proxy = await openProxy(t, b.transport.port, (chunk, passedBytes, purpose) =>
    purpose === 'snapshot' && passedBytes > MIB ? Buffer.alloc(0) : chunk,
  )
  a.transport.setPeer(2, proxy.address)
  return { error: await a.sendSnapshot(2, shipment.manifest, shipment.source), b }
}

test('a sender gives up a stream that stands still', async (t) => {
  const { error, b } = await sendIntoVoid(t, [100, 600_000])
  assert.match(error?.message ?? '', /did not move/)
  assert.equal(error?.retryable, true)
  await until('the receiver noticed', () => b.log.events.some((e) => /40 .*broke/.test(e)))
})

test('a receiver gives up a stream that stands still, and says so', async (t) => {
  const { error, b } = await sendIntoVoid(t, [600_000, 100])
  assert.match(error?.message ?? '', /silent/)
  assert.equal(error?.retryable, true)
  await until('the owner knows', () => b.log.events.some((e) => /40 .*silent/.test(e)))
})

test('a stream keeps to its rate', async (t) => {
  const shipment = makeShipment(t, { 'main.db': MIB })
  const a = await openNode(t, { memberId: 1, snapshotBytesPerSecond: MIB })
  const b = await openNode(t, { memberId: 2 })
  b.log.directoryFor = () => shipment.target
  a.transport.setPeer(2, b.address)
  const startedMs = performance.now()
  assert.equal(await a.sendSnapshot(2, shipment.manifest, shipment.source), null)
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs > 500, `a second's worth of bytes took ${tookMs} ms`)
  assertDelivered(shipment)
})

test('a slow disk slows the sender down instead of filling memory', async (t) => {
  const shipment = makeShipment(t, { 'main.db': 64 * MIB })
  let passed = 0
  const { a } = await openPair(t, shipment, (chunk, passedBytes) => {
    passed = passedBytes + chunk.length
    return chunk
  })
  const write = fs.write
  const held: (() => void)[] = []
  let isHolding = true
  const release = (): void => {
    isHolding = false
    for (const go of held.splice(0)) go()
  }
  t.after(release)
  t.mock.method(fs, 'write', (...args: Parameters<typeof write>) => {
    // Small writes are the marker's, which goes the same way.
    const isChunk = (args[1] as unknown as Uint8Array).length > 1000
    if (isHolding && isChunk) held.push(() => write(...args))
    else write(...args)
  })
  const sending = a.sendSnapshot(2, shipment.manifest, shipment.source)
  await until('a full receiver', () => passed > 4 * MIB)
  for (let i = 0; i < 200; i += 1) await new Promise((resolve) => setTimeout(resolve, 1))
  // The receiver's share, the sender's, and what the kernel holds on two connections.
  assert.ok(passed < 40 * MIB, `${passed} bytes were taken from the sender`)
  release()
  assert.equal(await sending, null)
  assertDelivered(shipment)
})

/** A sender in the test's own hands, with a shipment that was offered and accepted. */
async function offerRaw(
  t: TestContext,
  shipment: Shipment,
): Promise<{ raw: RawPeer; b: TestNode }> {
  const b = await openNode(t, { memberId: 2 })
  b.log.directoryFor = () => shipment.target
  const raw = await connectRaw(t, b.transport.port)
  raw.socket.write(helloBytes('snapshot', createIdentity(1)))
  await until('a welcome', () => raw.kinds.includes(WIRE_KIND.welcome))
  raw.socket.write(frameBytes(WIRE_KIND.snapshotOffer, encodeManifest(shipment.manifest)))
  await until('an answer', () => raw.kinds.includes(WIRE_KIND.snapshotHave))
  return { raw, b }
}

test('chunks out of order, too long, or for no file at all end the stream', async (t) => {
  const chunks: readonly (readonly [number, number, number, RegExp])[] = [
    [0, 10, 10, /out of order/],
    [1, 0, 10, /out of order/],
    [9, 0, 10, /out of order/],
    [0, 0, 101, /too long/],
    [0, 0, 0, /too long/],
  ]
  for (const [file, offsetBytes, sizeBytes, pattern] of chunks) {
    const shipment = makeShipment(t, { 'a.db': 100, 'b.db': 100 })
    const { raw, b } = await offerRaw(t, shipment)
    const parts = encodeChunk({ file, offsetBytes, data: new Uint8Array(sizeBytes) })
    raw.socket.write(frameBytes(WIRE_KIND.snapshotChunk, Buffer.concat(parts)))
    await until('a closed socket', () => raw.isClosed)
    await until('the owner knows', () => b.log.events.some((e) => pattern.test(e)))
  }
})

test('a stream that ends too early keeps what came', async (t) => {
  const shipment = makeShipment(t, { 'a.db': 100 })
  const { raw, b } = await offerRaw(t, shipment)
  const data = fs.readFileSync(path.join(shipment.source, 'a.db')).subarray(0, 60)
  const parts = encodeChunk({ file: 0, offsetBytes: 0, data })
  raw.socket.write(frameBytes(WIRE_KIND.snapshotChunk, Buffer.concat(parts)))
  raw.socket.write(frameBytes(WIRE_KIND.snapshotEnd, new Uint8Array(0)))
  await until('the owner knows', () => b.log.events.some((e) => /ended before/.test(e)))
  assert.equal(fs.statSync(path.join(shipment.target, 'a.db')).size, 60)
})

test('a file that is longer than it should be is begun anew', async (t) => {
  const shipment = makeShipment(t, SIZES)
  const { a, b } = await sendHalf(t, shipment)
  fs.truncateSync(path.join(shipment.target, 'main.db'), 6 * MIB)
  a.transport.setPeer(2, b.address)
  assert.equal(await a.sendSnapshot(2, shipment.manifest, shipment.source), null)
  assertDelivered(shipment)
})

test('a receiver that claims more than there is is not believed', (t) => {
  const { files } = makeShipment(t as TestContext, { 'a.db': 10 }).manifest
  assert.deepEqual(decodeHave(encodeHave([10]), files), [10])
  assert.throws(() => decodeHave(encodeHave([11]), files), /more bytes/)
  assert.throws(() => decodeHave(encodeHave([1, 1]), files), /as many files/)
})

test('an owner may take its time before it accepts', async (t) => {
  const shipment = makeShipment(t, { 'a.db': 1000 })
  const a = await openNode(t, { memberId: 1, snapshotStallMs: 100 })
  const b = await openNode(t, { memberId: 2, snapshotStallMs: 100 })
  b.log.snapshotOffered = (_from, _manifest, accept) => {
    setTimeout(accept, 400, shipment.target)
  }
  a.transport.setPeer(2, b.address)
  assert.equal(await a.sendSnapshot(2, shipment.manifest, shipment.source), null)
  assertDelivered(shipment)
})

test('a manifest that could write elsewhere, or that makes no sense, is refused', async (t) => {
  const { manifest, source } = makeShipment(t, { 'a.db': 10 })
  const a = await openNode(t, { memberId: 1 })
  const b = await openNode(t, { memberId: 2 })
  a.transport.setPeer(2, b.address)
  const [file] = manifest.files
  assert.ok(file !== undefined)
  for (const name of ['../a.db', '/etc/a.db', 'a/b.db', '.offer', '', 'A.db', 'x'.repeat(97)]) {
    const error = await a.sendSnapshot(2, { ...manifest, files: [{ ...file, name }] }, source)
    assert.equal(codeOf(error), 'ERR_INVALID_ARGUMENT', `'${name}' was let through`)
  }
  const twice = await a.sendSnapshot(2, { ...manifest, files: [file, file] }, source)
  assert.equal(codeOf(twice), 'ERR_INVALID_ARGUMENT')
  const short = { ...manifest, id: new Uint8Array(15) }
  assert.equal(codeOf(await a.sendSnapshot(2, short, source)), 'ERR_INVALID_ARGUMENT')
})
