import type { Clock } from '../base/ports.ts'
import { hasQuorum, type MemberId, type Raft } from '../raft/raft.ts'
import { TICKS_PER_HEARTBEAT } from './settings.ts'
import { decodeNumbers, encodeNumbers, FRAMES } from './wire.ts'

export interface VotePromisesOptions {
  readonly raft: Raft
  readonly clock: Clock
  /** For how long this member keeps its vote when its leader asks for it; 0: not at all. */
  readonly promiseMs: number
  /** The longest that a process before this one may have promised, perhaps just before it ended. */
  readonly keptPromiseMs: number
  readonly sendControl: (to: MemberId, kind: number, body: Uint8Array) => boolean
}

/** A moment on this member's two clocks. */
export interface Moment {
  /** Of the clock that never goes back, but may stand still while the machine sleeps. */
  readonly atMs: number
  readonly wallMs: number
}

/** A clock of a member may be so much faster or slower than that of another one. */
const DRIFT_MAX = 0.1
/** For what clocks round. */
const MARGIN_MS = 1
/** Questions whose promises may still come; those to later ones are as good. */
const ROUNDS_MAX = 64

/**
 * Votes that members keep for a leader, so that it knows without asking until when nobody else can
 * lead. Once per heartbeat the leader asks every voter; a member that promises neither votes nor
 * campaigns for so long, counted from when it says so, whatever it forgets of its leader. A process
 * that starts keeps what the one before it may have promised. So the leader counts from when it
 * asked, less what clocks may differ by, and believes only those whose word it has.
 *
 * What a leader itself brings about ends it: a member that it tells to take over campaigns against
 * all promises, and while its members change others may come to decide.
 */
export class VotePromises {
  readonly #options: VotePromisesOptions
  #keepsUntilMs: number
  /** When this leader asked, by the number of the question; later ones have higher numbers. */
  readonly #rounds = new Map<number, Moment>()
  readonly #promised = new Map<MemberId, Moment>()
  #nextRound = 1
  #ticks = 0

  constructor(options: VotePromisesOptions) {
    this.#options = options
    this.#keepsUntilMs = options.clock.nowMs() + options.keptPromiseMs
  }

  /** For how long this member must not vote yet, nor campaign. */
  get keptForMs(): number {
    return Math.max(0, this.#keepsUntilMs - this.#options.clock.nowMs())
  }

  /** Once per heartbeat the leader asks for new promises. */
  tick(): void {
    this.#ticks += 1
    const { raft, promiseMs } = this.#options
    if (promiseMs === 0 || this.#ticks % TICKS_PER_HEARTBEAT !== 0) return
    if (raft.role === 'leader' && raft.committedInOwnTerm) this.#ask()
  }

  /** Another leader or term: what was promised before was for that one. */
  leaderChanged(): void {
    this.#promised.clear()
  }

  /** The leader asks this member to keep its vote. */
  asked(from: MemberId, body: Uint8Array): void {
    const [round, term] = decodeNumbers(body, 2) as [number, number]
    const { raft, clock, promiseMs, sendControl } = this.#options
    if (promiseMs === 0 || raft.leader !== from || raft.term !== term) return
    this.#keepsUntilMs = Math.max(this.#keepsUntilMs, clock.nowMs() + promiseMs)
    sendControl(from, FRAMES.promise, encodeNumbers(round, term, promiseMs))
  }

  /** A member keeps its vote for this leader. */
  promised(from: MemberId, body: Uint8Array): void {
    const [round, term, promiseMs] = decodeNumbers(body, 3) as [number, number, number]
    const asked = this.#rounds.get(round)
    if (asked === undefined || this.#options.raft.term !== term) return
    const until = after(asked, promiseMs)
    if (until.atMs > (this.#promised.get(from)?.atMs ?? 0)) this.#promised.set(from, until)
  }

  /** Until when nobody else can lead; null where somebody may. */
  leadsUntil(): Moment | null {
    const { raft, clock, promiseMs } = this.#options
    if (promiseMs === 0 || !raft.isBackedByVotes) return null
    const own = after({ atMs: clock.nowMs(), wallMs: clock.wallMs() }, promiseMs)
    const untils = [own, ...this.#promised.values()].sort((a, b) => b.atMs - a.atMs)
    for (const { atMs } of untils) {
      let wallMs = own.wallMs
      const isKept = (id: MemberId): boolean => {
        if (id === raft.id) return true
        const until = this.#promised.get(id)
        if (until === undefined || until.atMs < atMs) return false
        wallMs = Math.min(wallMs, until.wallMs)
        return true
      }
      if (hasQuorum(raft.confState, isKept)) return { atMs, wallMs }
    }
    return null
  }

  #ask(): void {
    const { raft, clock, sendControl } = this.#options
    const round = this.#nextRound
    this.#nextRound += 1
    this.#rounds.set(round, { atMs: clock.nowMs(), wallMs: clock.wallMs() })
    this.#rounds.delete(round - ROUNDS_MAX)
    const body = encodeNumbers(round, raft.term)
    const { voters, votersOutgoing } = raft.confState
    for (const id of new Set([...voters, ...votersOutgoing])) {
      if (id !== raft.id) sendControl(id, FRAMES.askPromise, body)
    }
  }
}

function after({ atMs, wallMs }: Moment, promiseMs: number): Moment {
  const durationMs = promiseMs * (1 - DRIFT_MAX) - MARGIN_MS
  return { atMs: atMs + durationMs, wallMs: wallMs + durationMs }
}
