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
  const answers = { x: String(seen) }
  const output = { index, level, answers, ...rest } as LogAnswer
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
const BOTH = [FIRST, SECOND]
const LATER = { from: 4, to: 5 }

function rulesOfRead(
  origin: string,
  seen: number | null,
  parts: ReadParts,
  options?: LogCheckOptions<Change>,
): readonly string[] {
  return rulesOf([...BOTH, read(origin, seen, LATER, parts)], options)
}

describe('writes', () => {
  it('are in the log in the order in which they were acknowledged', () => {
    assert.deepEqual(rulesOf(BOTH), [])
    assert.deepEqual(rulesOf([FIRST, write('b', 2, { from: 2, to: 3 }, 4)]), ['order of writes'])
    // Those that overlap may be in any order.
    assert.deepEqual(rulesOf([FIRST, write('b', 2, { from: 1, to: 3 }, 4)]), [])
  })

  it('share an entry only with others of their origin, in places of their own', () => {
    const together = { from: 0, to: 1 }
    assert.deepEqual(rulesOf([FIRST, write('a', 2, together, 5)]), [])
    assert.deepEqual(rulesOf([FIRST, write('b', 2, together, 5)]), ['one entry an index'])
    const inPlaces = (first: number, second: number): readonly LogOperation<Change>[] =>
      [first, second].map((at) => ({ ...FIRST, output: { index: 5, at } }))
    assert.deepEqual(rulesOf(inPlaces(0, 1)), [])
    assert.deepEqual(rulesOf(inPlaces(1, 1)), ['one entry an index'])
    const after = write('a', 2, { from: 2, to: 3 }, 5)
    assert.deepEqual(rulesOf([FIRST, after]), ['order of writes'])
  })

  it('of one entry have their places, whichever was called first', () => {
    const second = { ...FIRST, output: { index: 5, at: 1 } }
    const first = { ...write('a', 2, { from: 0.5, to: 1 }, 5), output: { index: 5, at: 0 } }
    assert.deepEqual(rulesOf([second, first, read('b', 1, LATER, { index: 5 })]), [])
    assert.deepEqual(rulesOf([second, first, read('b', 2, LATER, { index: 5 })]), ['answers'])
  })

  it('answer what they answer at their place, where that is judged', () => {
    const judged = { ...cells, outcome: (state: Cells, { key }: Change) => String(state.has(key)) }
    const told = (outcome: string): readonly LogOperation<Change>[] => {
      return [FIRST, { ...SECOND, output: { index: 7, outcome } }]
    }
    assert.deepEqual(checkLogOrder(judged, told('true')).violations, [])
    const [violation] = checkLogOrder(judged, told('false')).violations
    assert.equal(violation?.rule, 'answers')
  })

  it('of unknown outcome are where they turned out to be, or nowhere', () => {
    const unknown = { ...SECOND, output: null, returnMs: Infinity }
    const seen = read('b', 2, LATER, { index: 7 })
    assert.deepEqual(rulesOf([FIRST, unknown, seen]), ['answers'])
    const options = { placeOf: () => ({ index: 7 }) }
    assert.deepEqual(rulesOf([FIRST, unknown, seen], options), [])
    const vanished = read('b', 1, LATER, { index: 8 })
    assert.deepEqual(rulesOf([FIRST, unknown, seen, vanished], options), ['answers'])
    // That its caller was told of the doubt acknowledges nothing.
    const doubted = { ...SECOND, output: null }
    const behind = read('b', 1, LATER, { index: 6, level: 'strong' })
    assert.deepEqual(rulesOf([FIRST, doubted, behind], options), [])
    // None is before what had been acknowledged when it was called.
    const early = { placeOf: () => ({ index: 4 }) }
    assert.deepEqual(rulesOf([FIRST, unknown], early), ['order of writes'])
  })
})

