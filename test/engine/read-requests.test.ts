import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ErrorMessage } from '../../src/engine/protocol.ts'
import { ReadRequests } from '../../src/engine/read-requests.ts'
import { decodeNumbers, encodeNumbers, FRAMES } from '../../src/engine/wire.ts'
import type { Raft } from '../../src/raft/raft.ts'

interface Answer {
  readonly id: number
  readonly index: number
  readonly error: ErrorMessage | null
}

class Fixture {
  readonly answers: Answer[] = []
  readonly sent: { to: number; kind: number; numbers: number[] }[] = []
  readonly contexts: Uint8Array[] = []
  readonly core = {
    role: 'follower' as Raft['role'],
    leader: 2,
    term: 5,
    commit: 100,
    committedInOwnTerm: true,
    readIndex: (context: Uint8Array) => {
      this.contexts.push(context)
      return 'ok' as const
    },
  }
  atMs = 0
  readonly reads: ReadRequests

  constructor() {
    this.reads = new ReadRequests({
      raft: this.core as unknown as Raft,
      clock: { nowMs: () => this.atMs, wallMs: () => 0, setTimer: () => () => {} },
      random: { u32: () => 7 },
      electionTimeoutMs: 1_000,
      leaderWaitMs: 2_000,
      askAgainMs: 500,
      requestTimeoutMs: 10_000,
      sendControl: (to, kind, body) => {
        const count = body.length / 8
        this.sent.push({ to, kind, numbers: decodeNumbers(body, count) })
        return true
      },
      answer: (id, index, error) => this.answers.push({ id, index, error }),
    })
  }

  /** The leader answers the question that was sent last. */
  reply(term: number, commit: number): void {
    const number = this.sent.at(-1)?.numbers[0] as number
    this.reads.queryAnswered(2, encodeNumbers(number, term, commit))
  }
}

describe('read requests', () => {
  it('asks the leader for its commit index', () => {
    const fixture = new Fixture()
    fixture.reads.add(1, 'weak')
    fixture.reply(5, 120)
    assert.deepEqual(fixture.answers, [{ id: 1, index: 120, error: null }])
  })

  it('takes no answer of another term, another member or an older question', () => {
    const fixture = new Fixture()
    fixture.reads.add(1, 'weak')
    fixture.reply(4, 120)
    const number = fixture.sent[0]?.numbers[0] as number
    fixture.reads.queryAnswered(3, encodeNumbers(number, 5, 120))
    fixture.reads.leaderChanged()
    fixture.reads.queryAnswered(2, encodeNumbers(number, 5, 120))
    assert.deepEqual(fixture.answers, [])
    fixture.reply(5, 130)
    assert.equal((fixture.answers as Answer[]).at(0)?.index, 130)
  })

  it('answers nobody before the leader committed in its own term', () => {
    const fixture = new Fixture()
    Object.assign(fixture.core, { role: 'leader', leader: 1, committedInOwnTerm: false })
    fixture.reads.add(1, 'weak')
    fixture.reads.query(3, encodeNumbers(77))
    assert.deepEqual([fixture.answers, fixture.sent], [[], []])
    Object.assign(fixture.core, { committedInOwnTerm: true, commit: 101 })
    fixture.reads.answerQueries()
    assert.deepEqual(fixture.answers, [{ id: 1, index: 101, error: null }])
    assert.deepEqual(fixture.sent, [{ to: 3, kind: FRAMES.commitAnswer, numbers: [77, 5, 101] }])
  })

  it('forgets questions that came while it led, once it does not', () => {
    const fixture = new Fixture()
    Object.assign(fixture.core, { role: 'leader', leader: 1, committedInOwnTerm: false })
    fixture.reads.query(3, encodeNumbers(77))
    Object.assign(fixture.core, { role: 'follower', leader: 2, committedInOwnTerm: true })
    fixture.reads.answerQueries()
    Object.assign(fixture.core, { role: 'leader', leader: 1 })
    fixture.reads.answerQueries()
    assert.deepEqual(fixture.sent, [])
  })

  it('asks again under a new number when an answer stays away', () => {
    const fixture = new Fixture()
    fixture.reads.add(1, 'strong')
    fixture.atMs = 600
    fixture.reads.tick()
    assert.equal(fixture.contexts.length, 2)
    assert.notDeepEqual(fixture.contexts[0], fixture.contexts[1])
    fixture.reads.readStates([{ index: 140, context: fixture.contexts[1] as Uint8Array }])
    assert.deepEqual(fixture.answers, [{ id: 1, index: 140, error: null }])
  })

  it('asks a quorum first when a leader slept: it may have been deposed meanwhile', () => {
    const fixture = new Fixture()
    Object.assign(fixture.core, { role: 'leader', leader: 1 })
    fixture.atMs = 500
    fixture.reads.add(1, 'weak')
    assert.equal(fixture.answers.length, 1)
    fixture.atMs = 5_500
    fixture.reads.add(2, 'weak')
    fixture.reads.query(3, encodeNumbers(77))
    fixture.reads.answerQueries()
    assert.equal(fixture.reads.isDoubtful, true)
    assert.deepEqual([fixture.answers.length, fixture.sent.length], [1, 0])
    fixture.reads.readStates([{ index: 100, context: fixture.contexts.at(-1) as Uint8Array }])
    fixture.reads.answerQueries()
    assert.equal(fixture.reads.isDoubtful, false)
    assert.deepEqual([fixture.answers.length, fixture.sent.length], [2, 1])
  })

  it('takes no confirmation from before the sleep', () => {
    const fixture = new Fixture()
    Object.assign(fixture.core, { role: 'leader', leader: 1 })
    fixture.reads.add(1, 'strong')
    fixture.atMs = 5_500
    fixture.reads.wake()
    fixture.reads.readStates([{ index: 100, context: fixture.contexts[0] as Uint8Array }])
    assert.equal(fixture.reads.isDoubtful, true)
    assert.deepEqual(fixture.answers, [])
  })

  it('ends a read that finds no leader with a retryable error', () => {
    const fixture = new Fixture()
    fixture.core.leader = 0
    fixture.reads.add(1, 'weak')
    fixture.atMs = 1_900
    fixture.reads.tick()
    assert.deepEqual(fixture.answers, [])
    fixture.atMs = 2_100
    fixture.reads.tick()
    const answer = (fixture.answers as Answer[]).at(0)
    assert.equal(answer?.error?.code, 'ERR_NO_LEADER')
    assert.equal(answer?.error?.retryable, true)
  })

  it('gives a read that comes late in an election its own time to wait', () => {
    const fixture = new Fixture()
    fixture.core.leader = 0
    fixture.reads.tick()
    fixture.atMs = 5_000
    fixture.reads.add(1, 'weak')
    fixture.reads.tick()
    assert.deepEqual(fixture.answers, [])
  })
})
