/** What every disk must let the log do: one suite, run on the real disk and the simulated one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isColmenaError } from '../../src/base/errors.ts'
import {
  type AppendBatch,
  createLog,
  type Disk,
  hasLog,
  type Log,
  type LogOptions,
  openLog,
  type Recovered,
} from '../../src/log/log.ts'
import type { Entry, HardState } from '../../src/raft/types.ts'
import { SeededRandom } from '../simulated/random.ts'

/** Gives a new, empty disk for each test. */
export type MakeDisk = () => Disk

interface Rig {
  readonly options: LogOptions
  log: Log
}

const firstHardState: HardState = { term: 1, vote: 2, commit: 0 }
const confState = {
  voters: [1, 2],
  learners: [3],
  votersOutgoing: [1],
  learnersNext: [4],
  autoLeave: true,
}

export function testLog(name: string, makeDisk: MakeDisk): void {
  const check = (what: string, run: (rig: Rig) => Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const options = makeOptions(makeDisk())
      await run({ options, log: (await create(options)).log })
    })
  }

  test(`${name}: a log exists once it was created, and is created once`, async () => {
    const options = makeOptions(makeDisk())
    const exists = (): Promise<boolean> =>
      new Promise((resolve, reject) => {
        hasLog(options, (error, found) => (error === null ? resolve(found) : reject(error)))
      })
    assert.equal(await exists(), false)
    await rejectsWith('ERR_LOG_CORRUPT', open(options))
    const { log } = await create(options)
    assert.equal(await exists(), true)
    await rejectsWith('ERR_DATA_DIR', create(options))
    await close(log)
  })

  test(`${name}: a log can begin behind a snapshot`, async () => {
    const options = makeOptions(makeDisk())
    const genesis = { index: 40, term: 3, generation: 2, confState }
    const { log } = await create(options, genesis)
    assert.deepEqual([log.firstIndex, log.lastIndex, log.term(40)], [41, 40, 3])
    await close(log)
    const again = await open(options)
    assert.deepEqual(again.snapshot, genesis)
    assert.deepEqual([again.log.firstIndex, again.log.lastIndex, again.log.term(40)], [41, 40, 3])
    await close(again.log)
  })

  check('what was appended is there after reopening', async (rig) => {
    const entries = makeEntries(1, 30, 1, 900)
    await append(rig.log, { entries: entries.slice(0, 10) })
    await append(rig.log, {
      entries: entries.slice(10),
      hardState: { ...firstHardState, commit: 9 },
    })
    await close(rig.log)
    const { log, hardState } = await open(rig.options)
    assert.deepEqual(hardState, { term: 1, vote: 2, commit: 9 })
    assert.ok(log.status().segmentCount > 3, 'the log went through several segments')
    assert.deepEqual(await readAll(log), entries)
    await close(log)
  })

  check('a commit index of its own is there after closing', async (rig) => {
    await append(rig.log, { entries: makeEntries(1, 3, 1, 10) })
    await append(rig.log, { hardState: { ...firstHardState, commit: 3 }, mustSync: false })
    await close(rig.log)
    const { log, hardState } = await open(rig.options)
    assert.equal(hardState.commit, 3)
    await close(log)
  })

  check('entries of a new term take the place of others', async (rig) => {
    const old = makeEntries(1, 20, 1, 900)
    await append(rig.log, { entries: old })
    const fresh = makeEntries(6, 3, 2, 50)
    await append(rig.log, { entries: fresh, hardState: { term: 2, vote: 0, commit: 0 } })
    const expected = [...old.slice(0, 5), ...fresh]
    assert.deepEqual(await readAll(rig.log), expected)
    assert.equal(rig.log.term(6), 2)
    assert.equal(rig.log.term(9), 'unavailable')
    await close(rig.log)
    const { log } = await open(rig.options)
    assert.deepEqual(await readAll(log), expected)
    await close(log)
  })

  check('compaction deletes segments and keeps the boundary', async (rig) => {
    const entries = makeEntries(1, 40, 1, 900)
    for (let at = 0; at < 40; at += 4) await append(rig.log, { entries: entries.slice(at, at + 4) })
    await append(rig.log, { hardState: { ...firstHardState, commit: 40 } })
    const before = rig.log.status()
    await new Promise<void>((resolve, reject) => {
      rig.log.compact(33, (error) => (error === null ? resolve() : reject(error)))
    })
    const after = rig.log.status()
    assert.ok(after.segmentCount < before.segmentCount - 2, 'segments are gone')
    assert.ok(after.retainedBytes < before.retainedBytes, 'their bytes are')
    assert.equal(rig.log.entries(33, 34, 1), 'compacted')
    await close(rig.log)
    const { log } = await open(rig.options)
    assert.deepEqual([log.firstIndex, log.term(33), log.term(32)], [34, 1, 'compacted'])
    assert.deepEqual(await readAll(log), entries.slice(33))
    await close(log)
  })

  check('a snapshot beyond the log takes the place of all entries', async (rig) => {
    await append(rig.log, { entries: makeEntries(1, 5, 1, 10) })
    const snapshot = { index: 90, term: 4, generation: 7, confState }
    const hardState = { term: 4, vote: 0, commit: 90 }
    await append(rig.log, { snapshot, hardState, entries: makeEntries(91, 2, 4, 10) })
    assert.deepEqual([rig.log.firstIndex, rig.log.lastIndex, rig.log.term(90)], [91, 92, 4])
    await close(rig.log)
    const found = await open(rig.options)
    assert.deepEqual([found.snapshot, found.hardState], [snapshot, hardState])
    assert.deepEqual(await readAll(found.log), makeEntries(91, 2, 4, 10))
    await close(found.log)
  })

  check('an entry larger than a segment is stored and read', async (rig) => {
    const entries = [...makeEntries(1, 2, 1, 100), ...makeEntries(3, 1, 1, 60_000)]
    await append(rig.log, { entries: entries.slice(0, 2) })
    await append(rig.log, { entries: entries.slice(2) })
    await append(rig.log, { entries: makeEntries(4, 1, 1, 10) })
    assert.deepEqual(await readAll(rig.log), [...entries, ...makeEntries(4, 1, 1, 10)])
    await close(rig.log)
    const { log } = await open(rig.options)
    assert.deepEqual(await readAll(log), [...entries, ...makeEntries(4, 1, 1, 10)])
    await close(log)
  })

  check('a closed log takes nothing', async (rig) => {
    await close(rig.log)
    await rejectsWith('ERR_CLOSED', append(rig.log, { entries: makeEntries(1, 1, 1, 1) }))
    await rejectsWith('ERR_CLOSED', close(rig.log))
  })
}

