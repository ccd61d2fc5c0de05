import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Moment, VotePromises } from '../../src/engine/vote-promises.ts'
import { FRAMES } from '../../src/engine/wire.ts'
import { type ConfState, EMPTY_CONF_STATE, type Raft } from '../../src/raft/raft.ts'

interface Options {
  readonly promiseMs?: number
  readonly keptPromiseMs?: number
}

/** One member, under clocks of its own. */
class Member {
  readonly raft: {
    id: number
    role: Raft['role']
    leader: number
    term: number
    committedInOwnTerm: boolean
    isBackedByVotes: boolean
    confState: ConfState
  }
  /** Frames that left, oldest first. */
  readonly sent: { to: number; kind: number; body: Uint8Array }[] = []
  readonly promises: VotePromises
  nowMs = 10_000
  wallMs = 50_000

  constructor(id: number, { promiseMs = 1_000, keptPromiseMs = 0 }: Options = {}) {
    this.raft = {
      id,
      role: id === 1 ? 'leader' : 'follower',
      leader: 1,
      term: 4,
      committedInOwnTerm: true,
      isBackedByVotes: true,
      confState: { ...EMPTY_CONF_STATE, voters: [1, 2, 3] },
    }
    this.promises = new VotePromises({
      raft: this.raft as unknown as Raft,
      clock: { nowMs: () => this.nowMs, wallMs: () => this.wallMs, setTimer: () => () => {} },
      promiseMs,
      keptPromiseMs,
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
    this.promises.tick()
    this.promises.tick()
  }

  /** For how long it leads from now on, by its clock. */
  get leadsForMs(): number | null {
    const until = this.promises.leadsUntil()
    return until === null ? null : until.atMs - this.nowMs
  }
}

/** Hands over what `from` has sent to `to`, and drops the rest. */
function deliver(from: Member, to: Member): void {
  for (const { to: id, kind, body } of from.sent.splice(0)) {
    if (id !== to.raft.id) continue
    if (kind === FRAMES.askPromise) to.promises.asked(from.raft.id, body)
    else to.promises.promised(from.raft.id, body)
  }
}

/** A round that one follower promises in, after `wayMs` there and as long back. */
function promise(leader: Member, follower: Member, wayMs = 0): void {
  leader.beat()
  for (const [from, to] of [
    [leader, follower],
    [follower, leader],
  ] as const) {
    leader.pass(wayMs)
    follower.pass(wayMs)
    deliver(from, to)
  }
}

/** What is left of a promise of a second, by clocks that may differ by a tenth, and round. */
const LEFT_MS = 899

suite('a leader', () => {
  test('leads for what a majority promised, less what clocks may differ by', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    assert.equal(leader.leadsForMs, null)
    promise(leader, follower)
    assert.equal(leader.leadsForMs, LEFT_MS)
    assert.deepEqual(leader.promises.leadsUntil(), {
      atMs: 10_899,
      wallMs: 50_899,
    } satisfies Moment)
  })

  test('counts from when it asked, not from when it heard', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    promise(leader, follower, 300)
    assert.equal(leader.leadsForMs, LEFT_MS - 600)
  })

  test('counts each promise from its own question, also where they come late', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    leader.beat()
    const first = leader.sent.splice(0)
    leader.pass(400)
    promise(leader, follower)
    assert.equal(leader.leadsForMs, LEFT_MS)
    for (const { kind, body } of first.filter(({ to }) => to === 2)) {
      assert.equal(kind, FRAMES.askPromise)
      follower.promises.asked(1, body)
    }
    deliver(follower, leader)
    assert.equal(leader.leadsForMs, LEFT_MS, 'a later answer to an earlier question adds nothing')
  })

