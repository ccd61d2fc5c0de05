import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ColmenaError, type OpenOptions } from '../index.ts'
import { NodeProxy } from '../testing/node-proxy.ts'
import { forkNode } from './child-wire.ts'
import { Cluster, type ClusterListener } from './cluster.ts'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import type { Member } from './member.ts'
import { neighbourOf, openPair } from './ports.ts'
import type { Links, Site } from './site.ts'
import type { OpenCluster } from './supervisor.ts'

const VOTERS = 3
const NAMES: readonly string[] = ['node-1', 'node-2', 'node-3', 'node-4']
/** Four nodes share one machine, so their logs are small; who watches does not wait for long. */
const SETTINGS: Partial<OpenOptions> = {
  logSegmentBytes: 4_194_304,
  logRetainBytes: 16_777_216,
  requestTimeoutMs: 5_000,
}
const START_TIMEOUT_MS = 60_000
const POLL_MS = 50
/** Between kill and start, so that one sees the others go on. */
const DOWN_MS = 1_000

export interface ProcessesOptions {
  /** Where the nodes keep their data; null for a folder that is removed in the end. */
  readonly dataDir: string | null
  readonly progress: (line: string) => void
}

/** Opens four nodes on this machine, up to where three of them vote and a leader takes writes. */
export function inProcesses({ dataDir, progress }: ProcessesOptions): OpenCluster {
  return async (listener) => {
    const processes = new Processes(openDataFolder(dataDir, NAMES.length))
    try {
      return await processes.start(listener, progress)
    } catch (error) {
      await processes.close()
      throw error
    }
  }
}

/** Four processes of this machine, each with a node, and a proxy before it. */
class Processes implements Site {
  readonly kind = 'processes'
  readonly advice = 'restart it'
  readonly pageId = null
  readonly links: Links = {
    cut: (one, other) => {
      this.#proxyOf(other).cut(one.id)
      this.#proxyOf(one).cut(other.id)
    },
    join: (one, other) => {
      this.#proxyOf(other).join(one.id)
      this.#proxyOf(one).join(other.id)
    },
  }
  readonly #folder: DataFolder
  readonly #cluster: Cluster = new Cluster(this)
  readonly #proxies: NodeProxy[] = []
  #ports: readonly number[] = []
  #isClosed = false

  constructor(folder: DataFolder) {
    this.#folder = folder
  }

  async start(listener: ClusterListener, progress: (line: string) => void): Promise<Cluster> {
    this.#ports = await this.#openProxies()
    const cluster = this.#cluster
    cluster.listen(listener)
    for (const [at, name] of NAMES.entries()) cluster.add(name, at >= VOTERS)
    const [first, ...others] = cluster.members as readonly [Member, ...Member[]]
    progress(`starting ${first.id} in a process of its own`)
    await this.#begin(first)
    progress(`starting ${others.map(({ id }) => id).join(', ')}, which join it`)
    await Promise.all(others.map((member) => this.#begin(member)))
    progress('waiting until three of them vote')
    await this.#untilReady(first)
    for (const member of cluster.members) member.settle()
    return cluster
  }

  async revive(member: Member): Promise<void> {
    await pause(DOWN_MS)
    if (!this.#isClosed) await this.#begin(member)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#cluster.members.map((member) => member.kill()))
    for (const proxy of this.#proxies) proxy.close()
    this.#folder.remove()
  }

  /** Gives the ports of the proxies: members know each other by them, so they stay as they were. */
  async #openProxies(): Promise<readonly number[]> {
    const open = (port: number): Promise<NodeProxy> => NodeProxy.open(neighbourOf(port), port)
    const ports: number[] = []
    for (const at of NAMES.keys()) {
      const known = this.#folder.ports?.[at]
      const pair =
        known === undefined ? await openPair(open) : { opened: await open(known), port: known }
      this.#proxies.push(pair.opened)
      ports.push(pair.port)
    }
    this.#folder.keepPorts(ports)
    return ports
  }

  #proxyOf({ id }: Member): NodeProxy {
    return this.#proxies[NAMES.indexOf(id)] as NodeProxy
  }

  async #begin(member: Member): Promise<void> {
    await member.start(forkNode(this.#optionsOf(member)), Date.now())
  }

  #optionsOf(member: Member): OpenOptions {
    const at = NAMES.indexOf(member.id)
    const first = this.#proxies[0] as NodeProxy
    return {
      ...SETTINGS,
      nodeId: member.id,
      dataDir: join(this.#folder.path, member.id),
      bind: `127.0.0.1:${neighbourOf(this.#ports[at] as number)}`,
      advertise: this.#proxyOf(member).address,
      ...(at === 0 ? { bootstrap: true } : { join: first.address }),
      ...(at < VOTERS ? {} : { joinAs: 'learner' }),
    }
  }

  async #untilReady(first: Member): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS
    for (;;) {
      this.#cluster.look(Date.now())
      const voters = this.#cluster.members.filter(({ votes }) => votes).length
      const handle = first.running
      const error = voters < VOTERS ? null : await makeTable(handle)
      if (voters >= VOTERS && error === null) return
      if (handle === null || Date.now() > deadline) {
        throw new ColmenaError(
          'ERR_JOIN_FAILED',
          `the four nodes did not become a cluster within ${START_TIMEOUT_MS / 1000} s: ` +
            `${voters} of ${VOTERS} vote`,
          { cause: error },
        )
      }
      await pause(POLL_MS)
    }
  }
}

/** Resolves with what went wrong, null if nothing did. */
async function makeTable(handle: Member['running']): Promise<unknown> {
  try {
    await handle?.call('makeTable')
    return null
  } catch (error) {
    return error
  }
}
