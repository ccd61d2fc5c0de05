import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { nameGeneration, segmentName, snapshotName, sortNames } from '../../src/backup/names.ts'
import { findPath } from '../../src/backup/path.ts'
import { countExpired } from '../../src/backup/tidying.ts'

const GENERATION = nameGeneration(Date.UTC(2026, 1, 3, 4, 5, 6), '00112233', null)

/** Segments as [first, last], in any order. */
function list(...spans: readonly (readonly [number, number])[]) {
  const objects = spans.map(([first, last]) => {
    return { name: segmentName(GENERATION, first, last), sizeBytes: 1 }
  })
  return sortNames(objects)[0]?.segments ?? []
}

function pathOf(segments: ReturnType<typeof list>, from: number, until?: number) {
  const { segments: path, last, behindGap } = findPath(segments, from, until)
  return { path: path.map((each) => [each.first, each.last]), last, gap: behindGap?.first ?? null }
}

describe('a path through segments', () => {
  it('takes them one after the other', () => {
    const { path, last, gap } = pathOf(list([21, 30], [11, 20], [1, 10]), 0)
    assert.deepEqual(path, [
      [1, 10],
      [11, 20],
      [21, 30],
    ])
    assert.deepEqual([last, gap], [30, null])
  })

  it('goes through what two leaders put at the same time', () => {
    const segments = list([1, 10], [11, 15], [11, 25], [16, 20], [26, 30], [24, 28])
    assert.deepEqual(pathOf(segments, 0).path, [
      [1, 10],
      [11, 25],
      [26, 30],
    ])
  })

  it('is not led astray by the longest first step', () => {
    const segments = list([1, 10], [11, 16], [11, 15], [16, 40])
    assert.deepEqual(pathOf(segments, 10).path, [
      [11, 16],
      [16, 40],
    ])
  })

  it('begins in the midst of a segment', () => {
    assert.deepEqual(pathOf(list([1, 10], [11, 20]), 5).path, [
      [1, 10],
      [11, 20],
    ])
    assert.deepEqual(pathOf(list([1, 10], [11, 20]), 10).path, [[11, 20]])
  })

  it('ends where it is to end', () => {
    assert.deepEqual(pathOf(list([1, 10], [11, 20], [21, 30]), 0, 11).path, [
      [1, 10],
      [11, 20],
    ])
    assert.deepEqual(pathOf(list([1, 10], [11, 20]), 10, 10), { path: [], last: 10, gap: null })
  })

  it('ends at a gap, and says what is behind it', () => {
    const { path, last, gap } = pathOf(list([1, 10], [12, 20]), 0)
    assert.deepEqual([path, last, gap], [[[1, 10]], 10, 12])
    assert.deepEqual(pathOf(list([12, 20]), 10), { path: [], last: 10, gap: 12 })
    assert.equal(pathOf(list([1, 10], [12, 20]), 0, 9).gap, null)
  })

  it('is nothing where there is nothing', () => {
    assert.deepEqual(pathOf(list(), 7), { path: [], last: 7, gap: null })
  })
})

describe('names of objects', () => {
  it('sort generations as they were begun, on whatever clock', () => {
    const behind = nameGeneration(Date.UTC(2026, 1, 3, 3), 'aaaaaaaa', GENERATION)
    assert.equal(behind, '20260203T040507Z-aaaaaaaa')
    const ahead = nameGeneration(Date.UTC(2026, 1, 3, 5), 'aaaaaaaa', GENERATION)
    assert.equal(ahead, '20260203T050000Z-aaaaaaaa')
  })

  it('tell what is in a target, whatever else is there', () => {
    const older = nameGeneration(Date.UTC(2025, 0, 1), 'ffffffff', null)
    const names = [
      snapshotName(GENERATION, 20),
      snapshotName(GENERATION, 3),
      `${GENERATION}/snapshots/0000000000000030/main.db`,
      `${GENERATION}/log/notes.txt`,
      segmentName(older, 1, 2),
      `${older}/manifest.json`,
      'backup.json',
      'README/of/somebody',
    ]
    const [first, second] = sortNames(names.map((name) => ({ name, sizeBytes: 1 })))
    assert.equal(first?.generation, older)
    assert.deepEqual([first?.hasManifest, first?.hasHead], [true, false])
    assert.equal(second?.generation, '20260203T040506Z-00112233')
    assert.deepEqual(second?.snapshots, [3, 20])
    assert.deepEqual(second?.segments, [])
    assert.equal(second?.names.size, 4)
  })
})

describe('what is kept', () => {
  const taken = [100, 200, 300, 400, 500]
  for (const [what, options, expired] of [
    ['all that is young enough, and the one that it begins with', { keepMs: 250 }, 1],
    ['the one of the very moment', { keepMs: 200 }, 2],
    ['all where it is all young', { keepMs: 10_000 }, 0],
    ['the last one, however old', { keepMs: 0, nowMs: 10_000 }, 4],
    ['so many', { keepMs: -1, keepCount: 2 }, 3],
    ['all, if it is to be for ever', { keepMs: -1 }, 0],
    ['not more than so many, young or not', { keepMs: 10_000, keepCount: 1 }, 4],
  ] as const) {
    it(`is ${what}`, () => {
      assert.equal(countExpired(taken, { keepCount: 100, nowMs: 500, ...options }), expired)
    })
  }

  it('is nothing of nothing', () => {
    assert.equal(countExpired([], { keepMs: 1, keepCount: 1, nowMs: 1 }), 0)
  })
})
