/** The way of a joiner into a cluster, by what those that it asks say of its leader. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { JoinDeadline } from '../../src/engine/join-deadline.ts'
import { Joining } from '../../src/engine/joining.ts'
import { encodeLeaderAnswer, type LeaderAnswer } from '../../src/engine/wire.ts'
import type { Reply, Transport } from '../../src/transport/transport.ts'

const RECORD = { memberId: 1, nodeId: 'a', address: 'own:1', wantedRole: 'learner' } as const
const NOBODY: LeaderAnswer = { kind: 'elsewhere', address: '' }

/** Whom it asks, in turn, until it is in or out of time; and what came of it. */
function join(answers: (address: string) => LeaderAnswer): [asked: string[], code: string] {
  const asked: string[] = []
  let nowMs = 0
  const clock = {
    nowMs: (): number => nowMs,
    wallMs: (): number => 0,
    setTimer: (delayMs: number, callback: () => void): (() => void) => {
      nowMs += delayMs
      callback()
      return () => {}
    },
  }
  const call = (to: string, _k: number, _b: Uint8Array, _t: number, done: Reply): void => {
    asked.push(to)
    done(null, encodeLeaderAnswer(answers(to)))
  }
  const joining = new Joining({
    transport: { call } as Partial<Transport> as Transport,
    clock,
    deadline: new JoinDeadline({ clock, joinTimeoutMs: 1_000, warning: () => {} }),
    addresses: () => ['first:1', 'second:2', 'third:3'],
  })
  let code = 'never'
  joining.join(RECORD, null, '', (error) => {
    code = error?.code ?? 'done'
  })
  return [asked, code]
}

it('a joiner asks on where one knows of no leader, such as another joiner', () => {
  const [asked, code] = join((to) => (to === 'third:3' ? { kind: 'done' } : NOBODY))
  assert.deepEqual([asked, code], [['first:1', 'second:2', 'third:3'], 'done'])
})

it('a joiner goes where it is sent to', () => {
  const sent: LeaderAnswer = { kind: 'elsewhere', address: 'leader:4' }
  const [asked, code] = join((to) => (to === 'leader:4' ? { kind: 'done' } : sent))
  assert.deepEqual([asked, code], [['first:1', 'leader:4'], 'done'])
})

it('a joiner that nobody leads to a leader gives up in time, having asked them all again', () => {
  const [asked, code] = join(() => NOBODY)
  assert.equal(code, 'ERR_JOIN_FAILED')
  assert.ok(asked.length > 3)
  assert.deepEqual(new Set(asked), new Set(['first:1', 'second:2', 'third:3']))
})
