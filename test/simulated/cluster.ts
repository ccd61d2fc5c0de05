import { type ConfState, isJoint } from '../../src/raft/raft.ts'
import { KeptIdentity } from './identity.ts'
import { Invariants } from './invariants.ts'
import { SimulatedNetwork } from './network.ts'
import { type ProcessFate, SimulatedProcess } from './process.ts'
import type { SeededRandom } from './random.ts'
import type { Shape } from './shape.ts'
import { Timeline } from './timeline.ts'

export interface ClusterOptions {
  readonly random: SeededRandom
  readonly shape: Shape
  readonly skipsSync: boolean
}

const CLUSTER_ID = 'c0'.repeat(16)
/** A request that was not answered by now is not acted upon any more. */
const REMOVAL_MS = 20_000

/** All machines of one life, what they run, and the wires between them. */
export class Cluster {
  readonly options: ClusterOptions
  readonly timeline: Timeline = new Timeline()
  readonly network: SimulatedNetwork
  readonly invariants: Invariants
  /** All that ever were: what those that are gone once promised still counts. */
  readonly machines: SimulatedProcess[] = []
  isTormented = false
  /** Nobody writes until then. */
  quietUntilMs = 0
  crashes = 0
  readonly #delays: SeededRandom

  constructor(options: ClusterOptions) {
    this.options = options
    const { random, shape } = options
    this.#delays = random.stream('delays')
    this.invariants = new Invariants(this.machines, () => this.timeline.nowMs)
    this.network = new SimulatedNetwork(this.timeline, random.stream('network'), {
      latencyMsMin: 0.2,
      latencyMsMax: shape.latencyMsMax,
      resetChance: shape.resetChance,
      impatience: shape.impatience,
      hasDatagrams: shape.hasDatagrams,
    })
    for (let at = 0; at < shape.nodes; at += 1) {
      this.#add(`n${at}`, at === 0 ? [] : ['n0:1'], this.#newIdentity(at === 0 ? CLUSTER_ID : ''))
    }
  }

  /** Those that are up or may be started again. */
  get alive(): readonly SimulatedProcess[] {
    return this.machines.filter(({ isBroken, isOver }) => !isBroken && !isOver)
  }

  get leader(): SimulatedProcess | undefined {
    return this.machines.find(({ isUp, shared }) => isUp && shared.readEngine().isLeader)
  }

  /** Whether all have applied the same, under one configuration. */
  get isLevel(): boolean {
    const { alive } = this
    if (!alive.every(({ isReady }) => isReady)) return false
    const applied = new Set(alive.map(({ shared }) => shared.applied()))
    const configurations = new Set(alive.map(({ running }) => describe(running?.raft.confState)))
    return applied.size === 1 && configurations.size === 1 && this.#isSettled(alive)
  }

  start(process: SimulatedProcess): void {
    if (process.isUp || process.isBroken || process.isOver) return
    const { identity } = process
    // A directory that was never finished begins again, as a new member.
    if (identity.incarnation === 0 || identity.isEstablished) process.start()
    else this.#succeed(process, this.#newMemberId(), identity.rejoinAddresses).start()
  }

  startAll(): void {
    for (const process of this.alive) this.start(process)
  }

  /** Whoever would forget what it acknowledged stays, while another one may be needed for it. */
  crash(process: SimulatedProcess, losesPower: boolean, downMs: number): void {
    if (!this.isTormented || !process.isUp || !this.mayStop(process)) return
    this.crashes += 1
    const isLeader = process.running?.raft.role === 'leader'
    if (isLeader && losesPower) this.invariants.reach('a leader lost power')
    process.crash(losesPower)
    this.startLater(process, downMs)
  }

  /** Unless torment has ended by then. */
  later(delayMs: number, strike: () => void): void {
    this.timeline.plan(delayMs, () => {
      if (this.isTormented) strike()
    })
  }

  startLater(process: SimulatedProcess, downMs: number): void {
    this.timeline.plan(downMs, () => this.start(process))
  }

  mayStop(process: SimulatedProcess): boolean {
    return !process.isRelaxed || this.mayLose(process)
  }

  /**
   * Whether the others are enough without what this one holds: what was committed may be on a bare
   * majority, and must not get lost with two of it.
   */
  mayLose(process: SimulatedProcess): boolean {
    const others = this.alive.filter((other) => other !== process)
    if (
      !others.every(({ isReady, isRotten, mayBeRemoved }) => isReady && !isRotten && !mayBeRemoved)
    ) {
      return false
    }
    const all = [...others, process]
    return this.#isSettled(all) && others.every((other) => votersOf(other).length >= 3)
  }

