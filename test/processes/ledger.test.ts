/** The judge of the other tests here must be able to find against a cluster. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ledger } from './ledger.ts'

const code = ''

test('a ledger finds what was lost, done twice, or done although it was refused', () => {
  const ledger = new Ledger()
  ledger.add([
    { id: 'a', fate: 'acknowledged', code },
    { id: 'b', fate: 'committed', code: 'ERR_TIMEOUT' },
    { id: 'c', fate: 'not-applied', code: 'ERR_NO_LEADER' },
    { id: 'd', fate: 'unknown', code: 'ERR_TIMEOUT' },
  ])
  for (const ids of [
    ['a', 'b'],
    ['b', 'a', 'd'],
    ['a', 'b', 'never told'],
  ]) {
    ledger.check(ids, 'a good node')
  }
  assert.throws(() => ledger.check(['b'], 'x'), /write a was told to be acknowledged/)
  assert.throws(() => ledger.check(['a'], 'x'), /write b was told to be committed/)
  assert.throws(() => ledger.check(['a', 'b', 'c'], 'x'), /write c was told to be not-applied/)
  assert.throws(() => ledger.check(['a', 'b', 'd', 'd'], 'x'), /done twice: d/)
  assert.deepEqual(ledger.codes, { ERR_NO_LEADER: 1, ERR_TIMEOUT: 2 })
  assert.throws(() => ledger.add([{ id: 'a', fate: 'unknown', code }]), /told twice/)
})
