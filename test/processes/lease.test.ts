/** Reads by lease where it must end: on a leader that is cut off, and on a follower that slept. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Cluster, nameNode } from './cluster.ts'
import { type NodeHandle, RemoteError } from './node-handle.ts'
import { until } from './wait.ts'

const ELECTION_TIMEOUT_MS = 1_000
const READ = 'SELECT n FROM counter'

/** One counter that somebody raises, and what was acknowledged of it when. */
class Counter {
  readonly #raises: { readonly atMs: number; readonly n: number }[] = []
  readonly #cluster: Cluster
  #writing: Promise<void> = Promise.resolve()
  #isOver = false

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  get count(): number {
    return this.#raises.length
  }

  async make(): Promise<void> {
    const node = this.#cluster.node(0)
    await node.call('execute', 'CREATE TABLE counter (n INTEGER)')
    await node.call('execute', 'INSERT INTO counter VALUES (0)')
  }

  /** Raises it through `node` until {@link stop}. */
  start(node: NodeHandle): void {
    this.#writing = (async () => {
      for (let n = 1; !this.#isOver; n += 1) {
        await until('a write succeeds', () => raise(node, n))
        this.#raises.push({ atMs: performance.now(), n })
      }
    })()
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#writing
  }

  /** Reads by lease: the level of the answer, or the code of its error. No answer is too old. */
  async read(node: NodeHandle): Promise<string> {
    const beganMs = performance.now()
    try {
      const { rows, consistency } = await node.call('execute', READ, [], { consistency: 'lease' })
      // Of a leader that was just deposed `weak` promises less.
      if (consistency === 'lease') this.#check(beganMs, rows[0]?.['n'] as number)
      return consistency ?? ''
    } catch (error) {
      if (error instanceof RemoteError) return error.code
      throw error
    }
  }

  #check(beganMs: number, n: number): void {
    const beforeMs = beganMs - ELECTION_TIMEOUT_MS
    const acknowledged = this.#raises.findLast(({ atMs }) => atMs < beforeMs)?.n ?? 0
    assert.ok(n >= acknowledged, `${n} was read, ${acknowledged} was acknowledged a lease before`)
  }
}

async function raise(node: NodeHandle, n: number): Promise<boolean> {
  try {
    await node.call('execute', 'UPDATE counter SET n = ?', [n])
    return true
  } catch (error) {
    if (error instanceof RemoteError) return false
    throw error
  }
}

async function startCluster(): Promise<Cluster> {
  return Cluster.start({ hasProxies: true, electionTimeoutMs: ELECTION_TIMEOUT_MS })
}

it('a leader that is cut off answers nothing by lease that is older than it', async () => {
  const cluster = await startCluster()
  const counter = new Counter(cluster)
  try {
    await counter.make()
    const leader = await cluster.leader()
    const others = [0, 1, 2].filter((at) => at !== leader)
    const lonely = cluster.node(leader)
    await until('it has a lease', async () => (await counter.read(lonely)) === 'lease')
    counter.start(cluster.node(others[0] as number))
    for (const at of others) {
      cluster.proxy(leader).cut(nameNode(at))
      cluster.proxy(at).cut(nameNode(leader))
    }
    await until('its lease ends, and its term', async () => {
      return (await counter.read(lonely)) === 'ERR_NO_LEADER'
    })
    const raised = counter.count
    await until('the others go on', () => counter.count > raised + 10)
    assert.equal(await counter.read(lonely), 'ERR_NO_LEADER')
    const bounded = { maxStalenessMs: ELECTION_TIMEOUT_MS }
    await assert.rejects(lonely.call('execute', READ, [], bounded), { code: 'ERR_STALE' })
    const old = await lonely.call('execute', READ, [], { consistency: 'none' })
    assert.equal(old.consistency, 'none')

    for (const at of others) {
      cluster.proxy(leader).join(nameNode(at))
      cluster.proxy(at).join(nameNode(leader))
    }
    await until('it has a lease again', async () => (await counter.read(lonely)) === 'lease')
  } finally {
    await counter.stop()
    await cluster.end()
  }
})

it('a follower that was stopped answers nothing by lease that is older than it', async () => {
  const cluster = await startCluster()
  const counter = new Counter(cluster)
  try {
    await counter.make()
    const leader = await cluster.leader()
    const sleeper = cluster.node((leader + 1) % 3)
    await until('it has a lease', async () => (await counter.read(sleeper)) === 'lease')
    counter.start(cluster.node(leader))
    for (let turn = 0; turn < 3; turn += 1) {
      process.kill(sleeper.pid, 'SIGSTOP')
      const sinceMs = performance.now()
      const raised = counter.count
      await until('writes go on for longer than a lease', () => {
        return counter.count > raised + 10 && performance.now() - sinceMs > ELECTION_TIMEOUT_MS
      })
      process.kill(sleeper.pid, 'SIGCONT')
      for (let read = 0; read < 20; read += 1) await counter.read(sleeper)
      await until('it has a lease again', async () => (await counter.read(sleeper)) === 'lease')
    }
  } finally {
    await counter.stop()
    await cluster.end()
  }
})
