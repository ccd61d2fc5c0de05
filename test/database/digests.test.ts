import assert from 'node:assert/strict'
import { readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, test } from 'node:test'
import { Replica } from '../../src/database/database.ts'
import { Digest } from '../../src/database/digest.ts'
import { DigestHistory } from '../../src/database/digest-history.ts'
import { createReplica, LogMaker, optionsFor } from './log-maker.ts'

describe('the history of a digest', () => {
  it('answers for any index since it began, until it forgets', () => {
    const history = new DigestHistory(5, 0n)
    const digest = new Digest()
    const values: bigint[] = []
    for (let index = 10; index < 4_000; index += 1) {
      digest.mix(index)
      values.push(digest.value)
      history.note(index, digest)
      if (index === 12) {
        assert.equal(history.at(4), null)
        assert.equal(history.at(5), 0n)
        assert.equal(history.at(9), 0n)
        assert.equal(history.at(11), values[1])
        assert.equal(history.at(100), values[2])
      }
    }
    assert.equal(history.at(3_999), values.at(-1))
    assert.equal(history.at(3_000), values[2_990])
    assert.equal(history.at(1_000), null)
    assert.equal(history.at(9), null)
  })

  it('answers with what stayed of writes that were rolled back first', () => {
    const history = new DigestHistory(5, 7n)
    for (const digest of [1n, 2n]) {
      for (const index of [6, 9]) history.note(index, new Digest(digest * BigInt(index)))
    }
    assert.equal(history.at(6), 12n)
    assert.equal(history.at(9), 18n)
  })
})

function makeLog(): LogMaker {
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (v)'])
  for (let i = 0; i < 20; i += 1) {
    log.write(i % 3 === 0 ? 'other' : 'app', [`INSERT INTO t VALUES (${i})`])
    // Units of their own, and one that fails.
    if (i % 5 === 0) log.write('app', ['ANALYZE', 'INSERT INTO t VALUES (1)', 'no statement'])
  }
  return log
}

test('digests at an index do not depend on grouping, or on a restart', (context) => {
  const log = makeLog()
  const { replica: single } = createReplica(context)
  for (const entry of log.entries) single.apply([entry])
  const { directory, replica: grouped } = createReplica(context)
  grouped.apply(log.entries)
  for (let index = 2; index <= log.lastIndex; index += 1) {
    assert.deepEqual(grouped.digestsAt(index), single.digestsAt(index), `entry ${index}`)
  }
  const at = grouped.digestsAt(log.lastIndex)
  assert.deepEqual([...at.keys()].sort(), ['app@3', 'other@4'])
  assert.equal(grouped.digestsAt(log.lastIndex + 1).size, 0)
  grouped.close()

  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  assert.deepEqual(again.digestsAt(log.lastIndex), at)
  // What it held before it does not know any more, and must not guess.
  assert.equal(again.digestsAt(5).size, 0)
})

test('files that differ are applied to no more, copied to nobody, and kept aside', (context) => {
  const log = makeLog()
  const { directory, replica } = createReplica(context)
  replica.apply(log.entries)
  replica.divergence.note(replica.appliedIndex, 'others hold something else')
  assert.equal(replica.divergence.isNoted, true)
  const { halted } = replica.apply([log.write('app', ['INSERT INTO t VALUES (1)'])])
  assert.equal(halted?.isDivergent, true)
  assert.match(halted?.error.message ?? '', /others hold something else/)
  assert.throws(() => replica.pinSnapshot(), /others hold something else/)
  const step = { number: 1, key: 'k', bytes: new Uint8Array(), begins: true, base: null }
  assert.throws(() => replica.tryStatements(step), /others hold something else/)
  replica.close()

  const again = Replica.open(optionsFor(directory))
  assert.equal(again.divergence.isNoted, true)
  again.close()
  const { directory: other, replica: healthy } = createReplica(context)
  healthy.apply(log.entries)
  healthy.close()
  // The files of a member that agrees, as a received generation.
  renameSync(join(other, '1'), join(directory, '2'))
  const next = Replica.open({ ...optionsFor(directory), generation: 2 })
  assert.equal(next.divergence.isNoted, false)
  assert.deepEqual(next.deleteOtherGenerations(), [1])
  const left = readdirSync(directory).sort()
  assert.deepEqual(left, ['2', `diverged-${log.lastIndex - 1}`])
  assert.ok(readdirSync(join(directory, left[1] as string)).includes('app.db'))
  next.close()
})