describe('an answer', () => {
  it('is what the log makes at its index, or a little later', () => {
    assert.deepEqual(rulesOfRead('b', 1, { index: 6 }), [])
    assert.deepEqual(rulesOfRead('b', 2, { index: 6 }), [])
    assert.deepEqual(rulesOfRead('b', 1, { index: 7 }), ['answers'])
    assert.deepEqual(rulesOfRead('b', 2, { index: 6, isExact: true }), ['answers'])
    assert.deepEqual(rulesOfRead('b', 9, { index: 7 }), ['answers'])
  })

  it('has nothing that was called after it had ended', () => {
    const early = { from: 0, to: 1.5 }
    assert.deepEqual(rulesOf([...BOTH, read('b', 1, early, { index: 6 })]), [])
    assert.deepEqual(rulesOf([...BOTH, read('b', 2, early, { index: 6 })]), ['answers'])
    assert.deepEqual(rulesOf([...BOTH, read('b', 2, early, { index: 7 })]), ['nothing of later'])
    // Of all that was called later, the first in the log counts.
    const lower = write('b', 3, { from: 3, to: 8 }, 6)
    const slow = write('a', 2, { from: 2, to: 8 }, 9)
    const old = read('b', 1, early, { index: 5 })
    assert.deepEqual(rulesOf([FIRST, slow, lower, old]), [])
    const young = read('b', 3, early, { index: 6 })
    assert.deepEqual(rulesOf([FIRST, slow, lower, young]), ['nothing of later'])
    const until = { from: 0, to: 2 }
    assert.deepEqual(rulesOf([...BOTH, read('b', 2, until, { index: 7 })]), [])
  })

  it('is of one moment, however many it answers', () => {
    const other = {
      ...write('a', 0, { from: 2, to: 3 }, 6),
      input: { kind: 'write', origin: 'a', change: { key: 'y', value: 3 } },
    } as const
    const both = (x: number, y: number | null): readonly LogOperation<Change>[] => {
      const answers = { x: String(x), y: String(y) }
      return [...BOTH, other, read('b', 0, LATER, { index: 5, answers })]
    }
    assert.deepEqual(rulesOf(both(1, null)), [])
    assert.deepEqual(rulesOf(both(1, 3)), [])
    assert.deepEqual(rulesOf(both(2, 3)), [])
    assert.deepEqual(rulesOf(both(2, null)), ['answers'])
    // The one was so until 7, the other only from 8 on.
    const late = { ...other, output: { index: 8 } }
    const answers = { x: '1', y: '3' }
    const never = read('b', 0, LATER, { index: 5, answers })
    assert.deepEqual(rulesOf([...BOTH, late, never]), ['answers'])
  })

  it('is told with what it should be, and when it was so', () => {
    const textOf = (seen: number, index: number, isExact: boolean): string => {
      const history = [...BOTH, read('b', seen, LATER, { index, isExact })]
      return checkLogOrder(cells, history)
        .violations.map(({ text }) => text)
        .join()
    }
    const place = 'client 2 [4, 5] on b: none read at'
    assert.equal(
      textOf(1, 7, false),
      `${place} 7: x is 2 there, and the answer 1, which it was before`,
    )
    assert.equal(
      textOf(2, 6, true),
      `${place} 6: x is 1 there, and the answer 2, which it is only later`,
    )
    assert.equal(
      textOf(9, 7, false),
      `${place} 7: x is 2 there, and the answer 9, which it never was`,
    )
  })
})

describe('a strong read', () => {
  it('has all that was acknowledged before', () => {
    assert.deepEqual(rulesOfRead('b', 2, { index: 7, level: 'strong' }), [])
    assert.deepEqual(rulesOfRead('b', 1, { index: 6, level: 'strong' }), ['strong'])
    const concurrent = read('b', 1, { from: 3, to: 4 }, { index: 6, level: 'strong' })
    assert.deepEqual(rulesOf([...BOTH, concurrent]), [])
  })

  it('has the highest of it, though a lower one was acknowledged later', () => {
    const slow = write('b', 3, { from: 2, to: 3.5 }, 6)
    assert.deepEqual(rulesOf([...BOTH, slow, read('c', 3, LATER, { index: 6, level: 'strong' })]), [
      'strong',
    ])
  })

  it('has what anybody had read before, acknowledged or not', () => {
    const open = { ...SECOND, output: null, returnMs: Infinity }
    const options = { placeOf: () => ({ index: 7 }) }
    const history = (index: number, seen: number): readonly LogOperation<Change>[] => [
      ...[FIRST, open, read('b', 2, LATER, { index })],
      read('c', seen, { from: 6, to: 7 }, { index: 6, level: 'strong' }),
    ]
    assert.deepEqual(rulesOf(history(7, 1), options), ['strong'])
    // The first one had more than it said: so the second one must as well.
    assert.deepEqual(rulesOf(history(6, 1), options), ['strong'])
    assert.deepEqual(rulesOf(history(6, 2), options), [])
  })
})

