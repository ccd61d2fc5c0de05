/** Copies of databases, and the log behind them, come to what the node had at each entry. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { before, suite, type TestContext, test } from 'node:test'
import { encodeVoid, type RoutedWrite, routedWrite } from '../../src/command/command.ts'
import { encodeEntries } from '../../src/database/storage-protocol.ts'
import {
  describeLog,
  findMoment,
  openReplay,
  type Replay,
  type ReplayBounds,
} from '../../src/index.ts'
import type { Entry } from '../../src/raft/raft.ts'
import { hashContent, Reader } from '../../src/sqlite/sqlite.ts'
import { createReplica, LogMaker, ORIGIN } from '../database/log-maker.ts'
import { SeededRandom } from '../simulated/random.ts'
import { copyAt, piecesBehind, type Recorded, recordNode } from './recorded-log.ts'
import { temporaryDirectory } from './temporary.ts'
import { liveVaried } from './varied-life.ts'

let recorded: Recorded

before(async () => {
  const random = new SeededRandom(2_024)
  recorded = await recordNode(async (node, verify) => {
    for (let part = 0; part < 6; part += 1) {
      await liveVaried(node, random, 40)
      await verify()
    }
  })
})

async function replayFrom(t: TestContext, index: number): Promise<Replay> {
  const replay = await openReplay({ directory: await copyAt(t, recorded, index) })
  t.after(() => replay.close())
  return replay
}

/** Gives it what is behind its copies, in pieces, until the bound. */
async function bring(replay: Replay, seed: number, bounds: ReplayBounds): Promise<void> {
  for (const piece of piecesBehind(recorded, replay.index, new SeededRandom(seed))) {
    const { index, isDone } = await replay.apply(piece, bounds)
    assert.equal(index, replay.index)
    if (isDone) return
  }
}

function named(hashes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(hashes).map(([key, hash]) => [key.split('@')[0], hash]))
}

function writeOf({ type, data }: Entry): RoutedWrite | null {
  return type === 'normal' && data.length > 0 ? routedWrite(data) : null
}

function timeOf(entry: Entry): number | null {
  return writeOf(entry)?.environment.wallMs ?? null
}

function hashOf(path: string): string {
  const reader = new Reader(path)
  try {
    return hashContent(reader)
  } finally {
    reader.close()
  }
}

/** Entries `from` to `to`, both included. */
function piece(from: number, to: number): Uint8Array {
  return encodeEntries(recorded.entries.filter(({ index }) => index >= from && index <= to))
}

