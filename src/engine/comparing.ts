import type { Clock } from '../base/ports.ts'
import type { ConfState, MemberId, Raft } from '../raft/raft.ts'
import type { Table } from './comparing-wire.ts'
import { type Held, judge, type Verdict } from './judging.ts'
import { TICKS_PER_HEARTBEAT } from './settings.ts'

/** So many heartbeats a member may take to answer, before the others are compared without it. */
const HEARTBEATS_MAX = 10

export interface ComparingOptions {
  readonly raft: Pick<Raft, 'id' | 'role' | 'leader'>
  readonly clock: Clock
  readonly heartbeatMs: number
  readonly confState: () => ConfState
  /** The other members that can be reached. */
  readonly reachable: () => readonly MemberId[]
  readonly applied: () => number
  /** Whether this node's own files are known to differ: it has nothing to say then. */
  readonly isDivergent: () => boolean
  readonly digests: (index: number, done: (held: Held) => void) => void
  readonly send: (to: MemberId, table: Table) => void
  readonly judged: (table: Table, verdict: Verdict) => void
}

/** The index at which members are compared, and who said what so far. */
interface Point {
  readonly index: number
  readonly sinceMs: number
  readonly rows: Map<MemberId, Held>
}

/**
 * Compares the databases' rolling digests. The leader names an index that it has applied; every
 * member answers with what its digests were there, once it is there too. The leader gathers the
 * answers and passes them on, and each member judges by itself: the leader may be who is wrong.
 */
export class Comparing {
  readonly #options: ComparingOptions
  #point: Point | null = null
  /** The index that the leader asked about last, until it is answered. */
  #askedIndex: number | null = null
  #ticks = 0
  #isClean = true

  constructor(options: ComparingOptions) {
    this.#options = options
  }

  /** Another leader begins with an index of its own. */
  leaderChanged(): void {
    this.#point = null
    this.#askedIndex = null
  }

  tick(): void {
    this.#ticks += 1
    if (this.#ticks % TICKS_PER_HEARTBEAT !== 0) return
    const { raft, isDivergent } = this.#options
    if (raft.role !== 'leader' || isDivergent()) return
    const point = this.#point
    if (point === null || this.#isOver(point)) this.#begin()
    else if (!this.#isSettled(point)) this.#tell(point)
  }

  /** This node has applied more. */
  applied(): void {
    if (this.#askedIndex !== null) this.#answer(this.#askedIndex)
  }

  /** What a member says that it knows of digests. */
  heard(from: MemberId, table: Table): void {
    const { raft } = this.#options
    if (raft.role === 'leader') {
      this.#take(from, table)
      return
    }
    if (from !== raft.leader) return
    this.#judge(table)
    if (!table.rows.has(raft.id)) this.#answer(table.index)
  }

  #begin(): void {
    const { applied, clock, digests, raft } = this.#options
    const point = { index: applied(), sinceMs: clock.nowMs(), rows: new Map<MemberId, Held>() }
    this.#point = point
    digests(point.index, (held) => {
      if (this.#point !== point) return
      point.rows.set(raft.id, held)
      this.#judge(this.#tableOf(point))
      this.#tell(point)
    })
  }

  #isOver(point: Point): boolean {
    const { applied, clock, heartbeatMs } = this.#options
    // Where members differ, what they answered may change while nothing is applied.
    if (applied() === point.index && this.#isClean) return false
    return this.#isSettled(point) || clock.nowMs() - point.sinceMs > HEARTBEATS_MAX * heartbeatMs
  }

  #isSettled({ rows }: Point): boolean {
    return rows.has(this.#options.raft.id) && this.#options.reachable().every((id) => rows.has(id))
  }

  #take(from: MemberId, { index, rows }: Table): void {
    const point = this.#point
    const held = rows.get(from)
    if (point === null || point.index !== index || held === undefined) return
    point.rows.set(from, held)
    this.#judge(this.#tableOf(point))
    // Whoever is wrong should know it at once, and whoever was in doubt that it is over.
    if (!this.#isClean || this.#isSettled(point)) this.#tell(point)
  }

  #answer(index: number): void {
    const { raft, applied, isDivergent, digests, send } = this.#options
    const { leader } = raft
    const say = (held: Held): void =>
      send(leader, { kind: 'digest', index, rows: new Map([[raft.id, held]]) })
    this.#askedIndex = null
    if (isDivergent()) say(new Map())
    else if (applied() >= index) digests(index, say)
    else this.#askedIndex = index
  }

  #tell(point: Point): void {
    const { reachable, send } = this.#options
    if (point.rows.size === 0) return
    for (const id of reachable()) send(id, this.#tableOf(point))
  }

  #judge(table: Table): void {
    const { confState, reachable, raft, judged } = this.#options
    const mayAnswer = new Set(reachable())
    // A follower learns from the leader who is there to answer, by who has.
    const isOpen = (id: MemberId): boolean => id === raft.id || mayAnswer.has(id)
    const verdict = judge(table.rows, confState(), isOpen)
    this.#isClean = verdict.isClean
    judged(table, verdict)
  }

  #tableOf({ index, rows }: Point): Table {
    return { kind: 'digest', index, rows }
  }
}
