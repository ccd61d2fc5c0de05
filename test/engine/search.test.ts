/** A node that has no cluster: when it may begin one, by what it hears where others may be. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ColmenaError, type ErrorCode } from '../../src/base/errors.ts'
import { Forming, type Seeker } from '../../src/engine/forming.ts'
import { JoinDeadline } from '../../src/engine/join-deadline.ts'
import { Search } from '../../src/engine/search.ts'
import {
  decodeMeetAnswer,
  encodeMeetAnswer,
  encodeSeeker,
  type MeetAnswer,
} from '../../src/engine/wire.ts'
import type { Reply, Transport } from '../../src/transport/transport.ts'

const WINDOW_MS = 300
const PAUSE_MS = 50
const MEMBER: MeetAnswer = {
  kind: 'member',
  clusterId: new Uint8Array(16).fill(7),
  memberId: 9,
  leaderAddress: '',
}

/** One node that looks for a cluster, alone with what a test has others say. */
class Rig {
  /** null while nobody has said where they are. */
  addresses: readonly string[] | null
  /** What each address answers; one that is not here keeps silent. */
  readonly answers: Map<string, MeetAnswer | ErrorCode>
  /** Questions without an answer yet, by address. */
  readonly open = new Map<string, Reply>()
  outcome = 'none'
  readonly search: Search
  #nowMs = 0
  #timers: { readonly atMs: number; readonly run: () => void }[] = []

  constructor(
    addresses: readonly string[] | null,
    answers: Readonly<Record<string, ErrorCode>> = {},
    expectedVoters = 1,
  ) {
    this.addresses = addresses
    this.answers = new Map(Object.entries(answers))
    const clock = {
      nowMs: () => this.#nowMs,
      wallMs: () => 0,
      setTimer: (delayMs: number, run: () => void) => {
        const timer = { atMs: this.#nowMs + delayMs, run }
        this.#timers.push(timer)
        return () => {
          this.#timers = this.#timers.filter((one) => one !== timer)
        }
      },
    }
    const own = { memberId: 1, nodeId: 'own' }
    const shared = { clock, ...own, expectedVoters, windowMs: WINDOW_MS }
    this.search = new Search(
      {
        transport: { call: this.#call } as Partial<Transport> as Transport,
        clock,
        deadline: new JoinDeadline({ clock, joinTimeoutMs: 60_000, warning: () => {} }),
        addresses: () => this.addresses ?? [],
        isTold: () => this.addresses !== null,
        ownAddress: 'own:1',
        own,
        forming: new Forming(shared),
        pauseMs: PAUSE_MS,
        warning: () => {},
      },
      (error, found) => {
        this.outcome = error?.code ?? (found === null ? 'begins' : 'joins')
      },
    )
  }

  run(forMs: number): string {
    const untilMs = this.#nowMs + forMs
    for (;;) {
      const [next] = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort(byTime)
      if (next === undefined) break
      this.#nowMs = next.atMs
      this.#timers = this.#timers.filter((one) => one !== next)
      next.run()
    }
    this.#nowMs = untilMs
    return this.outcome
  }

  /** Answers what was asked at that address and is still open. */
  answer(address: string, answer: MeetAnswer | ErrorCode): void {
    const reply = this.open.get(address)
    assert.ok(reply !== undefined, `${address} was asked`)
    this.open.delete(address)
    if (typeof answer === 'string') reply(new ColmenaError(answer, 'as the test says'))
    else reply(null, encodeMeetAnswer(answer))
  }

  /** What this node answers to another that has no cluster either. */
  asked(seeker: Seeker): MeetAnswer {
    let answer: MeetAnswer | null = null
    this.search.answer(encodeSeeker(seeker), (_error, bytes) => {
      answer = decodeMeetAnswer(bytes as Uint8Array)
    })
    return answer as unknown as MeetAnswer
  }

  readonly #call = (to: string, _kind: number, _body: unknown, _ms: number, done: Reply): void => {
    this.open.set(to, done)
    const answer = this.answers.get(to)
    if (answer !== undefined) this.answer(to, answer)
  }
}

function byTime(one: { readonly atMs: number }, other: { readonly atMs: number }): number {
  return one.atMs - other.atMs
}

describe('a node that is expected alone', () => {
  it('begins where nobody is', () => {
    assert.equal(new Rig([]).run(WINDOW_MS + 3 * PAUSE_MS), 'begins')
    const refused = new Rig(['own:1', 'a:1'], { 'a:1': 'ERR_FAILED' })
    assert.equal(refused.run(WINDOW_MS + 4 * PAUSE_MS), 'begins')
  })

  it('begins nothing while it is not known where others may be', () => {
    const rig = new Rig(null)
    assert.equal(rig.run(20_000), 'none')
    rig.addresses = ['a:1']
    rig.answers.set('a:1', MEMBER)
    assert.equal(rig.run(2 * PAUSE_MS), 'joins')

    const late = new Rig(null)
    late.run(20_000)
    late.addresses = []
    assert.equal(late.run(WINDOW_MS - PAUSE_MS), 'none', 'it looks around from then on')
    assert.equal(late.run(5 * PAUSE_MS), 'begins')
  })

  it('waits for the answer of each that was found, however small its window', () => {
    const rig = new Rig(['a:1', 'b:1'], { 'a:1': 'ERR_FAILED' })
    assert.equal(rig.run(1_900), 'none')
    rig.answer('b:1', MEMBER)
    assert.equal(rig.outcome, 'joins')

    const silent = new Rig(['b:1'])
    silent.run(2_000)
    silent.answer('b:1', 'ERR_TIMEOUT')
    assert.equal(silent.run(5 * PAUSE_MS), 'begins', 'nobody is there')
  })

  it('waits for one that is found at the last moment', () => {
    const rig = new Rig([])
    rig.run(WINDOW_MS + PAUSE_MS)
    rig.addresses = ['a:1']
    assert.equal(rig.run(1_000), 'none')
    rig.answer('a:1', MEMBER)
    assert.equal(rig.outcome, 'joins')
  })

  it('begins nothing where one refuses it, who may well have a cluster', () => {
    for (const code of ['ERR_BUSY', 'ERR_UNSUPPORTED_FORMAT'] as const) {
      const rig = new Rig(['a:1'], { 'a:1': code })
      assert.equal(rig.run(30_000), 'none', code)
      rig.answers.set('a:1', MEMBER)
      assert.equal(rig.run(2 * PAUSE_MS), 'joins', code)
    }
    const stranger = new Rig(['a:1'], { 'a:1': 'ERR_HANDSHAKE' })
    assert.equal(stranger.run(2 * WINDOW_MS), 'begins', 'whoever has not the secret is nobody')
  })
})

describe('a node that looks for a cluster', () => {
  const asking: Seeker = { memberId: 2, nodeId: 'b', stance: 'asking' }
  const seeker = (stance: Seeker['stance'], agrees: boolean): MeetAnswer => {
    return { kind: 'seeker', seeker: { memberId: 1, nodeId: 'own', stance }, agrees }
  }

  it('gives its word to one that asks, and to nobody once it has found a cluster', () => {
    const rig = new Rig([], {}, 3)
    rig.run(WINDOW_MS)
    assert.deepEqual(rig.asked(asking), seeker('looking', true))
    rig.run(2 * WINDOW_MS)
    rig.addresses = ['a:1']
    rig.answers.set('a:1', MEMBER)
    assert.equal(rig.run(2 * PAUSE_MS), 'joins')
    assert.deepEqual(rig.asked(asking), seeker('joining', false))
  })
})
