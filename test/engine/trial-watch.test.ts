/** A statement of a transaction that holds up the leader: who is told, and who leads then. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RunningStatement } from '../../src/base/shared-state.ts'
import { WriteEncoder } from '../../src/command/command.ts'
import { TrialWatch } from '../../src/engine/trial-watch.ts'

const NONE: RunningStatement = { index: 0, unit: 0, statement: 0 }

function encode(...sqls: string[]): Uint8Array {
  const encoder = new WriteEncoder()
  for (const sql of sqls) encoder.add({ statements: [{ sql, args: [] }] })
  return encoder.finish({ origin: 'ab'.repeat(16), database: 'app', sequence: 1 })
}

class Fixture {
  atMs = 0
  running = NONE
  readonly steps = new Map<number, { from: number; bytes: Uint8Array; isOver: boolean }>()
  readonly warnings: string[] = []
  /** When another one was to lead. */
  readonly handOvers: number[] = []
  readonly watch: TrialWatch = new TrialWatch({
    clock: { nowMs: () => this.atMs, wallMs: () => 0, setTimer: () => () => {} },
    statementMsMax: 5_000,
    handOverAgainMs: 10_000,
    shared: { running: () => this.running },
    trials: { stepUnderWay: (number) => this.steps.get(number) ?? null },
    nodeId: (id) => `node-${id}`,
    warning: (code, message) => this.warnings.push(`${code}: ${message}`),
    handOver: () => this.handOvers.push(this.atMs),
  })

  /** A step of two statements, of which the second one runs. */
  run(number: number, statement = 1): { isOver: boolean } {
    const step = { from: 7, bytes: encode('DELETE FROM t', 'SELECT endless'), isOver: false }
    this.steps.set(number, step)
    this.running = { index: 0, unit: number, statement }
    return step
  }

  tickUntil(atMs: number): void {
    for (; this.atMs <= atMs; this.atMs += 50) this.watch.tick()
  }
}

describe('the watch over transactions', () => {
  it('names database, owner and SQL of a statement that takes long, and says so once', () => {
    const fixture = new Fixture()
    fixture.run(3)
    fixture.tickUntil(4_900)
    assert.deepEqual([fixture.warnings, fixture.watch.slow], [[], null])
    fixture.tickUntil(60_000)
    const slow = { database: 'app', nodeId: 'node-7', sql: 'SELECT endless' }
    assert.deepEqual(fixture.watch.slow, slow)
    assert.equal(fixture.warnings.length, 1)
    assert.match(
      fixture.warnings[0] ?? '',
      /^ERR_SLOW_TRANSACTION: .* of node node-7 .* 5000 ms.* database 'app': SELECT endless$/,
    )
    fixture.steps.delete(3)
    fixture.tickUntil(60_100)
    assert.equal(fixture.watch.slow, null)
  })

  it('lets another node lead once the transaction is over and the statement is not', () => {
    const fixture = new Fixture()
    const step = fixture.run(3)
    fixture.tickUntil(7_950)
    assert.deepEqual(fixture.handOvers, [])
    step.isOver = true
    fixture.tickUntil(28_000)
    assert.deepEqual(fixture.handOvers, [8_000, 18_000, 28_000])
    const brief = new Fixture()
    brief.run(3).isOver = true
    brief.tickUntil(4_900)
    assert.deepEqual(brief.handOvers, [], 'it may end by itself')
  })

  it('begins anew with each statement and each step, and minds no entry', () => {
    const fixture = new Fixture()
    for (let number = 1; number < 10; number += 1) {
      fixture.run(number, number % 2)
      fixture.tickUntil(fixture.atMs + 3_000)
      fixture.running = { index: 0, unit: number, statement: 1 - (number % 2) }
      fixture.tickUntil(fixture.atMs + 3_000)
    }
    fixture.running = { index: 9, unit: 9, statement: 0 }
    fixture.tickUntil(fixture.atMs + 30_000)
    fixture.running = NONE
    fixture.tickUntil(fixture.atMs + 30_000)
    assert.deepEqual([fixture.warnings, fixture.handOvers], [[], []])
  })
})
