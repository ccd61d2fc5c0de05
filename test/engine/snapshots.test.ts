import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Applier, SnapshotCopy } from '../../src/engine/ports.ts'
import { Snapshots } from '../../src/engine/snapshots.ts'
import { createMessage } from '../../src/raft/message.ts'
import type { Raft } from '../../src/raft/raft.ts'
import type { Transport } from '../../src/transport/transport.ts'

const NOBODY = { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false }
const LEADER = 1
const MEMBER = 7

function createRig() {
  const now = { ms: 1_000 }
  /** How far the leader has committed, and what it knows of its followers. */
  const state = { commit: 500, progress: [] as { id: number; match: number }[] }
  let finishCopy: (error: Error | null, copy: SnapshotCopy | null) => void = () => {}
  let endStream: (error: Error | null) => void = () => {}
  const snapshots = new Snapshots({
    raft: {
      applied: 50,
      get commit() {
        return state.commit
      },
      status: () => ({ progress: state.progress }),
      reportSnapshot: () => {},
    } as unknown as Raft,
    applier: {
      copySnapshot: (_directory: string, done: typeof finishCopy) => {
        finishCopy = done
      },
      removeSnapshot: () => {},
    } as unknown as Applier,
    transport: {
      sendSnapshot: (...args: readonly unknown[]) => {
        endStream = args[3] as typeof endStream
        return () => {}
      },
    } as unknown as Transport,
    clock: { nowMs: () => now.ms, wallMs: () => 0, setTimer: () => () => {} },
    random: { u32: () => 1 },
    dataDir: 'data',
    generation: 1,
    firstIndex: () => 1,
    confState: () => NOBODY,
    changed: () => {},
    warning: () => {},
    decided: () => {},
    takes: () => false,
    arrived: () => false,
  })
  return {
    snapshots,
    now,
    state,
    send: () => snapshots.send(createMessage('snapshot', LEADER, MEMBER)),
    finishCopy: (index: number) =>
      finishCopy(null, {
        index,
        term: 1,
        confState: NOBODY,
        clockMs: 0,
        digests: new Map(),
        files: [],
      }),
    breakStream: () => endStream(new Error('the link broke')),
    endStream: () => endStream(null),
  }
}

describe('the log behind a copy', () => {
  it('is kept from the moment the copy is begun', () => {
    const { snapshots, now, finishCopy } = createRig()
    assert.equal(snapshots.neededIndex, null)
    assert.equal(snapshots.latest(), 'unavailable')
    assert.equal(snapshots.neededIndex, 50, 'the copy will be at this index or later')
    // However long it takes to make.
    now.ms += 600_000
    snapshots.tick()
    assert.equal(snapshots.neededIndex, 50)
    finishCopy(60)
    assert.equal(snapshots.neededIndex, 60)
  })

  it('is kept for a stream, and for a while after it broke off', () => {
    const { snapshots, now, send, finishCopy, breakStream } = createRig()
    snapshots.latest()
    finishCopy(60)
    send()
    now.ms += 600_000
    snapshots.tick()
    assert.equal(snapshots.neededIndex, 60)
    breakStream()
    now.ms += 9_000
    snapshots.tick()
    assert.equal(snapshots.neededIndex, 60, 'the taker goes on where it was')
    now.ms += 1_001
    snapshots.tick()
    assert.equal(snapshots.neededIndex, null)
  })

  it('is let go when nobody takes the copy after all', () => {
    const { snapshots, now, finishCopy } = createRig()
    snapshots.latest()
    finishCopy(60)
    snapshots.tick()
    assert.equal(snapshots.neededIndex, 60)
    now.ms += 10_001
    snapshots.tick()
    assert.equal(snapshots.neededIndex, null)
  })

  it('is kept for whoever took it, from where that one is until it has caught up', () => {
    const { snapshots, now, state, send, finishCopy, endStream } = createRig()
    snapshots.latest()
    finishCopy(60)
    send()
    endStream()
    state.progress = [{ id: MEMBER, match: 0 }]
    for (const [match, needed] of [
      [0, 60], // It is still putting the files in place.
      [60, 60],
      [200, 200],
      [399, 399],
      [400, null], // A hundred entries are what the log always has.
    ] as const) {
      state.progress = [{ id: MEMBER, match }]
      now.ms += 10_000
      snapshots.tick()
      assert.equal(snapshots.neededIndex, needed, `match ${match}`)
    }
  })

  it('is let go when whoever took it does not come on, or is no member any more', () => {
    for (const progress of [[{ id: MEMBER, match: 0 }], []]) {
      const { snapshots, now, state, send, finishCopy, endStream } = createRig()
      snapshots.latest()
      finishCopy(60)
      send()
      endStream()
      assert.equal(snapshots.neededIndex, 60)
      state.progress = progress
      now.ms += progress.length === 0 ? 1 : 30_001
      snapshots.tick()
      assert.equal(snapshots.neededIndex, null)
    }
  })
})
