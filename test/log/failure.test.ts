/** Failing writes, a full disk, and the order in which appends are told of their fate. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionFailure } from '../../src/base/assert.ts'
import type { Entry } from '../../src/raft/types.ts'
import type { DiskOperation } from '../simulated/disk.ts'
import { makeBatch, makeEntries } from './conformance.ts'
import { LogRig } from './rig.ts'

function makeRig(seed: string): LogRig {
  const rig = new LogRig(seed)
  rig.create()
  rig.disk.settle()
  return rig
}

/** Appends entries of 700 bytes one by one, and notes what each is told. */
function appendEach(rig: LogRig, from: number, count: number): (Error | null)[] {
  const told: (Error | null)[] = []
  for (let index = from; index < from + count; index += 1) {
    const entries = makeEntries(index, 1, 1, 700)
    rig.opened.append(makeBatch({ entries }), (error) => {
      told.push(error)
    })
  }
  return told
}

function isLogWrite({ kind, path }: DiskOperation): boolean {
  return kind === 'write' && path.endsWith('.wal')
}

test('after a failed write nothing is tried again, and everyone hears the same', () => {
  const rig = makeRig('poison')
  appendEach(rig, 1, 2)
  rig.disk.settle()
  let writes = 0
  rig.disk.fault = (operation) => {
    if (isLogWrite(operation)) writes += 1
    return isLogWrite(operation) && writes === 1 ? { code: 'EIO', writtenBytes: 100 } : null
  }
  const told = appendEach(rig, 3, 5)
  rig.disk.settle()
  assert.equal(told.length, 5)
  const [first] = told
  assert.match(String(first), /EIO/)
  for (const error of [...told, ...appendEach(rig, 8, 2)]) assert.equal(error, first)
  rig.opened.compact(1, (error) => assert.equal(error, first))
  rig.opened.close((error) => assert.equal(error, first))
  rig.disk.settle()
  assert.deepEqual(rig.fatals, [first])
  assert.equal(writes, 1)
})

test('what a failed write left in the cache is not promised, and may be gone after a crash', () => {
  const rig = makeRig('fsyncgate')
  rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(1, 1, 1, 50) }) })
  rig.disk.settle()
  rig.disk.fault = (operation) =>
    isLogWrite(operation) ? { code: 'EIO', writtenBytes: operation.sizeBytes } : null
  rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(2, 1, 1, 50) }) })
  rig.disk.settle()
  rig.disk.fault = () => null
  // The process comes back and reads what only the cache has: by then it must be copied.
  rig.disk.kill()
  rig.reopen()
  assert.equal(rig.opened.lastIndex, 2)
  rig.disk.crash()
  rig.reopen()
  assert.equal(rig.opened.lastIndex, 2)
})

test('a seal that a failed write left in the cache holds nothing together', () => {
  const rig = makeRig('unsealed')
  const submit = (index: number): void => {
    rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(index, 1, 1, 700) }) })
    rig.disk.settle()
  }
  let index = 1
  // The first write of a segment that has no room for one more is its seal.
  while (rig.opened.status().activeFreeBytes > 900) {
    submit(index)
    index += 1
  }
  let seals = 0
  rig.disk.fault = (operation) => {
    if (!isLogWrite(operation)) return null
    seals += 1
    return { code: 'EIO', writtenBytes: operation.sizeBytes }
  }
  submit(index)
  assert.equal(seals, 1)
  rig.disk.fault = () => null
  rig.disk.kill()
  rig.reopen()
  // What is acknowledged now stands on all before it.
  submit(rig.opened.lastIndex + 1)
  submit(rig.opened.lastIndex + 1)
  rig.disk.crash({ kept: 0, garbage: 0 })
  rig.reopen()
  submit(rig.opened.lastIndex + 1)
  rig.check()
})

test('a failed sync of the segment made ahead is fatal: its pages can no longer be trusted', () => {
  const rig = makeRig('spare')
  rig.disk.fault = ({ kind }) => (kind === 'sync' ? { code: 'EIO' } : null)
  const told = appendEach(rig, 1, 40)
  rig.disk.settle()
  assert.equal(rig.fatals.length, 1)
  assert.equal(told.length, 40)
  assert.equal(told.at(-1), rig.fatals[0])
})

test('two failures at once are one end', () => {
  const rig = new LogRig('twice')
  rig.create()
  // At the change to segment 2, its first write and the making of segment 3 go side by side.
  rig.disk.fault = ({ kind, path, isSynced }) =>
    (isSynced && path.endsWith('2.wal')) || (kind === 'open' && path.endsWith('3.wal.tmp'))
      ? { code: 'EIO' }
      : null
  const told = appendEach(rig, 1, 20)
  rig.disk.settle()
  assert.equal(rig.fatals.length, 1)
  assert.equal(told.length, 20)
  for (const error of told) assert.ok(error === null || error === rig.fatals[0])
})

