/** Calls for the leader's user, as engines carry them: sent once, answered once, and bounded. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ColmenaError } from '../../src/base/errors.ts'
import type { EngineToUser } from '../../src/engine/engine.ts'
import { forwardCall } from '../../src/engine/forward-requests.ts'
import { Handling } from '../../src/engine/handling.ts'
import type { StatusParts } from '../../src/engine/status.ts'

const OWN = 1
const OTHER = 2
const REQUEST = { bytes: new Uint8Array([1]), timeoutMs: 1_000 }

type Answer = readonly [error: ColmenaError | null, bytes: Uint8Array | null]

/** A node whose calls to others end as the test says. */
class Rig {
  readonly told: Extract<EngineToUser, { kind: 'handle' }>[] = []
  readonly answers: Answer[] = []
  readonly raft: { role: string; leader: number; id: number } = {
    role: 'leader',
    leader: OWN,
    id: OWN,
  }
  readonly handling: Handling = new Handling({
    raft: this.raft as never,
    own: 'node-1',
    nodeId: (id) => `node-${id}`,
    toUser: (message) => {
      if (message.kind === 'handle') this.told.push(message)
    },
  })
  callEnds: (done: (error: ColmenaError | null, bytes?: Uint8Array) => void) => void = () => {}
  sent = 0

  get parts(): StatusParts {
    const { raft, handling } = this
    return {
      core: { raft, handling },
      transport: {
        call: (...args: unknown[]) => {
          this.sent += 1
          this.callEnds(args[4] as never)
        },
      },
    } as never
  }

  readonly answer = (error: ColmenaError | null, bytes: Uint8Array | null): void => {
    this.answers.push([error, bytes])
  }

  hand(bytes: Uint8Array): void {
    this.handling.hand(OTHER, bytes, this.answer)
  }
}

suite('the leader', () => {
  test('hands a call to its user, who answers once', () => {
    const rig = new Rig()
    const socket = new Uint8Array(1_000)
    rig.hand(socket.subarray(3, 5))
    const [told] = rig.told
    assert.deepEqual([told?.from, told?.leader, told?.bytes.length], ['node-2', 'node-1', 2])
    assert.equal(told?.bytes.buffer.byteLength, 2, 'nothing else of the socket goes along')
    rig.handling.handled(told?.id ?? 0, new Uint8Array([7]), null)
    rig.handling.handled(told?.id ?? 0, new Uint8Array([8]), null)
    rig.handling.handled(99, new Uint8Array([9]), null)
    assert.deepEqual(rig.answers, [[null, new Uint8Array([7])]])
  })

  test('gives on why its user ran nothing', () => {
    const rig = new Rig()
    forwardCall(rig.parts, REQUEST, rig.answer)
    const details = { retryable: true, outcome: 'not-applied' } as const
    rig.handling.handled(1, null, { code: 'ERR_NO_HANDLER', message: 'none', ...details })
    const [[error] = []] = rig.answers
    assert.deepEqual(
      { code: error?.code, retryable: error?.retryable },
      {
        code: 'ERR_NO_HANDLER',
        retryable: true,
      },
    )
  })

  test('takes no more calls, and no more bytes, than its user may have to answer', () => {
    const many = new Rig()
    for (let i = 0; i < 1_025; i += 1) many.hand(new Uint8Array(1))
    assert.equal(many.told.length, 1_024)
    assert.equal(many.answers[0]?.[0]?.code, 'ERR_BUSY')
    many.handling.handled(1, new Uint8Array(), null)
    many.hand(new Uint8Array(1))
    assert.equal(many.told.length, 1_025)

    const large = new Rig()
    for (let i = 0; i < 17; i += 1) large.hand(new Uint8Array(4 * 1024 * 1024))
    assert.equal(large.told.length, 16)
    assert.equal(large.answers[0]?.[0]?.code, 'ERR_BUSY')
    assert.equal(large.answers[0]?.[0]?.outcome, 'not-applied')
    large.handling.handled(1, new Uint8Array(), null)
    large.hand(new Uint8Array(4 * 1024 * 1024))
    assert.equal(large.told.length, 17)
  })

  test('that leads no more runs nothing', () => {
    const rig = new Rig()
    rig.raft.role = 'follower'
    rig.hand(new Uint8Array(1))
    assert.equal(rig.told.length, 0)
    const [[error] = []] = rig.answers
    assert.deepEqual([error?.code, error?.outcome], ['ERR_NO_LEADER', 'not-applied'])
  })
})

suite('a call to another node', () => {
  const lost = new ColmenaError('ERR_FAILED', 'lost', { retryable: true, outcome: 'unknown' })
  const late = new ColmenaError('ERR_TIMEOUT', 'late', { retryable: true, outcome: 'unknown' })
  for (const [what, error, code, outcome] of [
    [
      'that never left',
      new ColmenaError('ERR_FAILED', 'unreachable'),
      'ERR_NO_LEADER',
      'not-applied',
    ],
    ['whose connection was lost', lost, 'ERR_NO_LEADER', 'unknown'],
    ['that is late', late, 'ERR_TIMEOUT', 'unknown'],
    [
      'that the leader refused',
      new ColmenaError('ERR_NO_HANDLER', 'none'),
      'ERR_NO_HANDLER',
      'not-applied',
    ],
    [
      'that it does not know',
      new ColmenaError('ERR_UNSUPPORTED_FORMAT', 'unknown call 10'),
      'ERR_UNSUPPORTED_FORMAT',
      'not-applied',
    ],
  ] as const) {
    test(`${what} is sent once, and says what is known`, () => {
      const rig = new Rig()
      Object.assign(rig.raft, { role: 'follower', leader: OTHER })
      rig.callEnds = (done) => done(error)
      forwardCall(rig.parts, REQUEST, rig.answer)
      assert.equal(rig.sent, 1)
      const [[answer] = []] = rig.answers
      assert.deepEqual([answer?.code, answer?.outcome], [code, outcome])
    })
  }

  test('is not sent where there is no leader', () => {
    const rig = new Rig()
    Object.assign(rig.raft, { role: 'follower', leader: 0 })
    forwardCall(rig.parts, REQUEST, rig.answer)
    assert.equal(rig.sent, 0)
    assert.equal(rig.answers[0]?.[0]?.code, 'ERR_NO_LEADER')
  })

  test('brings its answer', () => {
    const rig = new Rig()
    Object.assign(rig.raft, { role: 'follower', leader: OTHER })
    rig.callEnds = (done) => done(null, new Uint8Array([5]))
    forwardCall(rig.parts, REQUEST, rig.answer)
    assert.deepEqual(rig.answers, [[null, new Uint8Array([5])]])
  })
})
