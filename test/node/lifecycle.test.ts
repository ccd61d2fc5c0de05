import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, type TestContext, test } from 'node:test'
import type { Transferable } from 'node:worker_threads'
import { SharedState } from '../../src/base/shared-state.ts'
import { encodeTrialAnswer } from '../../src/command/command.ts'
import type { StorageWorkerData } from '../../src/database/database.ts'
import { readIdentity } from '../../src/node/identity.ts'
import {
  openNode,
  type StartThread,
  startWorker,
  type Thread,
  type ThreadName,
} from '../../src/node/node.ts'
import { begin, type OpenRig, openFake } from './fake-node.ts'
import { errorMessage, type FakeThread, FakeThreads } from './fakes.ts'
import { temporaryDirectory } from './temporary.ts'

/** What the leader answers to a statement that changed one row. */
const TRIED = encodeTrialAnswer({
  base: 1,
  environment: { wallMs: 1, seedHigh: 2, seedLow: 3 },
  tried: [
    {
      isLook: false,
      result: {
        ok: true,
        statements: [
          { columns: [], columnTypes: [], rows: [], rowsAffected: 1, lastInsertRowid: null },
        ],
      },
    },
  ],
})

/** The numbers of what was asked of the engine by that method, in order. */
function requests(engine: FakeThread, method: string): number[] {
  return engine.received.flatMap((message) =>
    message.kind === 'request' && message.request.method === method ? [message.id] : [],
  )
}

suite('opening', () => {
  test("a joiner keeps its cluster's id before it goes on", async (t) => {
    const rig = begin(t, { nodeId: 'b', bind: '127.0.0.1:9', join: '127.0.0.1:8' })
    const engine = await rig.threads.started('engine')
    const { config } = rig.threads.engineData()
    assert.equal(config.clusterId, '')
    assert.equal(config.genesis, 'join')
    assert.equal(config.isEstablished, false)
    assert.deepEqual(config.joinAddresses, ['127.0.0.1:8'])
    let keptId = ''
    engine.answers.set('clusterKept', () => {
      keptId = readIdentity(rig.dataDir)?.clusterId ?? ''
    })
    engine.say({ kind: 'clusterFound', clusterId: 'cd'.repeat(16), genesis: 'join' })
    assert.equal(keptId, 'cd'.repeat(16))
    engine.say({ kind: 'openFailed', error: errorMessage('ERR_JOIN_FAILED', 'enough') })
    engine.exit()
    await assert.rejects(rig.opening, { code: 'ERR_JOIN_FAILED' })
  })

  test("the storage thread is started as the engine says, with this open's origin", async (t) => {
    const rig = begin(t)
    const engine = await rig.threads.started('engine')
    engine.say({ kind: 'startStorage', generation: 7, genesis: null })
    const storage = await rig.threads.started('storage')
    const data = storage.data as StorageWorkerData
    assert.equal(data.generation, 7)
    assert.equal(data.ownOrigin, rig.threads.engineData().config.origin)
    assert.match(data.ownOrigin, /^[0-9a-f]{32}$/)
    assert.equal(readIdentity(rig.dataDir)?.state, 'new')
    engine.say({ kind: 'established' })
    assert.equal(readIdentity(rig.dataDir)?.state, 'established')
    engine.die(new Error('enough'))
    await assert.rejects(rig.opening, { code: 'ERR_FAILED', message: /engine thread .* enough/ })
    assert.equal(storage.isRunning, false)
  })

  test('a failure leaves nothing open', async (t) => {
    const rig = begin(t)
    const engine = await rig.threads.started('engine')
    engine.say({ kind: 'openFailed', error: errorMessage('ERR_ADDRESS_IN_USE', 'busy') })
    await assert.rejects(rig.opening, { code: 'ERR_ADDRESS_IN_USE', message: 'busy' })
    assert.equal(engine.isRunning, false)
    await openFake(t, { dataDir: rig.dataDir })
  })

  test('a thread that ends without a word', async (t) => {
    const rig = begin(t)
    const engine = await rig.threads.started('engine')
    engine.exit()
    await assert.rejects(rig.opening, { code: 'ERR_FAILED', message: /stopped by itself/ })
    await openFake(t, { dataDir: rig.dataDir })
  })

  test('a signal gives it up', async (t) => {
    const controller = new AbortController()
    const rig = begin(t, { signal: controller.signal })
    const engine = await rig.threads.started('engine')
    controller.abort(new Error('too slow'))
    await assert.rejects(rig.opening, { code: 'ERR_ABORTED' })
    assert.equal(engine.isRunning, false)
    await openFake(t, { dataDir: rig.dataDir })
  })
})

