import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ColmenaError, type ColmenaNode, open } from '../../../src/index.ts'
import { findFreePorts } from '../free-port.ts'
import { until } from '../wait.ts'
import { CLIENTS_SCHEMA, Clients } from './membership-clients.ts'

export interface MembershipForm {
  /** From one node to five and back, at least once. */
  readonly durationMs: number
  readonly clients: number
  /** Of each client after a write. */
  readonly restMs: number
  readonly progress?: (line: string) => void
}

const NODES = 5

/**
 * A cluster grows from one node to three, five, and shrinks to three and to one, over and over,
 * while clients write through whichever nodes there are. Nodes leave whether they lead or follow;
 * who comes back has lost all, and is a new member. No write may fail for ever, and the node that
 * is left in the end has each once.
 */
export async function runMembership(form: MembershipForm): Promise<string[]> {
  const { durationMs, clients: count, restMs, progress = () => {} } = form
  const cluster = new Growing(await findFreePorts(NODES))
  try {
    const first = await cluster.add()
    for (const sql of CLIENTS_SCHEMA) await first.database().execute(sql)
    const clients = new Clients(() => cluster.nodes, { count, restMs })
    const startedMs = performance.now()
    let rounds = 0
    while (rounds === 0 || performance.now() - startedMs < durationMs) {
      await cluster.grow(3, clients)
      await cluster.grow(5, clients)
      await cluster.shrink(3, clients)
      await cluster.shrink(1, clients)
      rounds += 1
      progress(`${rounds} times from one node to five and back: ${clients.summary}`)
    }
    const seconds = (performance.now() - startedMs) / 1000
    await clients.stop()
    const [last] = cluster.nodes as [ColmenaNode]
    await clients.check(last.database())
    return [
      `${rounds} times 1, 3, 5, 3, 1 nodes in ${seconds.toFixed(1)} s: ${cluster.added} members ` +
        `added, ${cluster.removed} removed, ${cluster.removedLeading} of them while they led`,
      `${clients.summary}, all there on the last node, each once`,
      `errors on the way: ${JSON.stringify(clients.codes)}`,
    ]
  } finally {
    await cluster.end()
  }
}

/** Nodes of this process that come and go; each comes with nothing. */
class Growing {
  readonly #directory = mkdtempSync(join(tmpdir(), 'colmena-membership-'))
  readonly #seats: { readonly nodeId: string; readonly address: string }[]
  #nodes: ColmenaNode[] = []
  added = 0
  removed = 0
  removedLeading = 0

  constructor(ports: readonly number[]) {
    this.#seats = ports.map((port, at) => {
      return { nodeId: `node-${at + 1}`, address: `127.0.0.1:${port}` }
    })
  }

  /** Those that clients may ask. */
  get nodes(): readonly ColmenaNode[] {
    return this.#nodes
  }

  async add(): Promise<ColmenaNode> {
    const isFree = ({ nodeId }: { readonly nodeId: string }): boolean =>
      !this.#nodes.some((node) => node.nodeId === nodeId)
    const seat = this.#seats.find(isFree)
    assert.ok(seat !== undefined)
    const { nodeId, address } = seat
    const addresses = this.#nodes.map((node) => node.address)
    const node = await open({
      nodeId,
      dataDir: this.#dataDir(nodeId),
      bind: address,
      ...(addresses.length === 0 ? { bootstrap: true } : { join: addresses }),
      heartbeatMs: 50,
      electionTimeoutMs: 500,
      logSegmentBytes: 1024 * 1024,
    })
    this.#nodes.push(node)
    this.added += 1
    return node
  }

  async grow(count: number, clients: Clients): Promise<void> {
    while (this.#nodes.length < count) await this.add()
    await this.#untilVoters(count)
    await clients.untilAcknowledged(clients.count)
  }

  /** In turn whoever leads and another one, asked for by itself and by another one. */
  async shrink(count: number, clients: Clients): Promise<void> {
    while (this.#nodes.length > count) {
      const leader = await until('one leads', () => this.#nodes.find(({ isLeader }) => isLeader))
      const follower = this.#nodes.find((node) => node !== leader) as ColmenaNode
      const [leaves, stays] = this.removed % 2 === 0 ? [leader, follower] : [follower, leader]
      await this.#remove(leaves, this.removed % 4 < 2 ? stays : leaves)
      await clients.untilAcknowledged(clients.count)
    }
    await this.#untilVoters(count)
  }

  async #remove(leaves: ColmenaNode, asked: ColmenaNode): Promise<void> {
    const { nodeId, isLeader } = leaves
    let ended: unknown = null
    leaves.once('closed', ({ cause }) => {
      ended = cause
    })
    await until(`${nodeId} is removed`, () => removeOnce(asked, nodeId))
    const cause = await until(`${nodeId} ends`, () => ended)
    assert.equal((cause as ColmenaError).code, 'ERR_REMOVED')
    this.#nodes = this.#nodes.filter((node) => node !== leaves)
    await leaves.close()
    rmSync(this.#dataDir(nodeId), { recursive: true })
    this.removed += 1
    if (isLeader) this.removedLeading += 1
  }

  async #untilVoters(count: number): Promise<void> {
    await until(`${count} members, all voters`, async () => {
      for (const node of this.#nodes) {
        const members = await node.members()
        const voters = members.filter(({ role }) => role === 'voter')
        if (members.length !== count || voters.length !== count) return false
      }
      return true
    })
  }

  #dataDir(nodeId: string): string {
    return join(this.#directory, nodeId)
  }

  async end(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.close()))
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Asked twice is asked once; true once it is done, as far as that can be known. */
async function removeOnce(asked: ColmenaNode, nodeId: string): Promise<boolean> {
  try {
    const members = await asked.members()
    if (members.some((member) => member.nodeId === nodeId)) await asked.removeMember(nodeId)
    return true
  } catch (error) {
    const { code, retryable } = error as ColmenaError
    // Who asks for its own removal may end of it before it has an answer.
    if (asked.nodeId === nodeId && code === 'ERR_REMOVED') return true
    if (!retryable) throw error
    return false
  }
}
