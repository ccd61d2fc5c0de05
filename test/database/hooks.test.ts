/** What is gathered for listeners while entries are applied. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  type CommandResult,
  decodeCommandResult,
  decodeWrite,
  WriteEncoder,
} from '../../src/command/command.ts'
import type { Replica } from '../../src/database/database.ts'
import { ApplyHooks, type HookNews } from '../../src/database/hooks.ts'
import { applyAll, createReplica, LogMaker, ORIGIN, readRows } from './log-maker.ts'

interface Rig {
  readonly hooks: ApplyHooks
  /** Whether somebody listens to every write. */
  readonly asked: { writes: boolean }
  readonly log: LogMaker
  readonly replica: Replica
  readonly directory: string
}

const KEYED = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)'

function start(context: TestContext, writesBytesMax?: number): Rig {
  const asked = { writes: false }
  const hooks = new ApplyHooks({ writesBytesMax, tellsWrites: () => asked.writes })
  const { replica, directory } = createReplica(context, { hooks })
  const log = new LogMaker()
  log.register()
  log.write('app', [
    KEYED,
    'CREATE TABLE u (id INTEGER PRIMARY KEY REFERENCES t ON DELETE CASCADE)',
  ])
  log.write('other', [KEYED])
  applyAll(replica, log)
  return { hooks, asked, log, replica, directory }
}

function touched(news: HookNews | null): unknown {
  return news?.touched.map(({ database, tables, isSchemaChanged }) => [
    database,
    [...tables].sort().join(),
    isSchemaChanged,
  ])
}

function indexes(news: HookNews | null): number[] {
  return (news?.writes ?? []).map(({ result }) => decodeCommandResult(result).index)
}

test('what waits for listeners is one message, merged and bounded', (context) => {
  const { hooks, log, replica } = start(context)
  assert.equal(hooks.take(), null, 'nobody listens')
  hooks.ask({ watched: ['app'], kept: [] })
  log.write('other', ['INSERT INTO t VALUES (1, 1)'])
  log.write('app', ['INSERT INTO t VALUES (1, 1)', 'INSERT INTO t VALUES (2, 1)'])
  applyAll(replica, log)
  assert.deepEqual(touched(hooks.take()), [['app', 't', false]])
  for (let turn = 0; turn < 3; turn += 1) {
    log.write('app', ['DELETE FROM t WHERE id = 1'])
    log.write('app', ['CREATE TABLE IF NOT EXISTS late (id)'])
    applyAll(replica, log)
    assert.equal(hooks.take(), null, 'the first is on its way')
  }
  hooks.taken()
  assert.deepEqual(touched(hooks.take()), [['app', 't,u', true]])
  hooks.taken()
  assert.equal(hooks.take(), null)
  hooks.touchedAll()
  assert.deepEqual(touched(hooks.take()), [['app', '', true]])
  hooks.taken()
  log.drop('other', 1)
  log.drop('app', 2)
  applyAll(replica, log)
  assert.deepEqual(touched(hooks.take()), [['app', '', true]])
})

test('a write that is not told is said to be left out', (context) => {
  const { hooks, asked, log, replica } = start(context, 1_000)
  asked.writes = true
  const insert = (id: number): number => {
    const { index } = log.write('app', [[`INSERT INTO t VALUES (${id}, ?)`, 'x'.repeat(300)]])
    applyAll(replica, log)
    return index
  }
  const first = insert(1)
  const news = hooks.take()
  assert.deepEqual(indexes(news), [first])
  assert.equal(decodeWrite(news?.writes[0]?.command ?? new Uint8Array()).database, 'app')
  const told = [insert(2), insert(3), insert(4)]
  const last = [insert(5), insert(6)].at(-1)
  hooks.taken()
  const rest = hooks.take()
  assert.deepEqual(indexes(rest), told)
  assert.equal(rest?.untoldIndex, last)
  hooks.taken()
  const again = insert(7)
  const next = hooks.take()
  assert.deepEqual([indexes(next), next?.untoldIndex], [[again], null])
  hooks.taken()
  insert(8)
  asked.writes = false
  assert.equal(hooks.take(), null)
})

/** All that there is to listen to. */
function listenToAll({ hooks, asked, log, replica }: Rig): void {
  hooks.ask({ watched: ['app'], kept: ['app'] })
  asked.writes = true
  log.write('app', ["INSERT INTO t VALUES (1, 'before')"])
  applyAll(replica, log)
  assert.equal(hooks.take()?.writes.length, 1)
  hooks.taken()
}

function keptEntries({ directory }: Rig): unknown[] {
  return readRows(directory, 'app', 'SELECT id >> 20 FROM _colmena_changes ORDER BY id').flat()
}

function codesOf(results: readonly CommandResult[]): unknown[] {
  return results.flatMap(({ units }) => units.map((unit) => (unit.ok ? 'ok' : unit.error.code)))
}

/** A transaction as it comes back through the log, on the state that its trial saw. */
function commitTried({ log }: Rig, sql: string, base: number): number {
  const encoder = new WriteEncoder()
  encoder.add({ statements: [{ sql, args: [] }] })
  const header = { origin: ORIGIN, database: 'app', sequence: 1 }
  return log.push(encoder.finish(header, { trial: { base, outcomes: [1] } })).index
}

test('what is tried is told to nobody before it comes back through the log', (context) => {
  const rig = start(context)
  const { hooks, log, replica } = rig
  listenToAll(rig)
  const kept = keptEntries(rig)
  const sql = "UPDATE t SET v = 'tried'"
  const begins = { environment: { wallMs: 0, seedHigh: 0, seedLow: 0 }, base: null }
  const statements = [{ sql, args: [] }]
  const { base } = replica.trials.step({ database: 'app', key: 'k', begins, statements })
  replica.trials.step({
    ...{ database: 'app', key: 'k', begins: null },
    statements: [{ sql: 'CREATE TABLE tried (id)', args: [] }],
  })
  assert.equal(hooks.take(), null, 'while it is tried')
  replica.trials.end('app', 'k')
  log.write('other', ['DELETE FROM t'])
  applyAll(replica, log)
  const news = hooks.take()
  assert.deepEqual([touched(news), news?.writes.length], [[], 1])
  assert.deepEqual(keptEntries(rig), kept)
  hooks.taken()
  const index = commitTried(rig, sql, base)
  applyAll(replica, log)
  const committed = hooks.take()
  assert.deepEqual([touched(committed), indexes(committed)], [[['app', 't', false]], [index]])
  assert.deepEqual(keptEntries(rig), [...kept, BigInt(index)])
})

test('what is refused before it runs is told to its caller alone', (context) => {
  const rig = start(context)
  const { hooks, log, replica } = rig
  listenToAll(rig)
  const kept = keptEntries(rig)
  log.fence = 7
  log.write('app', ["INSERT INTO t VALUES (8, 'its lock has ended')"])
  log.fence = undefined
  commitTried(rig, 'DELETE FROM t', log.lastIndex - 3)
  assert.deepEqual(codesOf(applyAll(replica, log)), ['ERR_FENCED', 'ERR_TX_ABORTED'])
  assert.equal(hooks.take(), null)
  assert.deepEqual(keptEntries(rig), kept)
  const { index } = log.write('app', ['DELETE FROM t'])
  applyAll(replica, log)
  assert.deepEqual(keptEntries(rig), [...kept, BigInt(index)], 'and the feed goes on')
})
