/** A live peer port, and what no node of ours sends: its owner hears none of it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { decodeHave, encodeChunk, encodeManifest } from '../../src/transport/snapshot-wire.ts'
import type { Purpose, SnapshotManifest } from '../../src/transport/transport.ts'
import { OWNER_KIND_MAX, WIRE_KIND } from '../../src/transport/wire-kind.ts'
import {
  bytes,
  clock,
  createIdentity,
  NodeLog,
  open,
  random,
  TestNode,
} from '../transport/cluster.ts'
import { frameBytes, helloBytes, RawPeer } from '../transport/raw-peer.ts'
import { breakBytes, type Mutation, mutations } from './mutations.ts'
import type { AnyTarget } from './target.ts'
import { data, record } from './values.ts'

const END_MS_MAX = 10_000
const GROWN_MB_MAX = 200
const WARM_CASES = 50
/** Of the port's own kinds, and some that an owner has. */
const KINDS: readonly number[] = [...Object.values(WIRE_KIND), 0, 1, 7, OWNER_KIND_MAX]

interface Port {
  readonly node: TestNode
  readonly caller: TestNode
  readonly root: string
  /** Each case is a member of its own: none waits for the end of the one before. */
  cases: number
  beganMb: number
}

let port: Port

async function openPort(): Promise<() => Promise<void>> {
  const [node, caller] = [await openMember(1), await openMember(2)]
  const root = mkdtempSync(join(tmpdir(), 'colmena-fuzz-port-'))
  port = { node, caller, root, cases: 0, beganMb: 0 }
  return async () => {
    await Promise.all([node.close(), caller.close()])
    rmSync(root, { recursive: true, force: true })
  }
}

async function openMember(memberId: number): Promise<TestNode> {
  const log = new NodeLog()
  const identity = createIdentity(memberId)
  const bind = { host: '127.0.0.1', port: 0 }
  const options = { bind, security: { kind: 'plaintext' }, clock, random } as const
  return new TestNode(await open({ ...options, identity: () => identity }, log), log)
}

/** A bare socket that said its hello, and what may be asked of it. */
function dial(): RawPeer {
  const peer = new RawPeer(connect({ host: '127.0.0.1', port: port.node.transport.port }))
  peer.socket.setNoDelay(true)
  return peer
}

/** Waits for it, and for no longer than any peer may keep us waiting. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + END_MS_MAX
  while (!isSo()) {
    if (performance.now() > endMs) assert.fail(`not within ${END_MS_MAX} ms: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function checkServes(): Promise<void> {
  const { node, caller } = port
  port.cases += 1
  const { error, body } = await caller.call(node.address, 1, 'still here')
  assert.deepEqual([error, body], [null, 'still here'], 'it serves the next one')
  const mb = process.memoryUsage.rss() / 2 ** 20
  if (port.cases <= WARM_CASES) port.beganMb = mb
  assert.ok(mb - port.beganMb < GROWN_MB_MAX, `grew from ${port.beganMb} to ${mb} MB`)
}

interface Sent {
  readonly kind: number
  readonly body: Uint8Array
}

interface Session {
  readonly purpose: Purpose
  readonly frames: readonly Sent[]
  readonly changes: readonly Mutation[]
  readonly cuts: readonly number[]
}

const sent: fc.Arbitrary<Sent> = record({ kind: fc.constantFrom(...KINDS), body: data })
const session: fc.Arbitrary<Session> = record({
  purpose: fc.constantFrom<Purpose>('control', 'bulk', 'call', 'snapshot'),
  frames: fc.array(sent, { maxLength: 6 }),
  changes: mutations,
  cuts: fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 3 }),
})

/** Whatever is said at the port, its owner hears frames of its own kinds alone. */
async function checkSession({ purpose, frames, changes, cuts }: Session): Promise<void> {
  const { log } = port.node
  log.frames.length = 0
  const hello = helloBytes(purpose, createIdentity(100 + port.cases))
  const said = frames.map(({ kind, body }) => frameBytes(kind, body))
  const whole = Buffer.concat([hello, ...said])
  const isLink = purpose === 'control' || purpose === 'bulk'
  const proper = isLink ? frames.filter(({ kind }) => kind <= OWNER_KIND_MAX) : []
  const isProper = changes.length === 0 && proper.length === frames.length
  await say(Buffer.from(breakBytes(whole, whole, changes)), cuts)
  if (isProper) await until('all frames', () => log.frames.length >= proper.length)
  await checkServes()
  for (const { kind } of log.frames) assert.ok(kind <= OWNER_KIND_MAX, `a frame of kind ${kind}`)
  if (!isProper) return
  const heard = log.frames.map(({ kind, body }) => [kind, body])
  const text = new TextDecoder()
  assert.deepEqual(
    heard,
    proper.map(({ kind, body }) => [kind, text.decode(body)]),
  )
}

