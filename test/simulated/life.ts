import { Invariants } from './invariants.ts'
import { SimulatedNetwork } from './network.ts'
import { SimulatedProcess } from './process.ts'
import { SeededRandom } from './random.ts'
import { Timeline } from './timeline.ts'

export interface LifeOptions {
  readonly seed: number
  /** Faults end after so much simulated time; then the cluster must heal. */
  readonly faultMs: number
  /** Acknowledges before the disk has synced: such a life must end in a lost write. */
  readonly skipsSync: boolean
}

/** What one simulated life came to. */
export interface LifeReport {
  readonly seed: number
  readonly events: number
  readonly acknowledged: number
  readonly crashes: number
  readonly elections: number
  readonly snapshots: number
  /** null: every invariant held. */
  readonly violation: string | null
  /** An acknowledged write is missing, or the log knows that something is. */
  readonly lostWrite: boolean
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
  #isTormented = false
  #nextText = 1

  constructor(options: LifeOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed)
    const shape = this.#random.stream('shape')
    this.#invariants = new Invariants()
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
        }),
      )
    }
  }

  run(): LifeReport {
    try {
      this.#form()
      this.#torment()
      this.#heal()
      this.#invariants.judge(this.#processes)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return this.#report(error.stack ?? error.message)
    }
    return this.#report(null)
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

  #form(): void {
    for (const process of this.#processes) process.start()
    this.#until('three voters form a cluster', HEAL_MS, () =>
      this.#processes.every(
        (process) => process.isReady && process.state?.system.confState.voters.length === NODES,
      ),
    )
  }

  #torment(): void {
    this.#isTormented = true
    this.#plan('workload', 1, 25, () => this.#work())
    const nemesis = this.#random.stream('nemesis')
    const paceMs = nemesis.pick([300, 1_000, 4_000])
    this.#plan('nemesis', paceMs / 2, paceMs, () => this.#strike(nemesis))
    const endMs = this.#timeline.nowMs + this.#options.faultMs
    while (this.#timeline.nowMs < endMs) this.#step()
  }

  #heal(): void {
    this.#isTormented = false
    this.#network.heal()
    const texts: string[] = []
    const wasWritten = (): boolean => texts.some((text) => this.#invariants.wasAcknowledged(text))
    const isLevel = (): boolean => {
      const applied = this.#processes.map(({ shared }) => shared.applied())
      return this.#processes.every(({ isReady }) => isReady) && new Set(applied).size === 1
    }
    this.#until('every process is up and level', HEAL_MS, () => {
      for (const process of this.#processes) process.start()
      return isLevel()
    })
    this.#plan('last write', 200, 200, () => {
      const process = this.#processes.find(({ isReady }) => isReady)
      if (process === undefined || wasWritten()) return
      texts.push(`last-${texts.length}`)
      process.write('main', texts.at(-1) as string)
    })
    this.#until('a write succeeds after all is healed', HEAL_MS, () => {
      for (const process of this.#processes) process.start()
      return wasWritten() && isLevel()
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
      const text = `w${this.#nextText}`
      this.#invariants.invoked(text)
      process.write(random.pick(DATABASES), text)
    } else {
      const seen = this.#invariants.acknowledgedIndex
      process.read('strong', (index) => this.#invariants.strongRead(seen, index))
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

  #crash(process: SimulatedProcess, losesPower: boolean, downMs: number): void {
    if (!process.isUp) return
    this.#crashes += 1
    process.crash(losesPower)
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
    this.#invariants.check()
  }

  #report(violation: string | null): LifeReport {
    const { acknowledgedCount, terms, snapshots } = this.#invariants
    return {
      seed: this.#options.seed,
      events: this.#timeline.count,
      acknowledged: acknowledgedCount,
      crashes: this.#crashes,
      elections: terms,
      snapshots,
      violation,
      lostWrite:
        violation !== null && /acknowledged at \d+, 0 times|ERR_LOG_CORRUPT/.test(violation),
    }
  }
}
