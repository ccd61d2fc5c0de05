import { CLIENTS_SCHEMA } from './clients.ts'
import { Cluster } from './cluster.ts'
import type { ReachedState } from './invariants.ts'
import type { LeaseMode, SimulatedProcess } from './process.ts'
import { SeededRandom } from './random.ts'
import { describeShape, drawShape, type Shape } from './shape.ts'
import { STRIKE_KINDS, type StrikeKind, strike } from './strikes.ts'
import { Workload } from './workload.ts'
import { writeText } from './written.ts'

export interface LifeOptions {
  readonly seed: number
  /** Faults end after so much simulated time; then the cluster must heal. */
  readonly faultMs: number
  /**
   * Acknowledges before the disk has synced. Rules break all the time then, so the life goes on:
   * what counts is whether an acknowledged write is missing in the end.
   */
  readonly skipsSync?: boolean | undefined
  /** Strong reads go by leases, and clocks are as bad as they may be; drawn by default. */
  readonly leases?: LeaseMode | null | undefined
  /** Kinds of strikes that never happen. */
  readonly without?: readonly StrikeKind[] | undefined
  /** The strikes that happen, by number; all by default. */
  readonly strikes?: readonly number[] | undefined
  /** The calls of clients that are made, by number; all by default. */
  readonly calls?: readonly number[] | undefined
  /** In place of what is drawn. */
  readonly shape?: Partial<Shape> | undefined
}

export interface StruckAt {
  readonly number: number
  readonly atMs: number
  readonly kind: StrikeKind
}

/** What one simulated life came to. */
export interface LifeReport {
  readonly seed: number
  readonly shape: string
  readonly events: number
  /** Of all events and messages: see {@link Trace}. */
  readonly trace: string
  readonly acknowledged: number
  readonly crashes: number
  readonly elections: number
  readonly snapshots: number
  /** What struck, in order; numbers go on where nothing did. */
  readonly strikes: readonly StruckAt[]
  /** Kinds that would have struck, and were left out. */
  readonly spared: readonly StrikeKind[]
  /** Clients made so many calls. */
  readonly calls: number
  /** How each rule that broke first did, in that order; none if every invariant held. */
  readonly violations: readonly string[]
  /** Which node lacks which acknowledged write once the cluster has healed. */
  readonly lostWrites: readonly string[]
  /** False if it never healed, so nobody knows what was lost. */
  readonly isJudged: boolean
  readonly reached: readonly ReachedState[]
}

const HEAL_MS = 120_000
const EVENTS_MAX = 3_000_000

/** One cluster's life under faults: formed, tormented, healed, and judged after every event. */
export class Life {
  readonly #options: LifeOptions
  readonly #random: SeededRandom
  readonly #shape: Shape
  readonly cluster: Cluster
  readonly #workload: Workload
  readonly #strikes: StruckAt[] = []
  readonly #spared = new Set<StrikeKind>()
  #isJudged = false

