/** Histories with indexes, each of which breaks one rule. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LogAnswer, LogOperation, LogRead, Replay } from './log-history.ts'
import { checkLogOrder, type LogCheckOptions } from './log-order.ts'

interface Change {
  readonly key: string
  readonly value: number
}

type Cells = Map<string, number>

const cells: Replay<Cells, Change> = {
  initial: () => new Map(),
  apply: (state, { key, value }) => state.set(key, value),
  touches: ({ key }) => [key],
  answer: (state, key) => String(state.get(key) ?? null),
}

interface Times {
  readonly from: number
  readonly to: number
}

function write(origin: string, value: number, times: Times, index: number): LogOperation<Change> {
  const { from: callMs, to: returnMs } = times
  const input = { kind: 'write', origin, change: { key: 'x', value } } as const
  return { client: 1, input, output: { index }, callMs, returnMs }
}

type ReadParts = Partial<LogAnswer> & Partial<LogRead>

function read(
  origin: string,
  seen: number | null,
  times: Times,
  parts: ReadParts,
): LogOperation<Change> {
  const { from: callMs, to: returnMs } = times
  const { after, maxStalenessMs, index = 0, level = 'none', ...rest } = parts
  const output = { index, level, answers: { x: String(seen) }, ...rest }
  const input = { kind: 'read', origin, after, maxStalenessMs } as const
  return { client: 2, input, output, callMs, returnMs }
}

function rulesOf(
  operations: readonly LogOperation<Change>[],
  options?: LogCheckOptions<Change>,
): readonly string[] {
  return checkLogOrder(cells, operations, options).violations.map(({ rule }) => rule)
}

const FIRST = write('a', 1, { from: 0, to: 1 }, 5)
const SECOND = write('a', 2, { from: 2, to: 3 }, 7)

describe('a strong read', () => {
  it('has all that was acknowledged before', () => {
    const good = read('b', 2, { from: 4, to: 5 }, { index: 7, level: 'strong' })
    assert.deepEqual(rulesOf([FIRST, SECOND, good]), [])
    const bad = read('b', 1, { from: 4, to: 5 }, { index: 6, level: 'strong' })
    assert.deepEqual(rulesOf([FIRST, SECOND, bad]), ['strong'])
  })
})

describe('an answer', () => {
  it('is what the log makes at its index, or a little later', () => {
    assert.deepEqual(rulesOf([FIRST, SECOND, read('b', 1, { from: 4, to: 5 }, { index: 6 })]), [])
    assert.deepEqual(rulesOf([FIRST, SECOND, read('b', 2, { from: 4, to: 5 }, { index: 6 })]), [])
    assert.deepEqual(rulesOf([FIRST, SECOND, read('b', 1, { from: 4, to: 5 }, { index: 7 })]), [
      'answers',
    ])
    const exact = read('b', 2, { from: 4, to: 5 }, { index: 6, isExact: true })
    assert.deepEqual(rulesOf([FIRST, SECOND, exact]), ['answers'])
  })
})
