import { setTimeout as pause } from 'node:timers/promises'
import { splitAddress } from '../cluster/cluster.ts'
import { ColmenaError, type ColmenaNode } from '../index.ts'
import { Cluster, type ClusterListener } from './cluster.ts'
import { BEAT_MS } from './machine-link.ts'
import { dialMachine } from './machine-wire.ts'
import type { Member } from './member.ts'
import type { Site } from './site.ts'

/** The tally has a bit for each; of more machines the first ones, by their ids, are shown. */
const MACHINES_MAX = 8
const POLL_MS = 50
/** A machine that was ended is started by others, which takes as long as it takes. */
const REVIVE_MS_MAX = 60_000

export interface MachinesOptions {
  readonly node: ColmenaNode
  readonly key: Buffer
  /** Of the agent, on every machine. */
  readonly agentPort: number
  readonly silenceMsMax: number
}

interface Peer {
  readonly member: Member
  readonly end: AbortController
  host: string
  isDialing: boolean
  /** Whether it was reached, or could not be: before, nobody knows whether it answers. */
  isTried: boolean
  /** Since when it has the page, as it says. */
  pageSince: number | null
}

/** The machines of the cluster as one of them sees them, itself among them. */
export class Machines implements Site {
  readonly kind = 'machines'
  readonly advice = 'Fly.io starts it again'
  readonly links = null
  readonly #cluster: Cluster = new Cluster(this)
  readonly #options: MachinesOptions
  readonly #peers = new Map<string, Peer>()
  readonly #looks: NodeJS.Timeout
  #pageSince: number | null = null
  #isLooking = false
  #isClosed = false

  constructor(options: MachinesOptions) {
    this.#options = options
    this.#looks = setInterval(() => void this.#look(), BEAT_MS)
  }

  get pageId(): string {
    return this.#options.node.nodeId
  }

  /** Since when this machine has the page; null while another has it. */
  get pageSince(): number | null {
    return this.#pageSince
  }

  /**
   * The machine that has the page: of those that answer the one that took it last, or else the
   * first by its id. Null until every member was tried.
   */
  get hostId(): string | null {
    const peers = [...this.#peers.values()]
    if (peers.some(({ isTried }) => !isTried)) return null
    const [host] = peers
      .filter(({ member }) => member.running !== null)
      .map(({ member: { id }, pageSince }) => {
        return { id, since: (id === this.pageId ? this.#pageSince : pageSince) ?? 0 }
      })
      .sort((one, other) => other.since - one.since || (one.id < other.id ? -1 : 1))
    return host?.id ?? null
  }

  /** From now on this machine has the page, whatever the clocks of those say that had it before. */
  takePage(): void {
    const earlier = [...this.#peers.values()].map(({ pageSince }) => pageSince ?? 0)
    this.#pageSince = Math.max(Date.now(), ...earlier.map((since) => since + 1))
  }

  leavePage(): void {
    this.#pageSince = null
  }

  /** Resolves once there is the table, which without a leader can't be made. */
  async open(listener: ClusterListener, signal: AbortSignal): Promise<Cluster> {
    while (!(await this.#hasTable())) await pause(POLL_MS, undefined, { signal })
    signal.throwIfAborted()
    for (const member of this.#cluster.members) member.settle()
    this.#cluster.listen(listener)
    return this.#cluster
  }

  async revive(member: Member): Promise<void> {
    const endMs = performance.now() + REVIVE_MS_MAX
    while (member.running === null) {
      if (performance.now() > endMs) {
        const message = `nothing was heard of it for ${REVIVE_MS_MAX / 1_000} s: fly machine status`
        throw new ColmenaError('ERR_TIMEOUT', message)
      }
      await pause(POLL_MS)
    }
  }

  /** Of the cluster for the page that was here; the machines stay connected. */
  async close(): Promise<void> {}

  async disconnect(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#looks)
    await Promise.all([...this.#peers.values()].map((peer) => this.#forget(peer)))
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const members = await this.#options.node.members()
      if (!this.#isClosed) this.#compare(members)
    } catch {
      // The node closes, or is busy: they stay as they were.
    } finally {
      this.#isLooking = false
    }
  }

  #compare(all: Awaited<ReturnType<ColmenaNode['members']>>): void {
    const sorted = [...all].sort((one, other) => (one.nodeId < other.nodeId ? -1 : 1))
    const members = sorted.slice(0, MACHINES_MAX)
    for (const [id, peer] of this.#peers) {
      if (!members.some(({ nodeId }) => nodeId === id)) void this.#forget(peer)
    }
    for (const { nodeId, role, address } of members) {
      const isLearner = role === 'learner'
      const peer = this.#peers.get(nodeId) ?? this.#add(nodeId, isLearner)
      ;[peer.host] = splitAddress('address', address)
      if (peer.member.running === null) peer.member.isLearner = isLearner
      if (peer.member.isGone && !peer.isDialing) void this.#dial(peer)
    }
  }

  #add(id: string, isLearner: boolean): Peer {
    const peer = {
      member: this.#cluster.add(id, isLearner),
      end: new AbortController(),
      host: '',
      isDialing: false,
      isTried: false,
      pageSince: null,
    }
    this.#peers.set(id, peer)
    return peer
  }

  async #forget(peer: Peer): Promise<void> {
    this.#peers.delete(peer.member.id)
    await this.#cluster.remove(peer.member)
    peer.end.abort()
  }

  async #dial(peer: Peer): Promise<void> {
    const { key, agentPort: port, silenceMsMax } = this.#options
    peer.isDialing = true
    // What it said in an earlier life.
    peer.pageSince = null
    try {
      const wire = await dialMachine({
        host: peer.host,
        port,
        key,
        name: this.pageId,
        silenceMsMax,
        signal: peer.end.signal,
        page: (since) => {
          peer.pageSince = since
          peer.isTried = true
        },
      })
      await peer.member.start(wire, Date.now())
    } catch {
      // It is away, or ended before its node was open: it is dialed again.
    } finally {
      peer.isTried = true
      peer.isDialing = false
    }
  }

  async #hasTable(): Promise<boolean> {
    const own = this.#peers.get(this.pageId)?.member.running
    try {
      if ((await own?.call('lastId')) != null) return true
      await own?.call('makeTable')
    } catch {
      // There is no leader just now.
    }
    return false
  }
}