describe('a weak read', () => {
  it('has what every leader had committed when it was asked for', () => {
    const parts = { index: 6, level: 'weak' } as const
    assert.deepEqual(rulesOfRead('b', 1, { ...parts, leaderCommit: 6 }), [])
    assert.deepEqual(rulesOfRead('b', 1, { ...parts, leaderCommit: 7 }), ['weak'])
  })

  it('is of no leader that was deposed long ago, where that is bounded', () => {
    const parts = { index: 6, level: 'weak' } as const
    assert.deepEqual(rulesOfRead('b', 1, parts), [])
    assert.deepEqual(rulesOfRead('b', 1, parts, { deposedMsMax: 1 }), [])
    assert.deepEqual(rulesOfRead('b', 1, parts, { deposedMsMax: 0.5 }), ['weak'])
  })
})

describe('a read by lease', () => {
  it('is no older than the lease, from when it was looked at last', () => {
    const parts = { index: 6, level: 'lease' } as const
    assert.deepEqual(rulesOfRead('b', 1, parts, { leaseMs: 1 }), [])
    assert.deepEqual(rulesOfRead('b', 1, parts, { leaseMs: 0.5 }), ['lease'])
    assert.deepEqual(rulesOfRead('b', 1, { ...parts, answeredMs: 4.6 }, { leaseMs: 1 }), ['lease'])
  })
})

describe('a read at level none', () => {
  it('has what its own node wrote and read, and no more need be', () => {
    assert.deepEqual(rulesOfRead('b', null, { index: 0 }), [])
    assert.deepEqual(rulesOfRead('a', 1, { index: 6 }), ['none'])
    const back = read('b', 1, { from: 6, to: 7 }, { index: 6 })
    assert.deepEqual(rulesOf([...BOTH, read('b', 2, LATER, { index: 7 }), back]), ['none'])
    assert.deepEqual(rulesOf([...BOTH, read('b', 2, LATER, { index: 6 }), back]), ['none'])
    assert.deepEqual(rulesOf([...BOTH, read('c', 2, LATER, { index: 7 }), back]), [])
  })

  it('is no older than it was told to be', () => {
    const parts = { index: 6, maxStalenessMs: 1 }
    assert.deepEqual(rulesOfRead('b', 1, parts), [])
    assert.deepEqual(rulesOfRead('b', 1, { ...parts, maxStalenessMs: 0.5 }), ['maxStalenessMs'])
    assert.deepEqual(rulesOfRead('b', 1, { ...parts, answeredMs: 4.5 }), ['maxStalenessMs'])
  })
})

describe('a read after an index', () => {
  it('has that index, at any level', () => {
    assert.deepEqual(rulesOfRead('b', 1, { index: 6, after: 6 }), [])
    assert.deepEqual(rulesOfRead('b', 1, { index: 6, after: 7 }), ['after'])
    assert.deepEqual(rulesOfRead('b', 1, { index: 6, after: 7, level: 'weak' }), ['after'])
  })
})

describe('the work', () => {
  it('grows as the history does, and not with its square', () => {
    const size = 20_000
    const asked = { count: 0 }
    const counting: Replay<Cells, Change> = {
      ...cells,
      answer(state, key) {
        asked.count += 1
        return cells.answer(state, key)
      },
    }
    const history = Array.from({ length: size }, (_, at) => {
      const index = at + 1
      const times = { from: 4 * at, to: 4 * at + 1 }
      // Far behind, and one value comes again and again.
      const seen = Math.floor(index / 2) % 3
      const place = { index: Math.floor(index / 2) || 1 }
      const old = read(
        'b',
        place.index === 1 ? 1 : seen,
        { from: 4 * at + 2, to: 4 * at + 3 },
        place,
      )
      return [write('a', index % 3, times, index), old]
    })
    const report = checkLogOrder(counting, history.flat())
    assert.deepEqual(report, { violations: [], writes: size, reads: size })
    assert.equal(asked.count, size + 1)
  })
})
