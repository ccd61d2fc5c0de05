/** A cluster for tests of applications, and what can be done to it. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import {
  type ColmenaNode,
  type Database,
  isColmenaError,
  type NodeStatus,
} from '../../src/index.ts'
import {
  ConvergenceError,
  createTestCluster,
  createTestNode,
  type TestCluster,
} from '../../src/testing/testing.ts'
import { TemporaryFolder } from './temporary-folder.ts'

/** Generous: only a bug waits for so long. */
const WAIT = { timeoutMs: 60_000 }

/** Held for longer than any test takes. */
const TAKE_NOW = { ttlMs: 600_000, waitMs: 0 }

const temporary = new TemporaryFolder()

const READ_HERE = { consistency: 'none' } as const

async function readTexts(node: ColmenaNode): Promise<unknown[]> {
  const { rows } = await node.database().execute('SELECT text FROM notes', [], READ_HERE)
  return rows.map((row) => row['text']).sort()
}

async function write(db: Database, text: string): Promise<void> {
  await db.execute('INSERT INTO notes VALUES (?)', [text])
}

/** Of a node of the only cluster that there is. */
function dataDirOf(id: string): string {
  const [folder, ...others] = temporary.list()
  assert.ok(folder !== undefined && others.length === 0, 'one folder for a cluster')
  return join(temporary.path, folder, id)
}

