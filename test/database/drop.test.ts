import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { test } from 'node:test'
import { Replica } from '../../src/database/database.ts'
import {
  applyAll,
  createReplica,
  databasePath,
  LogMaker,
  OTHER,
  optionsFor,
  readRows,
} from './log-maker.ts'

const CREATE = 'CREATE TABLE t (v)'
const SELECT = 'SELECT v FROM t'

test('a dropped database is gone, and a later write makes a new one', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  log.write('app', [CREATE])
  log.write('app', ['INSERT INTO t VALUES (1)'])
  const drop = log.drop('app', 1)
  const dropped = replica.apply(log.entries)
  assert.deepEqual(dropped.drops, [
    { request: 1, database: 'app', index: drop.index, dropped: true },
  ])
  assert.equal(dropped.databasesChanged, true)
  for (const end of ['', '-wal', '-shm']) {
    assert.equal(fs.existsSync(`${databasePath(directory, 'app')}${end}`), false, end)
  }
  assert.deepEqual(replica.ownSequences(), [{ database: 'app', sequence: 2 }])
  log.write('app', [CREATE])
  log.write('app', ['INSERT INTO t VALUES (2)'])
  const results = applyAll(replica, log)
  assert.deepEqual(
    results.map(({ sequence }) => sequence),
    [3, 4],
  )
  assert.deepEqual(readRows(directory, 'app', SELECT), [[2n]])
  assert.deepEqual(replica.ownSequences(), [{ database: 'app', sequence: 4 }])
})

test('a drop between writes of one group splits it', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  log.write('app', [CREATE])
  log.write('app', ['INSERT INTO t VALUES (1)'])
  log.drop('app', 1)
  log.write('app', ['INSERT INTO t VALUES (2)'])
  log.write('app', [CREATE, 'INSERT INTO t VALUES (3)'])
  const answers = applyAll(replica, log).map(({ units }) => units.map(({ ok }) => ok))
  assert.deepEqual(answers, [[true], [true], [false], [true, true]])
  assert.deepEqual(readRows(directory, 'app', SELECT), [[3n]])
})

test('a late duplicate can neither drop again nor bring a dropped database back', (context) => {
  const { replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  const create = log.write('app', [CREATE])
  const drop = log.drop('app', 1)
  log.push(create.data)
  log.push(drop.data)
  assert.equal(replica.apply(log.entries).drops.length, 1)
  assert.equal(replica.databases().length, 1)
  log.write('app', [CREATE])
  log.push(drop.data)
  log.drop('app', 1, OTHER)
  applyAll(replica, log)
  assert.equal(replica.databases().length, 2)
})

test('dropping what is not there is answered', (context) => {
  const { replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  log.drop('none', 1)
  log.drop('system', 2)
  const { drops } = replica.apply(log.entries)
  assert.deepEqual(
    drops.map(({ dropped }) => dropped),
    [false, false],
  )
})

test('files that a crash left of a dropped database are removed', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  log.write('app', [CREATE])
  log.write('app', ['INSERT INTO t VALUES (1)'])
  applyAll(replica, log)
  const path = databasePath(directory, 'app')
  replica.close()
  const left = fs.readFileSync(path)
  const dropping = Replica.open(optionsFor(directory))
  log.drop('app', 1)
  applyAll(dropping, log)
  dropping.close()
  fs.writeFileSync(path, left)
  const again = Replica.open(optionsFor(directory))
  assert.equal(fs.existsSync(path), false)
  // Had it stayed, the next database of that name would not take it for its own.
  again.close()
  const last = Replica.open(optionsFor(directory))
  context.after(() => last.close())
  fs.writeFileSync(path, left)
  log.write('app', [CREATE])
  applyAll(last, log)
  assert.deepEqual(readRows(directory, 'app', SELECT), [])
})
