/**
 * The log's files: damaged as disks do it, which the checksums must notice; and forged, with all
 * checksums made anew, so that what is behind them is met.
 */
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { isColmenaError } from '../../src/base/errors.ts'
import { decodeHeader, HEADER_BYTES } from '../../src/log/format.ts'
import { decodeRecord } from '../../src/log/record.ts'
import { makeBatch } from '../log/conformance.ts'
import { breakBytes, type Mutation, mutation } from './mutations.ts'
import { type Files, isDamaged, openFiles, type RecordedLog, recordLog } from './recorded-logs.ts'
import { type AnyTarget, boundAllocation, type Target } from './target.ts'
import { record } from './values.ts'

const LOGS = 8
const CODES = ['ERR_LOG_CORRUPT', 'ERR_OTHER_CLUSTER', 'ERR_UNSUPPORTED_FORMAT', 'ERR_DATA_DIR']
/** For each of its files and once more for what is recovered. */
const ALLOCATED_BYTES_MAX = 4 * 1024 * 1024

const recorded = new Map<number, RecordedLog>()

function logOf(seed: number): RecordedLog {
  const log = recorded.get(seed) ?? recordLog(seed)
  recorded.set(seed, log)
  return log
}

interface Damage {
  readonly log: number
  readonly other: number
  /** In which of the files, the newest first. */
  readonly hits: readonly { readonly file: number; readonly change: Mutation }[]
}

const damaged: Target<Damage> = {
  name: 'log.damaged',
  runs: 120,
  input: record({
    log: fc.nat(LOGS - 1),
    other: fc.nat(LOGS - 1),
    hits: fc.array(record({ file: fc.nat(5), change: mutation }), { maxLength: 3 }),
  }),
  check: ({ log, other, hits }) => {
    const { files, states, writes } = logOf(log)
    const broken = new Map(files)
    for (const { file, change } of hits) {
      const path = pathOf(files, file)
      const otherFiles = logOf(other).files
      const strange = otherFiles.get(pathOf(otherFiles, file)) as Uint8Array
      broken.set(path, breakBytes(aim(broken.get(path) as Uint8Array), strange, [change]))
    }
    const { outcome, describe } = open(broken)
    if (hits.length === 0) assert.ok(!(outcome instanceof Error), 'what nobody touched opens')
    if (outcome instanceof Error) return
    const found = describe()
    const kept = states.lastIndexOf(found)
    assert.ok(kept >= 0, `a log that never was: ${found.slice(0, 500)}`)
    // What can't be told from a torn end: the last writes, all of which are damaged.
    for (let at = kept + 1; at < states.length; at += 1) {
      const ranges = writes[at] ?? null
      const isLost = ranges !== null && isDamaged(ranges, files, broken)
      assert.ok(isLost, `acknowledged write ${at} of ${states.length - 1} is gone without a word`)
    }
  },
}

/** Most of a file is zeros: the change is to be where something is, or just behind it. */
function aim(bytes: Uint8Array): Uint8Array {
  const used = bytes.findLastIndex((byte) => byte !== 0) + 1
  return bytes.subarray(0, Math.min(bytes.length, used + 64))
}

function pathOf(files: Files, file: number): string {
  const paths = [...files.keys()].sort().reverse()
  return paths[file % paths.length] as string
}

function open(files: Files): ReturnType<typeof openFiles> {
  let bytes = 0
  for (const file of files.values()) bytes += file.length
  const opening = boundAllocation(bytes, ALLOCATED_BYTES_MAX, `${files.size} files`, () =>
    openFiles(files),
  )
  const { outcome } = opening
  assert.ok(outcome !== undefined, 'it comes to an end')
  if (outcome instanceof Error) {
    assert.ok(isColmenaError(outcome) && CODES.includes(outcome.code), String(outcome.stack))
  }
  return opening
}

