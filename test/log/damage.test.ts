/** What is broken is told from what a crash tore: one must stop the node, the other must not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { encodeHeader, FORMAT_VERSION, HEADER_BYTES } from '../../src/log/format.ts'
import type { Entry } from '../../src/raft/types.ts'
import { makeBatch, makeEntries } from './conformance.ts'
import { LogRig, type Outcome } from './rig.ts'

const active = 'log/0000000000000001.wal'

/** One append for each of `count` entries, all durable. */
function fill(seed: string, count: number, sizeBytes: number): LogRig {
  const rig = new LogRig(seed)
  rig.create()
  for (let index = 1; index <= count; index += 1) appendTo(rig, makeEntries(index, 1, 1, sizeBytes))
  return rig
}

function appendTo(rig: LogRig, entries: Entry[]): void {
  rig.submit({ kind: 'append', batch: makeBatch({ entries }) })
  rig.disk.settle()
}

/** Where the record of an entry begins in a file, found by the bytes of its data. */
function findEntry(rig: LogRig, path: string, index: number): number {
  const bytes = Buffer.from(rig.disk.bytesOf(path))
  const data = Buffer.from((makeEntries(index, 1, 1, 24)[0] as Entry).data)
  const at = bytes.indexOf(data, HEADER_BYTES)
  assert.ok(at > 0, `entry ${index} is in ${path}`)
  return at - 48
}

function refuses(rig: LogRig, code: string, ...words: string[]): void {
  rig.disk.kill()
  const outcome = rig.open() as Outcome
  assert.ok(outcome instanceof Error, 'the log opened')
  assert.equal(outcome.code, code)
  for (const word of words) assert.ok(outcome.message.includes(word), outcome.message)
}

test('a flipped bit anywhere in a record before the last is corruption, by file and place', () => {
  const clean = fill('flip', 5, 24)
  const first = findEntry(clean, active, 3)
  const next = findEntry(clean, active, 4)
  for (let at = first; at < next; at += 1) {
    const rig = fill('flip', 5, 24)
    rig.disk.flipBit(active, at, at % 8)
    refuses(rig, 'ERR_LOG_CORRUPT', active, `byte ${first}`)
  }
})

test('a broken body still tells which entry was lost', () => {
  const rig = fill('body', 5, 24)
  rig.disk.flipBit(active, findEntry(rig, active, 3) + 50, 1)
  refuses(rig, 'ERR_LOG_CORRUPT', 'entry 3')
})

test('a zeroed record before the last is not the end of the log', () => {
  for (const length of [4, 16, 48, 72]) {
    const rig = fill('zero', 5, 24)
    rig.disk.damage(active, findEntry(rig, active, 2), new Uint8Array(length))
    refuses(rig, 'ERR_LOG_CORRUPT', active)
  }
})

test('after a clean stop even the newest entry is proven', () => {
  const rig = fill('clean', 3, 24)
  rig.opened.close((error) => assert.equal(error, null))
  rig.disk.settle()
  rig.disk.flipBit(active, findEntry(rig, active, 3) + 10, 0)
  refuses(rig, 'ERR_LOG_CORRUPT', active)
})

test('what recovery copied is proven, before anything is appended to it', () => {
  const rig = fill('copied', 3, 24)
  rig.disk.crash()
  rig.reopen()
  rig.disk.flipBit(active, findEntry(rig, active, 3) + 10, 0)
  refuses(rig, 'ERR_LOG_CORRUPT', active)
})

test('any part of a write in flight may be torn off, and the log opens', () => {
  const ends = new Set<number>()
  for (let seed = 1; seed <= 150; seed += 1) {
    const rig = fill(`torn ${seed}`, 3, 24)
    rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(4, 3, 1, 700) }) })
    rig.disk.crash()
    rig.reopen()
    ends.add(rig.opened.lastIndex)
  }
  assert.deepEqual([...ends].sort(), [3, 6])
})

test('bits that rot in a sealed segment stop the start, and reads before it', () => {
  const rig = fill('sealed', 30, 700)
  assert.ok(rig.opened.status().segmentCount > 2)
  const at = findEntry(rig, active, 2)
  rig.disk.flipBit(active, at + 60, 3)
  let failure: Error | null = null
  rig.opened.load(1, 4, 100_000, (error) => {
    failure = error
  })
  rig.disk.settle()
  assert.match(String(failure), new RegExp(`${active} is damaged at byte ${at}, entry 2`))
  assert.equal(rig.opened.entries(2, 3, 1), 'unavailable')
  assert.deepEqual(rig.fatals, [])
  refuses(rig, 'ERR_LOG_CORRUPT', active, `byte ${at}`)
})

