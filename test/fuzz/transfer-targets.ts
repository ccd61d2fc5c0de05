/** A live transfer of a snapshot, and what no sender of ours does: no file is wrong after it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import fc from 'fast-check'
import { ByteWriter } from '../../src/base/bytes.ts'
import { decodeHave, encodeChunk, encodeManifest } from '../../src/transport/snapshot-wire.ts'
import type { SnapshotManifest } from '../../src/transport/transport.ts'
import { WIRE_KIND } from '../../src/transport/wire-kind.ts'
import { bytes, createIdentity } from '../transport/cluster.ts'
import { frameBytes, helloBytes } from '../transport/raw-peer.ts'
import { LivePort, until } from './live-port.ts'
import type { AnyTarget } from './target.ts'
import { record } from './values.ts'

let port: LivePort

async function openPort(): Promise<() => Promise<void>> {
  port = await LivePort.open()
  return () => port.close()
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
  /** Of the first files, in place of their own. */
  readonly names: readonly string[]
  readonly chunkBytes: number
  readonly changes: readonly Change[]
}

/** Stands for the folder of the case, which is another one each time. */
const HOME = '<folder>'
const BYSTANDER = 'bystander.db'
/** Where a receiver that took them as they are would write: elsewhere, or over something. */
const NAMES: readonly string[] = [
  '../escaped.db',
  '../../escaped.db',
  `${HOME}/escaped.db`,
  `../${BYSTANDER}`,
  `../../${BYSTANDER}`,
  `${HOME}/${BYSTANDER}`,
  `./../${BYSTANDER}`,
  'a/b',
  'a\\b',
  'nul\0.db',
  '',
  '.',
  '..',
  '/',
  '.offer',
  'UPPER.db',
  'ü.db',
  'x'.repeat(97),
  'x'.repeat(5_000),
  'x'.repeat(96),
  'file-0.db',
  'file-1.db',
]
/** What the port promises of the names that come through it. */
const PROPER_NAME = /^[a-z0-9_-][a-z0-9_.-]*$/
const NAME_CHARS_MAX = 96

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
  names: fc.oneof(
    fc.constant([]),
    fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 2 }),
  ),
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

interface Place {
  readonly home: string
  /** The one folder that is the transfer's own. */
  readonly directory: string
  /** All files around it, with what is in them. */
  readonly others: ReadonlyMap<string, string>
}

async function checkShipment(made: Shipment): Promise<void> {
  const home = join(port.root, `${port.beginCase()}`)
  try {
    await checkTransfers(made, preparePlace(home))
  } finally {
    rmSync(home, { recursive: true, force: true, maxRetries: 5 })
  }
  await port.endCase()
}

/**
 * A transfer whose chunks come in another order, twice, never or changed is refused or leaves
 * exactly what was announced; one of files with strange names is refused before it begins.
 * Whatever it left, a proper one comes through soon after it.
 */
async function checkTransfers(made: Shipment, place: Place): Promise<void> {
  const { contents, changes } = made
  const usual = contents.map((_, i) => `file-${i}.db`)
  const names = usual.map((name, i) => made.names[i]?.replace(HOME, place.home) ?? name)
  const isProper = areProper(names)
  const offered = announce(contents, names)
  const pieces = cutUp(contents, made.chunkBytes)
  let offers = 0
  port.node.log.directoryFor = () => {
    offers += 1
    return place.directory
  }
  const isWhole = await ship(offered, pieces, changes)
  assertUntouched(place)
  assert.equal(offers, isProper ? 1 : 0, 'its owner hears of proper names alone')
  if (isWhole) assertArrived(place.directory, offered, contents)
  if (isProper && changes.length === 0) assert.ok(isWhole, 'a proper transfer comes through')
  const mended = isProper ? offered : announce(contents, usual)
  // What a broken one left may be found to be wrong only by the hash of the whole, and goes then.
  const isMended = (await ship(mended, pieces, [])) || (await ship(mended, pieces, []))
  assert.ok(isMended, 'so does one of two after a broken one')
  assertArrived(place.directory, mended, contents)
  assertUntouched(place)
}

function preparePlace(home: string): Place {
  const received = join(home, 'received')
  const directory = join(received, 'files')
  mkdirSync(received, { recursive: true })
  for (const folder of [home, received]) writeFileSync(join(folder, BYSTANDER), 'as it was')
  return { home, directory, others: readOthers(home, directory) }
}

function readOthers(home: string, directory: string): ReadonlyMap<string, string> {
  const files = readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
  const others = files.filter((path) => !path.startsWith(join(directory, '/'))).sort()
  return new Map(others.map((path) => [relative(home, path), readFileSync(path, 'latin1')]))
}

function assertUntouched({ home, directory, others }: Place): void {
  assert.deepEqual(readOthers(home, directory), others, 'nothing is written elsewhere')
}

function areProper(names: readonly string[]): boolean {
  const isEach = names.every((name) => name.length <= NAME_CHARS_MAX && PROPER_NAME.test(name))
  return isEach && new Set(names).size === names.length
}

function announce(contents: readonly Uint8Array[], names: readonly string[]): SnapshotManifest {
  const files = contents.map((content, i) => ({
    name: names[i] as string,
    sizeBytes: content.length,
    sha256: createHash('sha256').update(content).digest(),
  }))
  const id = createHash('md5').update(Buffer.concat(contents)).digest()
  return { id, index: 40, term: 3, extra: bytes('extra'), files }
}

/** The real encoder encodes nothing that no receiver would take; for all else they are one. */
function encodeOffer(manifest: SnapshotManifest): Uint8Array {
  const { id, index, term, extra, files } = manifest
  const writer = new ByteWriter(512).u8(1).raw(id).u53(index).u53(term).blob(extra)
  writer.u32(files.length)
  for (const { name, sizeBytes, sha256 } of files) writer.text(name).u53(sizeBytes).raw(sha256)
  const offer = writer.finish()
  if (areProper(files.map(({ name }) => name))) assert.deepEqual(offer, encodeManifest(manifest))
  return offer
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
  const peer = port.dial()
  const { socket, kinds, bodies } = peer
  try {
    socket.write(helloBytes('snapshot', SENDER))
    await until('a welcome', () => peer.isClosed || kinds.includes(WIRE_KIND.welcome))
    socket.write(frameBytes(WIRE_KIND.snapshotOffer, encodeOffer(manifest)))
    await until('an answer to the offer', () => peer.isClosed || kinds.includes(HAVE))
    const at = kinds.indexOf(HAVE)
    const have = at < 0 ? [] : decodeHave(bodies[at] as Uint8Array, manifest.files)
    const lacking = pieces.flatMap((piece) => withoutHad(piece, have[piece.file] ?? 0))
    for (const piece of alter(lacking, changes)) {
      socket.write(frameBytes(WIRE_KIND.snapshotChunk, Buffer.concat(encodeChunk(piece))))
    }
    socket.write(frameBytes(WIRE_KIND.snapshotEnd, new Uint8Array(0)))
    const isOver = (): boolean => peer.isClosed || kinds.some((kind) => ENDS.includes(kind))
    await until('a word on how it ended', isOver)
  } finally {
    socket.destroy()
  }
  await until('the end of the connection', () => peer.isClosed)
  return kinds.includes(WIRE_KIND.snapshotDone)
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

export const transferTargets: readonly AnyTarget[] = [
  { name: 'transport.transfer', runs: 100, input: shipment, open: openPort, check: checkShipment },
]
