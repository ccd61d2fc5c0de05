import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ReadPass } from '../../src/node/reads.ts'
import { isSettled, LEADING, Rig, turn } from './reads-rig.ts'

suite('reads at level lease', () => {
  test('run at once while what is applied is younger than the lease', (t) => {
    const rig = new Rig(t)
    rig.shared.publishMarks({ index: 10, atMs: 100, wallMs: 5_100 }, undefined)
    rig.apply(10)
    rig.nowMs = 1_000
    rig.wallMs = 6_000
    const pass = rig.pass('lease')
    assert.deepEqual(pass, { level: 'lease', gate: null })
    assert.equal(rig.leave(pass, 'lease'), null)
  })

  const over: [string, { nowMs?: number; wallMs?: number; applied?: number }][] = [
    ['it was confirmed too long ago', { nowMs: 1_001 }],
    ['the machine slept, and its monotonic clock with it', { wallMs: 6_001 }],
    ['what was confirmed is not applied', { applied: 9 }],
  ]
  for (const [why, { nowMs = 1_000, wallMs = 6_000, applied = 10 }] of over) {
    test(`ask the leader where ${why}`, async (t) => {
      const rig = new Rig(t)
      rig.shared.publishMarks({ index: 10, atMs: 100, wallMs: 5_100 }, undefined)
      rig.apply(applied)
      rig.nowMs = nowMs
      rig.wallMs = wallMs
      const pass = rig.pass('lease')
      await turn()
      assert.deepEqual([pass.level, rig.asked[0]?.level], ['weak', 'weak'])
      rig.answer(0, 10)
      rig.apply(10)
      await pass.gate
    })
  }

  test('ask the leader where nothing was ever confirmed', async (t) => {
    const rig = new Rig(t)
    rig.apply(10)
    assert.equal(rig.pass('lease').level, 'weak')
  })

  test('go by what was confirmed later, once that is applied', (t) => {
    const rig = new Rig(t)
    rig.shared.publishMarks(
      { index: 10, atMs: 100, wallMs: 100 },
      { index: 12, atMs: 1_000, wallMs: 1_000 },
    )
    rig.nowMs = 1_800
    rig.wallMs = 1_800
    rig.apply(11)
    assert.equal(rig.pass('lease').level, 'weak')
    rig.apply(12)
    assert.equal(rig.pass('lease').level, 'lease')
  })

  test('read again, and ask, where the lease ended before the answer was there', async (t) => {
    const rig = new Rig(t)
    rig.shared.publishMarks({ index: 10, atMs: 100, wallMs: 100 }, undefined)
    rig.apply(10)
    const pass = rig.pass('lease')
    rig.nowMs = 1_001
    const again = rig.leave(pass, 'lease')
    assert.equal(again?.level, 'weak')
    await turn()
    assert.equal(rig.asked.length, 1)
    rig.answer(0, 10)
    await again?.gate
    assert.equal(rig.leave(again as ReadPass, 'lease'), null)
  })

  test('keep an answer whose lease was renewed while it was read', (t) => {
    const rig = new Rig(t)
    rig.shared.publishMarks({ index: 10, atMs: 100, wallMs: 100 }, undefined)
    rig.apply(10)
    const pass = rig.pass('lease')
    rig.nowMs = 1_001
    rig.shared.publishMarks({ index: 10, atMs: 900, wallMs: 900 }, undefined)
    assert.equal(rig.leave(pass, 'lease'), null)
  })
})

suite('reads with a bound on their age', () => {
  test('answer while what is applied is young enough, with or without a leader', (t) => {
    const rig = new Rig(t)
    rig.shared.publishMarks({ index: 10, atMs: 100, wallMs: 100 }, undefined)
    rig.apply(10)
    rig.nowMs = 5_100
    const pass = rig.pass('none', { maxStalenessMs: 5_000 })
    assert.equal(pass.gate, null)
    assert.equal(rig.leave(pass, 'none', { maxStalenessMs: 5_000 }), null)
  })

  test('are refused before the read, and after it, where it is older', (t) => {
    const rig = new Rig(t)
    const bound = { maxStalenessMs: 5_000 }
    rig.shared.publishMarks({ index: 10, atMs: 100, wallMs: 100 }, undefined)
    rig.apply(10)
    const pass = rig.pass('none', bound)
    rig.nowMs = 5_101
    const stale = { code: 'ERR_STALE', retryable: true, message: /up to 5001 ms old/ }
    assert.throws(() => rig.leave(pass, 'none', bound), stale)
    assert.throws(() => rig.pass('none', bound), stale)
  })

  test('are refused where nothing tells how old it is', (t) => {
    const rig = new Rig(t)
    rig.apply(10)
    const refused = { code: 'ERR_STALE', message: /of unknown age/ }
    assert.throws(() => rig.pass('none', { maxStalenessMs: 5_000 }), refused)
  })
})

suite('reads after an index', () => {
  for (const level of ['none', 'lease', 'weak'] as const) {
    test(`wait for it at level ${level}`, async (t) => {
      const rig = new Rig(t)
      rig.shared.publishEngine(LEADING)
      rig.shared.publishMarks({ index: 10, atMs: 0, wallMs: 0 }, undefined)
      rig.apply(10)
      const { gate } = rig.pass(level, { after: 12 })
      assert.equal(rig.shared.waitedIndex(), 12)
      assert.equal(await isSettled(gate), false)
      rig.apply(12)
      await gate
    })
  }

  test('wait for it also where the leader has less', async (t) => {
    const rig = new Rig(t)
    const { gate } = rig.pass('strong', { after: 12 })
    await turn()
    rig.answer(0, 10)
    rig.apply(11)
    assert.equal(await isSettled(gate), false)
    rig.apply(12)
    await gate
  })

  test('run at once where it is applied', (t) => {
    const rig = new Rig(t)
    rig.shared.publishEngine(LEADING)
    rig.apply(12)
    for (const level of ['none', 'weak'] as const) {
      assert.equal(rig.pass(level, { after: 12 }).gate, null)
    }
  })

  test('end at their deadline, and name the index', async (t) => {
    const rig = new Rig(t, 1)
    rig.apply(10)
    await assert.rejects(rig.pass('none', { after: 12 }).gate as Promise<void>, {
      code: 'ERR_TIMEOUT',
      retryable: true,
      message: /index 12, which it needs, was not applied/,
    })
  })
})
