/** A relaxed log: what is told before it is durable, what is not, and what a crash leaves of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UNSYNCED_ENTRIES_MAX } from '../../src/log/log.ts'
import { type DiskOperation, SimulatedDisk } from '../simulated/disk.ts'
import { SeededRandom } from '../simulated/random.ts'
import { makeBatch, makeEntries } from './conformance.ts'
import { LogRig } from './rig.ts'

const LOSES_ALL = { kept: 0, garbage: 0 }

/** A log of segments that are large enough not to be sealed, as a seal is synced. */
function makeRig(seed: string): LogRig {
  const rig = new LogRig(seed, { durability: 'relaxed', segmentBytes: 1024 * 1024 })
  rig.create()
  rig.disk.settle()
  return rig
}

function appendOne(rig: LogRig, index: number): () => boolean {
  let isTold = false
  rig.opened.append(makeBatch({ entries: makeEntries(index, 1, 1, 50) }), (error) => {
    assert.equal(error, null)
    isTold = true
  })
  return () => isTold
}

function reopen(rig: LogRig): number {
  const outcome = rig.open()
  if (outcome === undefined || outcome instanceof Error) return assert.fail(String(outcome))
  rig.log = outcome.log
  return outcome.log.lastIndex
}

function isSync({ kind, path }: DiskOperation): boolean {
  return kind === 'sync' && path.endsWith('.wal')
}

test('entries are told of before they are durable, and are so after a flush', () => {
  const rig = makeRig('flush')
  const isTold = appendOne(rig, 1)
  rig.disk.settle()
  assert.ok(isTold())
  assert.equal(rig.opened.status().unsyncedEntries, 1)
  rig.opened.flush()
  rig.disk.settle()
  assert.equal(rig.opened.status().unsyncedEntries, 0)
  appendOne(rig, 2)
  rig.disk.settle()
  rig.disk.crash(LOSES_ALL)
  assert.equal(reopen(rig), 1)
})

test('an entry is told of while a flush is under way, a vote only behind it', () => {
  const rig = makeRig('busy')
  appendOne(rig, 1)
  rig.disk.settle()
  rig.opened.flush()
  const isTold = appendOne(rig, 2)
  let isVoteTold = false
  const hardState = { term: 2, vote: 1, commit: 0 }
  rig.opened.append(makeBatch({ hardState }), () => {
    isVoteTold = true
    assert.equal(rig.opened.status().unsyncedEntries, 0)
  })
  rig.disk.settle()
  assert.ok(isTold() && isVoteTold)
  assert.equal(rig.opened.status().unsyncedEntries, 0, 'none is counted twice')
  rig.disk.crash(LOSES_ALL)
  assert.equal(reopen(rig), 2)
})

test('what must be synced waits for a flush under way, and fails with it', () => {
  const queue: (() => void)[] = []
  let schedule = (complete: () => void): number => queue.push(complete)
  const drain = (): void => {
    while (queue.length > 0) queue.shift()?.()
  }
  const disk = new SimulatedDisk({
    random: new SeededRandom('held'),
    schedule: (_, complete) => schedule(complete),
  })
  const rig = new LogRig('held', { durability: 'relaxed', segmentBytes: 1024 * 1024, disk })
  rig.create()
  drain()
  appendOne(rig, 1)
  drain()
  const held: (() => void)[] = []
  schedule = (complete) => held.push(complete)
  // A system tells of bytes that it lost once: to whoever syncs first.
  disk.fault = (operation) => (isSync(operation) ? { code: 'EIO' } : null)
  rig.opened.flush()
  disk.fault = () => null
  schedule = (complete) => queue.push(complete)
  let told: Error | null | undefined
  rig.opened.append(makeBatch({ hardState: { term: 2, vote: 1, commit: 0 } }), (error) => {
    told = error
  })
  drain()
  assert.equal(told, undefined, 'what it stands on may be lost')
  assert.equal(held.length, 1)
  held[0]?.()
  drain()
  assert.equal(rig.fatals.length, 1)
  assert.equal(told, rig.fatals[0])
})

