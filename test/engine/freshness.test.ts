import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { SharedState } from '../../src/base/shared-state.ts'
import { ClockSkew } from '../../src/engine/clock-skew.ts'
import { Freshness } from '../../src/engine/freshness.ts'
import { decodeNumbers, encodeNumbers, FRAMES } from '../../src/engine/wire.ts'
import type { Raft } from '../../src/raft/raft.ts'

/** One member, under a clock of its own. */
class Member {
  readonly core: {
    id: number
    role: Raft['role']
    leader: number
    commit: number
    committedInOwnTerm: boolean
    readIndex(context: Uint8Array): 'ok'
  }
  readonly shared = new SharedState()
  /** Frames that left, oldest first. */
  readonly sent: { to: number; kind: number; body: Uint8Array }[] = []
  /** Rounds that were begun, with the commit index of then. */
  readonly rounds: { index: number; context: Uint8Array }[] = []
  readonly warnings: string[] = []
  readonly freshness: Freshness
  nowMs = 1_000
  wallMs = 50_000

  constructor(id: number, leader: number, run = id) {
    this.core = {
      id,
      role: id === leader ? 'leader' : 'follower',
      leader,
      commit: 100,
      committedInOwnTerm: true,
      readIndex: (context) => {
        this.rounds.push({ index: this.core.commit, context })
        return 'ok'
      },
    }
    this.freshness = new Freshness({
      raft: this.core as unknown as Raft,
      clock: { nowMs: () => this.nowMs, wallMs: () => this.wallMs, setTimer: () => () => {} },
      random: { u32: () => run },
      shared: this.shared,
      skew: new ClockSkew({
        raft: this.core as unknown as Raft,
        voters: () => [1, 2, 3],
        maxClockSkewMs: 5_000,
        warning: (code, message) => this.warnings.push(`${code}: ${message}`),
      }),
      sendControl: (to, kind, body) => {
        this.sent.push({ to, kind, body })
        return true
      },
    })
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.wallMs += ms
  }

  beat(): void {
    this.freshness.tick()
    this.freshness.tick()
  }

  /** A quorum confirms the oldest round. */
  confirm(): void {
    const round = this.rounds.shift()
    assert.ok(round !== undefined, 'a round was begun')
    assert.deepEqual(this.freshness.takeConfirmed([round]), [])
  }

  apply(applied: number): void {
    const storage = { generation: 1, databasesEpoch: 1, isDivergent: false, walBytes: 0 }
    this.shared.publishStorage({ applied, ...storage })
    this.freshness.publish()
  }

  /** When what is applied here was known to be all there was, null for never. */
  freshAtMs(): number | null {
    this.freshness.publish()
    return this.shared.markWithin(this.shared.applied())?.atMs ?? null
  }
}

/** Hands over what `from` has sent. */
function deliver(from: Member, to: Member): void {
  for (const { to: id, kind, body } of from.sent.splice(0)) {
    assert.equal(id, to.core.id)
    if (kind === FRAMES.stamp) to.freshness.stamped(from.core.id, body)
    else to.freshness.marked(body)
  }
}