suite('a node that fails', () => {
  async function failWith(t: TestContext, fail: (rig: OpenRig) => void): Promise<unknown> {
    const rig = await openFake(t)
    const { node, engine, storage } = rig
    const closed = once(node, 'closed')
    const sent = node.database().execute('CREATE TABLE t (a)')
    const read = node.database().execute('SELECT 1')
    const status = node.status()
    const dropped = node.dropDatabase('x')
    const leader = node.waitForLeader()
    for (const call of [sent, read, status, dropped, leader]) call.catch(() => {})
    await engine.heard('write')
    fail(rig)
    const [event] = await closed
    assert.equal(event.reason, 'failed')
    await assert.rejects(sent, { code: 'ERR_FAILED', outcome: 'unknown' })
    await assert.rejects(read, { code: 'ERR_FAILED', outcome: 'not-applied' })
    await assert.rejects(status, { code: 'ERR_FAILED' })
    await assert.rejects(dropped, { code: 'ERR_FAILED', outcome: 'unknown' })
    await assert.rejects(leader, { code: 'ERR_FAILED' })
    assert.throws(() => node.database(), { code: 'ERR_FAILED' })
    assert.equal(engine.isRunning, false)
    assert.equal(storage.isRunning, false)
    await node.close()
    await openFake(t, { dataDir: rig.dataDir })
    return event.cause
  }

  test('because the engine thread died', async (t) => {
    const cause = await failWith(t, ({ engine }) => engine.die(new Error('out of luck')))
    assert.match((cause as Error).message, /the engine thread of this node ended: out of luck/)
  })

  test('because the storage thread died', async (t) => {
    const cause = await failWith(t, ({ storage }) => storage.die(new Error('out of memory')))
    assert.match((cause as Error).message, /the storage thread of this node ended: out of memory/)
  })

  test('because the engine says so', async (t) => {
    const error = errorMessage('ERR_LOG_CORRUPT', 'a failed sync')
    const cause = await failWith(t, ({ engine }) => engine.say({ kind: 'fatal', error }))
    assert.equal((cause as { code: string }).code, 'ERR_LOG_CORRUPT')
  })

  test('shows the other threads a closed engine', async (t) => {
    const threads = new FakeThreads()
    const opening = openNode({ dataDir: temporaryDirectory(t) }, threads.start)
    const engine = await threads.started('engine')
    const shared = new SharedState(threads.engineData().shared)
    shared.publishEngine({ ...shared.readEngine(), isLeader: true, leader: 5 })
    engine.say({ kind: 'ready', port: 0 })
    const node = await opening
    const closed = once(node, 'closed')
    engine.die(new Error('gone'))
    await closed
    assert.equal(shared.readEngine().isClosed, true)
    assert.equal(shared.readEngine().isLeader, false)
    assert.equal(node.isLeader, false)
  })
})

