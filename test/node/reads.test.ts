import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ColmenaError } from '../../src/base/errors.ts'
import type { EngineView } from '../../src/base/shared-state.ts'
import { isSettled, LEADING, Rig, turn } from './reads-rig.ts'

suite('reads at level none', () => {
  test('never wait, whoever leads', (t) => {
    const rig = new Rig(t)
    assert.equal(rig.enter('none'), null)
  })
})

suite('weak reads on a leader', () => {
  test('run at once when all that is committed is applied', (t) => {
    const rig = new Rig(t)
    rig.shared.publishEngine(LEADING)
    rig.apply(10)
    assert.equal(rig.enter('weak'), null)
  })

  test('wait for what is committed and not applied', async (t) => {
    const rig = new Rig(t)
    rig.shared.publishEngine(LEADING)
    rig.apply(8)
    const gate = rig.enter('weak')
    rig.apply(9)
    assert.equal(await isSettled(gate), false)
    rig.apply(10)
    await gate
    assert.equal(rig.asked.length, 0)
  })

  const doubtful: [string, Partial<EngineView>, number][] = [
    ['does not lead', { isLeader: false }, 0],
    ['has not committed in its own term', { ownTermCommitted: false }, 0],
    ['is closed', { isClosed: true }, 0],
    ['has not moved for an election timeout', {}, 1000],
  ]
  for (const [what, change, nowMs] of doubtful) {
    test(`ask the engine where it ${what}`, async (t) => {
      const rig = new Rig(t)
      rig.shared.publishEngine({ ...LEADING, ...change })
      rig.apply(10)
      rig.nowMs = nowMs
      const gate = rig.enter('weak')
      await turn()
      assert.equal(rig.asked[0]?.level, 'weak')
      rig.answer(0, 10)
      await gate
    })
  }
})

suite('reads that ask', () => {
  test('of one turn share a question, and wait until its index is applied', async (t) => {
    const rig = new Rig(t)
    const gates = [rig.enter('strong'), rig.enter('strong')]
    await turn()
    assert.equal(rig.asked.length, 1)
    rig.answer(0, 5)
    assert.equal(await isSettled(gates[0] ?? null), false)
    assert.equal(rig.shared.waitedIndex(), 5)
    rig.apply(5)
    await Promise.all(gates)
    assert.ok(rig.shared.waitedIndex() > 2 ** 61)
  })

  test('never share a question that was asked before them', async (t) => {
    const rig = new Rig(t)
    const early = rig.enter('strong')
    await turn()
    const late = rig.enter('strong')
    await turn()
    assert.equal(rig.asked.length, 1)
    rig.answer(0, 0)
    await early
    assert.equal(await isSettled(late), false)
    assert.equal(rig.asked.length, 2)
    rig.answer(1, 0)
    await late
  })

  test('have one question per level', async (t) => {
    const rig = new Rig(t)
    rig.enter('strong')
    rig.enter('weak')
    await turn()
    assert.deepEqual(rig.asked.map(({ level }) => level).sort(), ['strong', 'weak'])
  })

  test('wait for the lowest index that anyone needs', async (t) => {
    const rig = new Rig(t)
    const high = rig.enter('strong')
    const low = rig.enter('weak')
    await turn()
    rig.answer(0, 9)
    rig.answer(1, 7)
    assert.equal(rig.shared.waitedIndex(), 7)
    rig.apply(7)
    await low
    assert.equal(rig.shared.waitedIndex(), 9)
    rig.apply(12)
    await high
  })

  test('fail with what the engine says', async (t) => {
    const rig = new Rig(t)
    const gate = rig.enter('weak')
    await turn()
    rig.answer(0, 0, new ColmenaError('ERR_NO_LEADER', 'none', { retryable: true }))
    await assert.rejects(gate ?? Promise.resolve(), { code: 'ERR_NO_LEADER' })
  })

  test('end at their signal, and a question that nobody needs frees the next', async (t) => {
    const rig = new Rig(t)
    const controller = new AbortController()
    const first = rig.enter('weak', controller.signal)
    await turn()
    const second = rig.enter('weak')
    controller.abort()
    await assert.rejects(first ?? Promise.resolve(), { code: 'ERR_ABORTED' })
    await turn()
    assert.equal(rig.asked.length, 2)
    rig.answer(0, 0)
    assert.equal(await isSettled(second), false)
    rig.answer(1, 0)
    await second
  })

  test('end at their deadline, asked or behind', async (t) => {
    const rig = new Rig(t, 30)
    const behind = rig.enter('strong')
    await turn()
    rig.answer(0, 100)
    const asked = rig.enter('weak')
    await assert.rejects(behind ?? Promise.resolve(), {
      code: 'ERR_TIMEOUT',
      retryable: true,
      message: /index 100/,
    })
    await assert.rejects(asked ?? Promise.resolve(), {
      code: 'ERR_TIMEOUT',
      message: /the leader did not answer/,
    })
  })

  test('say why nothing is applied, if that is known', async (t) => {
    const rig = new Rig(t, 30)
    rig.haltedReason = 'the disk is full'
    const behind = rig.enter('strong')
    await turn()
    rig.answer(0, 100)
    const asked = rig.enter('weak')
    await assert.rejects(behind ?? Promise.resolve(), {
      code: 'ERR_APPLY_HALTED',
      retryable: true,
      message: /index 100.*the disk is full/,
    })
    await assert.rejects(asked ?? Promise.resolve(), { code: 'ERR_TIMEOUT' })
  })

  test('all end when the node does', async (t) => {
    const rig = new Rig(t)
    const behind = rig.enter('strong')
    await turn()
    rig.answer(0, 100)
    const gates = [behind, rig.enter('weak'), rig.enter('strong')]
    rig.reads.failAll(new ColmenaError('ERR_CLOSED', 'closed'))
    for (const gate of gates)
      await assert.rejects(gate ?? Promise.resolve(), { code: 'ERR_CLOSED' })
  })
})

suite('the applied index', () => {
  test('is told at every step while somebody listens', (t) => {
    const rig = new Rig(t)
    rig.reads.watchAll(true)
    assert.equal(rig.shared.waitedIndex(), 0)
    rig.reads.watchAll(false)
    assert.ok(rig.shared.waitedIndex() > 2 ** 61)
  })
})
