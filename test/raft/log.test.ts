import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RaftLog, TERM_COMPACTED, TERM_UNAVAILABLE } from '../../src/raft/raft-log.ts'
import { Unstable } from '../../src/raft/unstable.ts'
import { confStateOf, entriesOf, entryAt } from './cluster.ts'
import { MemoryStorage } from './memory-storage.ts'

function logOf(stored: number[], unstable: number[] = [], compactedAt = 0): RaftLog {
  const storage = new MemoryStorage()
  storage.append(entriesOf(...stored))
  if (compactedAt > 0) storage.compact(compactedAt)
  const log = new RaftLog(storage, Number.POSITIVE_INFINITY, undefined)
  log.append(unstable.map((term, i) => entryAt(stored.length + 1 + i, term)))
  return log
}

function termsOf(log: RaftLog): number[] {
  const terms: number[] = []
  for (let index = log.firstIndex(); index <= log.lastIndex(); index++) terms.push(log.term(index))
  return terms
}

describe('the log', () => {
  it('knows the terms from one before its first entry to its last', () => {
    const log = logOf([1, 1, 2], [3, 3], 2)
    assert.equal(log.term(1), TERM_COMPACTED)
    assert.deepEqual(
      [2, 3, 4, 5].map((index) => log.term(index)),
      [1, 2, 3, 3],
    )
    assert.equal(log.term(6), TERM_UNAVAILABLE)
    assert.deepEqual([log.firstIndex(), log.lastIndex(), log.lastTerm()], [3, 5, 3])
  })

  it('finds where entries differ or go beyond it', () => {
    const log = logOf([1, 2], [3])
    assert.equal(log.findConflict([]), 0)
    assert.equal(log.findConflict(entriesOf(1, 2, 3)), 0)
    assert.equal(log.findConflict([entryAt(3, 3), entryAt(4, 4)]), 4)
    assert.equal(log.findConflict(entriesOf(1, 4, 4)), 2)
    assert.equal(log.findConflict(entriesOf(4)), 1)
  })

  it('guesses by term where another log may still agree', () => {
    const log = logOf([1, 2, 2, 4, 4, 4, 8], [8])
    const cases: [number, number, number, number][] = [
      [8, 8, 8, 8],
      [8, 7, 6, 4],
      [6, 3, 3, 2],
      [3, 1, 1, 1],
      [1, 0, 0, 0],
      [99, 5, 99, 0],
    ]
    for (const [from, term, index, found] of cases) {
      assert.deepEqual(log.findConflictByTerm(from, term), { index, term: found })
    }
    assert.deepEqual(logOf([5, 5, 5], [], 2).findConflictByTerm(3, 1), { index: 1, term: 0 })
  })

  it('slices across what is stored and what is not, within the limit', () => {
    const log = logOf([1, 1], [2, 2])
    const all = log.slice(1, 5, Number.POSITIVE_INFINITY)
    assert.deepEqual(all, [...entriesOf(1, 1), entryAt(3, 2), entryAt(4, 2)])
    for (let bytesMax = 0; bytesMax <= 130; bytesMax += 9) {
      const some = log.slice(1, 5, bytesMax)
      assert.ok(typeof some !== 'string' && typeof all !== 'string')
      assert.deepEqual(some, all.slice(0, Math.max(1, Math.floor(bytesMax / 27))))
    }
    assert.equal(logOf([1, 1, 1], [], 2).slice(1, 3, 1), 'compacted')
  })

  it('never writes over what is committed', () => {
    const log = logOf([1, 1, 1])
    log.commitTo(2)
    assert.throws(() => log.append([entryAt(2, 2)]), /invariant/)
    log.append([entryAt(3, 2)])
    assert.deepEqual(termsOf(log), [1, 1, 2])
  })

  it('commits forwards, and never beyond its end', () => {
    const log = logOf([1, 1, 1])
    log.commitTo(2)
    log.commitTo(1)
    assert.equal(log.committed, 2)
    log.commitTo(9)
    assert.equal(log.committed, 2)
    assert.equal(log.commitByCount(3, 2), false)
    assert.equal(log.commitByCount(3, 1), true)
  })

  it('hands out committed entries once, and unstable ones only if allowed', () => {
    const log = logOf([1, 1], [1])
    log.commitTo(3)
    assert.deepEqual(log.nextCommittedEntries(false), entriesOf(1, 1))
    assert.deepEqual(log.nextCommittedEntries(true), entriesOf(1, 1, 1))
    log.acceptApplying(entriesOf(1, 1), false)
    assert.equal(log.hasNextCommittedEntries(false), false)
    assert.deepEqual(log.nextCommittedEntries(true), [entryAt(3, 1)])
    assert.throws(() => log.appliedTo(4, 0), /invariant/)
    log.appliedTo(2, 0)
    assert.throws(() => log.appliedTo(1, 0), /invariant/)
  })

  it('the applied index never passes the committed one', () => {
    const log = logOf([1, 1])
    assert.throws(() => log.appliedTo(1, 0), /committed entries are applied/)
  })
})

