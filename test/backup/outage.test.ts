/** A target that is down: nobody waits for it, and nothing is missing once it is back. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ColmenaNode } from '../../src/index.ts'
import { createTestCluster, createTestNode } from '../../src/testing/testing.ts'
import { until } from '../processes/wait.ts'
import { FaultyTarget, isDown } from './faulty-target.ts'
import { askContent, type Known } from './finished-backup.ts'
import { MemoryTarget } from './memory-target.ts'
import { MovedClock } from './moved-clock.ts'
import { contentOf, damagesOf } from './restored.ts'
import { LOOPS, watchBackup } from './watched.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const CREATE = 'CREATE TABLE kept (id INTEGER PRIMARY KEY, value)'
const INSERT = 'INSERT INTO kept (value) VALUES (?)'

async function requireSame(target: FaultyTarget, { index, hashes }: Known): Promise<void> {
  const content = await contentOf(target, { kind: 'index', index })
  assert.equal(content.hashes['main.db'], hashes['main.db'], `content at ${index}`)
  assert.deepEqual(content.damages, [])
}

/** The log of a test node keeps nothing for others, and 64 KiB are a file of it. */
async function writeMuch(node: ColmenaNode, kib: number): Promise<void> {
  for (let written = 0; written < kib; written += 50) {
    await node.database().execute(INSERT, [new Uint8Array(50 * 1024).fill(written)])
  }
}

