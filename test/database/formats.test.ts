/** The format that the log may have, as the system database keeps it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeRaiseFormat } from '../../src/command/command.ts'
import { applyAll, createReplica, LogMaker, OTHER } from './log-maker.ts'

test('is raised only where every member told that it reads it, and never lowered', (context) => {
  const { replica } = createReplica(context)
  const log = new LogMaker()
  const raise = (format: number): number => {
    log.push(encodeRaiseFormat({ format }))
    applyAll(replica, log)
    return replica.format
  }
  assert.equal(raise(2), 1, 'nobody has told anything')
  log.register(1, 'aa'.repeat(16), '', 'one', 3)
  assert.equal(raise(2), 1, 'the second is absent')
  log.register(2, OTHER, '', 'two', 2)
  assert.equal(raise(3), 1)
  assert.equal(raise(2), 2)
  assert.equal(raise(1), 2)
  // It came back older: too late, it can only be refused.
  log.register(2, 'bb'.repeat(16), OTHER, 'two', 1)
  assert.equal(raise(2), 2)
})

test('that is newer than this build stops apply, which says what to do', (context) => {
  const { replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  applyAll(replica, log)
  // Magic, kind and format of a packed write, as a newer build writes it.
  const entry = log.push(new Uint8Array([0xc0, 13, 2, 0, 0, 0, 0, 0]))
  const { halted, appliedIndex } = replica.apply([entry])
  assert.equal(halted?.error.code, 'ERR_APPLY_HALTED')
  assert.match(halted?.error.message ?? '', /kind 13 of format 2.*Update colmena on this node/)
  assert.equal(appliedIndex, log.lastIndex - 1)
})
