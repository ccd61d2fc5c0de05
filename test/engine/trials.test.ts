/** The leader's side of interactive transactions: who holds a database's writes, and until when. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeWriteHeader, WriteEncoder } from '../../src/command/command.ts'
import type { TrialStep } from '../../src/engine/protocol.ts'
import { Trials } from '../../src/engine/trials.ts'

interface Told {
  readonly error: string | null
  readonly message: string
}

function stepOf(number: number, begins: boolean, database = 'app'): TrialStep {
  const encoder = new WriteEncoder()
  encoder.add({ statements: [{ sql: 'SELECT 1', args: [] }] })
  const origin = 'ab'.repeat(16)
  return { bytes: encoder.finish({ origin, database, sequence: number }), begins, base: null }
}

function keyOf(number: number): string {
  return `${'ab'.repeat(16)}/${number}`
}

class Fixture {
  readonly did: string[] = []
  readonly raft = { role: 'leader' as 'leader' | 'follower', lastIndex: 10 }
  readonly told = new Map<number, Told[]>()
  readonly running: (() => void)[] = []
  applied = 10
  atMs = 1_000
  readonly trials: Trials

  constructor() {
    this.trials = new Trials({
      raft: this.raft as never,
      clock: { nowMs: () => this.atMs, wallMs: () => 5_000, setTimer: () => () => {} },
      random: { u32: () => 7 },
      applier: {
        tryStatements: ({ key, bytes, begins }, done) => {
          const { wallMs } = decodeWriteHeader(bytes).environment
          this.did.push(`try ${key.at(-1)}${begins ? ` begins at ${wallMs}` : ''}`)
          this.running.push(() => done(null, new Uint8Array()))
        },
        endTrial: (_, key) => this.did.push(`end ${key.at(-1)}`),
      },
      proposals: {
        closeGate: (database) => this.did.push(`close ${database}`),
        openGate: (database) => this.did.push(`open ${database}`),
      },
      applied: () => this.applied,
      idleMs: 100,
      totalMs: 500,
      nodeId: (id) => `node-${id}`,
      schedule: () => {},
    })
  }

  step(number: number, begins: boolean, database = 'app'): void {
    this.trials.step(number, stepOf(number, begins, database), (error) => {
      const code = error === null ? null : String((error as { code?: string }).code)
      const list = this.told.get(number) ?? []
      this.told.set(number, [...list, { error: code, message: error?.message ?? '' }])
    })
  }

  /** The storage thread answers all that it was asked. */
  answer(): void {
    for (const run of this.running.splice(0)) run()
  }

  errors(number: number): unknown[] {
    return (this.told.get(number) ?? []).map(({ error }) => error)
  }
}