test('appends that arrive during a write share the next one, and end in their order', () => {
  const rig = makeRig('group')
  const before = rig.disk.counts.get('write') ?? 0
  const ends: number[] = []
  for (let index = 1; index <= 9; index += 1) {
    const entries = makeEntries(index, 1, 1, 20)
    rig.opened.append(makeBatch({ entries }), () => ends.push(index))
  }
  const hardState = { term: 1, vote: 0, commit: 9 }
  rig.opened.append(makeBatch({ hardState, mustSync: false }), () => ends.push(10))
  rig.opened.append(makeBatch({}), () => ends.push(11))
  assert.deepEqual(ends, [])
  rig.disk.settle()
  assert.deepEqual(ends, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  assert.equal((rig.disk.counts.get('write') ?? 0) - before, 2)
})

test('what callbacks append goes out together', () => {
  const rig = makeRig('callbacks')
  const again = (index: number) => (): void => {
    rig.opened.append(makeBatch({ entries: makeEntries(index, 1, 1, 20) }), () => {})
  }
  rig.opened.append(makeBatch({ entries: makeEntries(1, 1, 1, 20) }), again(4))
  rig.opened.append(makeBatch({ entries: makeEntries(2, 1, 1, 20) }), again(5))
  rig.opened.append(makeBatch({ entries: makeEntries(3, 1, 1, 20) }), again(6))
  rig.disk.settle()
  // The first alone; 2 and 3 with 4, which the first made; then 5 and 6, made in one round.
  assert.equal(rig.opened.lastIndex, 6)
  assert.equal(rig.opened.status().writeCount, 3)
})

test('a commit index alone is not synced, a vote is', () => {
  const rig = makeRig('votes')
  const synced: boolean[] = []
  rig.disk.fault = (operation) => {
    if (isLogWrite(operation)) synced.push(operation.isSynced)
    return null
  }
  const { hardState } = rig.state
  for (const mustSync of [false, true]) {
    rig.submit({ kind: 'append', batch: makeBatch({ hardState, mustSync }) })
    rig.disk.settle()
  }
  assert.deepEqual(synced, [false, true])
})

test('without room for the next segment the log says so, and goes on once there is', () => {
  const full: boolean[] = []
  const rig = new LogRig('full', { spaceChanged: (isFull) => full.push(isFull) })
  rig.disk.capacityBytes = 3 * 8192
  rig.create()
  const told = appendEach(rig, 1, 40)
  rig.disk.settle()
  assert.deepEqual(full, [true])
  assert.equal(rig.opened.status().isFull, true)
  assert.ok(told.length > 10 && told.length < 40, `${told.length} appends were written`)
  assert.ok(told.every((error) => error === null))
  assert.ok(
    rig.disk.paths.every((path) => !path.endsWith('.tmp')),
    'the room is given back',
  )
  rig.opened.retrySpace()
  rig.disk.settle()
  assert.deepEqual(full, [true])
  rig.disk.capacityBytes = Number.POSITIVE_INFINITY
  rig.opened.retrySpace()
  rig.disk.settle()
  assert.deepEqual(full, [true, false])
  assert.equal(told.length, 40)
  assert.deepEqual(rig.fatals, [])
})

test('while the disk is full the active segment takes votes, and compaction makes room', () => {
  const rig = new LogRig('vote while full')
  rig.disk.capacityBytes = 3 * 8192
  rig.create()
  let index = 0
  while (!rig.opened.status().isFull) {
    index += 1
    const entries = makeEntries(index, 1, 1, 700)
    const hardState = { term: 1, vote: 0, commit: index }
    rig.submit({ kind: 'append', batch: makeBatch({ entries, hardState }) })
    rig.disk.settle()
  }
  assert.ok(rig.opened.status().activeFreeBytes > 2_000)
  const vote = { term: 2, vote: 3, commit: index }
  rig.submit({ kind: 'append', batch: makeBatch({ hardState: vote }) })
  rig.disk.settle()
  assert.equal(rig.promised, rig.states.length - 1)
  rig.submit({ kind: 'compact', index })
  rig.disk.settle()
  assert.equal(rig.opened.status().isFull, false)
  rig.disk.crash()
  rig.reopen()
  assert.deepEqual(rig.state.hardState, vote)
})

test('a full log can be closed: what found no room is refused', () => {
  const rig = new LogRig('close full')
  rig.disk.capacityBytes = 3 * 8192
  rig.create()
  const told = appendEach(rig, 1, 40)
  rig.disk.settle()
  let isClosed = false
  rig.opened.close((error) => {
    assert.equal(error, null)
    isClosed = true
  })
  rig.disk.settle()
  assert.equal(isClosed, true)
  assert.equal(told.length, 40)
  assert.match(String(told.at(-1)), /the log is closed/)
})

test('a full disk at any moment loses nothing that was acknowledged', () => {
  for (let room = 8192; room < 5 * 8192; room += 500) {
    const rig = new LogRig(`room ${room}`)
    rig.create()
    rig.disk.capacityBytes = 2 * 8192 + room
    for (let index = 1; index <= 30; index += 1) {
      const entries = makeEntries(index, 1, 1, 700)
      rig.submit({ kind: 'append', batch: makeBatch({ entries }) })
      rig.disk.settle()
    }
    assert.deepEqual(rig.fatals, [])
    rig.disk.capacityBytes = Number.POSITIVE_INFINITY
    rig.disk.crash()
    rig.reopen()
  }
})

test('entries that are not yet written stay in memory, however long they wait', () => {
  const rig = makeRig('overtaken')
  const old = makeEntries(1, 12, 1, 400)
  rig.submit({ kind: 'append', batch: makeBatch({ entries: old }) })
  const fresh = makeEntries(3, 9, 2, 400)
  rig.submit({ kind: 'append', batch: makeBatch({ entries: fresh }) })
  // The write of the old entries ends; what took their place has not begun to be written.
  while (rig.opened.status().appendCount === 0) rig.disk.step()
  assert.deepEqual(rig.opened.entries(3, 12, 100_000), fresh)
  rig.disk.settle()
  rig.check()
  assert.ok(rig.opened.status().cachedBytes <= 2_000 + 3_000)
})

test('what is read while it is cut off does not come back', () => {
  const rig = makeRig('race')
  for (let index = 1; index <= 20; index += 1) {
    rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(index, 1, 1, 400) }) })
    rig.disk.settle()
  }
  assert.equal(rig.opened.entries(5, 8, 10_000), 'unavailable')
  let ends = 0
  rig.opened.load(5, 8, 10_000, (error) => {
    assert.equal(error, null)
    ends += 1
  })
  const fresh: Entry[] = makeEntries(3, 1, 2, 10)
  rig.submit({ kind: 'append', batch: makeBatch({ entries: fresh }) })
  rig.disk.settle()
  assert.equal(ends, 1)
  assert.deepEqual(rig.opened.entries(3, 4, 10_000), fresh)
  for (let index = 4; index <= 12; index += 1) {
    rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(index, 1, 2, 400) }) })
    rig.disk.settle()
  }
  assert.equal(rig.opened.entries(5, 8, 10_000), 'unavailable')
  rig.check()
})

