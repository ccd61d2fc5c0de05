import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Doubts } from '../../src/engine/doubts.ts'
import { judge, type Verdict } from '../../src/engine/judging.ts'

const DB = 'main@2'

/** What each member holds of one database; null for one that can say nothing. */
type Rows = Readonly<Record<number, string | null>>

function judgeRows(
  rows: Rows,
  voters: readonly number[],
  options: { readonly away?: readonly number[]; readonly votersOutgoing?: readonly number[] } = {},
): Verdict {
  const { away = [], votersOutgoing = [] } = options
  const held = Object.entries(rows).map(([id, value]) => {
    return [Number(id), new Map(value === null ? [] : [[DB, value]])] as const
  })
  return judge(new Map(held), { voters, votersOutgoing }, (id) => !away.includes(id))
}

function differing(verdict: Verdict): readonly number[] {
  return verdict.differing.map(({ memberId }) => memberId)
}

describe('members that are compared', () => {
  it('are equal while all hold the same', () => {
    const verdict = judgeRows({ 1: 'a', 2: 'a', 3: 'a' }, [1, 2, 3])
    assert.deepEqual(verdict, { isClean: true, agreed: [DB], differing: [], undecided: [] })
  })

  it('differ where they are not with the majority of voters, the leader too', () => {
    for (const wrong of [1, 2, 3]) {
      const rows = { 1: 'a', 2: 'a', 3: 'a', [wrong]: 'b' }
      const verdict = judgeRows(rows, [1, 2, 3])
      assert.deepEqual(differing(verdict), [wrong])
      assert.deepEqual(verdict.undecided, [])
    }
  })

  it('count only as voters for the majority: learners are judged, and judge nobody', () => {
    assert.deepEqual(differing(judgeRows({ 1: 'a', 2: 'a', 3: 'a', 4: 'b' }, [1, 2, 3])), [4])
    const learners = { 1: 'a', 4: 'b', 5: 'b', 6: 'b' }
    assert.deepEqual(differing(judgeRows(learners, [1])), [4, 5, 6])
    const noMajority = judgeRows({ 1: 'a', 2: 'b', 4: 'b', 5: 'b' }, [1, 2])
    assert.deepEqual(differing(noMajority), [])
    assert.deepEqual(noMajority.undecided, [DB])
  })

  it('leave it open who is wrong where neither side is a majority', () => {
    const pair = judgeRows({ 1: 'a', 2: 'b' }, [1, 2])
    assert.deepEqual(pair, { isClean: false, agreed: [], differing: [], undecided: [DB] })
    assert.deepEqual(judgeRows({ 1: 'a', 2: 'b', 3: 'c' }, [1, 2, 3]).undecided, [DB])
    const even = judgeRows({ 1: 'a', 2: 'a', 3: 'b', 4: 'b' }, [1, 2, 3, 4])
    assert.deepEqual(even.undecided, [DB])
  })

  it('wait for a voter that may still answer, and not for one that is away', () => {
    const nothing = { isClean: false, agreed: [], differing: [], undecided: [] }
    assert.deepEqual(judgeRows({ 1: 'a', 2: 'b' }, [1, 2, 3]), nothing)
    assert.deepEqual(judgeRows({ 1: 'a', 2: 'b' }, [1, 2, 3], { away: [3] }).undecided, [DB])
    assert.deepEqual(differing(judgeRows({ 1: 'a', 2: 'b', 3: 'a' }, [1, 2, 3])), [2])
  })

  it('do not differ by being away, behind, or without a word', () => {
    const nothing = { isClean: false, agreed: [], differing: [], undecided: [] }
    assert.deepEqual(judgeRows({ 1: 'a' }, [1, 2, 3], { away: [2, 3] }), nothing)
    const silent = judgeRows({ 1: 'a', 2: null, 3: 'a' }, [1, 2, 3])
    assert.deepEqual(silent, { isClean: true, agreed: [DB], differing: [], undecided: [] })
    assert.deepEqual(judgeRows({ 1: 'a', 2: null }, [1, 2]), nothing)
    assert.deepEqual(judgeRows({ 1: 'a', 2: 'b', 3: null }, [1, 2, 3]).undecided, [DB])
  })

  it('need a majority of both halves of a joint configuration', () => {
    const rows = { 1: 'a', 2: 'a', 3: 'b', 4: 'b', 5: 'b' }
    const verdict = judgeRows(rows, [1, 2, 3], { votersOutgoing: [3, 4, 5] })
    assert.deepEqual(verdict, { isClean: false, agreed: [], differing: [], undecided: [DB] })
  })
})

describe('a doubt', () => {
  const rows = new Map([[1, new Map([[DB, 'a']])]])
  const raise = { agreed: [], undecided: [DB] }
  const settle = { agreed: [DB], undecided: [] }

  it('stays until a majority agrees, whoever falls silent meanwhile', () => {
    const doubts = new Doubts()
    doubts.judged({ kind: 'digest', index: 7, rows }, raise)
    assert.match(doubts.reason ?? '', /database 'main' at entry 7/)
    doubts.judged({ kind: 'digest', index: 8, rows }, { agreed: [], undecided: [] })
    assert.match(doubts.reason ?? '', /at entry 7/)
    doubts.judged({ kind: 'digest', index: 9, rows }, settle)
    assert.equal(doubts.reason, null)
  })

  it('about content is not settled by equal digests', () => {
    const doubts = new Doubts()
    doubts.judged({ kind: 'content', index: 7, rows }, raise)
    doubts.judged({ kind: 'digest', index: 8, rows }, settle)
    assert.match(doubts.reason ?? '', /and verify\(\) after it/)
    doubts.judged({ kind: 'content', index: 9, rows }, settle)
    assert.equal(doubts.reason, null)
  })

  it('ends with the database', () => {
    const doubts = new Doubts()
    doubts.judged({ kind: 'digest', index: 7, rows }, raise)
    const others = new Map([[1, new Map([['other@3', 'a']])]])
    doubts.judged({ kind: 'digest', index: 8, rows: others }, { agreed: [], undecided: [] })
    assert.equal(doubts.reason, null)
  })
})