  constructor(options: LifeOptions) {
    this.#options = options
    const { seed, leases, skipsSync = false } = options
    this.#random = new SeededRandom(seed)
    const shape = this.#random.stream('shape')
    this.#shape = { ...drawShape(shape, leases), ...options.shape }
    this.cluster = new Cluster({ random: this.#random, shape: this.#shape, skipsSync })
    const calls = options.calls === undefined ? null : new Set(options.calls)
    this.#workload = new Workload(this.cluster, this.#random.stream('work'), calls)
  }

  run(): LifeReport {
    return this.play(() => this.#torment())
  }

  /** A life that takes this course once its cluster is formed, and is healed and judged then. */
  play(course: () => void): LifeReport {
    const { invariants } = this.cluster
    try {
      this.#form()
      course()
      this.#heal()
      this.#isJudged = true
      invariants.judge(this.cluster.alive)
      const wrong = this.#workload.clients.judge()
      if (wrong !== null) invariants.broke('linearizability', wrong)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      if (!(error instanceof Ended)) invariants.broke('liveness', error.stack ?? '')
    } finally {
      this.cluster.dispose()
    }
    return this.#report()
  }

  #form(): void {
    const { cluster } = this
    cluster.startAll()
    const { nodes } = this.#shape
    this.until('the nodes form a cluster', () =>
      cluster.alive.every(({ isReady, running }) => {
        const { voters = [], learners = [] } = running?.raft.confState ?? {}
        // Nobody is promoted by himself to an even number.
        const isOdd = nodes % 2 === 1
        return (
          isReady &&
          voters.length === (isOdd ? nodes : nodes - 1) &&
          (isOdd || learners.length === 1)
        )
      }),
    )
    let isMade = false
    this.until('clients have their tables', () => {
      const isAsked = cluster.machines[0]?.write('main', CLIENTS_SCHEMA, () => {
        isMade = true
      })
      return isAsked === true
    })
    this.until('they are made everywhere', () => isMade && cluster.isLevel)
  }

  /** From here on things may go wrong, and clients call. */
  work(): void {
    this.cluster.isTormented = true
    this.repeat('workload', 1, 25, () => this.#workload.call())
  }

  #torment(): void {
    this.work()
    const { paceMs, leases } = this.#shape
    let number = 0
    this.repeat('nemesis', paceMs / 2, paceMs, () => {
      number += 1
      this.#strike(number)
    })
    if (leases !== null) this.repeat('leases', 1, 10, () => this.#workload.readByLease())
    this.pass(this.#options.faultMs)
  }

  #strike(number: number): void {
    const { strikes, without } = this.#options
    const random = this.#random.stream(`strike/${number}`)
    const kind = random.pick(STRIKE_KINDS)
    if (!this.#shape.strikes.includes(kind) || strikes?.includes(number) === false) return
    if (without?.includes(kind) === true) {
      this.#spared.add(kind)
      return
    }
    this.#strikes.push({ number, atMs: Math.round(this.cluster.timeline.nowMs), kind })
    strike(this.cluster, kind, random)
  }

  #heal(): void {
    const { cluster } = this
    cluster.isTormented = false
    cluster.network.heal()
    for (const process of cluster.machines) process.disk.heal()
    this.until('every process is up', () => {
      cluster.startAll()
      return cluster.alive.every(({ isUp }) => isUp)
    })
    this.#goOnWithFewest()
    cluster.network.heal()
    this.until('every process is up and level', () => {
      cluster.startAll()
      return cluster.isLevel
    })
    this.#writeLast('all', cluster.alive)
    this.until('all have the last write', () => cluster.isLevel)
  }

  /** A bare majority that hears nothing of the others is enough, whichever it is. */
  #goOnWithFewest(): void {
    const { cluster } = this
    const core = cluster.drawMajority(this.#random.stream('core'))
    if (core === null) return
    for (const one of core) {
      for (const other of cluster.alive) {
        if (core.includes(other)) continue
        cluster.network.cut(one.options.address, other.options.address)
        cluster.network.cut(other.options.address, one.options.address)
      }
    }
    this.#writeLast('fewest', core)
    cluster.invariants.reach('a bare majority went on alone')
  }

  #writeLast(name: string, processes: readonly SimulatedProcess[]): void {
    const { cluster } = this
    const { invariants, timeline } = cluster
    const texts: string[] = []
    let nextMs = 0
    this.until(`a write succeeds after all is healed: ${name}`, () => {
      if (texts.some((text) => invariants.wasAcknowledged(text))) return true
      cluster.startAll()
      const process = processes.find(({ isReady }) => isReady)
      if (process === undefined || timeline.nowMs < nextMs) return false
      nextMs = timeline.nowMs + 200
      texts.push(`last-${name}-${texts.length}`)
      writeText(cluster, process, 'main', texts.at(-1) as string)
      return false
    })
  }

  /** Repeats at drawn intervals for as long as the torment goes on. */
  repeat(name: string, fromMs: number, toMs: number, run: () => void): void {
    const { cluster } = this
    const random = this.#random.stream(name)
    const again = (): void => {
      if (!cluster.isTormented) return
      run()
      cluster.timeline.plan(fromMs + random.below(1 + toMs - fromMs), again)
    }
    cluster.timeline.plan(fromMs, again)
  }

  /** Lives on for so long. */
  pass(durationMs: number): void {
    const { timeline } = this.cluster
    const endMs = timeline.nowMs + durationMs
    while (timeline.nowMs < endMs) this.#step()
  }

  /** Lives on until then, which must come. */
  until(what: string, isDone: () => boolean): void {
    const { timeline } = this.cluster
    const endMs = timeline.nowMs + HEAL_MS
    while (!isDone()) {
      if (timeline.nowMs > endMs) {
        const views = this.cluster.alive.map(describe)
        throw new Error(`not within ${HEAL_MS} ms: ${what}; ${JSON.stringify(views)}`)
      }
      this.#step()
    }
  }

  #step(): void {
    const { timeline, invariants, alive } = this.cluster
    if (!timeline.step()) throw new Error('nothing more will ever happen')
    if (timeline.count > EVENTS_MAX) throw new Error('too many events: a loop without time')
    const isOver = this.#options.skipsSync !== true && !invariants.hold
    const isHopeless = 2 * alive.length <= this.#shape.nodes && !invariants.hold
    if (isOver || isHopeless) throw new Ended(invariants.violations.join('; '))
  }

  #report(): LifeReport {
    const { timeline, invariants, crashes } = this.cluster
    const { acknowledgedCount, terms, snapshots, violations, lostWrites, reached } = invariants
    const { seed, without = [] } = this.#options
    const strikes = this.#shape.strikes.filter((kind) => !without.includes(kind))
    return {
      seed,
      shape: describeShape({ ...this.#shape, strikes }),
      events: timeline.count,
      trace: timeline.trace.hash,
      acknowledged: acknowledgedCount,
      crashes,
      elections: terms,
      snapshots,
      strikes: this.#strikes,
      spared: [...this.#spared],
      calls: this.#workload.calls,
      violations,
      lostWrites,
      isJudged: this.#isJudged,
      reached,
    }
  }
}

function describe(process: SimulatedProcess): object {
  const { isLeader, term, commit } = process.shared.readEngine()
  const { name, isUp, isReady, running } = process
  const { voters, learners } = running?.raft.confState ?? {}
  return {
    name,
    isUp,
    isReady,
    isLeader,
    term,
    commit,
    applied: process.shared.applied(),
    voters,
    learners,
  }
}

/** A rule broke, or no majority can be started any more: there is nothing to go on for. */
class Ended extends Error {
  override readonly name: string = 'Ended'
}
