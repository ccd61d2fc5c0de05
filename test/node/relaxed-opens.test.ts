/** When a relaxed open owes nothing any more: on threads that do only what the test says. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { type Identity, readIdentity, uncleanStopOf } from '../../src/node/identity.ts'
import { begin, openFake } from './fake-node.ts'
import { errorMessage, type FakeThread } from './fakes.ts'

const RELAXED = { durability: 'relaxed' } as const
const FAILED = { kind: 'openFailed', error: errorMessage('ERR_ADDRESS_IN_USE', 'busy') } as const

function kept(dataDir: string): Identity {
  const identity = readIdentity(dataDir)
  assert.ok(identity !== null)
  return identity
}

/** What the next open of it finds. */
function stopOf(dataDir: string): ReturnType<typeof uncleanStopOf> {
  const identity = kept(dataDir)
  return uncleanStopOf({ ...identity, incarnation: identity.incarnation + 1 })
}

function closesWhenTold(engine: FakeThread, isDurable: boolean): void {
  engine.answers.set('close', () => {
    engine.say({ kind: 'closed', isDurable })
    engine.exit()
  })
}

suite('a relaxed open', () => {
  test('is noted, in a format that older versions refuse, before an engine begins', async (t) => {
    const rig = begin(t, RELAXED)
    const engine = await rig.threads.started('engine')
    assert.equal(JSON.parse(readFileSync(join(rig.dataDir, 'identity.json'), 'utf8')).format, 2)
    assert.ok(stopOf(rig.dataDir) !== null)
    engine.exit()
    await assert.rejects(rig.opening)
    assert.ok(stopOf(rig.dataDir) !== null, 'its engine ended without a word')
  })

  test('that fails owes nothing once all that its log was given is on the disk', async (t) => {
    for (const isDurable of [true, false]) {
      const rig = begin(t, RELAXED)
      const engine = await rig.threads.started('engine')
      closesWhenTold(engine, isDurable)
      engine.say(FAILED)
      await assert.rejects(rig.opening, { code: 'ERR_ADDRESS_IN_USE' })
      assert.equal(stopOf(rig.dataDir) === null, isDurable)
    }
  })

  test('that closes owes nothing only once the log is durable', async (t) => {
    for (const isDurable of [true, false]) {
      const { node, engine, storage, dataDir } = await openFake(t, RELAXED)
      closesWhenTold(engine, isDurable)
      storage.exit()
      await node.close()
      assert.equal(stopOf(dataDir) === null, isDurable)
    }
  })

  test('that fails in order still owes what one before it may have lost', async (t) => {
    const { dataDir } = await openUnclean(t)
    const stop = stopOf(dataDir)
    const rig = begin(t, { ...RELAXED, dataDir })
    const engine = await rig.threads.started('engine')
    assert.deepEqual(rig.threads.engineData().config.uncleanStop, stop)
    closesWhenTold(engine, true)
    engine.say(FAILED)
    await assert.rejects(rig.opening)
    assert.deepEqual(stopOf(dataDir), stop)
  })

  test('that can not note who it is from now on deletes nothing, and asks again', async (t) => {
    const { dataDir } = await openUnclean(t)
    const stop = stopOf(dataDir)
    const rig = begin(t, { ...RELAXED, dataDir })
    const engine = await rig.threads.started('engine')
    // Nothing can be put there, as on a full disk.
    mkdirSync(join(dataDir, 'identity.json.tmp'))
    engine.say({ kind: 'replaced', memberId: 7, addresses: ['127.0.0.1:9'] })
    engine.say({ kind: 'closed', isDurable: true })
    engine.exit()
    await assert.rejects(rig.opening, { code: 'ERR_DATA_DIR', message: /can't be written/ })
    assert.ok(existsSync(join(dataDir, 'log')) && existsSync(join(dataDir, 'db')))
    assert.deepEqual(stopOf(dataDir), stop, 'it asks for the very same member')
  })

  test('owes what its new member was told, not what the old one was', async (t) => {
    const { dataDir } = await openUnclean(t)
    const rig = begin(t, { ...RELAXED, dataDir })
    const old = await rig.threads.started('engine')
    rig.threads.threads.clear()
    old.say({ kind: 'replaced', memberId: 7, addresses: ['127.0.0.1:9'] })
    old.say({ kind: 'closed', isDurable: true })
    assert.ok(existsSync(join(dataDir, 'log')), 'its files are open')
    old.exit()
    const engine = await rig.threads.started('engine')
    assert.ok(!existsSync(join(dataDir, 'log')))
    assert.equal(rig.threads.engineData().config.memberId, 7)
    engine.say({ kind: 'ready', port: 0 })
    const node = await rig.opening
    engine.answers.set('close', () => engine.exit())
    await node.close()
    assert.ok(stopOf(dataDir) !== null, 'nobody said that its log is durable')
  })
})

/** A directory whose relaxed node was stopped by the end of a thread. */
async function openUnclean(t: TestContext): Promise<{ dataDir: string }> {
  const { node, engine, storage, dataDir } = await openFake(t, RELAXED)
  const closed = once(node, 'closed')
  engine.die(new Error('killed'))
  storage.exit()
  await closed
  assert.ok(stopOf(dataDir) !== null)
  return { dataDir }
}
