import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import type { EngineView } from '../../src/base/shared-state.ts'
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

suite('strong reads by lease', () => {
  const HELD = { ...LEADING, leadsUntilMs: 900, leadsUntilWallMs: 50_900 }

  function lead(t: TestContext, view: Partial<EngineView> = {}): Rig {
    const rig = new Rig(t)
    rig.shared.publishEngine({ ...HELD, ...view })
    rig.wallMs = 50_000
    rig.apply(10)
    return rig
  }

  test('run at once on the leader while nobody else can lead', (t) => {
    const rig = lead(t)
    const pass = rig.pass('strong')
    assert.deepEqual([pass.gate, pass.level], [null, 'strong'])
    rig.nowMs = 899
    rig.wallMs = 50_899
    assert.equal(rig.leave(pass, 'strong'), null)
    assert.equal(rig.pass('strong').gate, null)
  })

  test('wait for what is committed and not applied, and for an index', async (t) => {
    for (const [commit, after] of [
      [12, undefined],
      [10, 12],
      [12, 11],
    ] as const) {
      const rig = lead(t, { commit })
      const { gate } = rig.pass('strong', { after })
      rig.apply(11)
      assert.ok(gate !== null && !(await isSettled(gate)), `${after}`)
      rig.apply(12)
      await gate
      assert.equal(rig.asked.length, 0)
    }
  })

  const over: [string, Partial<EngineView>, { nowMs?: number; wallMs?: number }][] = [
    ['was not promised', { leadsUntilMs: 0, leadsUntilWallMs: 0 }, {}],
    ['is over', {}, { nowMs: 900 }],
    ['is over by the calendar: the machine slept', {}, { wallMs: 50_900 }],
    ['can not be told: the calendar was put back', {}, { wallMs: 49_900 }],
    ['is of a node that does not lead', { isLeader: false }, {}],
    ['is of a term without a commit', { ownTermCommitted: false }, {}],
    ['is of an engine that stands still', { leadsUntilMs: 9_000 }, { nowMs: 1_000 }],
  ]
  for (const [what, view, clocks] of over) {
    test(`ask a majority where it ${what}`, async (t) => {
      const rig = lead(t, view)
      Object.assign(rig, clocks)
      const { gate, level } = rig.pass('strong')
      await turn()
      assert.deepEqual([rig.asked[0]?.level, level], ['strong', 'strong'])
      rig.answer(0, 10)
      await gate
    })
  }

  test('ask a majority where it has ended before the answer was there', async (t) => {
    for (const clocks of [{ nowMs: 900 }, { wallMs: 50_900 }]) {
      const rig = lead(t)
      const pass = rig.pass('strong')
      Object.assign(rig, clocks)
      const again = rig.leave(pass, 'strong')
      await turn()
      assert.deepEqual([rig.asked[0]?.level, again?.level], ['strong', 'strong'])
      rig.answer(0, 10)
      await again?.gate
      assert.equal(rig.leave({ ...again, gate: null } as ReadPass, 'strong'), null)
    }
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
