/** Nodes in processes of their own, on loopback; the first begins, the others join it. */
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { NodeStatus, OpenOptions } from '../src/index.ts'
import { until } from './clock.ts'
import { SCHEMA } from './load.ts'
import { MemberHandle } from './member-handle.ts'
import type { Stage } from './stage.ts'

export interface ClusterOptions {
  readonly nodes: number
  readonly logRetainBytes?: number
  readonly strongReads?: OpenOptions['strongReads']
  readonly durability?: OpenOptions['durability']
  readonly isProfiled?: boolean
}

export class Cluster {
  readonly members: MemberHandle[] = []
  readonly #stage: Stage
  readonly #options: ClusterOptions
  readonly #folder: string
  readonly #ports: readonly number[]

  private constructor(stage: Stage, options: ClusterOptions, ports: readonly number[]) {
    this.#stage = stage
    this.#options = options
    this.#folder = stage.createFolder()
    this.#ports = ports
  }

  /** Resolves when all nodes vote and the table that the load fills is there. */
  static async start(stage: Stage, options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(stage, options, await findFreePorts(options.nodes))
    for (let at = 0; at < options.nodes; at += 1) await cluster.startMember(at)
    await until('all nodes vote', async () => {
      return (await cluster.statuses()).every(({ isLearner }) => !isLearner)
    })
    await cluster.member(0).call('execute', SCHEMA)
    await cluster.untilLevel()
    return cluster
  }

  member(at: number): MemberHandle {
    const member = this.members[at]
    if (member === undefined) throw new Error(`there is no member ${at}`)
    return member
  }

  /** Starts a member's process and opens its node, whether or not it was there before. */
  async startMember(at: number): Promise<void> {
    const member = new MemberHandle(this.#stage.program)
    this.members[at] = member
    await member.call('open', this.#optionsOf(at), this.#options.isProfiled ?? false)
  }

  statuses(): Promise<NodeStatus[]> {
    const running = this.members.filter(({ isRunning }) => isRunning)
    return Promise.all(running.map((member) => member.call('status')))
  }

  async findLeader(): Promise<number> {
    const { at } = await until('one node leads', async () => {
      for (const [at, member] of this.members.entries()) {
        if (member.isRunning && (await member.call('isLeader'))) return { at }
      }
      return null
    })
    return at
  }

  /** Resolves when all running nodes know the leader and have applied the same. */
  async untilLevel(): Promise<void> {
    await until('all nodes are level', async () => {
      const statuses = await this.statuses()
      const commit = Math.max(...statuses.map(({ commitIndex }) => commitIndex))
      return statuses.every(({ appliedIndex, leader }) => appliedIndex === commit && leader)
    })
  }

  /** The leader first. */
  async listFromLeader(): Promise<readonly MemberHandle[]> {
    const leader = await this.findLeader()
    return [...this.members.slice(leader), ...this.members.slice(0, leader)]
  }

  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()))
  }

  #optionsOf(at: number): OpenOptions {
    const { nodes, logRetainBytes, strongReads, durability } = this.#options
    const nodeId = `node-${at + 1}`
    const address = (index: number): string => `127.0.0.1:${this.#ports[index]}`
    const network =
      at === 0 ? { bind: address(0), bootstrap: true } : { bind: address(at), join: address(0) }
    return {
      nodeId,
      dataDir: join(this.#folder, nodeId),
      logRetainBytes,
      strongReads,
      durability,
      ...(nodes === 1 ? {} : network),
    }
  }
}

/** Ports that nobody listens on, all different. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = servers.map(async (server) => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as { readonly port: number }).port
  })
  const found = await Promise.all(ports)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return found
}