suite('closing', () => {
  test('waits for calls under way before the engine is told', async (t) => {
    const { node, engine } = await openFake(t)
    const write = node.database().execute('CREATE TABLE t (a)')
    write.catch(() => {})
    await engine.heard('write')
    const closing = node.close()
    assert.throws(() => node.database(), { code: 'ERR_CLOSED' })
    assert.ok(!engine.received.some(({ kind }) => kind === 'close'))
    const error = errorMessage('ERR_NO_LEADER', 'none')
    engine.say({ kind: 'rejected', database: 'main', from: 1, to: 1, error })
    await assert.rejects(write, { code: 'ERR_NO_LEADER' })
    await closing
    assert.ok(engine.received.some(({ kind }) => kind === 'close'))
  })

  test('gives calls one election timeout', async (t) => {
    const { node, engine } = await openFake(t, { heartbeatMs: 10, electionTimeoutMs: 30 })
    const write = node.database().execute('CREATE TABLE t (a)')
    write.catch(() => {})
    await engine.heard('write')
    await node.close()
    await assert.rejects(write, { code: 'ERR_CLOSED', outcome: 'unknown' })
  })

  test('ends the transactions that are open first: the writes of others go on', async (t) => {
    const { node, engine } = await openFake(t)
    const tx = await node.database().transaction()
    const step = tx.execute('DELETE FROM t')
    const ended = assert.rejects(step, { code: 'ERR_CLOSED', outcome: 'not-applied' })
    await engine.heard('request')
    const [id] = requests(engine, 'tryStatements')
    const closing = node.close()
    assert.equal(requests(engine, 'endTrial').length, 1)
    // As the leader tells the owner of one that was ended.
    const error = errorMessage('ERR_TX_ABORTED', 'its owner ended it')
    engine.say({ kind: 'reply', id: id as number, value: null, error })
    await ended
    await closing
  })

  test('begins no transaction any more that waited for a leader', async (t) => {
    const { node, engine } = await openFake(t, { requestTimeoutMs: 600_000 })
    engine.answers.set('request', (message) => {
      if (message.kind !== 'request' || message.request.method !== 'tryStatements') return
      const error = { ...errorMessage('ERR_NO_LEADER', 'none'), retryable: true }
      engine.say({ kind: 'reply', id: message.id, value: null, error })
    })
    const step = node.database().transaction((tx) => tx.execute('DELETE FROM t'))
    const ended = assert.rejects(step, { code: 'ERR_CLOSED', outcome: 'not-applied' })
    await engine.heard('request')
    await node.close()
    await ended
  })

  test('waits for the commit of a transaction, and does not end it', async (t) => {
    const { node, engine } = await openFake(t, { electionTimeoutMs: 60_000 })
    const tx = await node.database().transaction()
    const step = tx.execute('DELETE FROM t')
    await engine.heard('request')
    const [id] = requests(engine, 'tryStatements')
    engine.say({ kind: 'reply', id: id as number, value: TRIED, error: null })
    await step
    const committed = assert.rejects(tx.commit(), { code: 'ERR_TX_ABORTED', message: 'late' })
    const closing = node.close()
    // All that it does without waiting for the commit is done by then.
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok(!engine.received.some(({ kind }) => kind === 'close'))
    assert.deepEqual(requests(engine, 'endTrial'), [])
    engine.say({ kind: 'commitRejected', number: 1, error: errorMessage('ERR_TX_ABORTED', 'late') })
    await committed
    await closing
  })

  test('is cut short by its signal', async (t) => {
    const { node, engine } = await openFake(t)
    engine.answers.delete('close')
    const controller = new AbortController()
    const closing = node.close({ signal: controller.signal })
    await engine.heard('close')
    controller.abort()
    await closing
    assert.equal(engine.isRunning, false)
  })

  test('keeps the data directory locked while a thread could write to it', async (t) => {
    const { dataDir, node, storage } = await openFake(t)
    storage.terminate = () => {}
    storage.exit = () => {}
    await node.close({ signal: AbortSignal.abort() })
    const early = begin(t, { dataDir })
    await assert.rejects(early.opening, { code: 'ERR_ALREADY_OPEN' })
    storage.die(new Error('the statement ended at last'))
    await new Promise((resolve) => setImmediate(resolve))
    await openFake(t, { dataDir })
  })
})

