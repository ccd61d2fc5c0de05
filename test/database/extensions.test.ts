/** Writes of a node that had other extensions: they would mean something else here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Replica } from '../../src/database/database.ts'
import { VECTOR } from '../sqlite/vector.ts'
import {
  applyAll,
  createReplica,
  LogMaker,
  ORIGIN,
  OTHER,
  optionsFor,
  readRows,
  resultsOf,
} from './log-maker.ts'

const WITH = { writer: { extensions: [VECTOR] } }
const LENGTH = "INSERT INTO t SELECT vec_length('[1,2,3]')"

/** A log of two opens of one member: with the extension, and then without. */
function startLog(): LogMaker {
  const log = new LogMaker()
  log.register(1, undefined, '', 'engine extensions vec@0.1.9')
  log.write('app', ['CREATE TABLE t (v)'])
  log.write('app', [LENGTH])
  return log
}

test('writes of another list wait until this node has that list again', (context) => {
  const { directory, replica } = createReplica(context, WITH)
  const log = startLog()
  applyAll(replica, log)
  log.write('app', [LENGTH])
  replica.close()
  for (const extensions of [[], [{ ...VECTOR, version: '2' }]]) {
    const other = Replica.open(optionsFor(directory, { writer: { extensions } }))
    const outcome = other.apply(log.after(other.appliedIndex))
    assert.equal(outcome.halted?.retry, 'pause')
    assert.equal(outcome.halted?.isDivergent, false)
    assert.match(outcome.halted?.error.message ?? '', /entry 5 .*vec@0\.1\.9.*(\(none\)|vec@2)/)
    assert.equal(other.appliedIndex, 4)
    other.close()
  }
  const again = Replica.open(optionsFor(directory, WITH))
  context.after(() => again.close())
  assert.equal(resultsOf(again.apply(log.after(4))).length, 1)
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), [[3n], [3n]])
})

test('what is no write of a user, or applies nowhere, waits for no list', (context) => {
  const { replica } = createReplica(context, { ownOrigin: OTHER })
  const log = new LogMaker()
  log.write('app', ['CREATE TABLE never (v)'])
  log.register(2, undefined, '', 'engine extensions vec@0.1.9')
  log.empty()
  log.writeAt(1, 'app', [])
  log.register(2, OTHER, ORIGIN, 'engine')
  log.write('app', ['CREATE TABLE t (v)'], OTHER)
  log.writeAt(2, 'app', ['CREATE TABLE retired (v)'])
  const results = applyAll(replica, log)
  assert.deepEqual(
    results.map(({ index, units }) => [index, units[0]?.ok]),
    [[7, true]],
  )
})
