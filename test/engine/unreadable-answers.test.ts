/** A member of another build may answer with what nobody can read: whoever asked hears of it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ColmenaError } from '../../src/base/errors.ts'
import { JoinDeadline } from '../../src/engine/join-deadline.ts'
import { Joining } from '../../src/engine/joining.ts'
import { changeMember } from '../../src/engine/member-requests.ts'
import { RemovalWatch } from '../../src/engine/removal-watch.ts'
import { answerRequest } from '../../src/engine/requests.ts'
import { Search } from '../../src/engine/search.ts'
import type { StatusParts } from '../../src/engine/status.ts'
import { encodeLeaderAnswer, encodeMeetAnswer } from '../../src/engine/wire.ts'
import type { Reply, Transport } from '../../src/transport/transport.ts'

const UNREADABLE = new Uint8Array([9, 9, 9])
const CLUSTER = encodeMeetAnswer({
  kind: 'member',
  clusterId: new Uint8Array(16).fill(7),
  memberId: 2,
  leaderAddress: '',
})
const RECORD = { memberId: 1, nodeId: 'a', address: 'b:1', wantedRole: 'voter' } as const

/** Waiting takes no time but its own. */
class SteppedClock {
  #nowMs = 0
  nowMs = (): number => this.#nowMs
  wallMs = (): number => 0
  setTimer = (delayMs: number, callback: () => void): (() => void) => {
    this.#nowMs += delayMs
    callback()
    return () => {}
  }
}

/** `answers` by what is asked. */
function transportOf(answers: (to: string | number) => Uint8Array): Transport {
  const call = (to: string | number, _k: number, _b: Uint8Array, _t: number, done: Reply): void =>
    done(null, answers(to))
  return { call } as Partial<Transport> as Transport
}

function optionsOf(answers: (to: string | number) => Uint8Array, warnings: string[] = []) {
  const clock = new SteppedClock()
  const warning = (_code: string, message: string): unknown => warnings.push(message)
  return {
    transport: transportOf(answers),
    clock,
    deadline: new JoinDeadline({ clock, joinTimeoutMs: 1_000, warning }),
    addresses: () => ['first:1', 'second:2'],
    warning,
  }
}

function search(
  answers: (to: string | number) => Uint8Array,
  warnings: string[],
  done: (error: ColmenaError | null, clusterId: Uint8Array | undefined) => void,
): void {
  const own = { memberId: 1, nodeId: 'a' }
  const rest = { isTold: () => true, ownAddress: 'b:1', own, forming: null, pauseMs: 100 }
  const options = { ...optionsOf(answers, warnings), ...rest }
  new Search(options, (error, found) => done(error, found?.clusterId))
}

function joining(answers: (to: string | number) => Uint8Array): Joining {
  return new Joining(optionsOf(answers))
}

function partsOf(answer: Uint8Array): StatusParts {
  return {
    core: {
      raft: { role: 'follower', leader: 2, id: 1 },
      membership: { memberOfNode: () => ({ memberId: 2 }) },
    },
    config: { requestTimeoutMs: 1_000 },
    ports: { clock: new SteppedClock() },
    transport: transportOf(() => answer),
  } as never
}

describe('an answer that can not be read', () => {
  it('is one more address that a joiner failed at', () => {
    const warnings: string[] = []
    const found: unknown[] = []
    const first = (to: string | number): Uint8Array => (to === 'first:1' ? UNREADABLE : CLUSTER)
    search(first, warnings, (error, clusterId) => found.push(error, clusterId?.[0]))
    assert.deepEqual(found, [null, 7])
    assert.match(String(warnings), /through first:1: its answer can't be read: unknown answer 9/)
    const done = encodeLeaderAnswer({ kind: 'done' })
    const taken: unknown[] = []
    joining((to) => (to === 'first:1' ? UNREADABLE : done)).join(RECORD, null, '', (error) =>
      taken.push(error),
    )
    assert.deepEqual(taken, [null])
  })

  it('ends a join where there is no other, with the addresses', () => {
    const errors: (ColmenaError | null)[] = []
    search(
      () => UNREADABLE,
      [],
      (error) => errors.push(error),
    )
    joining(() => UNREADABLE).join(RECORD, null, '', (error) => errors.push(error))
    for (const error of errors) {
      assert.equal(error?.code, 'ERR_JOIN_FAILED')
      assert.match(error.message, /first:1: its answer can't be read: .*; second:2: its answer/)
    }
    assert.equal(errors.length, 2)
  })

  it('is told to who changes a member, or hands leadership over', () => {
    const errors: (ColmenaError | null)[] = []
    const parts = partsOf(UNREADABLE)
    changeMember(parts, { change: 'promote', nodeId: 'node-2' }, (error) => errors.push(error))
    answerRequest(parts, { method: 'transferLeadership', to: null } as never, (error) =>
      errors.push(error),
    )
    assert.deepEqual(
      errors.map((error) => [error?.code, error?.outcome, error?.retryable]),
      [
        ['ERR_FAILED', 'unknown', true],
        ['ERR_FAILED', 'unknown', true],
      ],
    )
  })

  it('tells nobody that it was removed', () => {
    const asked: unknown[] = []
    const clock = { atMs: 0 }
    const watch = new RemovalWatch({
      raft: { id: 1, leader: 0, applied: 0 } as never,
      membership: { record: () => ({}), records: () => [{ memberId: 2 }] } as never,
      clock: { nowMs: () => clock.atMs, wallMs: () => 0, setTimer: () => () => {} },
      transport: transportOf((to) => {
        asked.push(to)
        return UNREADABLE
      }),
      electionTimeoutMs: 100,
      leaderContactMs: () => null,
      wasMember: true,
      confirmations: 1,
      removed: () => assert.fail('it was not'),
    })
    for (clock.atMs = 300; clock.atMs < 1_000; clock.atMs += 300) watch.tick()
    assert.deepEqual(asked, [2, 2, 2])
  })
})
