/** Statements that took long are told with their own time, under a clock that only they move. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { StatementWatch } from '../../src/database/statement-watch.ts'
import { Writer } from '../../src/sqlite/sqlite.ts'
import { applyAll, createReplica, LogMaker } from './log-maker.ts'

/** A statement takes as many milliseconds as a comment in it says. */
class TimedWriter extends Writer {
  static nowMs = 0

  override run(...[sql, args]: Parameters<Writer['run']>): ReturnType<Writer['run']> {
    TimedWriter.nowMs += Number(/\/\*(\d+)\*\//.exec(sql)?.[1] ?? 0)
    return super.run(sql, args)
  }
}

suite('slow writes', () => {
  test('are told with their own time, failed or not', (t) => {
    const watch = new StatementWatch(50, () => TimedWriter.nowMs)
    const openWriter = (...args: ConstructorParameters<typeof Writer>): Writer =>
      new TimedWriter(...args)
    const { replica } = createReplica(t, { openWriter, watch })
    const log = new LogMaker()
    log.register()
    log.write('a', ['CREATE TABLE t (id INTEGER PRIMARY KEY)'])
    const all = (...sql: string[]): { sql: string; args: [] }[] =>
      sql.map((one) => ({ sql: one, args: [] }))
    const { index: several } = log.write('a', [
      all('INSERT INTO t VALUES /*49*/ (1)', 'INSERT INTO t VALUES /*50*/ (2)'),
      all('INSERT INTO t VALUES /*70*/ (1)'),
      all('INSERT INTO t VALUES /*10*/ (3)'),
    ])
    const { index: solitary } = log.write('a', ['REINDEX /*90*/ t', 'ANALYZE /*20*/ t'])
    applyAll(replica, log)
    const told = [
      ['INSERT INTO t VALUES /*50*/ (2)', 50, several],
      ['INSERT INTO t VALUES /*70*/ (1)', 70, several],
      ['REINDEX /*90*/ t', 90, solitary],
    ].map(([sql, durationMs, index]) => ({ database: 'a', sql, durationMs, index }))
    assert.deepEqual(watch.take(), told)
    assert.deepEqual(watch.take(), [])
  })

  test('of a unit of many are told by sixteen', () => {
    let nowMs = 0
    const watch = new StatementWatch(50, () => nowMs)
    watch.begin()
    for (let at = 0; at < 40; at += 1) {
      watch.starts(`s${at}`)
      if (at === 20) nowMs += 60
      if (watch.isDue(40)) watch.look('a', 7)
    }
    watch.look('a', 7)
    const sql = Array.from({ length: 16 }, (_, at) => `s${at + 16}`).join('; ')
    assert.deepEqual(watch.take(), [{ database: 'a', sql, durationMs: 60, index: 7 }])
  })

  test('are told by their beginning', () => {
    let nowMs = 0
    const watch = new StatementWatch(1, () => nowMs)
    watch.begin()
    watch.starts('x'.repeat(5_000))
    nowMs = 1
    watch.look('a', 7)
    assert.equal(watch.take()[0]?.sql.length, 1_000)
  })
})
