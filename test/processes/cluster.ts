import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeStatus, OpenOptions } from '../../src/index.ts'
import { NodeProxy } from '../../src/testing/node-proxy.ts'
import { type Content, readContent } from './content.ts'
import { findFreePorts } from './free-port.ts'
import { Ledger } from './ledger.ts'
import { NodeHandle } from './node-handle.ts'
import type { Threads, WritersOptions } from './protocol.ts'
import { until } from './wait.ts'
import { LEDGER_SCHEMA } from './writers.ts'

type Shared = Omit<Partial<OpenOptions>, 'nodeId' | 'dataDir' | 'bind' | 'bootstrap' | 'join'>

export interface ClusterOptions extends Shared {
  readonly count?: number
  /** What single nodes are opened with, in place of what all are. */
  readonly own?: Readonly<Record<number, Shared>>
  /** Where one node keeps its data, in place of a folder of the cluster's own. */
  readonly dataDirs?: Readonly<Record<number, string>>
  /** Whether each node is reached through a proxy, which can break its links. */
  readonly hasProxies?: boolean
  /** Nodes whose threads are others than the product's. */
  readonly threads?: Readonly<Record<number, Threads>>
  /** Of each node's process, beside this one's. */
  readonly envs?: readonly Readonly<Record<string, string>>[]
}

/** Several nodes in processes of their own; the first begins, the others join it. */
export class Cluster {
  readonly ledger: Ledger = new Ledger()
  readonly nodes: NodeHandle[] = []
  readonly #directory = mkdtempSync(join(tmpdir(), 'colmena-processes-'))
  readonly #ports: readonly number[]
  readonly #options: ClusterOptions
  readonly #proxies: NodeProxy[] = []
  #lives = 0

  constructor(ports: readonly number[], options: ClusterOptions) {
    this.#ports = ports
    this.#options = options
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { count = 3, hasProxies = false } = options
    const ports = await findFreePorts(hasProxies ? 2 * count : count)
    const cluster = new Cluster(ports.slice(0, count), options)
    try {
      for (const [at, port] of ports.slice(count).entries()) {
        cluster.#proxies.push(await NodeProxy.open(ports[at] as number, port))
      }
      const [first, ...others] = Array.from({ length: count }, (_, at) => cluster.startProcess(at))
      const { threads } = options
      await first?.call('open', cluster.optionsOf(0), threads?.[0])
      await Promise.all(
        others.map((node, at) => node.call('open', cluster.optionsOf(at + 1), threads?.[at + 1])),
      )
      await cluster.untilVoters(count)
      return cluster
    } catch (error) {
      await cluster.end()
      throw error
    }
  }