function makeOptions(disk: Disk): LogOptions {
  return {
    disk,
    directory: 'data/log',
    clusterId: new Uint8Array(16).fill(9),
    memberId: 5,
    segmentBytes: 8192,
    cacheBytesMax: 2_000,
    random: new SeededRandom('conformance'),
    clock: { nowMs: () => performance.now() },
    fatal: (error) => {
      throw error
    },
  }
}

/** Entries of which each says where it belongs. */
export function makeEntries(from: number, count: number, term: number, sizeBytes: number): Entry[] {
  return Array.from({ length: count }, (_, i) => {
    const data = new Uint8Array(sizeBytes).fill((from + i) * 16 + term)
    return { index: from + i, term, type: 'normal' as const, data }
  })
}

export function makeBatch(batch: Partial<AppendBatch>): AppendBatch {
  return { entries: [], hardState: null, snapshot: null, mustSync: true, ...batch }
}

async function readAll(log: Log): Promise<Entry[]> {
  const all: Entry[] = []
  while (log.firstIndex + all.length <= log.lastIndex) {
    const lo = log.firstIndex + all.length
    await new Promise<void>((resolve, reject) => {
      log.load(lo, log.lastIndex + 1, 4_000, (error) =>
        error === null ? resolve() : reject(error),
      )
    })
    const found = log.entries(lo, log.lastIndex + 1, 4_000)
    assert.ok(typeof found !== 'string', `entry ${lo} is ${found}`)
    assert.ok(found.length > 0)
    // Plain bytes: what they are views of does not matter.
    all.push(...found.map((entry) => ({ ...entry, data: Uint8Array.from(entry.data) })))
  }
  return all
}

function create(
  options: LogOptions,
  genesis: Parameters<typeof createLog>[1] = null,
): Promise<Recovered> {
  return new Promise((resolve, reject) => {
    createLog(options, genesis, firstHardState, (error, recovered) => {
      if (error === null) resolve(recovered as Recovered)
      else reject(error)
    })
  })
}

function open(options: LogOptions): Promise<Recovered> {
  return new Promise((resolve, reject) => {
    openLog(options, (error, recovered) => {
      if (error === null) resolve(recovered as Recovered)
      else reject(error)
    })
  })
}

function append(log: Log, batch: Partial<AppendBatch>): Promise<void> {
  return new Promise((resolve, reject) => {
    log.append(makeBatch(batch), (error) => (error === null ? resolve() : reject(error)))
  })
}

function close(log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    log.close((error) => (error === null ? resolve() : reject(error)))
  })
}

function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  return assert.rejects(promise, (error) => isColmenaError(error) && error.code === code)
}
