import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Failover } from '../../src/engine/failover.ts'
import type { Raft } from '../../src/raft/raft.ts'
import { Timeline } from '../simulated/timeline.ts'

class Fixture {
  readonly timeline = new Timeline()
  readonly campaigns: number[] = []
  readonly raft = {
    leader: 2,
    patience: 1,
    role: 'follower' as Raft['role'],
    forgetLeader: () => {
      this.raft.leader = 0
    },
    campaign: () => this.campaigns.push(this.timeline.nowMs),
  }
  readonly promises = { keptForMs: 0 }
  readonly failover: Failover = new Failover({
    raft: this.raft as unknown as Raft,
    clock: {
      nowMs: () => this.timeline.nowMs,
      wallMs: () => 0,
      setTimer: (delayMs, fire) => this.timeline.plan(delayMs, fire),
    },
    random: { u32: () => 0x8000_0000 },
    promises: this.promises,
    heartbeatMs: 100,
    changed: () => {},
  })

  settle(): void {
    while (this.timeline.step());
  }
}

describe('failover', () => {
  it('asks for votes soon after the process of the leader is gone', () => {
    const fixture = new Fixture()
    fixture.failover.processGone(2)
    assert.equal(fixture.raft.leader, 0)
    assert.deepEqual(fixture.campaigns, [])
    fixture.timeline.step()
    assert.deepEqual(fixture.campaigns, [50])
  })

  it('asks again a few times, since votes can be split, and then leaves it to the time-out', () => {
    const fixture = new Fixture()
    fixture.failover.processGone(2)
    fixture.settle()
    assert.deepEqual(fixture.campaigns, [50, 100, 150, 200])
  })

  it('asks once no promise to the leader binds any more', () => {
    const fixture = new Fixture()
    fixture.promises.keptForMs = 700
    fixture.failover.processGone(2)
    fixture.timeline.step()
    assert.deepEqual(fixture.campaigns, [750])
  })

  it('is left to others by a node that should not lead', () => {
    const fixture = new Fixture()
    fixture.raft.patience = 4
    fixture.failover.processGone(2)
    fixture.settle()
    assert.equal(fixture.raft.leader, 0)
    assert.deepEqual(fixture.campaigns, [])
  })

  it('asks nobody once there is a leader', () => {
    const fixture = new Fixture()
    fixture.failover.processGone(2)
    fixture.raft.leader = 3
    fixture.settle()
    assert.deepEqual(fixture.campaigns, [])
  })

  it('cares for the leader alone, and not while it leads itself', () => {
    const fixture = new Fixture()
    fixture.failover.processGone(3)
    Object.assign(fixture.raft, { leader: 1, role: 'leader' })
    fixture.failover.processGone(1)
    fixture.settle()
    assert.deepEqual([fixture.raft.leader, fixture.campaigns], [1, []])
  })

  it('does nothing once closed', () => {
    const fixture = new Fixture()
    fixture.failover.processGone(2)
    fixture.failover.close()
    fixture.settle()
    assert.deepEqual(fixture.campaigns, [])
  })
})