suite('the age of what a follower has', () => {
  test('counts from its own time before the round, whatever the messages took', () => {
    const [leader, follower] = [new Member(1, 1), new Member(2, 1)]
    leader.nowMs = 7_000_000
    follower.apply(100)
    follower.beat()
    follower.pass(300)
    deliver(follower, leader)
    leader.beat()
    leader.confirm()
    follower.pass(20_000)
    deliver(leader, follower)
    assert.equal(follower.freshAtMs(), 1_000)
  })

  test('is not renewed by a round that began before its time came', () => {
    const [leader, follower] = [new Member(1, 1), new Member(2, 1)]
    follower.apply(100)
    leader.beat()
    follower.beat()
    deliver(follower, leader)
    leader.confirm()
    assert.equal(leader.sent.length, 0)
    assert.equal(follower.freshAtMs(), null)
  })

  test('is not renewed by a leader that no quorum confirms', () => {
    const [leader, follower] = [new Member(1, 1), new Member(2, 1)]
    follower.apply(100)
    for (let beats = 0; beats < 100; beats += 1) {
      follower.pass(100)
      follower.beat()
      deliver(follower, leader)
      leader.beat()
      deliver(leader, follower)
    }
    assert.equal(follower.freshAtMs(), null)
    assert.ok(leader.rounds.length < 20, 'rounds that nobody confirms are bounded')
  })

  test('goes by the commit index as of the beginning of the round', () => {
    const [leader, follower] = [new Member(1, 1), new Member(2, 1)]
    follower.beat()
    deliver(follower, leader)
    leader.beat()
    leader.core.commit = 105
    leader.confirm()
    deliver(leader, follower)
    follower.apply(99)
    assert.equal(follower.freshAtMs(), null)
    follower.apply(100)
    assert.equal(follower.freshAtMs(), 1_000)
  })

  test('stays known when the leader is gone, and only grows', () => {
    const [leader, follower] = [new Member(1, 1), new Member(2, 1)]
    follower.apply(100)
    follower.beat()
    deliver(follower, leader)
    leader.beat()
    leader.confirm()
    deliver(leader, follower)
    follower.core.leader = 0
    follower.freshness.leaderChanged()
    follower.beat()
    assert.deepEqual([follower.freshAtMs(), follower.sent.length], [1_000, 0])
  })

  test('is not told by the clocks of an earlier run of it', () => {
    const [leader, before] = [new Member(1, 1), new Member(2, 1, 71)]
    before.nowMs = 9_000_000
    before.beat()
    deliver(before, leader)
    leader.beat()
    leader.confirm()
    const after = new Member(2, 1, 72)
    after.apply(100)
    deliver(leader, after)
    assert.equal(after.freshAtMs(), null)
  })

  test('is never made older by what comes late', () => {
    const follower = new Member(2, 1)
    follower.apply(200)
    follower.freshness.marked(encodeNumbers(120, 2, 1_500, 50_500, 50_500, 0))
    follower.freshness.marked(encodeNumbers(100, 2, 1_000, 50_000, 50_000, 0))
    assert.equal(follower.freshAtMs(), 1_500)
  })

  test('is known of each index that is applied, also while it lags', () => {
    const follower = new Member(2, 1)
    follower.apply(90)
    for (let at = 0; at < 600; at += 1) {
      const mark = encodeNumbers(100 + at, 2, 1_000 + at, 50_000 + at, 50_000, 0)
      follower.freshness.marked(mark)
    }
    assert.equal(follower.freshAtMs(), null)
    for (const applied of [100, 101, 150]) {
      follower.apply(applied)
      assert.equal(follower.freshAtMs(), 900 + applied)
    }
    follower.apply(699)
    assert.equal(follower.freshAtMs(), 1_599)
  })
})

suite('the age of what a leader has', () => {
  test('counts from the beginning of a round that a quorum confirmed', () => {
    const leader = new Member(1, 1)
    leader.apply(100)
    leader.beat()
    leader.pass(400)
    assert.equal(leader.freshAtMs(), null)
    leader.confirm()
    assert.equal(leader.freshAtMs(), 1_000)
  })

  test('is not known before it committed in its own term', () => {
    const leader = new Member(1, 1)
    leader.core.committedInOwnTerm = false
    leader.beat()
    assert.equal(leader.rounds.length, 0)
  })

  test('is looked for anew in another term, whatever was never confirmed', () => {
    const leader = new Member(1, 1)
    leader.apply(100)
    for (let beats = 0; beats < 100; beats += 1) leader.beat()
    leader.freshness.leaderChanged()
    leader.rounds.length = 0
    leader.beat()
    leader.confirm()
    assert.equal(leader.freshAtMs(), 1_000)
  })

  test('leaves the questions of reads to them', () => {
    const leader = new Member(1, 1)
    const question = { index: 100, context: encodeNumbers(77) }
    assert.deepEqual(leader.freshness.takeConfirmed([question]), [question])
  })
})

suite('a member sends its time', () => {
  test('once per heartbeat, and at once to a new leader', () => {
    const follower = new Member(2, 1)
    for (let beats = 0; beats < 5; beats += 1) follower.beat()
    assert.equal(follower.sent.length, 5)
    follower.core.leader = 3
    follower.freshness.leaderChanged()
    assert.equal(follower.sent.at(-1)?.to, 3)
    assert.deepEqual(decodeNumbers(follower.sent[0]?.body as Uint8Array, 4), [2, 1_000, 50_000, 0])
  })
})