test('what is synced takes all before it along: none of it is lost, nor a hole before it', () => {
  const rig = makeRig('along')
  for (let index = 1; index <= 5; index += 1) {
    appendOne(rig, index)
    rig.disk.settle()
  }
  let isTold = false
  rig.opened.append(makeBatch({ hardState: { term: 3, vote: 2, commit: 0 } }), (error) => {
    assert.equal(error, null)
    isTold = true
  })
  rig.disk.settle()
  assert.ok(isTold)
  assert.equal(rig.opened.status().unsyncedEntries, 0)
  rig.disk.crash(LOSES_ALL)
  const outcome = rig.open()
  if (outcome === undefined || outcome instanceof Error) return assert.fail(String(outcome))
  assert.equal(outcome.log.lastIndex, 5)
  assert.deepEqual(outcome.hardState, { term: 3, vote: 2, commit: 0 })
})

test('terms, votes and changes of the configuration are durable when they are told of', () => {
  const rig = makeRig('votes')
  const [entry] = makeEntries(1, 1, 1, 50)
  assert.ok(entry !== undefined)
  const batches = [
    makeBatch({ hardState: { term: 2, vote: 0, commit: 0 } }),
    makeBatch({ hardState: { term: 2, vote: 7, commit: 0 } }),
    makeBatch({ entries: [{ ...entry, term: 2, type: 'confChangeV2' }] }),
  ]
  for (const batch of batches) {
    let syncs = 0
    rig.disk.fault = (operation) => {
      if (isSync(operation)) syncs += 1
      return null
    }
    rig.opened.append(batch, (error) => {
      assert.equal(error, null)
      assert.equal(syncs, 1)
    })
    rig.disk.settle()
    assert.equal(syncs, 1)
  }
  rig.disk.crash(LOSES_ALL)
  const outcome = rig.open()
  if (outcome === undefined || outcome instanceof Error) return assert.fail(String(outcome))
  assert.deepEqual(outcome.hardState, { term: 2, vote: 7, commit: 0 })
  assert.deepEqual(
    outcome.confChanges.map(({ index }) => index),
    [1],
  )
})

test('no more entries than a restart passes over are ever told of without being durable', () => {
  const rig = makeRig('bound')
  for (let index = 1; index <= UNSYNCED_ENTRIES_MAX + 10; index += 1) {
    appendOne(rig, index)
    rig.disk.settle()
    assert.ok(rig.opened.status().unsyncedEntries <= UNSYNCED_ENTRIES_MAX)
  }
  rig.disk.crash(LOSES_ALL)
  assert.ok(reopen(rig) >= UNSYNCED_ENTRIES_MAX)
})

test('after a flush that failed nothing is told of any more', () => {
  const rig = makeRig('failed')
  appendOne(rig, 1)
  rig.disk.settle()
  rig.disk.fault = (operation) => (isSync(operation) ? { code: 'EIO' } : null)
  rig.opened.flush()
  rig.disk.settle()
  assert.equal(rig.fatals.length, 1)
  let told: Error | null = null
  rig.opened.append(makeBatch({ entries: makeEntries(2, 1, 1, 50) }), (error) => {
    told = error
  })
  rig.disk.settle()
  assert.equal(told, rig.fatals[0])
})

test('what a crash tears off an unsynced end is never a hole before something that is kept', () => {
  for (let seed = 0; seed < 40; seed += 1) {
    const rig = makeRig(`torn-${seed}`)
    let flushed = 0
    for (let index = 1; index <= 30; index += 1) {
      appendOne(rig, index)
      rig.disk.settle()
      if (index % 7 !== seed % 7) continue
      rig.opened.flush()
      rig.disk.settle()
      flushed = index
    }
    rig.disk.crash()
    const last = reopen(rig)
    assert.ok(last >= flushed && last <= 30, `seed ${seed}: ${last} of ${flushed} to 30`)
  }
})