describe('a test cluster', () => {
  let cluster: TestCluster
  let atFirst: readonly NodeStatus[] = []
  before(async () => {
    cluster = await createTestCluster()
    atFirst = await Promise.all(cluster.nodes.map((node) => node.status()))
  })
  after(() => cluster?.close())

  beforeEach(async () => {
    await cluster.heal()
    for (const id of ['node-1', 'node-2', 'node-3']) {
      if (!cluster.nodes.some(({ nodeId }) => nodeId === id)) await cluster.restart(id, WAIT)
    }
    const db = (await cluster.leader(WAIT)).database()
    await db.execute('CREATE TABLE IF NOT EXISTS notes (text TEXT)')
    await db.execute('DELETE FROM notes')
    await cluster.waitForConvergence(WAIT)
  })

  it('has three voters from the start, one of which leads', async () => {
    assert.deepEqual(
      cluster.nodes.map(({ nodeId }) => nodeId),
      ['node-1', 'node-2', 'node-3'],
    )
    const roles = atFirst.map(({ isLearner, durability: { mode } }) => [isLearner, mode])
    assert.deepEqual(roles, Array(3).fill([false, 'full']))
    const leader = await cluster.leader(WAIT)
    const followers = await cluster.followers(WAIT)
    assert.equal(await cluster.follower(WAIT), followers[0])
    assert.equal(cluster.node(leader.nodeId), leader)
    assert.deepEqual(new Set([leader, ...followers]), new Set(cluster.nodes))
    assert.equal(followers.length, 2)
  })

  it('converges: what was written through one is on all', async () => {
    await write((await cluster.follower(WAIT)).database(), 'milk')
    await cluster.waitForConvergence(WAIT)
    for (const node of cluster.nodes) assert.deepEqual(await readTexts(node), ['milk'])
  })

  it('has another leader once the one that led is cut off, and it comes back', async () => {
    const old = await cluster.isolateLeader(WAIT)
    const leader = await cluster.leader(WAIT)
    assert.notEqual(leader, old)
    await write(leader.database(), 'milk')
    assert.deepEqual(await readTexts(old), [])
    assert.deepEqual(await cluster.followers(WAIT), [await cluster.follower(WAIT)])
    await assert.rejects(cluster.waitForConvergence({ timeoutMs: 50 }), (error) => {
      assert.ok(error instanceof ConvergenceError && error.code === 'ERR_TIMEOUT')
      const appliedIndex = Number(error.lagging[0]?.appliedIndex)
      assert.deepEqual(error.lagging, [{ nodeId: old.nodeId, appliedIndex, reason: 'behind' }])
      assert.ok(appliedIndex < Number(error.targetIndex))
      const others = ['node-1', 'node-2', 'node-3'].filter((id) => id !== old.nodeId).join(', ')
      const lag = `${old.nodeId} had applied ${appliedIndex} of ${error.targetIndex}: `
      assert.ok(error.message.startsWith(`within 50 ms ${lag}`), error.message)
      assert.match(error.message, new RegExp(`${leader.nodeId} leads in term \\d+`))
      assert.match(error.message, new RegExp(`links are cut: .*(${others}|${old.nodeId}).*heal`))
      return true
    })
    await cluster.heal()
    await cluster.waitForConvergence(WAIT)
    assert.deepEqual(await readTexts(old), ['milk'])
  })

  it('is parted into groups, none of which leads where none has a majority', async () => {
    await cluster.partition('node-1', 'node-2')
    await assert.rejects(cluster.waitForConvergence({ timeoutMs: 500 }), (error) => {
      assert.ok(error instanceof ConvergenceError && error.targetIndex === null)
      assert.match(error.message, /^within 500 ms no node came to lead/)
      return true
    })
    await assert.rejects(cluster.leader({ timeoutMs: 50 }), (error) => {
      assert.ok(isColmenaError(error) && error.code === 'ERR_TIMEOUT' && error.retryable)
      assert.match(error.message, /^within 50 ms no node came to lead: node-1 .*node-2 .*node-3 /)
      assert.match(error.message, /links are cut: node-1 \| node-2 \| node-3 \(heal\(\) joins/)
      return true
    })
    await cluster.partition(['node-1', cluster.node('node-2')])
    const leader = await cluster.leader(WAIT)
    assert.notEqual(leader.nodeId, 'node-3')
    await write(leader.database(), 'milk')
    assert.deepEqual(await readTexts(cluster.node('node-3')), [])
  })

  it('goes on without one that is killed, which is restarted on its data', async () => {
    const killed = await cluster.leader(WAIT)
    await write(killed.database(), 'milk')
    await cluster.kill(killed)
    assert.equal(cluster.nodes.length, 2)
    await assert.rejects(async () => cluster.node(killed.nodeId), {
      code: 'ERR_CLOSED',
      message: `${killed.nodeId} does not run: restart('${killed.nodeId}') opens it again`,
    })
    await assert.rejects(cluster.kill(killed.nodeId), { code: 'ERR_CLOSED' })
    assert.throws(() => killed.database(), { code: 'ERR_CLOSED' })
    await write((await cluster.leader(WAIT)).database(), 'bread')
    await cluster.waitForConvergence(WAIT)

    const back = await cluster.restart(killed, WAIT)
    assert.notEqual(back, killed)
    assert.equal(back.memberId, killed.memberId)
    assert.equal(cluster.node(killed.nodeId), back)
    await cluster.waitForConvergence(WAIT)
    assert.deepEqual(await readTexts(back), ['bread', 'milk'])
  })

  it('hears nothing of a crash: what the killed one held stays held', async () => {
    const [killed, other] = (await cluster.followers(WAIT)) as [ColmenaNode, ColmenaNode]
    await killed.lock('seat', TAKE_NOW)
    await cluster.kill(killed)
    await assert.rejects(other.lock('seat', TAKE_NOW), { code: 'ERR_BUSY' })
    const closed = await cluster.restart(killed, WAIT)
    await closed.lock('place', TAKE_NOW)
    await closed.close()
    await other.lock('place', TAKE_NOW)
  })

  it('does not converge while one does not open again', async () => {
    await cluster.kill('node-3')
    await cluster.waitForConvergence(WAIT)
    const identity = join(dataDirOf('node-3'), 'identity.json')
    const content = readFileSync(identity)
    writeFileSync(identity, '{')
    await assert.rejects(cluster.restart('node-3', WAIT), { code: 'ERR_DATA_DIR' })
    await assert.rejects(cluster.waitForConvergence({ timeoutMs: 50 }), (error) => {
      assert.ok(error instanceof ConvergenceError)
      const lagging = [{ nodeId: 'node-3', appliedIndex: null, reason: 'failed' }]
      assert.deepEqual(error.lagging, lagging)
      assert.match(error.message, /^within 50 ms node-3 had failed: .*node-3 failed: .*identity/)
      return true
    })
    writeFileSync(identity, content)
    await cluster.restart('node-3', WAIT)
    await cluster.waitForConvergence(WAIT)
  })

  it('has no leader while most are killed, and says so', async () => {
    await cluster.kill('node-1')
    await cluster.kill('node-2')
    await assert.rejects(cluster.leader({ timeoutMs: 500 }), {
      message: /node-1 is killed; node-2 is killed; node-3 .* in term/,
    })
    await assert.rejects(cluster.follower({ timeoutMs: 50 }), {
      code: 'ERR_TIMEOUT',
      message: /^within 50 ms no node came to follow another one: /,
    })
    await assert.rejects(cluster.followers({ timeoutMs: 50 }), { code: 'ERR_TIMEOUT' })
  })

  it('keeps a node cut off that is restarted meanwhile', async () => {
    await cluster.partition(['node-3'])
    const back = await cluster.restart('node-3', WAIT)
    await write((await cluster.leader(WAIT)).database(), 'milk')
    const unknown = { code: 'ERR_CLOSED', outcome: 'unknown' }
    const writing = assert.rejects(write(back.database(), 'bread'), unknown)
    await cluster.kill('node-3')
    await writing
    const again = await cluster.restart(back, WAIT)
    assert.deepEqual(await readTexts(again), [])
    await cluster.heal()
    await cluster.waitForConvergence(WAIT)
    assert.deepEqual(await readTexts(again), ['milk'])
  })

  it('restarts one that runs in order, and one that the application closed', async () => {
    const leader = await cluster.leader(WAIT)
    const back = await cluster.restart(leader, WAIT)
    await back.close()
    assert.equal(cluster.nodes.length, 2)
    const opening = cluster.restart(back, WAIT)
    await assert.rejects(cluster.restart(back), { code: 'ERR_BUSY', retryable: true })
    assert.equal((await opening).nodeId, leader.nodeId)
  })

  it('waits no longer than its signal says', async () => {
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    const ended = { code: 'ERR_ABORTED', cause: reason }
    await assert.rejects(cluster.leader({ signal }), ended)
    await assert.rejects(cluster.waitForConvergence({ signal }), ended)
    await assert.rejects(cluster.isolateLeader({ signal }), ended)
    await assert.rejects(cluster.followers({ signal }), ended)
    await assert.rejects(cluster.follower({ signal }), ended)
    await cluster.kill('node-3')
    await assert.rejects(cluster.restart('node-3', { signal }), { code: 'ERR_ABORTED' })
    await assert.rejects(cluster.addNode({ signal }), { code: 'ERR_ABORTED' })
  })

  it('refuses what it can not do, and names it', async () => {
    await using other = await createTestNode({ logger: undefined })
    const refused: readonly (readonly [() => unknown, RegExp])[] = [
      [() => cluster.node('node-9'), /no node "node-9"; it has node-1, node-2, node-3/],
      [() => cluster.kill('a'), /no node "a"/],
      [() => cluster.kill(other), /no node an object/],
      [() => cluster.kill(null as never), /no node null/],
      [() => cluster.restart(7 as never), /no node 7/],
      [() => cluster.partition(), /would cut nothing/],
      [() => cluster.partition(['node-1', 'node-2', 'node-3']), /would cut nothing/],
      [() => cluster.partition('node-1', 'node-9'), /no node "node-9"/],
      [() => cluster.partition([['node-1']] as never), /no node an array/],
      [() => cluster.partition(['node-1'], ['node-1']), /node-1 is in two groups/],
      [() => cluster.followers({ timeoutMs: 1.5 }), /timeoutMs is 1.5/],
      [() => cluster.follower({ timeoutMs: 'x' as never }), /timeoutMs is "x"/],
      [() => cluster.leader({ timeoutMs: 0 }), /timeoutMs is 0; it must be a whole number/],
      [() => cluster.leader({ timeout: 5 } as never), /leader has no option 'timeout'; it has/],
      [() => cluster.leader(5 as never), /options of leader are an object, not 5/],
      [() => cluster.waitForConvergence({ signal: 5 as never }), /must be an AbortSignal/],
      [() => cluster.addNode({ nodeId: 'x' } as never), /addNode has no option 'nodeId'/],
    ]
    for (const [act, message] of refused) {
      await assert.rejects(async () => act(), { code: 'ERR_INVALID_ARGUMENT', message })
    }
  })
})

describe('test clusters', () => {
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [{ nodes: 0 }, /nodes is 0; it must be a whole number from 1 to 15/],
    [{ nodes: 1.5 }, /nodes is 1.5/],
    [{ nodes: 1, migrations: 'CREATE' }, /migrations is "CREATE"; it must be a list, or an obj/],
    [{ nodes: 1, tls: {} }, /no option 'tls': who dials whom is read off/],
    [{ nodes: 1, expectedVoters: 3 }, /no option 'expectedVoters': the first node begins/],
    [{ nodes: 1, secret: 'x'.repeat(16) }, /no option 'secret': who dials whom is read off/],
    [{ nodes: 1, signal: true }, /must be an AbortSignal/],
    [{ nodes: 1, node: 3 }, /unknown option 'node'.*createTestCluster itself has nodes, /],
    [3, /options of createTestCluster are an object, not 3/],
  ]
  it('are refused with options that they have not, and leave nothing', async () => {
    for (const [options, message] of refused) {
      const creating = createTestCluster(options as never)
      await assert.rejects(creating, { code: 'ERR_INVALID_OPTION', message })
    }
    assert.deepEqual(temporary.list(), [])
  })

  it('that are not created in time, or not wanted any more, leave nothing', async () => {
    await assert.rejects(createTestCluster({ timeoutMs: 5 }), {
      code: 'ERR_TIMEOUT',
      message: /^within \d+ ms node-1 was not open: node-1 failed/,
    })
    const reason = new Error('enough')
    const stop = new AbortController()
    // Once the first node logs something, it is there, and the others are on their way.
    const logger = { info: () => stop.abort(reason), warn: () => stop.abort(reason) }
    const creating = createTestCluster({ durability: 'relaxed', logger, signal: stop.signal })
    await assert.rejects(creating, { code: 'ERR_ABORTED', cause: reason })
    assert.deepEqual(temporary.list(), [])
  })

  it('are there once all vote, however late that is', async () => {
    // Whoever has joined is promoted half an election timeout after the last one came.
    await using cluster = await createTestCluster({ electionTimeoutMs: 4_000 })
    const statuses = await Promise.all(cluster.nodes.map((node) => node.status()))
    assert.deepEqual(
      statuses.map(({ isLearner }) => isLearner),
      [false, false, false],
    )
  })

  it('grow, and end at once with all that is under way', async () => {
    const migrations = [{ version: 1, name: 'notes', up: 'CREATE TABLE notes (text TEXT)' }]
    await using cluster = await createTestCluster({ nodes: 1, consistency: 'none', migrations })
    const added = await cluster.addNode({ joinAs: 'learner', ...WAIT })
    assert.equal(added.nodeId, 'node-2')
    assert.equal(await cluster.follower(WAIT), added)
    await write(added.database(), 'milk')
    await cluster.waitForConvergence(WAIT)
    assert.deepEqual(await readTexts(cluster.node('node-1')), ['milk'])
    const ended = { code: 'ERR_CLOSED', message: /test cluster was closed/ }
    await cluster.partition(['node-2'])
    const waiting = assert.rejects(cluster.waitForConvergence(WAIT), ended)
    const opening = assert.rejects(cluster.addNode(), ended)
    await Promise.all([cluster.close(), cluster.close()])
    await Promise.all([waiting, opening])
    for (const act of [
      () => cluster.node('node-1'),
      () => cluster.leader(),
      () => cluster.followers(),
      () => cluster.follower(),
      () => cluster.partition(['node-1']),
      () => cluster.isolateLeader(),
      () => cluster.heal(),
      () => cluster.kill('node-1'),
      () => cluster.restart('node-1'),
      () => cluster.waitForConvergence(),
      () => cluster.addNode(),
    ]) {
      await assert.rejects(async () => act(), ended)
    }
    assert.deepEqual(cluster.nodes, [])
    assert.deepEqual(temporary.list(), [])
  })
})
