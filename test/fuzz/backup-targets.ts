/**
 * Objects of a backup, broken where they are kept; and forged, with all checksums made anew, so
 * that what is behind them is met.
 */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import type { BackupTarget } from '../../src/backup/backup.ts'
import { damaged } from '../../src/backup/damage.ts'
import { getDocument, putDocument } from '../../src/backup/documents.ts'
import { Keys } from '../../src/backup/keys.ts'
import { segmentName } from '../../src/backup/names.ts'
import { seal, unseal } from '../../src/backup/sealing.ts'
import { encodeSegment, readSegment, type Segment } from '../../src/backup/segment.ts'
import { readWhole } from '../../src/backup/streams.ts'
import { isColmenaError } from '../../src/base/errors.ts'
import { encodeEntries } from '../../src/database/database.ts'
import { describeLog, rollLog } from '../../src/index.ts'
import type { Entry } from '../../src/raft/raft.ts'
import { MemoryTarget } from '../backup/memory-target.ts'
import { LogMaker } from '../database/log-maker.ts'
import { breakBytes, type Mutation, mutations } from './mutations.ts'
import { type AnyTarget, boundAllocation, describe, type Target } from './target.ts'
import { record } from './values.ts'

interface Broken {
  readonly sample: number
  readonly other: number
  readonly changes: readonly Mutation[]
}

const broken: fc.Arbitrary<Broken> = record({
  sample: fc.nat(100),
  other: fc.nat(100),
  changes: mutations,
})

const HERE = { label: 'memory' }
const GENERATION = '20260101T000000Z-00000000'
const NONE = new Keys(undefined)
const SEALED = new Keys({ keyId: 'one', key: '01'.repeat(32) })

/** Entries of each kind that the log of a node has, from the first on. */
function makeEntries(count: number): readonly Entry[] {
  const log = new LogMaker()
  log.empty()
  log.register()
  for (let at = 0; log.entries.length < count; at += 1) {
    log.write('main', [['INSERT INTO t VALUES (?, ?)', at, new Uint8Array(at * 3)]])
    if (at % 4 === 3) log.drop('gone', at)
  }
  return log.entries
}

const ENTRIES = makeEntries(120)

function entriesFrom(first: number, count: number): Uint8Array {
  return encodeEntries(ENTRIES.filter(({ index }) => index >= first && index < first + count))
}

function segmentOf(first: number, counts: readonly number[]): Segment {
  const chunks: Uint8Array[] = []
  let next = first
  let digest: Uint8Array = Buffer.alloc(32, first)
  const before = Buffer.from(digest).toString('hex')
  for (const count of counts) {
    const chunk = entriesFrom(next, count)
    chunks.push(chunk)
    digest = rollLog(digest, chunk)
    next += count
  }
  const after = Buffer.from(digest).toString('hex')
  const digests = { 'main@2': 'ab', 'other@9': 'cd' }
  const chunkMs = chunks.map(() => 7)
  return { first, last: next - 1, before, after, digests, shippedMs: 7, chunks, chunkMs }
}

const SEGMENTS: readonly Segment[] = [
  segmentOf(2, [1]),
  segmentOf(5, [3, 4]),
  segmentOf(90, [1, 20, 5]),
]

async function* whole(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

async function gather(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await readWhole(source, 2 ** 30, () => damaged(HERE, 'it', 'has no end')))
}

/** Of a log that a newer build wrote. */
const REFUSALS: readonly string[] = ['ERR_BACKUP_DAMAGED', 'ERR_UNSUPPORTED_FORMAT']

/** What is read of broken bytes; null where they are refused as damage is. */
async function readOrRefuse<T>(bytes: Uint8Array, read: () => T | Promise<T>): Promise<T | null> {
  try {
    return await read()
  } catch (error) {
    if (isColmenaError(error) && REFUSALS.includes(error.code)) return null
    const reason = error instanceof Error ? error.stack : String(error)
    assert.fail(`${describe(bytes)} is refused otherwise: ${reason}`)
  }
}

/** What is sealed comes back as it was, or not at all. */
function sealedTarget<T>(
  name: string,
  samples: readonly T[],
  encode: (value: T) => Promise<Uint8Array>,
  decode: (bytes: Uint8Array, like: T) => Promise<T>,
): Target<Broken> {
  return {
    name,
    runs: 400,
    input: broken,
    check: async ({ sample, other, changes }) => {
      const value = samples[sample % samples.length] as T
      const strange = await encode(samples[other % samples.length] as T)
      const bytes = breakBytes(await encode(value), strange, changes)
      const read = await readOrRefuse(bytes, () => decode(bytes, value))
      if (changes.length === 0) assert.ok(read !== null, 'what is whole is read')
      if (read !== null) assert.ok(isDeepStrictEqual(read, value), describe(bytes))
    },
  }
}

const CONTENTS: readonly Uint8Array[] = [
  new Uint8Array(0),
  new Uint8Array(10).fill(1),
  new Uint8Array(300_000).fill(2),
]

