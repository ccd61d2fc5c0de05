import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Comparing } from '../../src/engine/comparing.ts'
import { decodeTable, encodeTable, type Table } from '../../src/engine/comparing-wire.ts'
import type { Held, Verdict } from '../../src/engine/judging.ts'
import { TICKS_PER_HEARTBEAT } from '../../src/engine/settings.ts'
import { EMPTY_CONF_STATE } from '../../src/raft/raft.ts'

const VOTERS = [1, 2, 3]
const DB = 'main@2'

/** Three members; member 1 leads. What each holds at an index is the test's to say. */
class Members {
  readonly applied = new Map(VOTERS.map((id) => [id, 10]))
  readonly wrong = new Set<number>()
  readonly divergent = new Set<number>()
  readonly unreachable = new Set<number>()
  readonly verdicts = new Map<number, Verdict>()
  /** Frames since the test last looked. */
  sent = 0
  nowMs = 0
  readonly #comparing = new Map<number, Comparing>()

  constructor() {
    for (const id of VOTERS) this.#comparing.set(id, this.#create(id))
  }

  /** One heartbeat of everybody. */
  beat(): void {
    this.nowMs += 100
    for (let ticks = 0; ticks < TICKS_PER_HEARTBEAT; ticks += 1) {
      for (const comparing of this.#comparing.values()) comparing.tick()
    }
  }

  apply(id: number, index: number): void {
    this.applied.set(id, index)
    this.#comparing.get(id)?.applied()
  }

  #create(id: number): Comparing {
    return new Comparing({
      raft: { id, role: id === 1 ? 'leader' : 'follower', leader: 1 },
      clock: { nowMs: () => this.nowMs, wallMs: () => 0, setTimer: () => () => {} },
      heartbeatMs: 100,
      confState: () => ({ ...EMPTY_CONF_STATE, voters: VOTERS }),
      reachable: () => VOTERS.filter((other) => other !== id && !this.unreachable.has(other)),
      applied: () => this.applied.get(id) ?? 0,
      isDivergent: () => this.divergent.has(id),
      digests: (index, done) => done(this.#digests(id, index)),
      send: (to, table) => this.#send(id, to, table),
      judged: (_, verdict) => this.verdicts.set(id, verdict),
    })
  }

  #digests(id: number, index: number): Held {
    return new Map([[DB, `${index}${this.wrong.has(id) ? ' wrong' : ''}`]])
  }

  #send(from: number, to: number, table: Table): void {
    this.sent += 1
    if (this.unreachable.has(from) || this.unreachable.has(to)) return
    this.#comparing.get(to)?.heard(from, decodeTable(encodeTable(table)))
  }
}

describe('comparing digests', () => {
  it('tells everybody within one heartbeat who differs', () => {
    for (const wrong of VOTERS) {
      const members = new Members()
      members.beat()
      members.wrong.add(wrong)
      for (const id of VOTERS) members.apply(id, 11)
      members.beat()
      for (const id of VOTERS) {
        const found = members.verdicts.get(id)?.differing
        assert.deepEqual(found, [{ memberId: wrong, database: DB }], `member ${id}`)
      }
    }
  })

  it('says nothing more once all are equal, until more is applied', () => {
    const members = new Members()
    members.beat()
    members.sent = 0
    members.beat()
    assert.equal(members.sent, 0)
    for (const id of VOTERS) members.apply(id, 11)
    members.beat()
    assert.ok(members.sent > 0)
  })

  it('compares a node that has just started once it has caught up', () => {
    const members = new Members()
    members.apply(3, 4)
    members.wrong.add(3)
    members.beat()
    assert.deepEqual(members.verdicts.get(1)?.differing, [])
    assert.deepEqual(members.verdicts.get(1)?.agreed, [DB])
    members.apply(3, 9)
    assert.deepEqual(members.verdicts.get(1)?.differing, [])
    members.apply(3, 10)
    assert.deepEqual(members.verdicts.get(3)?.differing, [{ memberId: 3, database: DB }])
  })

  it('does not wait for ever for a member that applies nothing', () => {
    const members = new Members()
    members.apply(3, 4)
    members.beat()
    members.wrong.add(2)
    for (const id of [1, 2]) members.apply(id, 11)
    // Members 1 and 2 alone are no majority for either.
    for (let beats = 0; beats < 12; beats += 1) members.beat()
    assert.deepEqual(members.verdicts.get(1)?.agreed, [])
    members.apply(3, 11)
    members.beat()
    assert.deepEqual(members.verdicts.get(2)?.differing, [{ memberId: 2, database: DB }])
  })

  it('is in doubt while the third voter is away, and over it once that is back', () => {
    const members = new Members()
    members.unreachable.add(3)
    members.wrong.add(2)
    members.beat()
    for (const id of [1, 2]) assert.deepEqual(members.verdicts.get(id)?.undecided, [DB])
    members.unreachable.delete(3)
    members.beat()
    assert.deepEqual(members.verdicts.get(2)?.undecided, [])
    assert.deepEqual(members.verdicts.get(2)?.differing, [{ memberId: 2, database: DB }])
  })

  it('hears that all are equal again from a member that has other files now', () => {
    const members = new Members()
    members.wrong.add(2)
    members.beat()
    members.divergent.add(2)
    members.beat()
    assert.deepEqual(members.verdicts.get(1)?.differing, [])
    members.divergent.delete(2)
    members.wrong.delete(2)
    members.beat()
    for (const id of VOTERS) assert.deepEqual(members.verdicts.get(id)?.differing, [])
    assert.deepEqual(members.verdicts.get(1)?.agreed, [DB])
  })

  it('asks again until a majority agrees, though nothing is applied meanwhile', () => {
    const members = new Members()
    members.unreachable.add(3)
    members.wrong.add(2)
    members.beat()
    assert.deepEqual(members.verdicts.get(1)?.undecided, [DB])
    members.divergent.add(2)
    members.beat()
    assert.deepEqual(members.verdicts.get(1)?.agreed, [])
    members.divergent.delete(2)
    members.wrong.delete(2)
    members.beat()
    for (const id of [1, 2]) assert.deepEqual(members.verdicts.get(id)?.agreed, [DB])
  })

  it('does not begin from a leader whose own files differ', () => {
    const members = new Members()
    members.divergent.add(1)
    members.beat()
    assert.equal(members.sent, 0)
  })
})
