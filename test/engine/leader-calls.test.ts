/** What callers are told where the way to the leader breaks: one code, whatever broke it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ColmenaError, type ErrorCode, type Outcome } from '../../src/base/errors.ts'
import { forwardCall } from '../../src/engine/forward-requests.ts'
import { changeMember } from '../../src/engine/member-requests.ts'
import { answerRequest } from '../../src/engine/requests.ts'
import type { StatusParts } from '../../src/engine/status.ts'
import { tryStatements } from '../../src/engine/trial-requests.ts'

const OWN = 1
const LEADER = 2
const NO_BYTES = new Uint8Array()
const OF_THE_WAY: readonly ErrorCode[] = [
  'ERR_FAILED',
  'ERR_CLOSED',
  'ERR_HANDSHAKE',
  'ERR_ALREADY_OPEN',
  'ERR_OTHER_CLUSTER',
  'ERR_OTHER_EXTENSIONS',
]

type Told = (error: ColmenaError | null) => void

/** A node that does not lead, whose every call ends with `error`. */
function partsFor(error: ColmenaError): StatusParts {
  let nowMs = 0
  return {
    core: {
      raft: { role: 'follower', leader: LEADER, id: OWN },
      membership: { memberOfNode: () => ({ memberId: LEADER }) },
    },
    config: { requestTimeoutMs: 1_000 },
    // Whoever waits to ask again has waited for long enough.
    ports: {
      clock: {
        nowMs: () => nowMs,
        setTimer: (delayMs: number, callback: () => void) => {
          nowMs += 1_000 + delayMs
          callback()
        },
      },
    },
    transport: {
      call: (_to: number, _kind: number, _body: Uint8Array, _timeoutMs: number, done: Told) =>
        done(error),
    },
  } as never
}

const calls: readonly (readonly [what: string, call: (parts: StatusParts, told: Told) => void])[] =
  [
    [
      'a forwarded call',
      (parts, told) => forwardCall(parts, { bytes: NO_BYTES, timeoutMs: 1 }, told),
    ],
    [
      'a change of a member',
      (parts, told) => changeMember(parts, { change: 'promote', nodeId: 'node-2' }, told),
    ],
    [
      'a transfer',
      (parts, told) => answerRequest(parts, { method: 'transferLeadership', to: null }, told),
    ],
    [
      'a transaction that begins',
      (parts, told) => tryStatements(parts, { bytes: NO_BYTES, begins: true, base: null }, told),
    ],
  ]

function tell(call: (typeof calls)[number][1], code: ErrorCode, outcome: Outcome): ColmenaError {
  let told: ColmenaError | null = null
  const error = new ColmenaError(code, 'it broke off', { outcome })
  call(partsFor(error), (answer) => {
    told = answer
  })
  assert.ok(told !== null, 'it is answered')
  return told
}

suite('where the way to the leader breaks', () => {
  for (const [what, call] of calls) {
    for (const code of OF_THE_WAY) {
      test(`${what} that meets ${code} is told that there is no leader, and may try again`, () => {
        for (const outcome of ['not-applied', 'unknown'] as const) {
          const error = tell(call, code, outcome)
          assert.equal(error.code, 'ERR_NO_LEADER')
          assert.equal(error.retryable, true)
          assert.match(error.message, /it broke off/)
          // No step of a transaction ever applies anything.
          const applied = what.includes('transaction') ? 'not-applied' : outcome
          assert.equal(error.outcome, applied)
        }
      })
    }

    test(`${what} hears what the leader says as it is`, () => {
      const error = tell(call, 'ERR_BUSY', 'not-applied')
      assert.equal(error.code, 'ERR_BUSY')
      assert.equal(error.outcome, 'not-applied')
    })
  }

  test('a transaction that goes on is over, as its leader is', () => {
    const step = { bytes: NO_BYTES, begins: false, base: null }
    for (const code of OF_THE_WAY) {
      const error = tell((parts, told) => tryStatements(parts, step, told), code, 'unknown')
      assert.equal(error.code, 'ERR_TX_ABORTED')
    }
  })
})
