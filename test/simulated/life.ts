import { Invariants, type ReachedState } from './invariants.ts'
import { SimulatedNetwork } from './network.ts'
import { type LeaseMode, SimulatedProcess } from './process.ts'
import { SeededRandom } from './random.ts'
import { Timeline } from './timeline.ts'

export interface LifeOptions {
  readonly seed: number
  /** Faults end after so much simulated time; then the cluster must heal. */
  readonly faultMs: number
  /**
   * Acknowledges before the disk has synced. Rules break all the time then, so the life goes on:
   * what counts is whether an acknowledged write is missing in the end.
   */
  readonly skipsSync: boolean
  /** Strong reads go by leases, and clocks are as bad as they may be; null for neither. */
  readonly leases?: LeaseMode | null | undefined
  /** Databases are SQLite's; by default a model keeps their rows, which is quicker. */
  readonly hasSqlite?: boolean | undefined
}

/** What one simulated life came to. */
export interface LifeReport {
  readonly seed: number
  readonly events: number
  /** Of all events and messages: see {@link Trace}. */
  readonly trace: string
  readonly acknowledged: number
  readonly crashes: number
  readonly elections: number
  readonly snapshots: number
  /** How each rule that broke first did, in that order; none if every invariant held. */
  readonly violations: readonly string[]
  /** Which node lacks which acknowledged write once the cluster has healed. */
  readonly lostWrites: readonly string[]
  /** False if it never healed, so nobody knows what was lost. */
  readonly isJudged: boolean
  readonly reached: readonly ReachedState[]
}

const NODES = 3
const HEAL_MS = 60_000
const EVENTS_MAX = 2_000_000
const DATABASES = ['main', 'main', 'main', 'other']

/** One cluster's life under faults: formed, tormented, healed, and judged after every event. */
export class Life {
  readonly #options: LifeOptions
  readonly #timeline = new Timeline()
  readonly #random: SeededRandom
  readonly #network: SimulatedNetwork
  readonly #invariants: Invariants
  readonly #processes: SimulatedProcess[] = []
  #crashes = 0
  #isJudged = false
  #isTormented = false
  /** Nobody writes until then. */
  #quietUntilMs = 0
  #nextText = 1

