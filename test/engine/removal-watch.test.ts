import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ByteReader } from '../../src/base/bytes.ts'
import type { Membership } from '../../src/engine/membership.ts'
import { answerIsMember, RemovalWatch } from '../../src/engine/removal-watch.ts'
import type { Raft } from '../../src/raft/raft.ts'
import type { Transport } from '../../src/transport/transport.ts'

const ELECTION_TIMEOUT_MS = 1_000

/** Member 1 of three, which hears no leader; the others answer from `theirs`. */
function startWatch(
  options: {
    readonly wasMember?: boolean
    readonly knowsItself?: boolean
    readonly confirmations?: number
  } = {},
): {
  readonly raft: { leader: number; applied: number; heardMs: number }
  readonly theirs: { members: number[]; applied: number; leader: number }
  readonly asked: number[]
  readonly removals: () => number
  readonly pass: (ms: number) => void
} {
  const clock = { atMs: 0 }
  const raft = { id: 1, leader: 0, applied: 50, heardMs: 0 }
  const theirs = { members: [1, 2, 3], applied: 50, leader: 2 }
  const asked: number[] = []
  let removals = 0
  const membershipOf = (ids: readonly number[]): Membership =>
    ({
      record: (id: number) => (ids.includes(id) ? { memberId: id } : undefined),
      records: () => ids.map((memberId) => ({ memberId })),
    }) as unknown as Membership
  const watch = new RemovalWatch({
    raft: raft as unknown as Raft,
    membership: membershipOf(options.knowsItself === false ? [2, 3] : [1, 2, 3]),
    clock: { nowMs: () => clock.atMs, wallMs: () => 0, setTimer: () => () => {} },
    transport: {
      call: (to: number, _kind, body, _timeoutMs, done) => {
        asked.push(to)
        const { applied, leader } = theirs
        const answerer = { applied, leader } as unknown as Raft
        assert.equal(new ByteReader(body).u53(), 1)
        done(null, answerIsMember(answerer, membershipOf(theirs.members), body))
      },
    } as Partial<Transport> as Transport,
    electionTimeoutMs: ELECTION_TIMEOUT_MS,
    leaderContactMs: () => clock.atMs - raft.heardMs,
    wasMember: options.wasMember ?? true,
    confirmations: options.confirmations ?? 1,
    removed: () => {
      removals += 1
    },
  })
  const pass = (ms: number): void => {
    clock.atMs += ms
    watch.tick()
  }
  return { raft, theirs, asked, removals: () => removals, pass }
}

it('a member that hears no leader asks the others in turn whether it is one of them', () => {
  const { asked, removals, pass } = startWatch()
  pass(ELECTION_TIMEOUT_MS)
  assert.deepEqual(asked, [])
  for (let times = 0; times < 3; times += 1) pass(2 * ELECTION_TIMEOUT_MS)
  assert.deepEqual(asked, [2, 3, 2])
  assert.equal(removals(), 0)
})

it('nobody is asked while there is a leader', () => {
  const { raft, asked, pass } = startWatch()
  raft.leader = 2
  for (let times = 1; times <= 10; times += 1) {
    raft.heardMs = times * ELECTION_TIMEOUT_MS
    pass(ELECTION_TIMEOUT_MS)
  }
  assert.deepEqual(asked, [])
})

it('a learner asks too, which takes whom it heard last for its leader for ever', () => {
  const { raft, theirs, asked, removals, pass } = startWatch()
  raft.leader = 2
  theirs.members = [2, 3]
  pass(ELECTION_TIMEOUT_MS)
  assert.deepEqual(asked, [])
  pass(2 * ELECTION_TIMEOUT_MS)
  assert.deepEqual(asked, [2])
  assert.equal(removals(), 1)
})

it('a node that has applied as much and does not know it has the last word', () => {
  const { theirs, removals, pass } = startWatch()
  theirs.members = [2, 3]
  theirs.applied = 49
  pass(2 * ELECTION_TIMEOUT_MS)
  assert.equal(removals(), 0, 'who is behind may not know this member yet')
  theirs.applied = 51
  pass(2 * ELECTION_TIMEOUT_MS)
  assert.equal(removals(), 1)
})

it('a joiner that no configuration has named waits; a member that opens again asks', () => {
  const joiner = startWatch({ wasMember: false, knowsItself: false })
  joiner.theirs.members = [2, 3]
  joiner.pass(10 * ELECTION_TIMEOUT_MS)
  assert.deepEqual(joiner.asked, [])
  const again = startWatch({ wasMember: true, knowsItself: false })
  again.theirs.members = [2, 3]
  again.pass(2 * ELECTION_TIMEOUT_MS)
  assert.equal(again.removals(), 1)
})

it('members without a leader, as when all of them start, have no word in it', () => {
  const { theirs, asked, removals, pass } = startWatch()
  theirs.members = [2, 3]
  theirs.leader = 0
  for (let times = 0; times < 4; times += 1) pass(2 * ELECTION_TIMEOUT_MS)
  assert.equal(asked.length, 4)
  assert.equal(removals(), 0)
  theirs.leader = 3
  pass(2 * ELECTION_TIMEOUT_MS)
  assert.equal(removals(), 1)
})

it('who loses all by it hears it three times in a row, from members in turn', () => {
  const { raft, theirs, asked, removals, pass } = startWatch({ confirmations: 3 })
  theirs.members = [2, 3]
  pass(2 * ELECTION_TIMEOUT_MS)
  pass(ELECTION_TIMEOUT_MS)
  assert.deepEqual([asked, removals()], [[2, 3], 0])
  raft.leader = 2
  raft.heardMs = 3 * ELECTION_TIMEOUT_MS
  pass(0)
  raft.leader = 0
  for (let times = 1; times < 3; times += 1) pass(2 * ELECTION_TIMEOUT_MS)
  assert.equal(removals(), 0, 'it heard a leader in between')
  pass(2 * ELECTION_TIMEOUT_MS)
  assert.equal(removals(), 1)
})
