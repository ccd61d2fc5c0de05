/** The machine stops at every single step of every script; what was promised must be there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from '../../src/raft/types.ts'
import { SeededRandom } from '../simulated/random.ts'
import { drawOperation, lastOf, type Operation } from './model.ts'
import { LogRig } from './rig.ts'

type Script = (rig: LogRig) => Iterable<Operation>

const scripts: Record<string, Script> = {
  *appends(rig) {
    for (let i = 0; i < 12; i += 1) yield appendOf(rig, 3, 100)
  },
  *rotations(rig) {
    for (let i = 0; i < 10; i += 1) yield appendOf(rig, 2, 700)
  },
  *truncations(rig) {
    for (let i = 0; i < 6; i += 1) yield appendOf(rig, 3, 500)
    for (const back of [1, 7, 4]) {
      yield appendOf(rig, 4, 300, lastOf(rig.state) - back)
      yield appendOf(rig, 1, 300)
    }
  },
  *compactions(rig) {
    for (let i = 0; i < 12; i += 1) {
      yield appendOf(rig, 2, 700)
      yield commitOf(rig)
      if (i % 3 === 2) yield { kind: 'compact', index: lastOf(rig.state) - 2 }
    }
  },
  *snapshots(rig) {
    for (let i = 0; i < 3; i += 1) {
      for (let j = 0; j < 4; j += 1) yield appendOf(rig, 2, 700)
      yield commitOf(rig)
      yield markOf(rig, lastOf(rig.state) - 1)
      yield markOf(rig, lastOf(rig.state) + 10)
      yield { kind: 'compact', index: lastOf(rig.state) }
    }
  },
  *anything(rig) {
    for (let i = 0; i < 30; i += 1) yield drawOperation(rig.random, rig.state)
  },
}

for (const [name, script] of Object.entries(scripts)) {
  test(`a stop at every step of ${name}`, () => {
    let cases = 0
    for (let seed = 1; seed <= 10; seed += 1) {
      for (let stopAt = 1; ; stopAt += 1) {
        cases += 1
        if (!runCase(script, `${name}:${seed}`, stopAt)) break
      }
    }
    assert.ok(cases > 200, `${cases} cases`)
  })
}

/** False once the script ends before the stop. */
function runCase(script: Script, seed: string, stopAt: number): boolean {
  const rig = new LogRig(seed)
  const pace = new SeededRandom(`${seed}:pace`)
  const luck = new SeededRandom(`${seed}:${stopAt}`)
  try {
    rig.create()
    rig.disk.stopAtStep(rig.disk.steps + stopAt)
    for (const operation of script(rig)) {
      rig.submit(operation)
      for (let i = pace.below(12); i > 0; i -= 1) rig.disk.step()
      if (rig.disk.isStopped) break
    }
    if (!rig.disk.isStopped) rig.disk.settle()
    const wasStopped = rig.disk.isStopped
    rig.disk.crash()
    stopDuringRecovery(rig, luck)
    rig.reopen()
    // What was recovered is promised from then on, and the log goes on from there.
    rig.submit(appendOf(rig, 1, 50))
    rig.disk.settle()
    rig.disk.crash()
    rig.reopen()
    return wasStopped
  } catch (error) {
    throw new Error(`seed ${seed}, stop at step ${stopAt}`, { cause: error })
  }
}

function stopDuringRecovery(rig: LogRig, luck: SeededRandom): void {
  for (let i = luck.below(3); i > 0; i -= 1) {
    rig.disk.stopAtStep(rig.disk.steps + luck.between(1, 40))
    const outcome = rig.open()
    if (outcome instanceof Error) throw outcome
    rig.disk.crash()
  }
}

function appendOf(rig: LogRig, count: number, sizeBytes: number, from?: number): Operation {
  const { hardState } = rig.state
  const first = from ?? lastOf(rig.state) + 1
  const term = from === undefined ? hardState.term : hardState.term + 1
  const entries: Entry[] = Array.from({ length: count }, (_, i) => ({
    index: first + i,
    term,
    type: 'normal',
    data: rig.random.bytes(sizeBytes),
  }))
  const next = from === undefined ? null : { ...hardState, term, vote: 0 }
  return { kind: 'append', batch: { entries, hardState: next, snapshot: null, mustSync: true } }
}

function commitOf(rig: LogRig): Operation {
  const hardState = { ...rig.state.hardState, commit: lastOf(rig.state) }
  const batch = { entries: [], hardState, snapshot: null, mustSync: false }
  return { kind: 'append', batch }
}

function markOf(rig: LogRig, index: number): Operation {
  const { hardState } = rig.state
  const confState = {
    voters: [1, 2, 3],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  }
  const snapshot = { index, term: hardState.term, generation: index, confState }
  const next = { ...hardState, commit: Math.max(index, hardState.commit) }
  return { kind: 'append', batch: { entries: [], hardState: next, snapshot, mustSync: true } }
}