  test('has no use for answers to questions of long ago', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    leader.beat()
    const first = leader.sent.splice(0)
    for (let i = 0; i < 64; i += 1) leader.beat()
    leader.sent.splice(0, Infinity, ...first)
    deliver(leader, follower)
    assert.equal(follower.sent.length, 1)
    deliver(follower, leader)
    assert.equal(leader.leadsForMs, null)
  })

  test('goes by what each member says that it promises', () => {
    const leader = new Member(1, { promiseMs: 5_000 })
    promise(leader, new Member(2, { promiseMs: 300 }))
    assert.equal(leader.leadsForMs, 269)
    promise(leader, new Member(3, { promiseMs: 0 }))
    assert.equal(leader.leadsForMs, 269)
  })

  test('leads for as long as a majority does: of five by the second of the others', () => {
    const leader = new Member(1)
    leader.raft.confState = { ...EMPTY_CONF_STATE, voters: [1, 2, 3, 4, 5] }
    promise(leader, new Member(2, { promiseMs: 500 }))
    assert.equal(leader.leadsForMs, null)
    promise(leader, new Member(3, { promiseMs: 300 }))
    assert.equal(leader.leadsForMs, 269)
    promise(leader, new Member(4, { promiseMs: 1_000 }))
    assert.equal(leader.leadsForMs, 449)
  })

  test('has both majorities while its configuration is a joint one', () => {
    const leader = new Member(1)
    leader.raft.confState = { ...EMPTY_CONF_STATE, voters: [1, 2, 3], votersOutgoing: [1, 4, 5] }
    promise(leader, new Member(2))
    assert.equal(leader.leadsForMs, null)
    promise(leader, new Member(5))
    assert.equal(leader.leadsForMs, LEFT_MS)
    leader.raft.confState = { ...EMPTY_CONF_STATE, voters: [1, 3, 4] }
    assert.equal(leader.leadsForMs, null, 'what removed members promised is nothing')
  })

  test('alone needs nobody', () => {
    const leader = new Member(1)
    leader.raft.confState = { ...EMPTY_CONF_STATE, voters: [1] }
    leader.beat()
    assert.deepEqual(leader.sent, [])
    assert.equal(leader.leadsForMs, LEFT_MS)
  })

  test('goes by neither clock alone', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    promise(leader, follower)
    // The machine slept: one clock stood still.
    leader.wallMs += 3_600_000
    assert.equal(leader.promises.leadsUntil()?.wallMs, 50_899)
  })

  test('has nothing of an earlier term, or of questions that it did not ask', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    promise(leader, follower)
    leader.raft.term = 5
    leader.promises.leaderChanged()
    assert.equal(leader.leadsForMs, null)
    leader.beat()
    deliver(leader, follower)
    assert.deepEqual(follower.sent, [], 'a follower of another term promises nothing')
    follower.raft.term = 5
    leader.beat()
    deliver(leader, follower)
    leader.raft.term = 6
    deliver(follower, leader)
    assert.equal(leader.leadsForMs, null)
    const stranger = new Member(1)
    stranger.beat()
    deliver(stranger, follower)
    leader.raft.term = 5
    leader.promises.leaderChanged()
    deliver(follower, leader)
    assert.equal(leader.leadsForMs, null)
  })

  test('asks once its own term has committed, and is sure only while its core is', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    leader.raft.committedInOwnTerm = false
    leader.beat()
    assert.deepEqual(leader.sent, [])
    leader.raft.committedInOwnTerm = true
    promise(leader, follower)
    leader.raft.isBackedByVotes = false
    assert.equal(leader.leadsForMs, null)
  })

  test('asks and counts nothing where it was not opened for it', () => {
    const leader = new Member(1, { promiseMs: 0 })
    leader.beat()
    assert.deepEqual(leader.sent, [])
    leader.raft.confState = { ...EMPTY_CONF_STATE, voters: [1] }
    assert.equal(leader.leadsForMs, null)
  })
})

suite('a member', () => {
  test('keeps its vote for as long as it says, from when it says so', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    assert.equal(follower.promises.keptForMs, 0)
    leader.beat()
    follower.pass(700)
    deliver(leader, follower)
    assert.equal(follower.promises.keptForMs, 1_000)
    follower.pass(999)
    assert.equal(follower.promises.keptForMs, 1)
    follower.pass(1)
    assert.equal(follower.promises.keptForMs, 0)
  })

  test('keeps it whatever becomes of its leader', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    promise(leader, follower)
    follower.raft.leader = 0
    follower.promises.leaderChanged()
    assert.equal(follower.promises.keptForMs, 1_000)
  })

  test('promises nothing to one that is not its leader', () => {
    const [leader, follower] = [new Member(1), new Member(2)]
    for (const change of [{ leader: 3 }, { leader: 0 }, { leader: 1, term: 5 }]) {
      Object.assign(follower.raft, change)
      leader.beat()
      deliver(leader, follower)
      assert.deepEqual([follower.sent, follower.promises.keptForMs], [[], 0])
    }
  })

  test('keeps at its start what the process before it may have promised', () => {
    for (const promiseMs of [0, 1_000]) {
      const follower = new Member(2, { promiseMs, keptPromiseMs: 2_000 })
      assert.equal(follower.promises.keptForMs, 2_000)
      promise(new Member(1), follower)
      assert.equal(follower.promises.keptForMs, 2_000, 'a shorter one shortens nothing')
    }
  })
})
