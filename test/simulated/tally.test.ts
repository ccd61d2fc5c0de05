/** What is told of lives: what failed and how to live it again, and what was named for nothing. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BREAKS } from './breaks.ts'
import { Life } from './life.ts'
import type { LifeEnd } from './many.ts'
import { type Asked, describeEnd, Tally } from './tally.ts'

const STUCK: LifeEnd = {
  seed: 3,
  violations: ['liveness: it did not end within 300 s'],
  report: null,
}

function endOf(seed: number, asked: Asked): LifeEnd {
  const report = new Life({ seed, ...asked }).run()
  return { seed, violations: report.violations, report }
}

/** Faults that strike a few times. */
const STRUCK: Asked = {
  faultMs: 800,
  shape: { strikes: ['pause', 'split', 'transfer', 'looking dead', 'slow wires'], paceMs: 50 },
}

/** What is missing of a life that was asked for so, and of others. */
function missingOf(asked: Partial<Asked>, ...others: readonly LifeEnd[]): readonly string[] {
  const whole = { ...STRUCK, ...asked }
  const tally = new Tally(whole)
  for (const end of [endOf(1, whole), ...others]) tally.add(end)
  return tally.missing
}

describe('a tally of lives', () => {
  it('counts one that nobody knows more of as failed, and names its seed in order', () => {
    const asked = { faultMs: 200 }
    const tally = new Tally(asked)
    for (const end of [{ ...STUCK, seed: 20 }, endOf(1, asked), STUCK]) tally.add(end)
    const { lives, failed, seeds, events } = tally.figures
    assert.deepEqual({ lives, failed, seeds }, { lives: 3, failed: 2, seeds: '3 20' })
    assert.equal(events, new Life({ seed: 1, ...asked }).run().events)
    assert.match(tally.lines[0] ?? '', /^3 lives, .*: 2 broke an invariant$/)
  })

  it('has no seeds where all held', () => {
    const tally = new Tally({ faultMs: 200 })
    tally.add(endOf(1, { faultMs: 200 }))
    assert.equal(tally.figures['failed'], 0)
    assert.ok(!('seeds' in tally.figures))
  })

  it('says which strikes and calls that were named never came', () => {
    const [first] = endOf(1, STRUCK).report?.strikes ?? []
    assert.ok(first !== undefined)
    const named = { strikes: [first.number, 9_999], calls: [1, 8_888] }
    assert.deepEqual(missingOf(named), ['strike 9999 never came', 'call 8888 never came'])
    assert.deepEqual(missingOf({ strikes: [first.number], calls: [] }), [])
  })

  it('says which kinds were left out that would not have come', () => {
    const [first] = endOf(1, STRUCK).report?.strikes ?? []
    assert.ok(first !== undefined)
    const without = [first.kind, 'rot'] as const
    assert.deepEqual(missingOf({ without }), ['no rot was left out: none would have come'])
    // Of a life that was over early nobody knows.
    assert.deepEqual(missingOf({ without }, STUCK), [])
  })
})

describe('the end of a life', () => {
  it('that is all that is known of it says why, and how it is lived again', () => {
    assert.deepEqual(describeEnd(STUCK, { faultMs: 1_000, leases: 'kept' }, null), [
      'seed 3: nobody knows what it came to',
      '  liveness: it did not end within 300 s',
      '  replay: npm run simulate -- --seed 3 --fault-ms 1000 --leases',
    ])
  })

  it('is replayed with what was broken on purpose, and with what differs from that', () => {
    const { life } = BREAKS['restarts'] ?? assert.fail()
    const replayOf = (some: Partial<Asked>): string | undefined =>
      describeEnd(STUCK, { faultMs: 20_000, ...life, ...some }, 'restarts').at(-1)
    const replay = '  replay: npm run simulate -- --seed 3 --break restarts'
    assert.equal(replayOf({}), replay)
    assert.equal(replayOf({ shape: { nodes: 2 } }), `${replay} --shape '{"nodes":2}'`)
  })
})
