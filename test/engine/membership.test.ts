import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeMemberRecords, type MemberRecord } from '../../src/command/command.ts'
import { Membership } from '../../src/engine/membership.ts'
import type { MemberChange } from '../../src/engine/protocol.ts'
import type { LeaderAnswer } from '../../src/engine/wire.ts'
import {
  applyConfChangeToState,
  type ConfChange,
  type ConfState,
  EMPTY_CONF_STATE,
  type ProgressStatus,
  type Raft,
} from '../../src/raft/raft.ts'

function record(memberId: number, wantedRole: 'voter' | 'learner' = 'voter'): MemberRecord {
  return { memberId, nodeId: `n${memberId}`, address: `host${memberId}:9000`, wantedRole }
}

/** A leader with this configuration; learners have caught up unless told otherwise. */
class Fixture {
  readonly proposed: ConfChange[] = []
  /** By the clock; the core may not have noticed yet. */
  readonly silent = new Set<number>()
  readonly behind = new Set<number>()
  /** Of whom the core knows nothing yet, as a new leader's. */
  readonly unasked = new Set<number>()
  readonly membership: Membership
  role: Raft['role'] = 'leader'
  transfers = 0
  canTransfer = true
  atMs = 0
  #confState: ConfState

  constructor(voters: number[], learners: MemberRecord[], ownAddress = 'host1:9000') {
    const ids = learners.map(({ memberId }) => memberId)
    this.#confState = { ...EMPTY_CONF_STATE, voters, learners: ids }
    const fixture = this
    const raft = {
      id: voters[0] as number,
      leader: voters[0] as number,
      commit: 5_000,
      committedInOwnTerm: true,
      get role() {
        return fixture.role
      },
      proposeConfChange: (change: ConfChange) => {
        this.proposed.push(change)
        return 'ok' as const
      },
      status: () => ({ progress: this.#progress() }) as unknown as ReturnType<Raft['status']>,
    }
    const options = {
      raft: raft as unknown as Raft,
      clock: { nowMs: () => this.atMs, wallMs: () => 0, setTimer: () => () => {} },
      ownAddress,
      electionTimeoutMs: 1_000,
      joinTimeoutMs: 60_000,
      requestTimeoutMs: 10_000,
      lastContactMs: (id: number) => {
        // No node has a link to itself.
        if (id === raft.id) return null
        return this.silent.has(id) ? 5_000 : 10
      },
      transferAway: () => {
        this.transfers += 1
        return this.canTransfer
      },
      changed: () => {},
    }
    const members = [...voters.map((id) => record(id)), ...learners]
    const state = { confState: this.#confState, members, fingerprints: new Map([[1, 'old']]) }
    this.membership = new Membership(options, state)
  }

  /** Lets the newest proposal take effect, and the leave of a joint configuration after it. */
  apply(): void {
    const change = this.proposed.at(-1) as ConfChange
    this.#confState = applyConfChangeToState(this.#confState, change)
    this.membership.confChanged(change, this.#confState)
    if (this.#confState.votersOutgoing.length === 0) return
    const leave = { transition: 'auto', changes: [], context: new Uint8Array(0) } as const
    this.#confState = applyConfChangeToState(this.#confState, leave)
    this.membership.confChanged(leave, this.#confState)
  }

  tick(): void {
    this.atMs += 1_000
    this.membership.tick()
  }

  join(joiner: MemberRecord, replaced: number | null = null): LeaderAnswer[] {
    const answers: LeaderAnswer[] = []
    this.membership.join(joiner, replaced, (answer) => answers.push(answer))
    return answers
  }

  change(change: MemberChange, id: number): LeaderAnswer[] {
    const answers: LeaderAnswer[] = []
    this.membership.change(change, id, (answer) => answers.push(answer))
    return answers
  }

  get voters(): readonly number[] {
    return this.#confState.voters
  }

  #progress(): Partial<ProgressStatus>[] {
    const { voters, learners } = this.#confState
    return [...voters, ...learners].map((id) => ({
      id,
      match: this.behind.has(id) ? 100 : 5_000,
      state: 'replicate',
      isLearner: learners.includes(id),
      recentActive: !this.unasked.has(id),
    }))
  }
}

function kinds(answers: readonly LeaderAnswer[]): string[] {
  return answers.map(({ kind }) => kind)
}

describe('membership', () => {
  it('leaves the second node a learner, because two voters survive no more than one', () => {
    const fixture = new Fixture([1], [record(2)])
    fixture.tick()
    assert.deepEqual(fixture.proposed, [])
  })

  it('promotes the second and third together', () => {
    const fixture = new Fixture([1], [record(2), record(3)])
    fixture.tick()
    fixture.apply()
    assert.deepEqual(fixture.voters, [1, 2, 3])
  })

  it('promotes of three learners two, so that the number stays odd', () => {
    const fixture = new Fixture([1], [record(2), record(3), record(4)])
    fixture.tick()
    fixture.apply()
    assert.equal(fixture.voters.length, 3)
    fixture.tick()
    assert.equal(fixture.proposed.length, 1)
  })

  it('promotes nobody who is behind, silent, or a learner by choice', () => {
    const fixture = new Fixture([1], [record(2), record(3), record(4, 'learner')])
    fixture.behind.add(3)
    fixture.tick()
    assert.deepEqual(fixture.proposed, [])
    fixture.behind.clear()
    fixture.silent.add(2)
    fixture.tick()
    assert.deepEqual(fixture.proposed, [])
    fixture.silent.clear()
    fixture.unasked.add(2)
    fixture.tick()
    assert.deepEqual(fixture.proposed, [])
    fixture.unasked.clear()
    fixture.tick()
    fixture.apply()
    assert.deepEqual(fixture.voters, [1, 2, 3])
  })

  it('takes a joiner in as a learner and answers once that is applied', () => {
    const fixture = new Fixture([1], [])
    const answers = fixture.join(record(2))
    assert.deepEqual(answers, [])
    assert.deepEqual(fixture.proposed[0]?.changes, [{ type: 'addLearner', id: 2 }])
    fixture.apply()
    assert.deepEqual(answers, [{ kind: 'done' }])
    assert.deepEqual(fixture.join(record(2)), [{ kind: 'done' }])
  })

  it('refuses a name or address of a member that is alive', () => {
    const fixture = new Fixture([1, 2, 3], [])
    const [answer] = fixture.join({ ...record(9), nodeId: 'n2' })
    assert.equal(answer?.kind === 'refused' && answer.error.code, 'ERR_NODE_ID_TAKEN')
    assert.equal(answer?.kind === 'refused' && answer.error.retryable, false)
    assert.deepEqual(fixture.proposed, [])
  })

  it('lets a node that restarted empty at its old address ask again', () => {
    const fixture = new Fixture([1, 2, 3], [])
    const restarted = { ...record(9), nodeId: 'n2', address: record(2).address }
    const [answer] = fixture.join(restarted)
    assert.equal(answer?.kind === 'refused' && answer.error.retryable, true)
    fixture.silent.add(2)
    const later = fixture.join(restarted)
    fixture.apply()
    assert.deepEqual(later, [{ kind: 'done' }])
  })

  it('puts a joiner in the place of a silent member of the same name, in one change', () => {
    const fixture = new Fixture([1, 2, 3], [])
    fixture.silent.add(2)
    const answers = fixture.join({ ...record(9), nodeId: 'n2', address: 'new:9000' })
    fixture.apply()
    assert.deepEqual(answers, [{ kind: 'done' }])
    assert.deepEqual(fixture.voters, [1, 3])
    assert.equal(fixture.membership.memberOfNode('n2')?.memberId, 9)
  })

  it('leaves a member in its place that is back before the turn of who asked for it', () => {
    const fixture = new Fixture([1, 2, 3], [])
    fixture.silent.add(2).add(3)
    fixture.join(record(8))
    const [late, gone] = [2, 3].map((id) =>
      fixture.join({ ...record(10 + id), nodeId: `n${id}`, address: `new${id}:9000` }),
    )
    fixture.silent.delete(2)
    fixture.apply()
    fixture.tick()
    const [answer] = late ?? []
    assert.equal(answer?.kind === 'refused' && answer.error.code, 'ERR_NODE_ID_TAKEN')
    // What is in the log is agreed on or not, whoever is heard by then.
    fixture.silent.delete(3)
    fixture.tick()
    fixture.apply()
    assert.deepEqual(kinds(gone ?? []), ['done'])
    assert.deepEqual(fixture.voters, [1, 2])
  })

  it('puts a member that comes back in the place of the one it was, wherever it is asked', () => {
    const fixture = new Fixture([1, 2, 3], [])
    fixture.silent.add(2)
    const again = { ...record(20), nodeId: 'n2', address: 'host2:9000' }
    assert.deepEqual(fixture.join(again, 2), [], 'not before a majority has agreed')
    fixture.apply()
    assert.deepEqual(fixture.voters, [1, 3])
    assert.deepEqual(kinds(fixture.join(again, 2)), ['done'], 'who lost the answer asks again')
    // Stopped before it heard of that, it may begin anew somewhere else.
    const moved = { ...again, address: 'elsewhere:9000' }
    const [alive] = fixture.join(moved, 2)
    assert.ok(alive?.kind === 'refused' && alive.error.code === 'ERR_NODE_ID_TAKEN')
    assert.equal(alive.error.retryable, true)
    fixture.silent.add(20)
    const answers = fixture.join(moved, 2)
    fixture.tick()
    fixture.apply()
    assert.deepEqual(kinds(answers), ['done'])
    assert.equal(fixture.membership.record(20)?.address, 'elsewhere:9000')
    // From when it has begun on, only a copy of its directory can ask like that.
    fixture.membership.fingerprintsChanged(new Map([[20, 'any']]))
    const [copy] = fixture.join(again, 2)
    assert.ok(copy?.kind === 'refused' && copy.error.code === 'ERR_REMOVED')
  })

  it('knows a member by its node, and nobody else by its number', () => {
    const { membership } = new Fixture([1], [record(2)])
    assert.equal(membership.refusal({ memberId: 2, nodeId: 'n2' }), null)
    const refusal = membership.refusal({ memberId: 2, nodeId: 'n3' })
    assert.equal(refusal?.code, 'ERR_HANDSHAKE')
    assert.match(refusal?.message ?? '', /'n3' says that it is member 2, which is node 'n2'/)
    assert.equal(membership.refusal({ memberId: 9, nodeId: 'n9' }), null)
    assert.equal(membership.refusal({ memberId: 0, nodeId: 'n9' }), null)
  })

  it('records the new address of a member that moved', () => {
    const fixture = new Fixture([1, 2, 3], [])
    fixture.membership.heardFrom(2, 'elsewhere:9000')
    fixture.tick()
    const [moved] = decodeMemberRecords(fixture.proposed[0]?.context ?? new Uint8Array(0))
    assert.equal(moved?.address, 'elsewhere:9000')
    fixture.apply()
    fixture.tick()
    assert.equal(fixture.proposed.length, 1)
  })

  it('records the new address of the leader itself', () => {
    const fixture = new Fixture([1, 2, 3], [], 'elsewhere:9000')
    fixture.tick()
    const [moved] = decodeMemberRecords(fixture.proposed[0]?.context ?? new Uint8Array(0))
    assert.deepEqual([moved?.memberId, moved?.address], [1, 'elsewhere:9000'])
    fixture.apply()
    fixture.tick()
    assert.equal(fixture.proposed.length, 1)
  })

  it('are dialed where they say they are, whatever else of the members changes meanwhile', () => {
    const fixture = new Fixture([1, 2, 3], [])
    const { membership } = fixture
    const places = (): string[] => [...membership.places()].map(({ address }) => address)
    membership.heardFrom(2, 'new2:9000')
    membership.heardFrom(3, 'new3:9000')
    fixture.tick()
    fixture.apply()
    // The record of the one that is not agreed on yet names the place that it left.
    assert.deepEqual(places(), ['new2:9000', 'new3:9000'])
    fixture.tick()
    fixture.apply()
    assert.deepEqual(places(), ['new2:9000', 'new3:9000'])
    membership.heardFrom(3, 'host3:9000')
    assert.deepEqual(places(), ['new2:9000', 'host3:9000'])
  })

  it('sends joiners to the leader, and to the next one when leadership is lost', () => {
    const fixture = new Fixture([1], [])
    const waiting = fixture.join(record(2))
    fixture.role = 'follower'
    fixture.membership.leadershipLost()
    assert.deepEqual(waiting, [{ kind: 'elsewhere', address: '' }])
    assert.deepEqual(fixture.join(record(3)), [{ kind: 'elsewhere', address: 'host1:9000' }])
  })

  it('ends a join that cannot be taken in before the joiner gives up', () => {
    const fixture = new Fixture([1], [])
    const answers = fixture.join(record(2))
    for (let i = 0; i < 61; i += 1) fixture.tick()
    assert.equal(answers[0]?.kind === 'refused' && answers[0].error.retryable, true)
  })
})

describe('members that an operator changes', () => {
  const reasonOf = ([answer]: readonly LeaderAnswer[]): string =>
    answer?.kind === 'refused' ? answer.error.message : ''

  it('are demoted in one change, and not promoted again by themselves', () => {
    const fixture = new Fixture([1, 2, 3], [])
    const answers = fixture.change('demote', 3)
    assert.deepEqual(fixture.proposed[0]?.changes, [{ type: 'addLearner', id: 3 }])
    assert.deepEqual(kinds(answers), [])
    fixture.apply()
    assert.deepEqual(kinds(answers), ['done'])
    assert.deepEqual(fixture.voters, [1, 2])
    fixture.tick()
    assert.equal(fixture.proposed.length, 1)
  })

  it('are promoted as others that want to vote: when their number stays odd', () => {
    const fixture = new Fixture([1], [record(2, 'learner'), record(3, 'learner')])
    const answers = [...fixture.change('promote', 2), ...fixture.change('promote', 3)]
    fixture.apply()
    fixture.tick()
    fixture.apply()
    fixture.tick()
    fixture.apply()
    assert.deepEqual(answers, [])
    assert.deepEqual(fixture.voters, [1, 2, 3])
  })

  it('are removed; asked twice is asked once', () => {
    const fixture = new Fixture([1, 2, 3], [record(4)])
    const answers = fixture.change('remove', 4)
    fixture.apply()
    assert.deepEqual(kinds(answers), ['done'])
    assert.equal(fixture.membership.record(4), undefined)
    assert.deepEqual(kinds(fixture.change('remove', 4)), ['done'])
    assert.deepEqual(kinds(fixture.change('promote', 1)), ['done'])
    assert.equal(fixture.proposed.length, 1)
  })

  it('are changed one after the other', () => {
    const fixture = new Fixture([1, 2, 3, 4, 5], [])
    const first = fixture.change('remove', 4)
    const second = fixture.change('remove', 5)
    assert.equal(fixture.proposed.length, 1)
    fixture.apply()
    fixture.tick()
    fixture.apply()
    assert.deepEqual([...kinds(first), ...kinds(second)], ['done', 'done'])
    assert.deepEqual(fixture.voters, [1, 2, 3])
  })

  it('are never the last voter, nor those without whom no majority is left', () => {
    const alone = new Fixture([1], [record(2)])
    assert.match(reasonOf(alone.change('remove', 1)), /last voter/)
    const fixture = new Fixture([1, 2, 3], [])
    fixture.silent.add(3)
    for (const change of ['demote', 'remove'] as const) {
      const answers = fixture.change(change, 2)
      assert.match(reasonOf(answers), /of the 2 voters .* only 1 can be reached/)
    }
    // The one that is gone can be removed.
    const answers = fixture.change('remove', 3)
    fixture.apply()
    assert.deepEqual(kinds(answers), ['done'])
  })

  it('may go when the others were heard, though this leader has not asked them yet', () => {
    const fixture = new Fixture([1, 2, 3], [])
    fixture.unasked.add(2).add(3)
    const answers = fixture.change('remove', 3)
    fixture.apply()
    assert.deepEqual(kinds(answers), ['done'])
  })

  it('are looked at again when their turn comes', () => {
    const fixture = new Fixture([1, 2, 3, 4, 5], [])
    const first = fixture.change('remove', 4)
    const second = fixture.change('remove', 5)
    fixture.silent.add(2).add(3)
    fixture.apply()
    fixture.tick()
    assert.deepEqual(kinds(first), ['done'])
    assert.match(reasonOf(second), /of the 3 voters .* only 1 can be reached/)
    assert.deepEqual(fixture.voters, [1, 2, 3, 5])
    assert.equal(fixture.proposed.length, 1)
  })

  it('the leader hands over first, and whoever asked asks the next', () => {
    const fixture = new Fixture([1, 2, 3], [])
    assert.deepEqual(kinds(fixture.change('remove', 1)), ['elsewhere'])
    assert.equal(fixture.transfers, 1)
    fixture.canTransfer = false
    assert.match(reasonOf(fixture.change('demote', 1)), /no other voter/)
    assert.deepEqual(fixture.proposed, [])
  })

  it('are left alone by who leads no more, and by a change that takes too long', () => {
    const fixture = new Fixture([1, 2, 3], [])
    const lost = fixture.change('remove', 2)
    fixture.role = 'follower'
    fixture.membership.leadershipLost()
    assert.deepEqual(kinds(lost), ['elsewhere'])
    assert.deepEqual(kinds(fixture.change('remove', 2)), ['elsewhere'])
    fixture.role = 'leader'
    const late = fixture.change('remove', 2)
    for (let s = 0; s < 11; s += 1) fixture.tick()
    assert.deepEqual(kinds(late), ['refused'])
  })
})