function sealingTarget(name: string, keys: Keys): Target<Broken> {
  return sealedTarget(
    name,
    CONTENTS,
    (content) => gather(seal('an/object', whole(content), keys.current)),
    (bytes) => gather(unseal(HERE, 'an/object', whole(bytes), keys)),
  )
}

function segmentTarget(name: string, keys: Keys): Target<Broken> {
  const nameOf = ({ first, last }: Segment) => segmentName(GENERATION, first, last)
  return sealedTarget(
    name,
    SEGMENTS,
    (segment) => gather(encodeSegment(nameOf(segment), segment, keys)),
    async (bytes, { first, last }) => {
      const named = { name: segmentName(GENERATION, first, last), first, last, sizeBytes: 0 }
      const { chunks, ...header } = await readSegment(HERE, named, whole(bytes), keys)
      return { ...header, chunks: chunks.map((chunk) => new Uint8Array(chunk)) }
    },
  )
}

const DOCUMENTS: readonly object[] = [
  {},
  { clusterId: 'ab'.repeat(16), generation: GENERATION, sinceMs: 1 },
  { last: 7, digest: 'cd'.repeat(32), shippedMs: 5, snapshots: [{ index: 3, takenMs: 4 }] },
  { text: 'a bee: \u{1f41d}', list: [null, true, 1.5] },
]

function documentTarget(name: string, keys: Keys): Target<Broken> {
  const put = async (content: object): Promise<Uint8Array> => {
    const target: BackupTarget = new MemoryTarget()
    await putDocument(target, keys, 'a.json', content)
    return gather(target.get('a.json'))
  }
  return sealedTarget(name, DOCUMENTS, put, async (bytes) => {
    const held = new Map([['a.json', { bytes, modifiedMs: 0 }]])
    return (await getDocument(new MemoryTarget(held), keys, 'a.json')).content
  })
}

/** Its seal is right: what is in it is not, and whoever restores uses what comes of it as it is. */
const forged: Target<Broken> = {
  name: 'backup.forged',
  runs: 400,
  input: broken,
  check: async ({ sample, other, changes }) => {
    const inside = async (at: number): Promise<Uint8Array> => {
      const object = await gather(
        encodeSegment('x', SEGMENTS[at % SEGMENTS.length] as Segment, NONE),
      )
      return zstdDecompressSync(await gather(unseal(HERE, 'x', whole(object), NONE)))
    }
    const { first, last } = SEGMENTS[sample % SEGMENTS.length] as Segment
    const bytes = breakBytes(await inside(sample), await inside(other), changes)
    const name = segmentName(GENERATION, first, last)
    const object = seal(name, whole(zstdCompressSync(bytes)), null)
    const named = { name, first, last, sizeBytes: 0 }
    const read = await readOrRefuse(bytes, () => readSegment(HERE, named, object, NONE))
    if (changes.length === 0) assert.ok(read !== null, 'what is whole is read')
    if (read === null) return
    assert.deepEqual([read.first, read.last], [first, last])
    const before: Uint8Array = Buffer.from(read.before, 'hex')
    const after = read.chunks.reduce((digest, chunk) => rollLog(digest, chunk), before)
    assert.equal(Buffer.from(after).toString('hex'), read.after, 'its digest tells of its entries')
    for (const text of [read.before, read.after, ...Object.values(read.digests)]) {
      assert.equal(typeof text, 'string')
    }
  },
}

/** Pieces of the log as whoever ships and restores looks at them. */
const chunk: Target<Broken> = {
  name: 'backup.chunk',
  runs: 1_000,
  input: broken,
  check: async ({ sample, other, changes }) => {
    const chunks = SEGMENTS.flatMap((segment) => segment.chunks)
    const pick = (at: number): Uint8Array => chunks[at % chunks.length] as Uint8Array
    const bytes = breakBytes(pick(sample), pick(other), changes)
    const look = () =>
      boundAllocation(bytes.length, undefined, describe(bytes), () => {
        const { firstIndex, lastIndex } = describeLog(bytes)
        const half = Math.floor((firstIndex + lastIndex) / 2)
        return [rollLog(Buffer.alloc(32), bytes), rollLog(Buffer.alloc(32), bytes, half)]
      })
    const digests = await readOrRefuse(bytes, look)
    if (changes.length === 0) assert.ok(digests !== null, 'what is whole is read')
    for (const digest of digests ?? []) assert.equal(digest.length, 32)
  },
}

export const backupTargets: readonly AnyTarget[] = [
  sealingTarget('backup.sealed', NONE),
  sealingTarget('backup.encrypted', SEALED),
  segmentTarget('backup.segment', NONE),
  segmentTarget('backup.encrypted-segment', SEALED),
  documentTarget('backup.document', NONE),
  documentTarget('backup.signed-document', SEALED),
  forged,
  chunk,
]