/** Where numbers stand in a record's header, and how wide they are; -1: somewhere in the body. */
const PLACES = { length: 12, type: 16, flags: 17, entryType: 18, index: 24, term: 32, acked: 40 }
const WIDTHS = { length: 4, type: 1, flags: 1, entryType: 1, index: 8, term: 8, acked: 8 }
const HEADER_PLACES = [16, 40, 48, 56]

interface Forgery {
  readonly log: number
  readonly edits: readonly Edit[]
}

interface Edit {
  readonly file: number
  /** Which record; 0 is the header of the file. */
  readonly record: number
  readonly place: keyof typeof PLACES | 'body'
  readonly at: number
  readonly value: bigint
}

const forged: Target<Forgery> = {
  name: 'log.forged',
  runs: 120,
  input: record({
    log: fc.nat(LOGS - 1),
    edits: fc.array(
      record<Edit>({
        file: fc.nat(5),
        record: fc.nat(30),
        place: fc.constantFrom('body', 'body', ...(Object.keys(PLACES) as (keyof typeof PLACES)[])),
        at: fc.nat(200),
        value: fc.oneof(
          fc.bigInt({ min: 0n, max: 60n }),
          fc.constantFrom(0xffffn, 0xffff_ffffn, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n),
        ),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  }),
  check: ({ log, edits }) => {
    const { files } = logOf(log)
    const made = new Map(files)
    for (const edit of edits) {
      const path = pathOf(files, edit.file)
      made.set(path, forge(made.get(path) as Uint8Array, edit))
    }
    const { outcome, settle, describe } = open(made)
    if (outcome === undefined || outcome instanceof Error) return
    describe()
    const index = outcome.log.lastIndex + 1
    assert.ok(Number.isSafeInteger(index), 'there is a next index')
    const term = Math.max(outcome.hardState.term, outcome.log.term(index - 1) as number)
    let done = false
    const entry = { index, term, type: 'normal', data: new Uint8Array(9) } as const
    outcome.log.append(makeBatch({ entries: [entry] }), (error) => {
      assert.equal(error, null)
      done = true
    })
    settle()
    assert.ok(done, 'what opens can be written')
  },
}

/** A copy with one number changed, and all checksums behind it right again. */
function forge(original: Uint8Array, edit: Edit): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(original)
  const file = Buffer.from(bytes.buffer)
  const header = decodeHeader(file)
  if (header === null || 'newerVersion' in header) return bytes
  const offsets: number[] = []
  for (let at = HEADER_BYTES; ; ) {
    const found = decodeRecord(file, at, header.salt)
    if (found === null) break
    offsets.push(at)
    at = found.endOffset
  }
  const chosen = edit.record % (offsets.length + 1)
  if (chosen === 0) {
    const place = HEADER_PLACES[edit.at % HEADER_PLACES.length] as number
    put(file, place, place === 16 ? 4 : 8, edit.value)
    file.writeUInt32LE(crc32(file.subarray(4, HEADER_BYTES)), 0)
    return bytes
  }
  const at = offsets[chosen - 1] as number
  if (edit.place === 'body') {
    const length = Math.max(1, file.readUInt32LE(at + 12))
    put(file, at + 48 + (edit.at % length), 1, edit.value)
  } else put(file, at + PLACES[edit.place], WIDTHS[edit.place], edit.value)
  sum(file, offsets, header.salt)
  return bytes
}

function put(file: Buffer, at: number, width: number, value: bigint): void {
  for (let i = 0; i < width; i += 1) file[at + i] = Number((value >> BigInt(8 * i)) & 0xffn)
}

function sum(file: Buffer, offsets: readonly number[], salt: number): void {
  let chain = salt
  for (const at of offsets) {
    const length = file.readUInt32LE(at + 12)
    file.writeUInt32LE(crc32(file.subarray(at + 48, at + 48 + length), salt), at + 4)
    file.writeUInt32LE(chain, at + 8)
    chain = crc32(file.subarray(at + 4, at + 48), salt)
    file.writeUInt32LE(chain, at)
  }
}

export const logTargets: readonly AnyTarget[] = [damaged, forged]
