import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeHashContent } from '../../src/command/command.ts'
import { Agreement, type AgreementOptions } from '../../src/engine/agreement.ts'
import type { HashQuestion, HashResult } from '../../src/engine/comparing-wire.ts'
import { type Verified, Verifying } from '../../src/engine/verifying.ts'
import { Timeline } from '../simulated/timeline.ts'

const HELD = new Map([['main@2', 'hash']])

function run(timeline: Timeline, durationMs: number): void {
  let isOver = false
  timeline.plan(durationMs, () => {
    isOver = true
  })
  while (!isOver) timeline.step()
}

/** Member 1 asks members 2 and 3. */
function createRig() {
  const timeline = new Timeline()
  const expected: string[] = []
  const proposed: string[] = []
  const answers = new Map<number, Error | HashResult>()
  const questions: HashQuestion[] = []
  let verified: Verified | null = null
  const verifying = new Verifying({
    raft: { id: 1 },
    applier: { expectHash: (key) => expected.push(key) },
    clock: {
      nowMs: () => timeline.nowMs,
      wallMs: () => 0,
      setTimer: (delayMs, fire) => timeline.plan(delayMs, fire),
    },
    random: { u32: () => 7 },
    members: () => [2, 3],
    ask: (to, question, done) => {
      questions.push(question)
      const answer = question.kind === 'expect' ? null : (answers.get(to) ?? null)
      timeline.plan(1, () => (answer instanceof Error ? done(answer, null) : done(null, answer)))
    },
    propose: (bytes) => proposed.push(decodeHashContent(bytes)),
    proposeAgainMs: 1_000,
  })
  const start = (): boolean => verifying.start(60_000, (found) => (verified = found))
  const hashed = (index: number): void => {
    verifying.hashed({ key: expected[0] ?? '', index, hashes: HELD, error: null })
  }
  return {
    verifying,
    timeline,
    expected,
    proposed,
    answers,
    start,
    hashed,
    verified: () => verified,
  }
}

describe('a hash of all content', () => {
  it('is asked for by an entry, after all members expect it', () => {
    const { timeline, expected, proposed, answers, start, hashed, verified } = createRig()
    assert.equal(start(), true)
    assert.equal(start(), false)
    assert.equal(expected.length, 1)
    assert.deepEqual(proposed, [])
    run(timeline, 500)
    assert.deepEqual(proposed, expected)
    hashed(9)
    answers.set(2, { index: 9, held: HELD, error: '' })
    run(timeline, 500)
    assert.equal(verified(), null)
    answers.set(3, { index: 8, held: HELD, error: '' })
    run(timeline, 500)
    assert.deepEqual(verified()?.table.rows, new Map([1, 2].map((id) => [id, HELD])))
    assert.match(verified()?.errors.get(3) ?? '', /another index/)
  })

  it('goes without a member that is silent, or has no answer in time', () => {
    const { timeline, answers, start, hashed, verified } = createRig()
    start()
    run(timeline, 500)
    hashed(9)
    answers.set(2, new Error('no way there'))
    run(timeline, 59_000)
    assert.equal(verified(), null)
    run(timeline, 2_000)
    assert.deepEqual([...(verified()?.table.rows.keys() ?? [])], [1])
    assert.match(verified()?.errors.get(2) ?? '', /no way there/)
    assert.match(verified()?.errors.get(3) ?? '', /did not answer in time/)
  })

  it('is expected once, however often that is asked', () => {
    const { verifying, expected } = createRig()
    const question: HashQuestion = { kind: 'expect', key: 'a'.repeat(32) }
    assert.deepEqual(verifying.asked(question), { isKnown: true, result: null })
    verifying.hashed({ key: question.key, index: 4, hashes: HELD, error: null })
    const result = { index: 4, held: HELD, error: '' }
    assert.deepEqual(verifying.asked(question), { isKnown: true, result })
    assert.equal(expected.length, 1)
    const other: HashQuestion = { kind: 'result', key: 'b'.repeat(32) }
    assert.deepEqual(verifying.asked(other), { isKnown: false, result: null })
  })
})

describe('the end of a mix of engines', () => {
  it('makes the leader compare all content', () => {
    for (const role of ['leader', 'follower'] as const) {
      const expected: string[] = []
      const mix = { isMixed: false }
      const agreement = new Agreement({
        raft: { id: 1, role, leader: 2 },
        mix,
        membership: { records: () => [], confState: { voters: [1], votersOutgoing: [] } },
        config: { heartbeatMs: 100, electionTimeoutMs: 1_000 },
        ports: {
          clock: { nowMs: () => 0, setTimer: () => () => {} },
          random: { u32: () => 7 },
          shared: { applied: () => 0 },
          toUser: () => {},
        },
        applier: { expectHash: (key: string) => expected.push(key), digests: () => {} },
        transport: { peers: () => [] },
        propose: () => {},
      } as unknown as AgreementOptions)
      agreement.tick()
      mix.isMixed = true
      agreement.tick()
      assert.deepEqual(expected, [])
      mix.isMixed = false
      agreement.tick()
      agreement.tick()
      assert.equal(expected.length, role === 'leader' ? 1 : 0)
    }
  })
})
