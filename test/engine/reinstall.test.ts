import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ReplicaState } from '../../src/engine/ports.ts'
import { Reinstall } from '../../src/engine/reinstall.ts'
import { EMPTY_CONF_STATE } from '../../src/raft/raft.ts'

const TERM = 3

function createRig() {
  const raft = { role: 'follower' as 'follower' | 'leader', leader: 1, commit: 20 }
  const done: string[] = []
  const asked: number[] = []
  const now = { ms: 0 }
  const reinstall = new Reinstall({
    raft,
    log: {
      firstIndex: 5,
      lastIndex: 30,
      term: () => TERM,
      append: ({ snapshot, entries }, appended) => {
        assert.deepEqual(entries, [])
        done.push(`log names ${snapshot?.generation} at ${snapshot?.index}`)
        appended(null)
      },
    },
    applier: {
      install: (generation, index, installed) => {
        done.push(`install ${generation} at ${index}`)
        installed(null, { applied: index } as ReplicaState)
      },
      deleteOtherGenerations: () => done.push('the old files go'),
    },
    clock: { nowMs: () => now.ms, wallMs: () => 0, setTimer: () => () => {} },
    askAgainMs: 1_000,
    applied: () => 10,
    ask: (_leader, index) => asked.push(index),
    installed: ({ applied }) => done.push(`applied ${applied}`),
    changed: () => {},
  })
  const mark = (index: number, term = TERM) => {
    return { index, term, generation: 2, confState: EMPTY_CONF_STATE }
  }
  return { reinstall, raft, done, asked, now, mark }
}

describe('files that differ', () => {
  it('are replaced by a copy that the log names first, and only then', () => {
    const { reinstall, done, mark } = createRig()
    reinstall.want(true)
    assert.equal(reinstall.arrived(mark(15)), true)
    const steps = ['log names 2 at 15', 'install 2 at 15', 'the old files go', 'applied 15']
    assert.deepEqual(done, steps)
    assert.equal(reinstall.count, 1)
  })

  it('take no copy that is behind them, and none where nothing differs', () => {
    const { reinstall, done, mark } = createRig()
    assert.equal(reinstall.arrived(mark(15)), false)
    reinstall.want(true)
    assert.equal(reinstall.takes(9), false)
    assert.equal(reinstall.takes(10), true)
    assert.equal(reinstall.arrived(mark(9)), false)
    assert.deepEqual(done, [])
  })

  it('wait until the index of the copy is committed here', () => {
    const { reinstall, raft, done, mark } = createRig()
    reinstall.want(true)
    assert.equal(reinstall.arrived(mark(25)), true)
    reinstall.tick()
    assert.deepEqual(done, [])
    raft.commit = 25
    reinstall.tick()
    assert.equal(done.length, 4)
  })

  it('leave a copy to consensus that the log does not reach', () => {
    const { reinstall, done, mark } = createRig()
    reinstall.want(true)
    assert.equal(reinstall.arrived(mark(31)), false)
    assert.equal(reinstall.arrived(mark(15, TERM + 1)), false)
    assert.deepEqual(done, [])
  })

  it('are asked for now and then, of another leader alone', () => {
    const { reinstall, raft, asked, now } = createRig()
    reinstall.tick()
    reinstall.want(true)
    raft.role = 'leader'
    reinstall.tick()
    assert.deepEqual(asked, [])
    raft.role = 'follower'
    reinstall.tick()
    reinstall.tick()
    assert.deepEqual(asked, [10])
    now.ms += 1_000
    reinstall.tick()
    assert.deepEqual(asked, [10, 10])
  })
})