  constructor(options: LifeOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed)
    const shape = this.#random.stream('shape')
    this.#invariants = new Invariants(this.#processes, () => this.#timeline.nowMs)
    this.#network = new SimulatedNetwork(this.#timeline, this.#random.stream('network'), {
      latencyMsMin: 0.2,
      latencyMsMax: shape.pick([1, 5, 40]),
      resetChance: shape.pick([0, 0.0005, 0.01]),
    })
    for (let i = 0; i < NODES; i += 1) {
      this.#processes.push(
        new SimulatedProcess({
          network: this.#network,
          random: this.#random.stream(`process/${i}`),
          watcher: this.#invariants,
          nodeId: `n${i}`,
          address: `n${i}:1`,
          joins: i === 0 ? null : 'n0:1',
          skipsSync: options.skipsSync,
          leases: options.leases ?? null,
          hasSqlite: options.hasSqlite ?? false,
          isTormented: () => this.#isTormented,
          died: (process) => this.#died(process, shape.below(3_000)),
        }),
      )
    }
  }

  run(): LifeReport {
    try {
      return this.#run()
    } finally {
      for (const process of this.#processes) process.dispose()
    }
  }

  #run(): LifeReport {
    try {
      this.#form()
      this.#torment()
      this.#heal()
    } catch (error) {
      if (!(error instanceof Error)) throw error
      if (!(error instanceof Ended)) this.#invariants.broke('liveness', error.stack ?? '')
      return this.#report()
    }
    this.#isJudged = true
    this.#invariants.judge(this.#alive)
    return this.#report()
  }

  /**
   * A life without faults but one: the wires between the leader and a follower break every
   * `everyMs`, for `lastingMs`. Tells how many leaders there were, and how many writes succeeded.
   */
  runFlapping(everyMs: number, lastingMs: number): { leaders: number; acknowledged: number } {
    this.#form()
    const leadersBefore = this.#invariants.terms
    this.#isTormented = true
    this.#plan('workload', 1, 25, () => this.#work())
    this.#plan('flapping', everyMs, everyMs, () => {
      const leader = this.#leader()
      const follower = this.#processes.find((process) => process !== leader)
      if (leader !== undefined && follower !== undefined) leader.resetLink(follower.memberId)
    })
    const endMs = this.#timeline.nowMs + lastingMs
    while (this.#timeline.nowMs < endMs) this.#step()
    const { terms, acknowledgedCount } = this.#invariants
    return { leaders: terms - leadersBefore, acknowledged: acknowledgedCount }
  }

  /**
   * A life in which the calendar of the first leader is `aheadMs` ahead. It loses what leads, again
   * and again; tells who led, in order.
   */
  runSkewed(aheadMs: number, kills: number): string[] {
    const [off] = this.#processes as [SimulatedProcess]
    off.clock.step(aheadMs)
    const leads = (process: SimulatedProcess | undefined): boolean =>
      process?.shared.readEngine().ownTermCommitted === true
    this.#form()
    const leaders = [off.name]
    this.#until('it hands leadership over', HEAL_MS, () => {
      const leader = this.#leader()
      return leader !== off && leads(leader)
    })
    for (let kill = 0; kill < kills; kill += 1) {
      const leader = this.#leader() as SimulatedProcess
      leaders.push(leader.name)
      leader.crash(false)
      this.#until('another leads', HEAL_MS, () => leads(this.#leader()))
      leader.start()
      // Who lacks an entry could not win: then the one that waits longer would, in the end.
      this.#until('all have the same log', HEAL_MS, () => {
        const lasts = new Set(this.#processes.map(({ running }) => running?.log.lastIndex))
        return this.#isLevel && lasts.size === 1
      })
    }
    return leaders
  }

  #form(): void {
    for (const process of this.#processes) process.start()
    this.#until('three voters form a cluster', HEAL_MS, () =>
      this.#processes.every(
        ({ isReady, running }) => isReady && running?.raft.confState.voters.length === NODES,
      ),
    )
  }

  #torment(): void {
    this.#isTormented = true
    this.#plan('workload', 1, 25, () => this.#work())
    const nemesis = this.#random.stream('nemesis')
    const paceMs = nemesis.pick([300, 1_000, 4_000])
    this.#plan('nemesis', paceMs / 2, paceMs, () => this.#strike(nemesis))
    if (this.#options.leases) {
      const clocks = this.#random.stream('clocks')
      this.#plan('clocks', 100, 1_000, () => this.#disturb(clocks))
      this.#plan('leases', 1, 10, () => this.#readByLease())
    }
    const endMs = this.#timeline.nowMs + this.#options.faultMs
    while (this.#timeline.nowMs < endMs) this.#step()
  }

  #heal(): void {
    this.#isTormented = false
    this.#network.heal()
    const texts: string[] = []
    const wasWritten = (): boolean => texts.some((text) => this.#invariants.wasAcknowledged(text))
    this.#until('every process is up and level', HEAL_MS, () => {
      for (const process of this.#processes) process.start()
      return this.#isLevel
    })
    this.#plan('last write', 200, 200, () => {
      const process = this.#processes.find(({ isReady }) => isReady)
      if (process === undefined || wasWritten()) return
      texts.push(`last-${texts.length}`)
      process.write('main', texts.at(-1) as string)
    })
    this.#until('a write succeeds after all is healed', HEAL_MS, () => {
      for (const process of this.#processes) process.start()
      return wasWritten() && this.#isLevel
    })
  }

  /** Repeats at drawn intervals as long as the torment goes on (or until healed, for the last). */
  #plan(name: string, fromMs: number, toMs: number, run: () => void): void {
    const random = this.#random.stream(name)
    const wasTormented = this.#isTormented
    const again = (): void => {
      if (this.#isTormented !== wasTormented) return
      run()
      this.#timeline.plan(fromMs + random.below(1 + toMs - fromMs), again)
    }
    this.#timeline.plan(fromMs, again)
  }

  #work(): void {
    const random = this.#random.stream(`work/${this.#nextText}`)
    const process = random.pick(this.#processes)
    this.#nextText += 1
    if (random.chance(0.8)) {
      if (this.#timeline.nowMs < this.#quietUntilMs) return
      const isRefused = this.#options.hasSqlite && random.chance(0.05)
      const text = `${isRefused ? 'refused' : 'w'}${this.#nextText}`
      process.write(random.pick(DATABASES), text)
    } else {
      const seen = this.#invariants.acknowledgedIndex
      process.read('strong', (index) => this.#invariants.strongRead(process, seen, index))
    }
  }

  #strike(nemesis: SeededRandom): void {
    const victim = nemesis.pick(this.#processes)
    const others = this.#processes.filter((process) => process !== victim)
    switch (nemesis.below(7)) {
      case 0:
      case 1:
        this.#crash(victim, nemesis.chance(0.5), nemesis.below(6_000))
        break
      case 2:
        this.#crash(this.#leader() ?? victim, nemesis.chance(0.5), nemesis.below(3_000))
        break
      case 3:
        for (const other of others) {
          this.#network.cut(victim.options.address, other.options.address)
          if (nemesis.chance(0.7)) this.#network.cut(other.options.address, victim.options.address)
        }
        break
      case 4:
        this.#network.cut(victim.options.address, nemesis.pick(others).options.address)
        break
      case 5:
        for (const process of this.#processes) {
          this.#crash(process, nemesis.chance(0.5), nemesis.below(1_000))
        }
        break
      default:
        this.#network.heal()
    }
  }

  /** Every node that takes itself for the leader is read from. */
  #readByLease(): void {
    for (const process of this.#processes) {
      const { isLeader, term } = process.shared.readEngine()
      if (!process.isReady || !isLeader) continue
      const seen = this.#invariants.acknowledgedIndex
      const isOld = this.#processes.some(({ isUp, shared }) => {
        const other = shared.readEngine()
        return isUp && other.isLeader && other.term > term
      })
      process.readByLease((index, isByLease) => {
        this.#invariants.strongRead(process, seen, index)
        if (isByLease) this.#invariants.reach('a strong read went by a lease')
        if (isByLease && process.isHeld) {
          this.#invariants.reach('a strong read went by a lease while the engine stood still')
        }
        if (isOld && !isByLease) this.#invariants.reach('an old leader had no lease any more')
      })
    }
  }

  /** Clocks, and what stands still while they go on. */
  #disturb(random: SeededRandom): void {
    const victim = this.#leader() ?? random.pick(this.#processes)
    const durationMs = 100 + random.below(2_500)
    switch (random.below(8)) {
      case 0:
        victim.hold('stall', durationMs)
        break
      case 1:
        victim.hold('stop', durationMs)
        break
      case 2:
        victim.hold('sleep', durationMs)
        break
      case 3:
      case 4:
        this.#lookDead(victim, durationMs)
        break
      case 5:
        this.#corner(victim, random)
        break
      case 6:
        random
          .pick(this.#processes)
          .clock.step(random.pick([-1, 1]) * random.between(20_000, 60_000))
        break
      default:
        victim.transferLeadership()
    }
  }

  /** Its sockets tell of its end, which is wrong: its engine stands still, and its users read. */
  #lookDead(process: SimulatedProcess, durationMs: number): void {
    for (const other of this.#processes) if (other !== process) process.resetLink(other.memberId)
    process.hold('stall', durationMs)
  }

  /**
   * One member hears nothing of the leader and wants to lead, which it could, as nothing is written
   * meanwhile. The other one is killed and comes back, and the leader learns of nothing: its engine
   * stands still.
   */
  #corner(leader: SimulatedProcess, random: SeededRandom): void {
    const others = this.#processes.filter((process) => process !== leader)
    const [apart, killed] = random.chance(0.5) ? others : others.toReversed()
    if (apart === undefined || killed === undefined) return
    const [here, there] = [leader.options.address, apart.options.address]
    this.#network.cut(here, there)
    this.#network.cut(there, here)
    const afterMs = 1_000 + random.below(2_000)
    this.#quietUntilMs = this.#timeline.nowMs + afterMs
    this.#timeline.plan(afterMs, () => {
      if (!this.#isTormented) return
      leader.hold('stall', 1_500)
      this.#crash(killed, false, 0)
    })
  }

  #crash(process: SimulatedProcess, losesPower: boolean, downMs: number): void {
    if (!process.isUp) return
    this.#crashes += 1
    const isLeader = process.running?.raft.role === 'leader'
    if (isLeader && losesPower) this.#invariants.reach('a leader lost power')
    process.crash(losesPower)
    this.#timeline.plan(downMs, () => process.start())
  }

  #died(process: SimulatedProcess, downMs: number): void {
    this.#crashes += 1
    this.#invariants.reach('a process died while it applied')
    this.#timeline.plan(downMs, () => process.start())
  }

  #leader(): SimulatedProcess | undefined {
    return this.#processes.find(({ isUp, shared }) => isUp && shared.readEngine().isLeader)
  }

  #until(what: string, limitMs: number, isDone: () => boolean): void {
    const endMs = this.#timeline.nowMs + limitMs
    while (!isDone()) {
      if (this.#timeline.nowMs > endMs) {
        const views = this.#processes.map((process) => {
          const { isLeader, term, commit } = process.shared.readEngine()
          const { isUp, isReady } = process
          return { isUp, isReady, isLeader, term, commit, applied: process.shared.applied() }
        })
        throw new Error(`not within ${limitMs} ms: ${what}; ${JSON.stringify(views)}`)
      }
      this.#step()
    }
  }

  #step(): void {
    if (!this.#timeline.step()) throw new Error('nothing more will ever happen')
    if (this.#timeline.count > EVENTS_MAX) throw new Error('too many events: a loop without time')
    const isOver = !this.#options.skipsSync && !this.#invariants.hold
    const isHopeless = 2 * this.#alive.length <= NODES
    if (isOver || isHopeless) throw new Ended(this.#invariants.violations.join('; '))
  }

  get #isLevel(): boolean {
    const applied = new Set(this.#alive.map(({ shared }) => shared.applied()))
    return applied.size === 1 && this.#alive.every(({ isReady }) => isReady)
  }

  /** Those that are up or may be started again. */
  get #alive(): readonly SimulatedProcess[] {
    return this.#processes.filter(({ isBroken }) => !isBroken)
  }

  #report(): LifeReport {
    const { acknowledgedCount, terms, snapshots, violations, lostWrites, reached } =
      this.#invariants
    return {
      seed: this.#options.seed,
      events: this.#timeline.count,
      trace: this.#timeline.trace.hash,
      acknowledged: acknowledgedCount,
      crashes: this.#crashes,
      elections: terms,
      snapshots,
      violations,
      lostWrites,
      isJudged: this.#isJudged,
      reached,
    }
  }
}

/** A rule broke, or no majority can be started any more: there is nothing to go on for. */
class Ended extends Error {
  override readonly name: string = 'Ended'
}