describe('trials', () => {
  it('begin once all that was proposed before is applied, at a closed gate', () => {
    const fixture = new Fixture()
    fixture.step(1, true)
    fixture.raft.lastIndex = 12
    fixture.trials.advance()
    fixture.raft.lastIndex = 15
    fixture.applied = 11
    fixture.trials.advance()
    assert.deepEqual(fixture.did, ['close app'])
    fixture.applied = 12
    fixture.trials.advance()
    fixture.answer()
    fixture.step(1, false)
    fixture.answer()
    assert.deepEqual(fixture.did, ['close app', 'try 1 begins at 5000', 'try 1'])
    assert.deepEqual(fixture.errors(1), [null, null])
  })

  it('are one at a time on a database, in order, and let writes pass between two', () => {
    const fixture = new Fixture()
    for (const number of [1, 2, 3]) fixture.step(number, true)
    fixture.step(4, true, 'other')
    fixture.trials.advance()
    fixture.answer()
    // The second gives up while it waits.
    fixture.trials.end('app', keyOf(2))
    assert.deepEqual(fixture.errors(2), ['ERR_TX_ABORTED'])
    fixture.trials.end('app', keyOf(1))
    fixture.trials.advance()
    fixture.answer()
    assert.deepEqual(fixture.did, [
      'close app',
      'close other',
      'try 1 begins at 5000',
      'try 4 begins at 5000',
      'end 1',
      'open app',
      'close app',
      'try 3 begins at 5000',
    ])
  })

  it('that wait are bounded, and who is refused learns whom all wait for', () => {
    const fixture = new Fixture()
    for (let number = 1; number <= 257; number += 1) fixture.step(number, true)
    assert.equal(fixture.told.size, 0)
    fixture.atMs += 50
    fixture.step(258, true)
    assert.deepEqual(fixture.errors(258), ['ERR_BUSY'])
    assert.match(fixture.told.get(258)?.[0]?.message ?? '', /one of node node-1 .* 50 ms ago/)
  })

  it('end when they are idle, but not while they run, and when they take too long', () => {
    const fixture = new Fixture()
    fixture.step(1, true)
    fixture.trials.advance()
    fixture.atMs += 400
    fixture.trials.tick()
    assert.deepEqual(fixture.errors(1), [])
    fixture.answer()
    fixture.atMs += 99
    fixture.trials.tick()
    fixture.step(1, false)
    fixture.atMs += 1
    fixture.trials.tick()
    fixture.answer()
    assert.deepEqual(fixture.did.slice(-2), ['end 1', 'open app'])
    fixture.step(1, false)
    assert.deepEqual(fixture.errors(1).at(-1), 'ERR_TX_ABORTED')
    assert.match(fixture.told.get(1)?.at(-1)?.message ?? '', /of node node-1 .* within 500 ms/)
    fixture.step(2, true)
    fixture.trials.advance()
    fixture.answer()
    fixture.atMs += 100
    fixture.trials.tick()
    fixture.step(2, false)
    assert.match(fixture.told.get(2)?.at(-1)?.message ?? '', /node-2 was idle for 100 ms/)
    assert.deepEqual(fixture.errors(2), [null, 'ERR_TX_ABORTED'])
  })

  it('answer their owners at their limits, whatever still runs', () => {
    const ends: [string, (fixture: Fixture) => void, RegExp][] = [
      ['too long', (fixture) => fixture.trials.tick(), /of node node-1 .* within 500 ms/],
      ['given up', (fixture) => fixture.trials.end('app', keyOf(1)), /its owner ended it/],
      ['deposed', (fixture) => fixture.trials.reset(), /the leader changed/],
    ]
    for (const [what, end, message] of ends) {
      const fixture = new Fixture()
      fixture.step(1, true)
      fixture.trials.advance()
      fixture.answer()
      fixture.step(1, false)
      fixture.step(2, true)
      assert.deepEqual(fixture.trials.stepUnderWay(2)?.isOver, false, what)
      assert.equal(fixture.trials.stepUnderWay(1), null)
      fixture.atMs += 500
      end(fixture)
      assert.deepEqual(fixture.errors(1), [null, 'ERR_TX_ABORTED'], what)
      assert.match(fixture.told.get(1)?.at(-1)?.message ?? '', message)
      assert.equal(fixture.trials.stepUnderWay(2)?.isOver, true, what)
      assert.equal(fixture.trials.stepUnderWay(2)?.from, 1)
      fixture.answer()
      assert.equal(fixture.trials.stepUnderWay(2), null)
      assert.equal(fixture.errors(1).length, 2, 'nobody is answered twice')
    }
  })

  it('that their owner ends before they begin are answered at once', () => {
    const fixture = new Fixture()
    fixture.step(1, true)
    fixture.trials.end('app', keyOf(1))
    assert.deepEqual(fixture.errors(1), ['ERR_TX_ABORTED'])
    fixture.trials.advance()
    assert.deepEqual(fixture.did, ['close app', 'end 1', 'open app'])
  })

  it('are over with the leadership, and those that have not begun can begin elsewhere', () => {
    const fixture = new Fixture()
    fixture.step(1, true)
    fixture.step(2, true)
    fixture.step(3, true, 'other')
    fixture.applied = 9
    fixture.trials.advance()
    fixture.raft.role = 'follower'
    fixture.trials.reset()
    for (const number of [1, 2, 3]) assert.deepEqual(fixture.errors(number), ['ERR_NO_LEADER'])
    fixture.step(1, false)
    fixture.step(4, true)
    assert.deepEqual(
      [fixture.errors(1).at(-1), fixture.errors(4)],
      ['ERR_TX_ABORTED', ['ERR_NO_LEADER']],
    )
  })
})