suite('a target that is down', () => {
  test('for an hour delays no write, and has no gap when it is back', async () => {
    await using node = await createTestNode()
    const clock = new MovedClock()
    const target = new FaultyTarget()
    const alerts: unknown[] = []
    const onAlert = (failing: unknown): void => void alerts.push(failing)
    const snapshotIntervalMs = 24 * HOUR_MS
    const options = { targets: target, alertAfter: 3, onAlert, snapshotIntervalMs }
    await using watched = watchBackup(node, clock, options)
    await node.database().execute(CREATE)
    await clock.pass(2_000, LOOPS)

    target.fault = isDown
    const known: Known[] = []
    for (let minute = 0; minute < 60; minute += 1) {
      await writeMuch(node, 50)
      if (minute % 20 === 10) known.push(await askContent(node))
      await clock.pass(MINUTE_MS, LOOPS)
    }
    const [status] = watched.backup.status().targets
    assert.ok((status?.lagMs ?? 0) >= HOUR_MS, `it lags by ${status?.lagMs} ms`)
    assert.equal(status?.error?.code, 'ERR_TARGET')
    const inRow = watched.events('failed').map((failed) => failed.inRow)
    assert.deepEqual(
      inRow,
      Array.from(inRow, (_, at) => at + 1),
    )
    assert.ok(inRow.length < 100, `it was tried ${inRow.length} times`)
    assert.equal(alerts.length, 1)
    assert.equal(watched.events('alert')[0]?.inRow, 3)

    target.fault = () => {}
    await clock.pass(2 * MINUTE_MS, LOOPS)
    assert.equal(watched.events('resumed').length, 1)
    assert.equal(watched.backup.status().targets[0]?.lagMs, 0)
    known.push(await askContent(node))
    await watched.backup.sync()
    assert.equal(watched.events('generation').length, 1)
    for (const each of known) await requireSame(target, each)
    assert.deepEqual(await damagesOf(target), [])
  })

  test('beyond the bound of the log costs a gap, which is told and never restored to', async () => {
    await using node = await createTestNode()
    // Behind the node's: entries have its times, and what is put has those of this one.
    const clock = new MovedClock(Date.now() - 60 * MINUTE_MS)
    const target = new FaultyTarget()
    await using watched = watchBackup(node, clock, { targets: target, logBytesMax: 1024 * 1024 })
    await node.database().execute(CREATE)
    const before = await askContent(node)
    await clock.pass(2_000, LOOPS)

    target.fault = isDown
    await writeMuch(node, 100)
    const lost = await askContent(node)
    const lostMs = Date.now()
    await writeMuch(node, 3_000)
    await until('the log is shortened', async () => {
      return await node.shipping.read(lost.index).then(
        () => false,
        () => true,
      )
    })
    await clock.pass(10 * MINUTE_MS, LOOPS)
    target.fault = () => {}
    await clock.pass(2 * MINUTE_MS, LOOPS)

    const [, second, ...others] = watched.events('generation')
    assert.deepEqual(others, [])
    assert.match(second?.reason ?? '', /does not have all entries behind \d+ any more/)
    const first = watched.events('snapshot')[1]?.index
    const behind = await askContent(node)
    await watched.backup.sync()
    await requireSame(target, before)
    await requireSame(target, behind)
    await assert.rejects(contentOf(target, { kind: 'index', index: lost.index }), {
      code: 'ERR_NOT_FOUND',
      message: new RegExp(`to entry \\d+, .*\\(entry ${first}\\) to entry ${behind.index}`),
    })
    const between = contentOf(target, { kind: 'time', timeMs: lostMs })
    const told = await between.then(
      () => assert.fail('that moment is in no backup'),
      ({ code, message }: { code: string; message: string }) => `${code}: ${message}`,
    )
    const sides = /^ERR_NOT_FOUND: .*to \{ index: (\d+) \} or to \{ index: (\d+) \}$/.exec(told)
    assert.deepEqual(sides?.slice(1), [String(before.index), String(first)], told)
    for (const index of [before.index, first ?? 0])
      await contentOf(target, { kind: 'index', index })
  })

  test('while another node comes to lead has no gap either', async () => {
    await using cluster = await createTestCluster({
      nodes: 3,
      logSegmentBytes: 65_536,
      logRetainBytes: 0,
    })
    const clock = new MovedClock()
    const target = new FaultyTarget()
    const { nodes } = cluster
    const all = nodes.map((node) => watchBackup(node, clock, { targets: target }))
    const loops = LOOPS * all.length
    const leader = await cluster.leader()
    await leader.database().execute(CREATE)
    await clock.pass(20_000, loops)

    target.fault = isDown
    await writeMuch(leader, 100)
    const known = await askContent(leader)
    const next = (await cluster.follower()) as ColmenaNode
    await leader.transferLeadership(next.nodeId)
    await until('it leads', () => next.isLeader)
    await clock.pass(MINUTE_MS, loops)
    await writeMuch(next, 1_000)
    await cluster.waitForConvergence()
    await clock.pass(MINUTE_MS, loops)
    target.fault = () => {}
    await clock.pass(2 * MINUTE_MS, loops)

    const last = await askContent(next)
    await all[nodes.indexOf(next)]?.backup.sync()
    for (const { backup } of all) await backup.close()
    const reasons = all.flatMap(({ events }) => events('generation').map(({ reason }) => reason))
    assert.equal(reasons.length, 1, reasons.join('; '))
    await requireSame(target, known)
    await requireSame(target, last)
    assert.deepEqual(await damagesOf(target), [])
  })

  test('and answers nothing at all keeps no write, and no node that closes, waiting', async () => {
    const node = await createTestNode()
    const clock = new MovedClock()
    const target = new FaultyTarget()
    let isAsked = false
    target.fault = () => {
      isAsked = true
      return new Promise<never>(() => {})
    }
    const { backup } = watchBackup(node, clock, { targets: target })
    // On a busy machine a node may doubt for a moment that it leads.
    await until('the target is asked', async () => {
      await clock.pass(1_000, 0)
      return isAsked
    })
    await node.database().execute(CREATE)
    await writeMuch(node, 500)
    const closed = backup.close()
    await clock.untilWaiting(LOOPS)
    await clock.pass(5_000, 0)
    await closed
    await node.close()
  })

  test('and is slower than what is written fails, as no generation comes to an end', async () => {
    await using node = await createTestNode()
    const clock = new MovedClock()
    const target = new FaultyTarget()
    target.fault = async (deed, name) => {
      if (deed === 'put' && name.endsWith('/main.db')) await writeMuch(node, 1_500)
    }
    const options = { targets: target, logBytesMax: 1_048_576, alertAfter: 2 }
    await using watched = watchBackup(node, clock, options)
    await node.database().execute(CREATE)
    await clock.pass(6_000, LOOPS)
    const codes = watched.events('failed').map(({ error }) => error.code)
    assert.deepEqual(new Set(codes), new Set(['ERR_TARGET']))
    const [alert, ...more] = watched.events('alert')
    assert.match(alert?.error.message ?? '', /1048576 bytes of log .* raise logBytesMax/)
    assert.deepEqual(more, [])
    target.fault = () => {}
    await clock.pass(2 * MINUTE_MS, LOOPS)
    assert.equal(watched.events('resumed').length, 1)
  })

  test('and never ends a call is told, and keeps no backup from closing', async () => {
    await using node = await createTestNode()
    const clock = new MovedClock()
    const target = new HangingTarget()
    const { backup, events } = watchBackup(node, clock, { targets: target })
    await node.database().execute(CREATE)
    await clock.pass(2_000, LOOPS)

    const hold = async (): Promise<void> => {
      target.gate = Promise.withResolvers<void>()
      await node.database().execute(INSERT, [1])
      await until('it hangs', async () => {
        await clock.pass(1_000, 0)
        return target.isHanging
      })
    }
    await hold()
    await clock.pass(20 * MINUTE_MS, 1)
    assert.deepEqual(
      events('alert').map(({ what, error }) => [what, error.code, error.retryable]),
      [['shipping', 'ERR_TARGET', true]],
    )
    assert.match(events('alert')[0]?.error.message ?? '', /a call of memory has hung for 10 min/)
    assert.equal(backup.status().targets[0]?.error?.code, 'ERR_TARGET')
    target.gate?.resolve()
    await until('it goes on', async () => {
      await clock.pass(1_000, 0)
      return events('resumed').length === 1
    })

    await hold()
    const closed = backup.close()
    let isClosed = false
    closed.then(() => {
      isClosed = true
    })
    await until('it is closed', async () => {
      await clock.pass(5_000, 0)
      return isClosed
    })
  })
})

/** Puts wait for a gate, and no signal ends that: as on a mount that is away. */
class HangingTarget extends MemoryTarget {
  gate: PromiseWithResolvers<void> | undefined
  isHanging = false

  override async put(...call: Parameters<MemoryTarget['put']>): Promise<boolean> {
    this.isHanging = this.gate !== undefined
    await this.gate?.promise
    this.gate = undefined
    return super.put(...call)
  }
}
