/** Drills by themselves, and what a clock that is set does to them and to snapshots. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { createTestNode } from '../../src/testing/testing.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'
import { FaultyTarget } from './faulty-target.ts'
import { MovedClock } from './moved-clock.ts'
import { LOOPS, watchBackup } from './watched.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The one of drills waits as well. */
const ALL_LOOPS = LOOPS + 1
const INSERT = 'INSERT INTO kept (value) VALUES (1)'
const SELDOM = { syncIntervalMs: HOUR_MS, snapshotIntervalMs: 30 * DAY_MS }

/** As the clock of a machine, which somebody may set while durations stay what they are. */
class SetClock extends MovedClock {
  aheadMs = 0

  override nowMs(): number {
    return super.nowMs() + this.aheadMs
  }
}

suite('drills', () => {
  test('come each day, though no process lasts for one', async () => {
    await using node = await createTestNode()
    const clock = new MovedClock()
    const options = { ...SELDOM, targets: new FaultyTarget(), drills: { everyMs: DAY_MS } }
    let drilledCount = 0
    for (let life = 0; life < 4; life += 1) {
      await using watched = watchBackup(node, clock, options)
      await watched.backup.sync()
      await clock.pass(0.9 * DAY_MS, ALL_LOOPS)
      drilledCount += watched.events('drilled').length
    }
    assert.ok(drilledCount >= 2 && drilledCount <= 4, `${drilledCount} in 3.6 days`)
  })

  test('that fail are an alert at once', async () => {
    await using node = await createTestNode()
    const clock = new MovedClock()
    const target = new FaultyTarget()
    const options = { ...SELDOM, targets: target, drills: { everyMs: DAY_MS } }
    await using watched = watchBackup(node, clock, options)
    await watched.backup.sync()
    for (const name of target.held.keys()) if (name.endsWith('.db')) target.held.delete(name)
    await clock.pass(1.1 * DAY_MS, ALL_LOOPS)
    const alerts = watched.events('alert')
    assert.deepEqual(
      alerts.map(({ what, inRow, error }) => [what, inRow, error.code]),
      [['drill', 1, 'ERR_BACKUP_DAMAGED']],
    )
    assert.equal(watched.backup.status().drill.error?.code, 'ERR_BACKUP_DAMAGED')
  })
})

suite('the folder of drills', () => {
  test('loses what processes left that were killed in one, and nothing else', async (t) => {
    await using node = await createTestNode()
    const directory = temporaryDirectory(t)
    const names = ['colmena-drill-old', 'colmena-drill-young', 'mine']
    for (const name of names) {
      mkdirSync(join(directory, name, 'db'), { recursive: true })
      const atS = (Date.now() - (name.endsWith('young') ? DAY_MS : 3 * DAY_MS)) / 1_000
      utimesSync(join(directory, name), atS, atS)
    }
    const drills = { everyMs: 0, directory }
    const options = { ...SELDOM, targets: new FaultyTarget(), drills }
    await using watched = watchBackup(node, new MovedClock(), options)
    await watched.backup.sync()
    await watched.backup.verify()
    assert.deepEqual(readdirSync(directory).toSorted(), ['colmena-drill-young', 'mine'])
  })
})

suite('a clock that is set back', () => {
  test('stops neither snapshots nor drills', async () => {
    await using node = await createTestNode()
    const clock = new SetClock()
    clock.aheadMs = 365 * DAY_MS
    const drills = { everyMs: DAY_MS }
    const options = { targets: new FaultyTarget(), syncIntervalMs: HOUR_MS / 4, drills }
    await using watched = watchBackup(node, clock, options)
    await node.database().execute('CREATE TABLE kept (value)')
    await watched.backup.sync()
    clock.aheadMs = 0
    await node.database().execute(INSERT)
    await clock.pass(2 * HOUR_MS, ALL_LOOPS)
    await until('there is a snapshot', () => watched.events('snapshot').length >= 2)
    await clock.pass(DAY_MS, ALL_LOOPS)
    await until('there was a drill', () => watched.events('drilled').length > 0)
    assert.deepEqual(watched.events('failed'), [])
  })
})
