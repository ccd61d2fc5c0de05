import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RunningStatement } from '../../src/base/shared-state.ts'
import { COMPACTION, WriteEncoder } from '../../src/command/command.ts'
import { ApplyWatch } from '../../src/engine/apply-watch.ts'
import type { Entry } from '../../src/raft/raft.ts'

function entry(index: number, ...sqls: string[]): Entry {
  const encoder = new WriteEncoder()
  for (const sql of sqls) encoder.add({ statements: [{ sql, args: [] }] })
  const data = encoder.finish({ origin: 'ab'.repeat(16), database: 'app', sequence: 1 })
  return { index, term: 1, type: 'normal', data }
}

class Fixture {
  atMs = 0
  oldest: Entry | null = null
  running: RunningStatement = { index: 0, unit: 0, statement: 0 }
  readonly warnings: string[] = []
  stuck = 0
  readonly watch: ApplyWatch = new ApplyWatch({
    clock: { nowMs: () => this.atMs, wallMs: () => 0, setTimer: () => () => {} },
    applyMsMax: 5_000,
    shared: { applied: () => 0, running: () => this.running },
    oldestAfter: (index) => ((this.oldest?.index ?? 0) > index ? this.oldest : null),
    warning: (_code, message) => this.warnings.push(message),
    stuck: () => {
      this.stuck += 1
    },
  })

  tickUntil(atMs: number): void {
    for (; this.atMs <= atMs; this.atMs += 50) this.watch.tick()
  }
}

describe('the watch over apply', () => {
  it('names index, database and SQL of an entry that takes long, and says so once', () => {
    const fixture = new Fixture()
    fixture.oldest = entry(42, 'CREATE INDEX i ON t (a)')
    fixture.tickUntil(4_900)
    assert.deepEqual(fixture.warnings, [])
    fixture.tickUntil(60_000)
    assert.equal(fixture.warnings.length, 1)
    assert.match(fixture.warnings[0] ?? '', /entry 42 .* database 'app': CREATE INDEX i ON t \(a\)/)
    assert.equal(fixture.stuck, 1)
  })

  it('names the compaction of a database', () => {
    const fixture = new Fixture()
    const encoder = new WriteEncoder()
    encoder.add(COMPACTION)
    const data = encoder.finish({ origin: 'ab'.repeat(16), database: 'app', sequence: 1 })
    fixture.oldest = { index: 42, term: 1, type: 'normal', data }
    fixture.running = { index: 42, unit: 0, statement: 0 }
    fixture.tickUntil(60_000)
    assert.match(fixture.warnings[0] ?? '', /entry 42 .* database 'app': VACUUM/)
  })

  it('begins anew with each entry, so that a long queue is no long entry', () => {
    const fixture = new Fixture()
    for (let index = 1; index < 20; index += 1) {
      fixture.oldest = entry(index, 'INSERT INTO t VALUES (1)')
      fixture.tickUntil(fixture.atMs + 2_000)
    }
    assert.deepEqual(fixture.warnings, [])
    fixture.tickUntil(fixture.atMs + 11_000)
    assert.equal(fixture.stuck, 1)
  })

  it('blames no entry for a transaction that is tried before it', () => {
    const fixture = new Fixture()
    fixture.oldest = entry(42, 'INSERT INTO t VALUES (1)')
    fixture.running = { index: 0, unit: 3, statement: 0 }
    fixture.tickUntil(60_000)
    assert.deepEqual([fixture.warnings, fixture.watch.slow, fixture.stuck], [[], null, 0])
    fixture.running = { index: 0, unit: 0, statement: 0 }
    fixture.tickUntil(64_000)
    assert.deepEqual(fixture.warnings, [])
    fixture.tickUntil(66_000)
    assert.equal(fixture.stuck, 1)
  })

  it('names the statement that runs of those in an entry, and knows what is no write', () => {
    const fixture = new Fixture()
    fixture.oldest = entry(7, 'DELETE FROM t', 'DELETE FROM u', 'DELETE FROM v')
    fixture.running = { index: 7, unit: 1, statement: 0 }
    fixture.tickUntil(11_000)
    assert.deepEqual(fixture.watch.slow, { index: 7, database: 'app', sql: 'DELETE FROM u' })
    fixture.oldest = { index: 8, term: 1, type: 'confChangeV2', data: new Uint8Array(0) }
    fixture.tickUntil(23_000)
    assert.match(fixture.warnings[0] ?? '', /entry 7 .* 'app': DELETE FROM u$/)
    assert.match(fixture.warnings[1] ?? '', /entry 8 .* a change of members/)
  })
})