  /** Somebody asked for its removal, which may come late, or not at all. */
  expectRemoval(process: SimulatedProcess): void {
    process.mayBeRemoved = true
    const look = (): void => {
      const { alive } = this
      const isIn = alive.every(({ running }) =>
        running?.raft.confState.voters.includes(process.memberId),
      )
      if (isIn && this.isLevel) process.mayBeRemoved = false
      else if (!process.isOver) this.timeline.plan(REMOVAL_MS, look)
    }
    this.timeline.plan(REMOVAL_MS, look)
  }

  /** Its directory is deleted: what comes back on this machine is a new member. */
  wipe(process: SimulatedProcess, downMs: number): void {
    this.invariants.reach('a member lost its directory')
    process.isOver = true
    process.crash(false)
    this.timeline.plan(downMs, () => this.#renew(process))
  }

  dispose(): void {
    for (const process of this.machines) process.dispose()
  }

  /** Every configuration that is in force has settled, and names nobody who is gone. */
  #isSettled(members: readonly SimulatedProcess[]): boolean {
    const ids = new Set(members.map(({ memberId }) => memberId))
    return members.every(({ running }) => {
      const confState = running?.raft.confState
      if (confState === undefined) return true
      const { voters, learners } = confState
      return !isJoint(confState) && [...voters, ...learners].every((id) => ids.has(id))
    })
  }

  #add(nodeId: string, joins: readonly string[], identity: KeptIdentity): SimulatedProcess {
    const { random, shape, skipsSync } = this.options
    const ordinal = this.machines.length
    const settings = shape.settings[Number(nodeId.slice(1)) % shape.settings.length]
    if (settings === undefined) throw new Error('a life without settings')
    const process = new SimulatedProcess({
      network: this.network,
      random: random.stream(`process/${ordinal}`),
      watcher: this.invariants,
      nodeId,
      address: `${nodeId}:1`,
      identity,
      joins,
      // A short log is cut often, and notices by the gap what it lost.
      settings: skipsSync ? { ...settings, ...LONG_LOG } : settings,
      skipsSync,
      leases: shape.leases,
      mayStop: (which) => this.mayStop(which),
      hasTrouble: () => shape.hasTrouble && this.isTormented,
      fate: this.#fate,
    })
    this.machines.push(process)
    return process
  }

  readonly #fate: ProcessFate = {
    died: (process) => {
      this.crashes += 1
      this.invariants.reach('a process died while it applied')
      this.startLater(process, this.#delays.below(3_000))
    },
    closed: (process) => this.startLater(process, this.#delays.below(500)),
    isOver: (process) => {
      const { isRotten } = process
      this.invariants.reach(isRotten ? 'a damaged log was refused' : 'a removed member was told')
      this.timeline.plan(this.#delays.below(2_000), () => this.#renew(process))
    },
    replaced: (process, memberId, addresses) => {
      this.invariants.reach('a relaxed member came back as another')
      this.#succeed(process, memberId, addresses).start()
    },
  }

  /** An empty directory on the same machine asks the others to be taken in. */
  #renew(process: SimulatedProcess): void {
    const { nodeId, address } = process.options
    const joins = this.alive.map((other) => other.options.address).filter((one) => one !== address)
    this.#add(nodeId, joins, this.#newIdentity('')).start()
  }

  /** The same node goes on as another member. */
  #succeed(
    process: SimulatedProcess,
    memberId: number,
    addresses: readonly string[],
  ): SimulatedProcess {
    const { identity, options } = process
    const { clusterId, incarnation } = identity
    const isKnown = addresses.length > 0 || options.joins.length === 0
    const next = new KeptIdentity(memberId, isKnown ? clusterId : '', incarnation + 1)
    next.rejoinAddresses = addresses
    process.isOver = true
    return this.#add(options.nodeId, options.joins, next)
  }

  #newIdentity(clusterId: string): KeptIdentity {
    return new KeptIdentity(this.#newMemberId(), clusterId)
  }

  #newMemberId(): number {
    return 1 + this.options.random.stream(`member/${this.machines.length}`).below(2 ** 31)
  }
}

const LONG_LOG = { segmentBytes: 256 * 1024, logRetainBytes: 256 * 1024 }

function votersOf(process: SimulatedProcess): readonly number[] {
  return process.running?.raft.confState.voters ?? []
}

function describe(confState: ConfState | undefined): string {
  return JSON.stringify(confState ?? null)
}
