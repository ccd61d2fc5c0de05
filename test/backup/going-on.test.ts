/** Whoever ships next goes on where the target stands, however the last one ended. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ColmenaNode } from '../../src/index.ts'
import { createTestNode } from '../../src/testing/testing.ts'
import { until } from '../processes/wait.ts'
import { FaultyTarget, isDown } from './faulty-target.ts'
import { askContent, type Known } from './finished-backup.ts'
import { MovedClock } from './moved-clock.ts'
import { contentOf, damagesOf } from './restored.ts'
import { LOOPS, watchBackup } from './watched.ts'

const HOUR_MS = 3_600_000
const CREATE = 'CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, value)'
const INSERT = 'INSERT INTO kept (value) VALUES (?)'

async function write(node: ColmenaNode, count: number = 3): Promise<Known> {
  await node.database().execute(CREATE)
  for (let n = 0; n < count; n += 1) await node.database().execute(INSERT, [n])
  return await askContent(node)
}

async function requireSame(target: FaultyTarget, known: readonly Known[]): Promise<void> {
  for (const { index, hashes } of known) {
    const content = await contentOf(target, { kind: 'index', index })
    assert.equal(content.hashes['main.db'], hashes['main.db'], `content at ${index}`)
  }
  assert.deepEqual(await damagesOf(target), [])
}

suite('whoever ships next', () => {
  test('finds what was put there by a put that failed', async () => {
    await using node = await createTestNode()
    const clock = new MovedClock()
    const target = new FaultyTarget()
    await using watched = watchBackup(node, clock, { targets: target })
    const known = [await write(node)]
    await watched.backup.sync()
    for (const kind of ['/log/', 'head.json', '/log/']) {
      target.fault = (_, name, moment) => {
        if (moment === 'after' && name.includes(kind)) isDown()
      }
      known.push(await write(node))
      await clock.pass(1_500, LOOPS)
      target.fault = () => {}
      known.push(await write(node))
      await clock.pass(10_000, LOOPS)
    }
    assert.ok(watched.events('failed').length >= 3)
    assert.equal(watched.events('generation').length, 1)
    await requireSame(target, known)
  })

  test('goes on behind the log, where a snapshot is ahead of it', async () => {
    await using node = await createTestNode()
    const clock = new MovedClock()
    const target = new FaultyTarget()
    const options = { targets: target, syncIntervalMs: 24 * HOUR_MS }
    const first = watchBackup(node, clock, options)
    const known = [await write(node)]
    await first.backup.sync()
    known.push(await write(node))
    await clock.pass(HOUR_MS, LOOPS)
    // Written between the log and the snapshot; then its shipper is no more.
    let heads = 0
    target.fault = async (deed, name, moment) => {
      if (deed === 'put' && name.includes('/log/') && heads > 0) isDown()
      if (deed !== 'put' || moment !== 'after' || !name.endsWith('head.json')) return
      heads += 1
      if (heads === 1) known.push(await write(node))
    }
    await first.backup.sync()
    await until('there is a snapshot', () => first.events('snapshot').length === 2)
    const [, { index = 0 } = {}] = first.events('snapshot')
    assert.ok(index > (first.backup.status().targets[0]?.lastIndex ?? 0))
    await first.backup.close()

    target.fault = () => {}
    const second = watchBackup(node, clock, options)
    known.push(await write(node))
    await second.backup.sync()
    await second.backup.close()
    assert.deepEqual(second.events('generation'), [])
    await requireSame(target, known)
  })

  for (const at of ['system.db', 'snapshot.json', 'manifest.json', 'head.json', 'backup.json']) {
    test(`begins anew where the first one got no further than ${at}`, async () => {
      await using node = await createTestNode()
      const clock = new MovedClock()
      const target = new FaultyTarget()
      const known = [await write(node)]
      let isOver = false
      target.fault = (deed, name) => {
        isOver ||= deed === 'put' && name.endsWith(at) && target.held.has('backup.json')
        if (isOver) isDown()
      }
      const first = watchBackup(node, clock, { targets: target })
      await assert.rejects(first.backup.sync(), { code: 'ERR_TARGET' })
      await first.backup.close()
      target.fault = () => {}
      await using second = watchBackup(node, clock, { targets: target })
      known.push(await write(node))
      await second.backup.sync()
      assert.equal(second.events('generation').length, 1)
      await requireSame(target, known.slice(1))
    })
  }

  test('names its generation behind the last one, by whichever clock', async () => {
    await using node = await createTestNode()
    const target = new FaultyTarget()
    const known: Known[] = []
    const generations: string[] = []
    for (const nowMs of [1_000, 400, 100, 0].map((ms) => 1.7e12 + ms * 1_000)) {
      const watched = watchBackup(node, new MovedClock(nowMs), { targets: target })
      known.push(await write(node))
      await watched.backup.sync()
      generations.push(watched.events('generation')[0]?.generation ?? '')
      // So that another one is begun.
      for (const name of target.held.keys()) {
        if (name.startsWith(`${generations.at(-1)}/log/`)) target.held.delete(name)
      }
      await watched.backup.close()
      target.held.delete(`${generations.at(-1)}/head.json`)
    }
    assert.deepEqual(generations, generations.toSorted())
  })
})
