/** What is kept, and what goes. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type BackupOptions, listBackup, verifyBackup } from '../../src/backup/backup.ts'
import { createTestNode } from '../../src/testing/testing.ts'
import { until } from '../processes/wait.ts'
import { FaultyTarget } from './faulty-target.ts'
import { askContent, type Known } from './finished-backup.ts'
import { MovedClock } from './moved-clock.ts'
import { contentOf, damagesOf } from './restored.ts'
import { LOOPS, watchBackup } from './watched.ts'

const HOUR_MS = 3_600_000
const INSERT = 'INSERT INTO kept (value) VALUES (?)'

interface Lived {
  readonly target: FaultyTarget
  /** At the end of each hour. */
  readonly known: readonly Known[]
  /** Indexes of snapshots that are there, in their order. */
  readonly snapshots: readonly number[]
}

/** Ten hours with a snapshot each, and two writes that are shipped in between. */
async function liveTenHours(retention: BackupOptions['retention']): Promise<Lived> {
  await using node = await createTestNode()
  const clock = new MovedClock()
  const target = new FaultyTarget()
  const options = { targets: target, retention, syncIntervalMs: HOUR_MS / 4 }
  await using watched = watchBackup(node, clock, options)
  await node.database().execute('CREATE TABLE kept (id INTEGER PRIMARY KEY, value)')
  const known: Known[] = []
  for (let hour = 0; hour < 10; hour += 1) {
    await node.database().execute(INSERT, [hour])
    known.push(await askContent(node))
    await watched.backup.sync()
    await node.database().execute(INSERT, [new Uint8Array(1_000).fill(hour)])
    await clock.pass(HOUR_MS, LOOPS)
    await until('there is a snapshot', () => watched.events('snapshot').length >= hour + 2)
  }
  await watched.backup.close()
  const snapshots = [...target.held.keys()].flatMap((name) => {
    const index = /snapshots\/(\d+)\/snapshot\.json$/.exec(name)?.[1]
    return index === undefined ? [] : [Number(index)]
  })
  return { target, known, snapshots: snapshots.toSorted((a, b) => a - b) }
}

/** Each moment from the oldest snapshot on is there, and none before; nothing else is left. */
async function checkKept({ target, known, snapshots }: Lived): Promise<void> {
  const [oldest = 0] = snapshots
  for (const { index, hashes } of known) {
    const content = contentOf(target, { kind: 'index', index })
    if (index < oldest) await assert.rejects(content, { code: 'ERR_NOT_FOUND' })
    else assert.equal((await content).hashes['main.db'], hashes['main.db'], `at ${index}`)
  }
  assert.deepEqual(await damagesOf(target), [])
  for (const name of target.held.keys()) {
    const last = Number(
      /(\d+)\.log$|snapshots\/(\d+)\//.exec(name)?.slice(1).find(Boolean) ?? oldest,
    )
    assert.ok(last >= oldest, `${name} is of no use any more`)
  }
}

suite('a backup', () => {
  test('keeps what leads to any moment of the last so many hours', async () => {
    const lived = await liveTenHours({ keepMs: 3 * HOUR_MS })
    assert.ok(lived.snapshots.length >= 4 && lived.snapshots.length <= 5, `${lived.snapshots}`)
    await checkKept(lived)
  })

  test('keeps at most so many snapshots', async () => {
    const lived = await liveTenHours({ keepMs: -1, keepCount: 3 })
    assert.equal(lived.snapshots.length, 3)
    await checkKept(lived)
  })

  test('that keeps all has one segment between two snapshots', async () => {
    const lived = await liveTenHours({ keepMs: -1 })
    assert.equal(lived.snapshots.length, 11)
    await checkKept(lived)
    const segments = [...lived.target.held.keys()].filter((name) => name.endsWith('.log'))
    assert.ok(segments.length <= 11, segments.join('\n'))
  })

  test('needs no old key beyond the time of retention', async () => {
    await using node = await createTestNode()
    await node.database().execute('CREATE TABLE kept (id INTEGER PRIMARY KEY, value)')
    const clock = new MovedClock()
    const target = new FaultyTarget()
    const all = { targets: target, retention: { keepMs: HOUR_MS }, syncIntervalMs: HOUR_MS / 4 }
    const old = { keyId: '2025', key: '25'.repeat(32) }
    const current = { keyId: '2026', key: '26'.repeat(32) }
    const before = watchBackup(node, clock, { ...all, encryption: old })
    await before.backup.sync()
    await before.backup.close()
    const oldKeys = { [old.keyId]: old.key }
    const watched = watchBackup(node, clock, { ...all, encryption: { ...current, oldKeys } })
    for (let count = 1; count < 5; count += 1) {
      await node.database().execute(INSERT, [count])
      await watched.backup.sync()
      await clock.pass(HOUR_MS, LOOPS)
      await until('there is a snapshot', () => watched.events('snapshot').length >= count)
    }
    await watched.backup.close()
    const { generations } = await listBackup(target, { encryption: current })
    assert.deepEqual(
      generations.map(({ keyIds }) => keyIds),
      [['2026']],
    )
    const { damages } = await verifyBackup(target, { encryption: current })
    assert.deepEqual(damages, [])
    await using after = watchBackup(node, clock, { ...all, encryption: current })
    await after.backup.sync()
    assert.deepEqual(after.events('failed'), [])
  })
})