test('a read that the disk refuses is an error of that read alone', () => {
  const rig = fill('unreadable', 30, 700)
  rig.disk.fault = ({ kind }) => (kind === 'read' ? { code: 'EIO' } : null)
  let failure: Error | null = null
  rig.opened.load(1, 4, 100_000, (error) => {
    failure = error
  })
  rig.disk.settle()
  assert.match(String(failure), /entry 1 can't be read/)
  rig.disk.fault = () => null
  rig.check()
})

test('a segment that vanished is missed, wherever it stood', () => {
  const names = fill('vanish', 30, 700).disk.paths.sort()
  assert.ok(names.length > 4)
  // The last one is the spare, which holds nothing: that may go.
  for (const name of names.slice(0, -1)) {
    const rig = fill('vanish', 30, 700)
    rig.disk.remove(name, () => {})
    refuses(rig, 'ERR_LOG_CORRUPT')
  }
})

test('a file of which nothing is left is damage: nothing tells that it was never begun', () => {
  const names = fill('blank', 30, 700).disk.paths.sort()
  const newest = names.at(-2) as string
  const rig = fill('blank', 30, 700)
  rig.disk.damage(newest, 0, new Uint8Array(rig.disk.bytesOf(newest).length))
  refuses(rig, 'ERR_LOG_CORRUPT', newest, 'header')
})

test('segments that vanished at the end are missed: the one before them was sealed', () => {
  const names = fill('vanished end', 30, 700).disk.paths.sort()
  for (let from = 1; from < names.length - 1; from += 1) {
    const rig = fill('vanished end', 30, 700)
    for (const name of names.slice(from)) rig.disk.remove(name, () => {})
    refuses(rig, 'ERR_LOG_CORRUPT', names[from] as string, 'missing')
  }
})

test('a broken seal is corruption, as another segment follows', () => {
  const names = fill('seal', 30, 700).disk.paths.sort()
  for (const name of names.slice(0, -2)) {
    const rig = fill('seal', 30, 700)
    const last = rig.disk.bytesOf(name).findLastIndex((byte) => byte !== 0)
    rig.disk.flipBit(name, last, 2)
    refuses(rig, 'ERR_LOG_CORRUPT', name, 'no seal')
  }
})

test('records of an earlier life of the same bytes do not count', () => {
  const rig = fill('reused', 3, 24)
  const stale = rig.disk.bytesOf(active).slice(HEADER_BYTES)
  rig.disk.crash()
  rig.reopen()
  const end = findEntry(rig, active, 3) + 72
  const before = rig.state.entries.length
  // The old file's records at their old places, behind the end of the new one and before it.
  rig.disk.damage(active, end, stale.slice(end - HEADER_BYTES))
  rig.disk.kill()
  rig.reopen()
  assert.equal(rig.opened.lastIndex, before)
  rig.disk.damage(active, HEADER_BYTES, stale.slice(0, end - HEADER_BYTES))
  refuses(rig, 'ERR_LOG_CORRUPT', active)
})

test('a record at another place than its own does not count', () => {
  const rig = fill('misdirected', 5, 24)
  const [second, fourth] = [findEntry(rig, active, 2), findEntry(rig, active, 4)]
  const record = rig.disk.bytesOf(active).slice(fourth, fourth + 72)
  rig.disk.damage(active, second, record)
  refuses(rig, 'ERR_LOG_CORRUPT', active, `byte ${second}`)
  const other = fill('misdirected', 5, 24)
  const last = findEntry(other, active, 5)
  other.disk.damage(active, last + 72, other.disk.bytesOf(active).slice(last, last + 72))
  other.disk.kill()
  other.reopen()
  assert.equal(other.opened.lastIndex, 5)
})

test('committed entries that are not there are missed', () => {
  const rig = fill('commit', 3, 24)
  const hardState = { term: 1, vote: 0, commit: 9 }
  rig.submit({ kind: 'append', batch: makeBatch({ hardState }) })
  rig.disk.settle()
  refuses(rig, 'ERR_LOG_CORRUPT', 'entries up to 9 were committed')
})

test('segments of another cluster or member are refused', () => {
  const rig = fill('other', 3, 24)
  for (const other of [{ clusterId: new Uint8Array(16).fill(8) }, { memberId: 2 }]) {
    rig.disk.kill()
    const outcome = rig.open(other)
    assert.ok(outcome instanceof Error)
    assert.equal(outcome.code, 'ERR_OTHER_CLUSTER')
  }
})

test('a newer format is named, a broken header is not taken for one', () => {
  const header = Buffer.from(
    encodeHeader({
      salt: 1,
      clusterId: new Uint8Array(16).fill(7),
      memberId: 1,
      seq: 1,
      durableUpTo: HEADER_BYTES,
    }),
  )
  header.writeUInt32LE(FORMAT_VERSION + 6, 16)
  const broken = fill('newer', 3, 24)
  broken.disk.damage(active, 0, header)
  refuses(broken, 'ERR_LOG_CORRUPT', 'header')
  header.writeUInt32LE(crc32(header.subarray(4)), 0)
  const newer = fill('newer', 3, 24)
  newer.disk.damage(active, 0, header)
  refuses(newer, 'ERR_UNSUPPORTED_FORMAT', `format ${FORMAT_VERSION + 6}`, `${FORMAT_VERSION}`)
})
