/** Whose a backup is: one cluster's at a time, whoever of it leads. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import type { Backup } from '../../src/backup/backup.ts'
import { type ColmenaNode, isColmenaError, open } from '../../src/index.ts'
import { createTestCluster, createTestNode } from '../../src/testing/testing.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'
import { FaultyTarget } from './faulty-target.ts'
import { askContent, type Known } from './finished-backup.ts'
import { MovedClock } from './moved-clock.ts'
import { contentOf, damagesOf } from './restored.ts'
import { LOOPS, watchBackup } from './watched.ts'

const MINUTE_MS = 60_000
const CREATE = 'CREATE TABLE kept (id INTEGER PRIMARY KEY, value)'
const INSERT = 'INSERT INTO kept (value) VALUES (?)'

async function requireSame(target: FaultyTarget, { index, hashes }: Known): Promise<void> {
  const content = await contentOf(target, { kind: 'index', index })
  assert.equal(content.hashes['main.db'], hashes['main.db'], `content at ${index}`)
}

async function openNode(t: TestContext): Promise<ColmenaNode> {
  const node = await createTestNode()
  t.after(() => node.close())
  await node.database().execute(CREATE)
  return node
}

/** A failure of a backup's sync, which is to come. */
async function failureOf(backup: Backup): Promise<{ code: string; message: string }> {
  const error = await backup.sync().then(
    () => assert.fail('it was put there'),
    (thrown: unknown) => thrown,
  )
  assert.ok(isColmenaError(error), String(error))
  assert.equal(error.retryable, error.code === 'ERR_STALE')
  return error
}