  /** `open`'s options for a node, the same each time. */
  optionsOf(at: number): OpenOptions {
    const { own, ...rest } = this.#options
    const { count: _, dataDirs: __, hasProxies: ___, envs: ____, threads: _____, ...shared } = rest
    const advertise = this.#proxies[at]?.address
    return {
      ...shared,
      ...own?.[at],
      nodeId: nameNode(at),
      dataDir: this.dataDir(at),
      bind: this.address(at),
      ...(advertise === undefined ? {} : { advertise }),
      // Through the proxy too: a member that lost another looks for it where it once joined.
      ...(at === 0 ? { bootstrap: true } : { join: this.#proxies[0]?.address ?? this.address(0) }),
    }
  }

  dataDir(at: number): string {
    return this.#options.dataDirs?.[at] ?? join(this.#directory, nameNode(at))
  }

  /** A folder of this cluster's that goes when it ends. */
  get directory(): string {
    return this.#directory
  }

  address(at: number): string {
    return `127.0.0.1:${this.#ports[at]}`
  }

  proxy(at: number): NodeProxy {
    const proxy = this.#proxies[at]
    assert.ok(proxy !== undefined, `node ${at} has no proxy`)
    return proxy
  }

  node(at: number): NodeHandle {
    const node = this.nodes[at]
    assert.ok(node !== undefined, `there is no node ${at}`)
    return node
  }

  async startNode(at: number, threads?: Threads): Promise<NodeHandle> {
    const node = this.startProcess(at)
    await node.call('open', this.optionsOf(at), threads)
    return node
  }

  /** A process that has opened nothing yet. */
  startProcess(at: number): NodeHandle {
    const report = this.ledger.add.bind(this.ledger)
    const node = new NodeHandle({ report, env: this.#options.envs?.[at] })
    this.nodes[at] = node
    return node
  }

  /** Resolves once so many of the running nodes vote. */
  async untilVoters(count: number): Promise<void> {
    await until(`${count} voters`, async () => {
      const statuses = await this.statuses()
      return statuses.filter(({ isLearner }) => !isLearner).length >= count
    })
  }

  statuses(): Promise<readonly NodeStatus[]> {
    return Promise.all(this.running.map((node) => node.call('status')))
  }

  async terms(): Promise<readonly number[]> {
    return (await this.statuses()).map(({ term }) => term)
  }

  get running(): readonly NodeHandle[] {
    return this.nodes.filter((node) => node?.isRunning)
  }

  /** The node that leads: it says so itself. */
  async leader(): Promise<number> {
    const { at: leader } = await until('one node leads', async () => {
      for (const [at, node] of this.nodes.entries()) {
        if (!node.isRunning) continue
        // Asked while it dies or closes, a node does not lead.
        const answer = await node.call('leader').catch(() => null)
        if (answer?.isLeader) return { at }
      }
      return null
    })
    return leader
  }

  /** The tables that writers fill. */
  async makeLedger(): Promise<void> {
    for (const sql of LEDGER_SCHEMA) await this.node(0).call('execute', sql)
  }

  /** Begins writing through one node; each start of a process has ids of its own. */
  async startWriters(
    at: number,
    count: number,
    options?: Omit<WritersOptions, 'prefix' | 'count'>,
  ): Promise<void> {
    this.#lives += 1
    await this.node(at).call('startWriters', { prefix: `n${at}.${this.#lives}`, count, ...options })
  }

  async stopWriters(): Promise<void> {
    await Promise.all(this.running.map((node) => node.call('stopWriters')))
  }

  /** Resolves once `count` more writes than now are acknowledged. */
  async untilAcknowledged(count: number): Promise<void> {
    const wanted = this.ledger.counts.acknowledged + count
    await until(`${wanted} acknowledged writes`, () => {
      return this.ledger.counts.acknowledged >= wanted
    })
  }

  /** Resolves once all running nodes have applied all that is committed. */
  async untilEqual(): Promise<void> {
    await until('all nodes applied the same', async () => {
      const statuses = await this.statuses()
      const commit = Math.max(...statuses.map(({ commitIndex }) => commitIndex))
      return statuses.every(({ appliedIndex }) => appliedIndex === commit)
    })
  }

  /** Closes all nodes that run and ends their processes. */
  async stop(): Promise<void> {
    await Promise.all(this.running.map((node) => node.call('close')))
    await Promise.all(this.running.map((node) => node.kill()))
  }

  /** Stops all nodes, then holds their files against each other and against the ledger. */
  async checkContents(): Promise<readonly Content[]> {
    await this.untilEqual()
    await this.stop()
    const contents = this.nodes.map((_, at) => readContent(this.dataDir(at)))
    for (const [at, { hash, integrity, ids, total }] of contents.entries()) {
      const where = nameNode(at)
      assert.equal(integrity, 'ok', where)
      this.ledger.check(ids, where)
      assert.equal(total, ids.length, `${where}: both statements of each write ran, or none`)
      assert.equal(hash, contents[0]?.hash, `${where} has the same content as ${nameNode(0)}`)
    }
    return contents
  }

  /** Ends everything and leaves nothing on the disk. */
  async end(): Promise<void> {
    await Promise.all(this.running.map((node) => node.kill()))
    for (const proxy of this.#proxies) proxy.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

export function nameNode(at: number): string {
  return `node-${at + 1}`
}