async function say(what: Buffer, cuts: readonly number[]): Promise<void> {
  const peer = dial()
  for (let at = 0, i = 0; at < what.length; i += 1) {
    const end = at + (cuts[i % cuts.length] as number)
    peer.socket.write(what.subarray(at, end))
    at = end
  }
  peer.socket.end()
  await until('the end of the connection', () => peer.isClosed)
}

type Change =
  | { readonly kind: 'swap' | 'drop' | 'repeat' | 'end'; readonly at: number }
  | {
      readonly kind: 'offset' | 'file' | 'longer' | 'flip'
      readonly at: number
      readonly by: number
    }

interface Shipment {
  readonly contents: readonly Uint8Array[]
  readonly chunkBytes: number
  readonly changes: readonly Change[]
}

const at = fc.nat(1_000)
const change: fc.Arbitrary<Change> = fc.oneof(
  record({ kind: fc.constantFrom('swap', 'drop', 'repeat', 'end'), at }),
  record({
    kind: fc.constantFrom('offset', 'file', 'longer', 'flip'),
    at,
    by: fc.integer({ min: 1, max: 300 }),
  }),
)
const shipment: fc.Arbitrary<Shipment> = record({
  contents: fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 3 }),
  chunkBytes: fc.integer({ min: 20, max: 100 }),
  changes: fc.array(change, { maxLength: 2 }),
})

/** One process, whose streams take each other's place. */
const SENDER = createIdentity(50)

interface Piece {
  readonly file: number
  readonly offsetBytes: number
  readonly data: Uint8Array
}

/**
 * A transfer whose chunks come in another order, twice, never or changed is refused or leaves
 * exactly what was announced; whatever it left, a proper one comes through soon after it.
 */
async function checkShipment({ contents, chunkBytes, changes }: Shipment): Promise<void> {
  const directory = join(port.root, `${port.cases}`)
  port.node.log.directoryFor = () => directory
  const manifest = announce(contents)
  const pieces = cutUp(contents, chunkBytes)
  const isWhole = await ship(manifest, pieces, changes)
  if (isWhole) assertArrived(directory, manifest, contents)
  if (changes.length === 0) assert.ok(isWhole, 'a proper transfer comes through')
  // What a broken one left may be found to be wrong only by the hash of the whole, and goes then.
  const isMended = (await ship(manifest, pieces, [])) || (await ship(manifest, pieces, []))
  assert.ok(isMended, 'so does one of two after a broken one')
  assertArrived(directory, manifest, contents)
  const strangers = readdirSync(port.root).filter((name) => !/^\d+$/.test(name))
  assert.deepEqual(strangers, [], 'nothing is written elsewhere')
  rmSync(directory, { recursive: true })
  await checkServes()
}

function announce(contents: readonly Uint8Array[]): SnapshotManifest {
  const files = contents.map((content, i) => ({
    name: `file-${i}.db`,
    sizeBytes: content.length,
    sha256: createHash('sha256').update(content).digest(),
  }))
  const id = createHash('md5').update(`${port.cases}`).digest()
  return { id, index: 40, term: 3, extra: bytes('extra'), files }
}

function cutUp(contents: readonly Uint8Array[], chunkBytes: number): Piece[] {
  return contents.flatMap((content, file) => {
    const count = Math.ceil(content.length / chunkBytes)
    return Array.from({ length: count }, (_, i) => {
      const offsetBytes = i * chunkBytes
      return { file, offsetBytes, data: content.subarray(offsetBytes, offsetBytes + chunkBytes) }
    })
  })
}

