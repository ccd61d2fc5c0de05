import { assert } from '../base/assert.ts'
import type { Clock, Random } from '../base/ports.ts'
import type { FreshMark, SharedState } from '../base/shared-state.ts'
import { type MemberId, NO_MEMBER, type Raft, type ReadState } from '../raft/raft.ts'
import type { ClockSkew } from './clock-skew.ts'
import { TICKS_PER_HEARTBEAT } from './settings.ts'
import { decodeNumbers, encodeNumbers, FRAMES, fromDifference, toDifference } from './wire.ts'

export interface FreshnessOptions {
  readonly raft: Raft
  readonly clock: Clock
  readonly random: Random
  readonly shared: SharedState
  readonly skew: ClockSkew
  readonly sendControl: (to: MemberId, kind: number, body: Uint8Array) => boolean
}

/** One moment on a member's own clocks; to all others it is nothing but a name. */
interface Stamp {
  /** Of which run of that member: clocks of another one may have another zero. */
  readonly run: number
  readonly atMs: number
  readonly wallMs: number
}

type Mark = [
  index: number,
  run: number,
  atMs: number,
  wallMs: number,
  leaderMs: number,
  skewed: number,
]

/** Rounds that wait for a quorum; while it stays away, more of them would tell nothing more. */
const ROUNDS_MAX = 8
/** Marks that wait to be applied: of half a minute, at the usual heartbeat. */
const MARKS_MAX = 256
/** Of a round's name. Questions of reads have half of it: so one is never taken for the other. */
const ROUND_BYTES = 16

/**
 * Tells how old this node's state can be at most. Every member sends the leader its own time. The
 * leader keeps the newest of each and then begins a round: once a quorum has confirmed that it
 * still led when the round began, each stamp goes back with the commit index as of that beginning.
 * What was acknowledged anywhere before a member's stamp is at or below that index.
 *
 * Age counts from the stamp, on the clock that made it. So a message that was long under way, a
 * leader without a quorum and a process that slept make a node look older than it is, never
 * younger; clocks of different nodes are never compared. (What carries the stamps also carries what
 * `ClockSkew` compares, which no read depends on.)
 */
export class Freshness {
  readonly #options: FreshnessOptions
  readonly #run: number
  /** On the leader: the newest that came from each member. */
  readonly #stamps = new Map<MemberId, Stamp>()
  /** On the leader: what had come before each round that is not confirmed yet. */
  readonly #rounds = new Map<number, ReadonlyMap<MemberId, Stamp>>()
  #nextRound = 1
  #ticks = 0
  /** Later ones have higher indexes; of those that are applied here only the last is kept. */
  readonly #marks: FreshMark[] = []
  #published: readonly (FreshMark | undefined)[] = []

  constructor(options: FreshnessOptions) {
    this.#options = options
    this.#run = options.random.u32()
  }

  /** Once per heartbeat: the leader begins a round, the others send it their time. */
  tick(): void {
    this.#ticks += 1
    if (this.#ticks % TICKS_PER_HEARTBEAT !== 0) return
    if (this.#options.raft.role === 'leader') this.#beginRound()
    else this.#sendStamp()
  }

  /** What an earlier leader, or this one in an earlier term, began is not confirmed any more. */
  leaderChanged(): void {
    this.#rounds.clear()
    this.#stamps.clear()
    this.#options.skew.leaderChanged()
    if (this.#options.raft.role !== 'leader') this.#sendStamp()
  }

  /** A member's time reached the leader. */
  stamped(from: MemberId, body: Uint8Array): void {
    const { raft, skew } = this.#options
    if (raft.role !== 'leader') return
    const [run, atMs, wallMs, ahead] = decodeNumbers(body, 4) as [number, number, number, number]
    this.#stamps.set(from, { run, atMs, wallMs })
    skew.said(from, toDifference(ahead))
  }

  /**
   * A stamp of this node came back, with the index that holds what was acknowledged before it. That
   * is true whoever leads by now, and however long it was under way.
   */
  marked(body: Uint8Array): void {
    const { clock, skew } = this.#options
    const [index, run, atMs, wallMs, leaderMs, skewed] = decodeNumbers(body, 6) as Mark
    if (run !== this.#run) return
    this.#mark({ index, atMs, wallMs })
    skew.compared(wallMs, Math.floor(clock.wallMs()), leaderMs)
    skew.told(toDifference(skewed))
  }

  /** Takes out the rounds that a quorum has confirmed, and returns the others' reads. */
  takeConfirmed(states: readonly ReadState[]): readonly ReadState[] {
    return states.filter(({ index, context }) => {
      if (context.length !== ROUND_BYTES) return true
      const [, round] = decodeNumbers(context, 2) as [number, number]
      const stamps = this.#rounds.get(round)
      this.#rounds.delete(round)
      if (stamps !== undefined) this.#confirmed(stamps, index)
      return false
    })
  }

  /** Lets the other threads see the latest mark that is applied, and the one after it. */
  publish(): void {
    const marks = this.#marks
    const applied = this.#options.shared.applied()
    while (marks[1] !== undefined && marks[1].index <= applied) marks.shift()
    const [first, second] = marks
    if (first === this.#published[0] && second === this.#published[1]) return
    this.#published = [first, second]
    this.#options.shared.publishMarks(first, second)
  }

  #beginRound(): void {
    const { raft } = this.#options
    // Before that the commit index may lag behind what an earlier leader acknowledged.
    if (!raft.committedInOwnTerm || this.#rounds.size >= ROUNDS_MAX) return
    const round = this.#nextRound
    this.#nextRound += 1
    // What comes later is not in it: the round says nothing about the time after it began.
    const stamps = new Map(this.#stamps).set(raft.id, this.#stamp())
    if (raft.readIndex(encodeNumbers(this.#run, round)) === 'ok') this.#rounds.set(round, stamps)
  }

  #confirmed(stamps: ReadonlyMap<MemberId, Stamp>, index: number): void {
    const { raft, clock, skew, sendControl } = this.#options
    const ownMs = Math.floor(clock.wallMs())
    skew.judge()
    for (const [member, { run, atMs, wallMs }] of stamps) {
      if (member === raft.id) {
        this.#mark({ index, atMs, wallMs })
        continue
      }
      const skewed = fromDifference(skew.skewOf(member))
      const body = encodeNumbers(index, run, atMs, wallMs, ownMs, skewed)
      sendControl(member, FRAMES.freshMark, body)
    }
  }

  #sendStamp(): void {
    const { raft, skew, sendControl } = this.#options
    if (raft.leader === NO_MEMBER) return
    const { run, atMs, wallMs } = this.#stamp()
    const body = encodeNumbers(run, atMs, wallMs, fromDifference(skew.aheadMs))
    sendControl(raft.leader, FRAMES.stamp, body)
  }

  #stamp(): Stamp {
    const { clock } = this.#options
    const atMs = Math.floor(clock.nowMs())
    return { run: this.#run, atMs, wallMs: Math.floor(clock.wallMs()) }
  }

  #mark(mark: FreshMark): void {
    const marks = this.#marks
    let last = marks.at(-1)
    if (last !== undefined && mark.atMs <= last.atMs) return
    // A later mark with no higher index says all that they did; the last gives way where all wait.
    while (last !== undefined && (last.index >= mark.index || marks.length === MARKS_MAX)) {
      marks.pop()
      last = marks.at(-1)
    }
    assert(last === undefined || last.index < mark.index, 'later marks have higher indexes')
    marks.push(mark)
  }
}
