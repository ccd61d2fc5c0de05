import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Replica } from '../../src/database/database.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  LogMaker,
  MEMBER,
  OTHER,
  optionsFor,
  readRows,
  resultsOf,
} from './log-maker.ts'

test('commands of a registered origin apply, and their results come back', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.empty()
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)'])
  log.write('app', [
    ['INSERT INTO t (v) VALUES (?)', 'a'],
    ['INSERT INTO t (v) VALUES (?) RETURNING id, v', 'b'],
  ])
  const outcome = replica.apply(log.entries)
  const results = resultsOf(outcome)
  assert.deepEqual(
    results.map(({ sequence, index }) => [sequence, index]),
    [
      [1, 4],
      [2, 5],
    ],
  )
  const [first, second] = results[1]?.units ?? []
  assert.ok(first?.ok && second?.ok)
  assert.equal(first.statements[0]?.rowsAffected, 1)
  assert.equal(first.statements[0]?.lastInsertRowid, 1n)
  assert.deepEqual(second.statements[0]?.rows, [[2n, 'b']])
  assert.deepEqual(outcome.ownSequences, [{ database: 'app', sequence: 2 }])
  assert.equal(outcome.ownOrigin, 'registered')
  assert.equal(outcome.databasesChanged, true)
  assert.equal(outcome.appliedIndex, 5)
  assert.equal(replica.appliedIndex, 5)
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t ORDER BY id'), [['a'], ['b']])
})