/** Sends what the receiver lacks of it, after the changes; whether it took it as whole. */
async function ship(
  manifest: SnapshotManifest,
  pieces: readonly Piece[],
  changes: readonly Change[],
): Promise<boolean> {
  const peer = dial()
  peer.socket.write(helloBytes('snapshot', SENDER))
  await until('a welcome', () => peer.isClosed || peer.kinds.includes(WIRE_KIND.welcome))
  peer.socket.write(frameBytes(WIRE_KIND.snapshotOffer, encodeManifest(manifest)))
  await until('an answer to the offer', () => peer.isClosed || peer.kinds.includes(HAVE))
  const at = peer.kinds.indexOf(HAVE)
  const have = at < 0 ? [] : decodeHave(peer.bodies[at] as Uint8Array, manifest.files)
  const lacking = pieces.flatMap((piece) => withoutHad(piece, have[piece.file] ?? 0))
  for (const piece of alter(lacking, changes)) {
    peer.socket.write(frameBytes(WIRE_KIND.snapshotChunk, Buffer.concat(encodeChunk(piece))))
  }
  peer.socket.write(frameBytes(WIRE_KIND.snapshotEnd, new Uint8Array(0)))
  const isOver = (): boolean => peer.isClosed || peer.kinds.some((kind) => ENDS.includes(kind))
  await until('a word on how it ended', isOver)
  peer.socket.destroy()
  await until('the end of the connection', () => peer.isClosed)
  return peer.kinds.includes(WIRE_KIND.snapshotDone)
}

const HAVE = WIRE_KIND.snapshotHave
const ENDS: readonly number[] = [WIRE_KIND.snapshotDone, WIRE_KIND.snapshotFailed]

function withoutHad({ file, offsetBytes, data: content }: Piece, hadBytes: number): Piece[] {
  const had = Math.min(content.length, Math.max(0, hadBytes - offsetBytes))
  const rest = content.subarray(had)
  return rest.length === 0 ? [] : [{ file, offsetBytes: offsetBytes + had, data: rest }]
}

function alter(pieces: readonly Piece[], changes: readonly Change[]): readonly Piece[] {
  let altered = [...pieces]
  for (const each of changes) {
    const place = each.at % Math.max(1, altered.length)
    const piece = altered[place]
    if (piece === undefined) return altered
    if (each.kind === 'end') altered = altered.slice(0, place)
    else altered.splice(place, each.kind === 'swap' ? 2 : 1, ...replacements(altered, place, each))
  }
  return altered
}

function replacements(pieces: readonly Piece[], place: number, change: Change): readonly Piece[] {
  const piece = pieces[place] as Piece
  switch (change.kind) {
    case 'swap':
      return [...pieces.slice(place + 1, place + 2), piece]
    case 'repeat':
      return [piece, piece]
    case 'offset':
      return [{ ...piece, offsetBytes: piece.offsetBytes + change.by }]
    case 'file':
      return [{ ...piece, file: piece.file + change.by }]
    case 'longer':
      return [{ ...piece, data: Buffer.concat([piece.data, Buffer.alloc(change.by)]) }]
    case 'flip': {
      const flipped = Buffer.from(piece.data)
      const place = change.by % Math.max(1, flipped.length)
      flipped[place] = (flipped[place] ?? 0) ^ 1
      return [{ ...piece, data: flipped }]
    }
    default:
      return []
  }
}

function assertArrived(
  directory: string,
  { files }: SnapshotManifest,
  contents: readonly Uint8Array[],
): void {
  assert.deepEqual(
    existsSync(directory) ? readdirSync(directory).sort() : [],
    files.map(({ name }) => name).sort(),
  )
  for (const [i, { name }] of files.entries()) {
    const arrived = readFileSync(join(directory, name))
    assert.ok(arrived.equals(contents[i] as Uint8Array), `${name} is not what was announced`)
  }
}

export const portTargets: readonly AnyTarget[] = [
  { name: 'transport.port', runs: 60, input: session, open: openPort, check: checkSession },
  { name: 'transport.transfer', runs: 60, input: shipment, open: openPort, check: checkShipment },
]
