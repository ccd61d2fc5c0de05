import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { DURATION_BOUNDS_MS, Histogram } from '../../src/base/histogram.ts'

suite('a histogram', () => {
  test('counts each value in its bucket and in all above it', () => {
    const histogram = new Histogram([1, 10, 100])
    for (const value of [0, 1, 1.5, 10, 99, 100, 101, 5_000]) histogram.record(value)
    assert.deepEqual(histogram.value(), {
      bounds: [1, 10, 100],
      counts: [2, 4, 6],
      count: 8,
      sum: 5_312.5,
    })
  })

  test('has values that no later one changes', () => {
    const histogram = new Histogram()
    const empty = histogram.value()
    histogram.record(3)
    assert.equal(empty.count, 0)
    assert.deepEqual(
      empty.counts,
      DURATION_BOUNDS_MS.map(() => 0),
    )
    assert.equal(histogram.value().counts.at(-1), 1)
  })

  test('its usual bounds ascend', () => {
    assert.deepEqual(
      DURATION_BOUNDS_MS.toSorted((a, b) => a - b),
      DURATION_BOUNDS_MS,
    )
  })
})