suite('a replay', () => {
  test('comes to what the node said that it had, from any copy', async (t) => {
    const [first] = recorded.verified
    assert.ok(first !== undefined)
    for (const from of [1, Math.floor(first.index / 2), first.index]) {
      const replay = await replayFrom(t, from)
      assert.equal(replay.clusterId, recorded.genesis.clusterId)
      assert.equal(replay.index, from)
      for (const { index, members } of recorded.verified) {
        if (index > from) await bring(replay, from + index, { untilIndex: index })
        assert.equal(replay.index, index)
        assert.deepEqual(named(await replay.hashes()), members[0]?.hashes, `at ${index}`)
      }
    }
  })

  test('is at any entry what was applied in one go up to there', async (t) => {
    const random = new SeededRandom(7)
    const last = recorded.entries.at(-1)?.index ?? 0
    for (let round = 0; round < 8; round += 1) {
      const to = 2 + random.below(last - 2)
      const replay = await replayFrom(t, 1 + random.below(to - 1))
      await bring(replay, round, { untilIndex: to })
      const whole = await replayFrom(t, to)
      assert.equal(replay.index, to)
      assert.equal(replay.timeMs, whole.timeMs)
      assert.deepEqual(replay.digests(), whole.digests())
      assert.deepEqual(await replay.hashes(), await whole.hashes(), `at ${to}`)
      const known = ({ name, createdIndex }: ReturnType<Replay['databases']>[0]): unknown[] => {
        return [name, createdIndex]
      }
      assert.deepEqual(replay.databases().map(known), whole.databases().map(known))
    }
  })

  test('takes a piece that begins before its copies, from where they end', async (t) => {
    const replay = await replayFrom(t, 30)
    const { index, isDone } = await replay.apply(piece(20, 45))
    assert.deepEqual({ index, isDone }, { index: 45, isDone: false })
  })

  test('refuses pieces that do not follow, and goes on with the one that does', async (t) => {
    const replay = await replayFrom(t, 30)
    const refused = async (bytes: Uint8Array, message: RegExp): Promise<void> => {
      await assert.rejects(replay.apply(bytes), { code: 'ERR_BACKUP_DAMAGED', message })
      assert.equal(replay.index, 30)
    }
    await refused(piece(32, 40), /entries 32 to 40 does not follow entry 30/)
    await refused(piece(20, 30), /entries 20 to 30 does not follow entry 30/)
    const [first, second] = [recorded.entries[29] as Entry, recorded.entries[30] as Entry]
    const late = { ...second, index: second.index + 1 }
    await refused(encodeEntries([first, late]), /has entry 33 of term \d+ behind entry 31/)
    await refused(encodeEntries([second, first]), /has entry 31 of term \d+ behind entry 32/)
    await refused(encodeEntries([]), /holds no entry/)
    await refused(piece(31, 40).subarray(0, -3), /can't be read/)
    await refused(encodeEntries([{ ...first, term: 0 }]), /applied up to entry 30 of term [1-9]/)
    const other = { ...(recorded.entries[28] as Entry), term: 99 }
    await refused(encodeEntries([other, { ...first, term: 99 }]), /has that entry in term 99/)
    await refused(
      encodeEntries([{ ...first, data: new Uint8Array([1, 2, 3]) }]),
      /entries from 31 on could not be applied/,
    )
    await replay.apply(piece(31, 40))
    assert.equal(replay.index, 40)
  })

  test('says where this machine fails, and takes the same piece again', async (t) => {
    const replay = await replayFrom(t, 30)
    const last = recorded.verified[0]?.index as number
    const rest = piece(31, last)
    // Not the first that is written to, which is then ahead of it.
    const [, second] = recorded.entries.slice(29, last).flatMap((entry, at, entries) => {
      const name = writeOf(entry)?.database
      const isFirst = entries.findIndex((one) => writeOf(one)?.database === name) === at
      return name !== undefined && name !== 'system' && isFirst ? [name] : []
    })
    const other = new DatabaseSync(join(replay.directory, 'db', '1', `${second}.db`))
    other.exec('BEGIN IMMEDIATE')
    await assert.rejects(replay.apply(rest), {
      code: 'ERR_DATA_DIR',
      retryable: true,
      message: /entries from \d+ on could not be applied: .*locked/,
    })
    const torn = { code: 'ERR_DATA_DIR', message: /at entries from 30 to \d+.*piece again/ }
    await assert.rejects(replay.hashes(), torn)
    await assert.rejects(replay.copyTo('main', join(replay.directory, '..', 'torn.db')), torn)
    assert.throws(() => replay.digests(), torn)
    other.close()
    await replay.apply(rest)
    assert.deepEqual(named(await replay.hashes()), recorded.verified[0]?.members[0]?.hashes)
  })

  test('runs nothing of an entry that was skipped', async (t) => {
    const entry = recorded.entries.find((one) => writeOf(one) !== null)
    assert.ok(entry !== undefined)
    const skipped = { index: entry.index + 1, term: entry.term, type: 'normal' } as const
    const behind = encodeEntries([{ ...skipped, data: encodeVoid(entry.index) }])
    const { voided } = describeLog(behind)
    assert.deepEqual(voided, [entry.index])
    const ways = {
      apart: { voided, pieces: [encodeEntries([entry]), behind] },
      together: { pieces: [encodeEntries([entry, { ...skipped, data: encodeVoid(entry.index) }])] },
    }
    for (const [way, { pieces, ...options }] of Object.entries(ways)) {
      const directory = await copyAt(t, recorded, entry.index - 1)
      await using replay = await openReplay({ directory, ...options })
      for (const bytes of pieces) await replay.apply(bytes)
      assert.equal(replay.index, skipped.index)
      const main = new DatabaseSync(join(directory, 'db', '1', 'main.db'))
      const tables = main.prepare("SELECT name FROM sqlite_schema WHERE name = 'kept'").all()
      main.close()
      assert.deepEqual(tables, [], way)
    }
  })

  test('gives each database as a file of its own, and replaces none', async (t) => {
    const { index, members } = recorded.verified[1] as Recorded['verified'][0]
    const replay = await replayFrom(t, 30)
    await bring(replay, 5, { untilIndex: index })
    const folder = temporaryDirectory(t)
    for (const { name } of replay.databases()) {
      const path = join(folder, `${name}.db`)
      const copied = await replay.copyTo(name, path)
      assert.equal(copied.index, index)
      assert.equal(hashOf(path), members[0]?.hashes?.[name])
    }
    const code = 'ERR_INVALID_ARGUMENT'
    const again = replay.copyTo('main', join(folder, 'main.db'))
    await assert.rejects(again, { code, message: /there already/ })
    const none = replay.copyTo('none', join(folder, 'none.db'))
    await assert.rejects(none, { code, message: /no database "none" at entry \d+, but gone, main/ })
    const inside = replay.copyTo('main', join(replay.directory, 'copy.db'))
    await assert.rejects(inside, { code, message: /its own/ })
    const signal = AbortSignal.abort()
    const ended = replay.copyTo('main', join(folder, 'new.db'), { signal })
    await assert.rejects(ended, { code: 'ERR_ABORTED' })
    assert.deepEqual(readdirSync(folder).sort(), ['gone.db', 'main.db', 'other.db'])
  })

  test('ends at a signal and at its close, twice', async (t) => {
    const replay = await replayFrom(t, 2)
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(replay.apply(piece(3, 20), { signal }), { code: 'ERR_ABORTED' })
    await assert.rejects(replay.hashes({ signal }), { code: 'ERR_ABORTED' })
    const hashing = new AbortController()
    const hashed = replay.hashes({ signal: hashing.signal })
    await assert.rejects(replay.apply(piece(3, 20)), { code: 'ERR_INVALID_ARGUMENT' })
    hashing.abort()
    await assert.rejects(hashed, { code: 'ERR_ABORTED' })
    const applying = replay.apply(piece(3, 20))
    await Promise.all([
      assert.rejects(applying, { code: 'ERR_CLOSED' }),
      replay.close(),
      replay.close(),
    ])
    await assert.rejects(replay.apply(piece(3, 20)), { code: 'ERR_CLOSED' })
    await assert.rejects(replay.hashes(), { code: 'ERR_CLOSED' })
    assert.throws(() => replay.digests(), { code: 'ERR_CLOSED' })
  })
})

test('a replay without the extensions of its log says which they are', async (t) => {
  const { replica } = createReplica(t)
  const log = new LogMaker()
  log.register(1, ORIGIN, '', 'one extensions vec@1')
  log.write('app', ['CREATE TABLE t (v)'])
  const directory = temporaryDirectory(t)
  mkdirSync(join(directory, 'db'))
  const snapshot = replica.pinSnapshot()
  await snapshot?.copyTo(join(directory, 'db', '1'))
  snapshot?.release()
  await using replay = await openReplay({ directory })
  await assert.rejects(replay.apply(encodeEntries(log.entries)), {
    code: 'ERR_OTHER_EXTENSIONS',
    message: /entry 3 was written with extensions vec@1, and here are \(none\): give those/,
  })
})

const UNFIT: Readonly<Record<string, readonly [(folder: string) => void, RegExp]>> = {
  'one is missing': [(folder) => rmSync(join(folder, 'other.db')), /lacks other\.db/],
  'the cluster’s own is missing': [
    (folder) => rmSync(join(folder, 'system.db')),
    /holds no system\.db/,
  ],
  'one is no database': [
    (folder) => writeFileSync(join(folder, 'main.db'), 'nothing of the kind '.repeat(500)),
    /not whole: .*main\.db/,
  ],
  'one is of another entry': [
    (folder) => {
      const db = new DatabaseSync(join(folder, 'other.db'))
      db.exec('UPDATE _colmena_state SET applied = applied - 1')
      db.close()
    },
    /has other at entry 29/,
  ],
}

suite('copies are refused', () => {
  for (const [what, [spoil, message]] of Object.entries(UNFIT)) {
    test(`where ${what}`, async (t) => {
      const directory = await copyAt(t, recorded, 30)
      spoil(join(directory, 'db', '1'))
      await assert.rejects(openReplay({ directory }), { code: 'ERR_BACKUP_DAMAGED', message })
    })
  }

  test('where options are no options', async () => {
    const code = 'ERR_INVALID_ARGUMENT'
    await assert.rejects(openReplay({ directory: '' }), { code })
    await assert.rejects(openReplay({ directory: '.', voided: 3 as never }), { code })
    await assert.rejects(openReplay({ directory: '.', dir: 1 } as never), { code })
  })
})

test('a piece of the log tells which of its entries are of a time, as far as they have one', () => {
  const timed = recorded.entries.filter((entry) => timeOf(entry) !== null)
  const bytes = encodeEntries(recorded.entries)
  for (const at of [0, 30, 111]) {
    const timeMs = timeOf(timed[at] as Entry) as number
    const next = timed.findIndex((entry) => (timeOf(entry) as number) > timeMs)
    const moment = { index: timed[next - 1]?.index, isPassed: true }
    assert.deepEqual(findMoment(bytes, timeMs), moment)
  }
  const [first, last] = [timed[0] as Entry, timed.at(-1) as Entry]
  const beforeMs = (timeOf(first) as number) - 1
  assert.deepEqual(findMoment(bytes, beforeMs), { index: null, isPassed: true })
  const endMs = Math.max(...timed.map((entry) => timeOf(entry) as number))
  assert.deepEqual(findMoment(bytes, endMs), { index: last.index, isPassed: false })
  const untimed = recorded.entries.filter((entry) => timeOf(entry) === null)
  const alone = encodeEntries([untimed[0] as Entry])
  assert.deepEqual(findMoment(alone, endMs), { index: null, isPassed: false })
})

test('a piece of the log tells its entries and their times', () => {
  const last = recorded.entries.at(-1) as Entry
  const times = recorded.entries.map(timeOf).filter((timeMs) => timeMs !== null)
  assert.deepEqual(describeLog(encodeEntries(recorded.entries)), {
    firstIndex: 2,
    lastIndex: last.index,
    term: last.term,
    firstMs: times[0],
    lastMs: Math.max(...times),
    voided: [],
  })
  assert.throws(() => describeLog(piece(31, 40).subarray(1)), { code: 'ERR_BACKUP_DAMAGED' })
})
