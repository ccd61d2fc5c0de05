import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Repeated } from '../../src/engine/repeated.ts'

function createDrops(): {
  drops: Repeated
  clock: { atMs: number }
  sent: Uint8Array[]
  rejected: (readonly [request: number, code: string, outcome: string])[]
} {
  const clock = { atMs: 0 }
  const sent: Uint8Array[] = []
  const rejected: (readonly [number, string, string])[] = []
  const drops = new Repeated({
    clock: { nowMs: () => clock.atMs, wallMs: () => 0, setTimer: () => () => {} },
    askAgainMs: 500,
    leaderWaitMs: 2_000,
    requestTimeoutMs: 10_000,
    undone: 'nothing was done',
    send: (bytes) => sent.push(bytes),
    rejected: (request, { code, outcome }) => rejected.push([request, code, outcome]),
  })
  return { drops, clock, sent, rejected }
}

describe('repeated commands', () => {
  it('are sent again until they are answered', () => {
    const { drops, clock, sent } = createDrops()
    drops.add(1, new Uint8Array(1))
    drops.ask()
    drops.ask()
    assert.equal(sent.length, 1)
    clock.atMs += 500
    drops.ask()
    assert.equal(sent.length, 2)
    drops.settled(1)
    clock.atMs += 500
    drops.ask()
    assert.equal(sent.length, 2)
  })

  it('that find no leader are given up for good, unless they were sent', () => {
    const { drops, clock, sent, rejected } = createDrops()
    drops.add(1, new Uint8Array(1))
    drops.ask()
    drops.add(2, new Uint8Array(1))
    clock.atMs += 1_999
    drops.expire()
    assert.deepEqual(rejected, [])
    clock.atMs += 1
    drops.expire()
    assert.deepEqual(rejected, [[2, 'ERR_NO_LEADER', 'not-applied']])
    drops.ask()
    assert.equal(sent.length, 2, 'only the first is asked for again')
  })
})