describe('the unstable end', () => {
  const snapshot = {
    meta: { index: 4, term: 1, confState: confStateOf([1]) },
    data: new Uint8Array(0),
  }

  it('hands out each entry for writing once', () => {
    const unstable = new Unstable(1, undefined)
    unstable.truncateAndAppend(entriesOf(1, 1))
    assert.equal(unstable.nextEntries().length, 2)
    unstable.acceptInProgress()
    assert.equal(unstable.hasNextEntries(), false)
    unstable.truncateAndAppend([entryAt(3, 1)])
    assert.deepEqual(unstable.nextEntries(), [entryAt(3, 1)])
  })

  it('takes back from writing what is replaced', () => {
    const unstable = new Unstable(1, undefined)
    unstable.truncateAndAppend(entriesOf(1, 1, 1, 1))
    unstable.acceptInProgress()
    unstable.truncateAndAppend([entryAt(3, 2)])
    assert.equal(unstable.offsetInProgress, 3)
    assert.deepEqual(unstable.nextEntries(), [entryAt(3, 2)])
    unstable.acceptInProgress()
    unstable.truncateAndAppend(entriesOf(3))
    assert.deepEqual([unstable.offset, unstable.offsetInProgress, unstable.length], [1, 1, 1])
  })

  it('lets go only of entries with the term that was written', () => {
    const unstable = new Unstable(5, undefined)
    unstable.truncateAndAppend([entryAt(5, 2), entryAt(6, 2)])
    unstable.stableTo(5, 1)
    unstable.stableTo(4, 2)
    unstable.stableTo(9, 2)
    assert.equal(unstable.length, 2)
    unstable.stableTo(5, 2)
    assert.deepEqual([unstable.offset, unstable.length], [6, 1])
    assert.deepEqual(unstable.slice(6, 7), [entryAt(6, 2)])
  })

  it('a snapshot replaces everything, and is let go of by its own index', () => {
    const unstable = new Unstable(1, undefined)
    unstable.truncateAndAppend(entriesOf(1, 1))
    unstable.restore(snapshot)
    assert.deepEqual([unstable.lastIndex(), unstable.term(4), unstable.term(3)], [4, 1, -1])
    unstable.stableTo(4, 1)
    unstable.acceptInProgress()
    assert.equal(unstable.nextSnapshot(), null)
    unstable.stableSnapshotTo(3)
    assert.notEqual(unstable.snapshot, null)
    unstable.stableSnapshotTo(4)
    assert.equal(unstable.snapshot, null)
  })

  it('keeps its indexes straight over thousands of entries', () => {
    const unstable = new Unstable(1, undefined)
    let last = 0
    let stable = 0
    for (let round = 0; round < 400; round++) {
      const fresh = Array.from({ length: 10 }, () => entryAt(++last, 1))
      unstable.truncateAndAppend(fresh)
      stable = Math.min(stable + (round % 20), last)
      if (stable > 0) unstable.stableTo(stable, 1)
      assert.equal(unstable.lastIndex() || stable, last)
      if (stable < last) assert.equal(unstable.slice(stable + 1, stable + 2)[0]!.index, stable + 1)
    }
  })
})
