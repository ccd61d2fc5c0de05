/** Members that come, go, move and come back, as nodes see it that run. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import {
  type ColmenaError,
  type ColmenaNode,
  type NodeEvents,
  type OpenOptions,
  open,
} from '../../src/index.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'
import { temporaryDirectory } from './temporary.ts'

const ELECTION_TIMEOUT_MS = 1_000

/** Nodes of one cluster by their names; the first begins it. */
class Nodes {
  readonly #directory: string
  readonly #addresses = new Map<string, string>()
  readonly #open = new Map<string, ColmenaNode>()

  constructor(t: TestContext) {
    this.#directory = temporaryDirectory(t)
    t.after(() => Promise.all([...this.#open.values()].map((node) => node.close())))
  }

  async start(...names: readonly string[]): Promise<readonly ColmenaNode[]> {
    for (const name of names) await this.move(name)
    const [first = '', ...others] = names
    const begun = await this.open(first, { bootstrap: true })
    const joined = others.map((name) => this.open(name, { join: this.address(first) }))
    const nodes = [begun, ...(await Promise.all(joined))]
    await untilVoters(begun, names)
    return nodes
  }

  async open(name: string, options: Partial<OpenOptions> = {}): Promise<ColmenaNode> {
    const node = await open({
      nodeId: name,
      dataDir: this.dataDir(name),
      bind: this.address(name),
      electionTimeoutMs: ELECTION_TIMEOUT_MS,
      ...options,
    })
    this.#open.set(name, node)
    return node
  }

  /** From its next open on it is somewhere else. */
  async move(name: string): Promise<void> {
    const [port] = await findFreePorts(1)
    this.#addresses.set(name, `127.0.0.1:${port}`)
  }

  address(name: string): string {
    return this.#addresses.get(name) ?? ''
  }

  dataDir(name: string): string {
    return join(this.#directory, name)
  }

  async close(name: string): Promise<void> {
    await this.#open.get(name)?.close()
  }

  async leader(): Promise<ColmenaNode> {
    return until('one leads', () => [...this.#open.values()].find(({ isLeader }) => isLeader))
  }
}

async function untilVoters(asked: ColmenaNode, names: readonly string[]): Promise<void> {
  const wanted = [...names].sort()
  await until(`${wanted} vote`, async () => {
    const voters = (await asked.members()).filter(({ role }) => role === 'voter')
    return (
      voters
        .map(({ nodeId }) => nodeId)
        .sort()
        .join() === wanted.join()
    )
  })
}

/** So that no message of its own life still counts for it. */
async function untilSilent(nodes: Nodes, name: string): Promise<void> {
  await until(`${name} was not heard for a while`, async () => {
    const members = await (await nodes.leader()).members()
    const { lastContactMs } = members.find(({ nodeId }) => nodeId === name) ?? {}
    return (lastContactMs ?? Infinity) > 2 * ELECTION_TIMEOUT_MS
  })
}

/** Whoever asks may not have heard yet who leads. */
async function untilTransferred(asked: ColmenaNode, nodeId?: string): Promise<void> {
  await until('leadership is handed over', () =>
    asked.transferLeadership(nodeId).then(
      () => true,
      (error: ColmenaError) => {
        if (!error.retryable) throw error
        return false
      },
    ),
  )
}

it('a member that moved is found where it says it is; one that lost all is another', async (t) => {
  const nodes = new Nodes(t)
  const [a, , c] = (await nodes.start('a', 'b', 'c')) as [ColmenaNode, ColmenaNode, ColmenaNode]
  const { memberId } = c
  await a.database().execute('CREATE TABLE t (x)')

  await nodes.close('c')
  await nodes.move('c')
  const moved = await nodes.open('c')
  assert.equal(moved.memberId, memberId)
  for (const node of [a, moved]) {
    await until('its new address is agreed on', async () => {
      const told = (await node.members()).find(({ nodeId }) => nodeId === 'c')
      return told?.address === nodes.address('c')
    })
  }
  // Without b nothing is written unless c is reached.
  await nodes.close('b')
  await a.waitForLeader({ timeoutMs: 60_000 })
  await until('it is written', () =>
    a
      .database()
      .execute('INSERT INTO t VALUES (1)')
      .then(
        () => true,
        () => false,
      ),
  )
  await nodes.open('b')

  await nodes.close('c')
  rmSync(nodes.dataDir('c'), { recursive: true })
  const anew = await nodes.open('c', { join: nodes.address('a') })
  assert.notEqual(anew.memberId, memberId)
  await untilVoters(anew, ['a', 'b', 'c'])
  const ids = (await a.members()).filter(({ nodeId }) => nodeId === 'c')
  assert.deepEqual(
    ids.map((member) => member.memberId),
    [anew.memberId],
  )
  const { rows } = await anew.database().execute('SELECT count(*) AS n FROM t')
  assert.equal(rows[0]?.['n'], 1)
})

it('no member goes without whom nothing could be written; one that went stays out', async (t) => {
  const nodes = new Nodes(t)
  await nodes.start('a', 'b', 'c')
  const leader = await nodes.leader()
  const [stays = '', goes = ''] = ['a', 'b', 'c'].filter((name) => name !== leader.nodeId)
  await nodes.move('d')
  const learner = await nodes.open('d', { join: nodes.address('a'), joinAs: 'learner' })
  for (const name of ['d', 'nobody']) {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: /is no voter .* voters are ., ., .$/ }
    await assert.rejects(learner.transferLeadership(name), refused)
  }

  await nodes.close(goes)
  await untilSilent(nodes, goes)
  for (const change of ['demote', 'removeMember'] as const) {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: /of the 2 voters .* only 1 can be/ }
    await assert.rejects(learner[change](stays), refused)
  }
  await learner.removeMember(goes)
  assert.equal((await learner.members()).find(({ nodeId }) => nodeId === 'd')?.role, 'learner')
  await learner.promote('d')
  await untilVoters(learner, [leader.nodeId, stays, 'd'])

  const { term } = await leader.status()
  const removed = await nodes.open(goes)
  const [closed] = (await once(removed, 'closed')) as NodeEvents['closed']
  assert.equal((closed.cause as ColmenaError).code, 'ERR_REMOVED')
  assert.equal((await leader.status()).term, term, 'it disturbed nobody')

  await untilTransferred(learner, stays)
  assert.equal((await nodes.leader()).nodeId, stays)
  await untilTransferred(learner)
  assert.notEqual((await nodes.leader()).nodeId, stays)
})

it('what was a node without a network takes others in, with all that it has', async (t) => {
  const dataDir = temporaryDirectory(t)
  const alone = await open({ dataDir, nodeId: 'a' })
  await alone.database().execute('CREATE TABLE t (v)')
  await alone.database().execute('INSERT INTO t VALUES (1)')
  await alone.close()
  const [a, b] = (await findFreePorts(2)).map((port) => `127.0.0.1:${port}`) as [string, string]
  const first = await open({ dataDir, bind: a })
  t.after(() => first.close())
  const place = { dataDir: temporaryDirectory(t), nodeId: 'b', bind: b, join: a }
  const second = await open(place)
  t.after(() => second.close())
  await second.database().execute('INSERT INTO t VALUES (2)')
  const { rows } = await second.database().execute('SELECT v FROM t ORDER BY v')
  assert.deepEqual(rows, [{ v: 1 }, { v: 2 }])
  assert.equal((await first.members()).find(({ nodeId }) => nodeId === 'a')?.address, a)
})