test('committed and compacted entries can not be cut off', () => {
  const rig = makeRig('committed')
  const hardState = { term: 1, vote: 0, commit: 5 }
  rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(1, 9, 1, 20), hardState }) })
  rig.disk.settle()
  const cut = (index: number) => () =>
    rig.opened.append(makeBatch({ entries: makeEntries(index, 1, 2, 20) }), () => {})
  assert.throws(cut(5), AssertionFailure)
  assert.throws(cut(11), AssertionFailure)
  assert.throws(() => rig.opened.compact(10, () => {}), AssertionFailure)
  rig.check()
})

test('a batch may cut off entries and commit those that it brings instead', () => {
  const rig = makeRig('cut and commit')
  rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(1, 9, 1, 20) }) })
  const hardState = { term: 2, vote: 0, commit: 6 }
  rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(4, 3, 2, 20), hardState }) })
  rig.disk.settle()
  rig.check()
  rig.disk.crash()
  rig.reopen()
  assert.deepEqual([rig.opened.lastIndex, rig.state.hardState.commit], [6, 6])
})

test('asking which index leaves so much of the log never names what is not sealed', () => {
  const rig = makeRig('retain')
  appendEach(rig, 1, 30)
  rig.disk.settle()
  const { segmentCount, lastIndex } = rig.opened.status()
  assert.equal(rig.opened.indexRetaining(segmentCount * 8192), 0)
  const newest = rig.opened.indexRetaining(1)
  assert.ok(newest > 20 && newest < lastIndex, `index ${newest}`)
  const older = rig.opened.indexRetaining(2 * 8192)
  assert.ok(older < newest && older > 0, `index ${older}`)
})

test('an answer is as large as asked, and never empty', () => {
  const rig = makeRig('bounds')
  rig.submit({ kind: 'append', batch: makeBatch({ entries: makeEntries(1, 6, 1, 100) }) })
  const count = (bytesMax: number): number => rig.opened.entries(1, 7, bytesMax).length
  assert.deepEqual([count(0), count(124), count(247), count(248), count(10_000)], [1, 1, 1, 2, 6])
  assert.deepEqual(rig.opened.entries(7, 7, 100), [])
})