suite('a target', () => {
  test('with the backup of a cluster is refused to another, which may take it over', async (t) => {
    const [one, other] = [await openNode(t), await openNode(t)]
    const clock = new MovedClock()
    const target = new FaultyTarget()
    await using first = watchBackup(one, clock, { targets: target })
    await first.backup.sync()
    const names = [...target.held.keys()]
    const strange = watchBackup(other, clock, { targets: target })
    const { clusterId } = one.shipping
    const { code, message } = await failureOf(strange.backup)
    assert.equal(code, 'ERR_OTHER_CLUSTER')
    assert.match(message, new RegExp(`takeOver: '${clusterId}'`))
    assert.deepEqual([...target.held.keys()], names)
    await strange.backup.close()

    await other.database().execute(INSERT, ['of the other'])
    await using taker = watchBackup(other, clock, { targets: target, takeOver: clusterId })
    const taken = await askContent(other)
    await taker.backup.sync()
    await requireSame(target, taken)
    // The one that had it notices within a minute, and is refused from there on.
    await one.database().execute(INSERT, ['of the first'])
    await clock.pass(2 * MINUTE_MS, 2 * LOOPS)
    assert.equal(first.events('failed').at(-1)?.error.code, 'ERR_OTHER_CLUSTER')
    const last = await askContent(other)
    await taker.backup.sync()
    await requireSame(target, last)
    assert.deepEqual(await damagesOf(target), [])
  })

  test("is one cluster's when two begin at once", async (t) => {
    const nodes = [await openNode(t), await openNode(t)]
    const clock = new MovedClock()
    const target = new FaultyTarget()
    let asking = 0
    const both = Promise.withResolvers<void>()
    target.fault = (deed, name, moment) => {
      if (deed !== 'put' || name !== 'backup.json' || moment !== 'before') return
      asking += 1
      if (asking === 2) both.resolve()
      // Neither has seen the other.
      return both.promise
    }
    const backups = nodes.map((node) => watchBackup(node, clock, { targets: target }))
    const synced = await Promise.allSettled(backups.map(({ backup }) => backup.sync()))
    const winner = synced.findIndex(({ status }) => status === 'fulfilled')
    assert.deepEqual(synced.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    const refused = synced[1 - winner] as PromiseRejectedResult
    assert.equal(refused.reason.code, 'ERR_OTHER_CLUSTER')
    await nodes[winner]?.database().execute(INSERT, ['won'])
    const known = await askContent(nodes[winner] as ColmenaNode)
    await backups[winner]?.backup.sync()
    await requireSame(target, known)
    assert.deepEqual(await damagesOf(target), [])
    for (const { backup } of backups) await backup.close()
  })

  test('is not that of a cluster that was restored from it, unless told so', async (t) => {
    const one = await openNode(t)
    const clock = new MovedClock()
    const target = new FaultyTarget()
    const before = watchBackup(one, clock, { targets: target })
    await one.database().execute(INSERT, ['kept'])
    const known = await askContent(one)
    await before.backup.sync()
    await before.backup.close()
    const { clusterId } = one.shipping
    await one.close()

    const dataDir = join(temporaryDirectory(t), 'anew')
    const anew = await open({ dataDir, nodeId: 'anew', restore: { from: target } })
    t.after(() => anew.close())
    await anew.waitForLeader()
    const { hashes } = await askContent(anew)
    assert.deepEqual(hashes, known.hashes)
    const refused = watchBackup(anew, clock, { targets: target })
    assert.equal((await failureOf(refused.backup)).code, 'ERR_OTHER_CLUSTER')
    await refused.backup.close()
    await using taking = watchBackup(anew, clock, { targets: target, takeOver: clusterId })
    await anew.database().execute(INSERT, ['of the new one'])
    const later = await askContent(anew)
    await taking.backup.sync()
    assert.equal(taking.events('generation').length, 1)
    await requireSame(target, later)
    assert.deepEqual(await damagesOf(target), [])
  })

  test('that lost its first object has it again', async (t) => {
    const node = await openNode(t)
    const clock = new MovedClock()
    const target = new FaultyTarget()
    await using watched = watchBackup(node, clock, { targets: target })
    await watched.backup.sync()
    target.held.delete('backup.json')
    await assert.rejects(contentOf(target, { kind: 'latest' }), {
      code: 'ERR_BACKUP_DAMAGED',
      message: /backup\.json is missing/,
    })
    await node.database().execute(INSERT, ['later'])
    const known = await askContent(node)
    await clock.pass(3 * MINUTE_MS, LOOPS)
    await requireSame(target, known)
    assert.equal(watched.events('generation').length, 1)
    assert.match(watched.events('failed')[0]?.error.message ?? '', /backup\.json/)
    assert.equal(watched.events('resumed').length, 1)
  })

  for (const kind of ['head.json', 'manifest.json', '.log']) {
    test(`whose newest ${kind} is damaged gets a generation anew`, async (t) => {
      const node = await openNode(t)
      const clock = new MovedClock()
      const target = new FaultyTarget()
      const first = watchBackup(node, clock, { targets: target })
      await first.backup.sync()
      await node.database().execute(INSERT, ['first'])
      await first.backup.sync()
      await first.backup.close()
      const name = [...target.held.keys()].findLast((each) => each.endsWith(kind)) as string
      const whole = target.held.get(name)
      assert.ok(whole !== undefined)
      target.held.set(name, { bytes: new Uint8Array(7), modifiedMs: 0 })
      await using second = watchBackup(node, clock, { targets: target })
      await node.database().execute(INSERT, ['second'])
      const known = await askContent(node)
      await second.backup.sync()
      assert.ok(second.events('generation')[0]?.reason.includes(name))
      await requireSame(target, known)

      // What can't be read of the newest one is never passed off as its end.
      target.held.set(name, whole)
      const newest = second.events('generation')[0]?.generation
      target.held.set(`${newest}/manifest.json`, { bytes: new Uint8Array(7), modifiedMs: 0 })
      await assert.rejects(contentOf(target, { kind: 'latest' }), {
        code: 'ERR_BACKUP_DAMAGED',
        message: new RegExp(`${newest}/manifest.json`),
      })
      const future = { kind: 'time', timeMs: Date.now() + MINUTE_MS } as const
      await assert.rejects(contentOf(target, future), {
        code: 'ERR_BACKUP_DAMAGED',
        message: new RegExp(`${newest}/manifest.json`),
      })
    })
  }
})

suite('two leaders of one cluster', () => {
  test('put there what leads to the same', async () => {
    await using cluster = await createTestCluster({ nodes: 3 })
    const leader = await cluster.leader()
    const [follower] = await cluster.followers()
    await leader.database().execute(CREATE)
    const clock = new MovedClock()
    const target = new FaultyTarget()
    const options = { targets: target, snapshotIntervalMs: 3 * MINUTE_MS }
    const backups = [leader, believing(follower as ColmenaNode)].map((node) =>
      watchBackup(node, clock, options),
    )
    const known: Known[] = []
    for (let step = 0; step < 24; step += 1) {
      await leader.database().execute(INSERT, [step])
      await cluster.waitForConvergence()
      if (step % 6 === 5) known.push(await askContent(leader))
      await clock.pass(20_000, 2 * LOOPS)
      const syncing = backups.map(({ backup }) => backup.sync())
      if (step % 3 === 0) await Promise.all(syncing)
      await Promise.allSettled(syncing)
    }
    await until('nothing is under way', async () => (await damagesOf(target)).length === 0)
    for (const each of known) await requireSame(target, each)
    for (const { backup } of backups) await backup.close()
  })
})

/** A node that was deposed and does not know it. */
function believing(node: ColmenaNode): ColmenaNode {
  const own = {
    isLeader: true,
    shipping: node.shipping,
    status: () => node.status(),
    handle: () => () => {},
    forward: node.forward.bind(node),
  }
  return own as unknown as ColmenaNode
}
