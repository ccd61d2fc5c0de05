/** The judge of jobs must be able to find against those who run them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeHistory, judgeRuns, type Turn } from './job-judge.ts'

/** A history out of words as `a running 2`: a job, what it becomes, and at which time. */
function history(...words: readonly string[]): Turn[] {
  const last = new Map<string, Turn>()
  return words.map((word, at) => {
    const [job = '', state = '', startedAt = '0'] = word.split(' ')
    const before = last.get(job)
    const attempt = (before?.attempt ?? 0) + (state === 'running' ? 1 : 0)
    const was = before?.state ?? null
    const rest = { type: 'work', lane: 'lane', key: null, startedAt: Number(startedAt) }
    const turn = { seq: at + 1, job, attempt, was, state, ...rest }
    last.set(job, turn)
    return turn
  })
}

const A = ['a pending', 'a running', 'a pending', 'a running', 'a succeeded']

test('a history of jobs that kept all rules is found good, and counted', () => {
  const figures = judgeHistory(history(...A, 'b pending', 'b running', 'b succeeded'), {
    concurrency: { work: 1 },
    keyConcurrency: { work: 1 },
  })
  assert.deepEqual(figures, {
    made: 2,
    attempts: 3,
    succeeded: 2,
    most: { work: 1 },
    mostOfKey: { work: 1 },
  })
})

test('a history finds what ran twice, out of turn, or again after its end', () => {
  const twice = history('a pending', 'a running', 'a running')
  assert.throws(() => judgeHistory(twice), /running to running/)
  assert.throws(() => judgeHistory(history(...A, 'a succeeded')), /succeeded to succeeded/)
  assert.throws(() => judgeHistory(history(...A, 'a pending')), /succeeded to pending/)
  assert.throws(() => judgeHistory(history('a pending', 'a succeeded')), /pending to succeeded/)
  const [made, claimed] = history('a pending', 'a running') as [Turn, Turn]
  assert.throws(() => judgeHistory([made, { ...claimed, attempt: 2 }]), /attempt 2/)
  assert.throws(() => judgeHistory([made, { ...claimed, was: 'waiting' }]), /what it was/)
})

test('a history finds more at a time, in a window, or of a unique key, than may be', () => {
  const both = history('a pending', 'b pending', 'a running 5', 'b running 14')
  judgeHistory(both, { concurrency: { work: 2 }, rate: { work: { max: 1, perMs: 9 } } })
  assert.throws(() => judgeHistory(both, { concurrency: { work: 1 } }), /2 of work run at a time/)
  assert.throws(() => judgeHistory(both, { keyConcurrency: { work: 1 } }), /2 of work lane run/)
  const rate = { work: { max: 1, perMs: 10 } }
  assert.throws(() => judgeHistory(both, { rate }), /2 of 'work' began in 9 ms, at most 1/)
  const keyed = (words: readonly string[]): Turn[] =>
    history(...words).map((turn) => ({ ...turn, key: 'key' }))
  assert.equal(judgeHistory(keyed([...A, 'b pending'])).made, 2)
  assert.throws(() => judgeHistory(keyed(['a pending', 'b pending'])), /a has key key as well/)
})

test('handlers that ran at one time are found', () => {
  const run = { type: 'work', lane: null }
  const runs = [
    { ...run, fromMs: 1, toMs: 3 },
    { ...run, fromMs: 3, toMs: 5 },
  ]
  judgeRuns(runs, { concurrency: { work: 1 } })
  const more = [...runs, { ...run, fromMs: 4, toMs: 4 }]
  assert.throws(() => judgeRuns(more, { concurrency: { work: 1 } }), /2 of work run at a time/)
})
