/** What is gathered for listeners while entries are applied. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { decodeCommandResult, decodeWrite } from '../../src/command/command.ts'
import type { Replica } from '../../src/database/database.ts'
import { ApplyHooks, type HookNews } from '../../src/database/hooks.ts'
import { applyAll, createReplica, LogMaker } from './log-maker.ts'

interface Rig {
  readonly hooks: ApplyHooks
  readonly log: LogMaker
  readonly replica: Replica
}

const KEYED = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)'

function start(context: TestContext, bytesMax?: number): Rig {
  const hooks = new ApplyHooks(undefined, bytesMax)
  const { replica } = createReplica(context, { hooks })
  const log = new LogMaker()
  log.register()
  log.write('app', [
    KEYED,
    'CREATE TABLE u (id INTEGER PRIMARY KEY REFERENCES t ON DELETE CASCADE)',
  ])
  log.write('other', [KEYED])
  applyAll(replica, log)
  return { hooks, log, replica }
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
  hooks.ask({ watched: ['app'], kept: [], writes: false })
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
  const { hooks, log, replica } = start(context, 1_000)
  hooks.ask({ watched: [], kept: [], writes: true })
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
  hooks.ask({ watched: [], kept: [], writes: false })
  assert.equal(hooks.take(), null)
})