suite('what the engine tells', () => {
  test('the leader is known by name once its record is', async (t) => {
    const { node, engine } = await openFake(t)
    const events: unknown[] = []
    node.on('leader', (event) => events.push(event))
    const waiting = node.waitForLeader()
    engine.say({ kind: 'leader', nodeId: null, term: 4 })
    assert.equal(node.leader, null)
    engine.say({ kind: 'leader', nodeId: 'a', term: 4 })
    assert.deepEqual(await waiting, { id: 'a', address: '' })
    const member = {
      nodeId: 'a',
      memberId: 1,
      address: '127.0.0.1:9',
      role: 'voter',
      wantedRole: 'voter',
      isLeader: true,
      match: null,
      lastContactMs: null,
      fingerprint: null,
    } as const
    engine.say({ kind: 'membership', members: [member] })
    engine.say({ kind: 'leader', nodeId: 'a', term: 5 })
    assert.deepEqual(node.leader, { id: 'a', address: '127.0.0.1:9' })
    await Promise.resolve()
    assert.deepEqual(events, [
      { id: null, term: 4 },
      { id: 'a', term: 4 },
      { id: 'a', term: 5 },
    ])
  })

  test('no leader in time is an error, and so is a signal', async (t) => {
    const { node } = await openFake(t)
    await assert.rejects(node.waitForLeader({ timeoutMs: 10 }), { code: 'ERR_TIMEOUT' })
    for (const timeoutMs of [-1, 0.5, Number.NaN, 2 ** 31, '5' as unknown as number]) {
      await assert.rejects(node.waitForLeader({ timeoutMs }), { code: 'ERR_INVALID_ARGUMENT' })
    }
    const controller = new AbortController()
    const waiting = node.waitForLeader({ signal: controller.signal })
    controller.abort()
    await assert.rejects(waiting, { code: 'ERR_ABORTED' })
  })

  test('requests end at the common deadline', async (t) => {
    const { node } = await openFake(t, { requestTimeoutMs: 20 })
    await assert.rejects(node.members(), { code: 'ERR_TIMEOUT', message: /members.* 20 ms/ })
  })

  test('a committed write is reported as committed', async (t) => {
    const { node, engine } = await openFake(t)
    engine.answers.set('request', (message) => {
      assert.ok(message.kind === 'request' && message.request.method === 'outcome')
      engine.say({ kind: 'reply', id: message.id, value: 77, error: null })
    })
    const controller = new AbortController()
    const options = { signal: controller.signal }
    const write = node.database().execute('CREATE TABLE t (a)', [], options)
    write.catch(() => {})
    await engine.heard('write')
    controller.abort()
    await assert.rejects(write, { code: 'ERR_ABORTED', outcome: 'committed', index: 77 })
  })
})

suite('real threads', () => {
  for (const victim of ['engine', 'storage'] as const) {
    test(`the ${victim} thread is killed: the node ends, and opens again whole`, async (t) => {
      const dataDir = temporaryDirectory(t)
      const running = new Map<ThreadName, Thread>()
      const start: StartThread = (name, data, transfer: readonly Transferable[], handlers) => {
        const thread = startWorker(name, data, transfer, handlers)
        running.set(name, thread)
        return thread
      }
      const options = { dataDir, logSegmentBytes: 1024 * 1024 }
      const node = await openNode(options, start)
      t.after(() => node.close())
      await node.database().execute('CREATE TABLE t (a)')
      await node.database().execute('INSERT INTO t VALUES (1)')
      const closed = once(node, 'closed')
      running.get(victim)?.terminate()
      const [event] = await closed
      assert.equal(event.reason, 'failed')
      assert.match(String(event.cause), new RegExp(`the ${victim} thread`))
      await assert.rejects(async () => node.database(), { code: 'ERR_FAILED' })
      const again = await openNode(options, startWorker)
      t.after(() => again.close())
      const { rows } = await again.database().execute('SELECT a FROM t')
      assert.deepEqual(rows, [{ a: 1 }])
    })
  }
})
