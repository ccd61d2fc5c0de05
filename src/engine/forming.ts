import type { Clock } from '../base/ports.ts'
import type { MemberId } from '../raft/raft.ts'

/**
 * What a node without a cluster is about: `joining` one alone; `looking` around; `asking` for the
 * words of others, to begin one; `beginning` it, with their words.
 */
export type Stance = 'joining' | 'looking' | 'asking' | 'beginning'

/** A node that has no cluster yet, as others meet it. */
export interface Seeker {
  /** What it would be as a member; random, and another one at each start. */
  readonly memberId: MemberId
  readonly nodeId: string
  readonly stance: Stance
}

export interface FormingOptions {
  readonly clock: Clock
  readonly memberId: MemberId
  readonly nodeId: string
  /** So many seekers, this one among them, must agree on who begins. */
  readonly expectedVoters: number
  /** How long to look around first; and how long a word given to one that asks holds. */
  readonly windowMs: number
  /** Whether others are named by a source that has not answered yet: see {@link Forming.sees}. */
  readonly isBlind: boolean
}

interface Met {
  readonly seeker: Seeker
  readonly heardMs: number
}

/** Far more than start at once; the rest is not counted. */
const MET_MAX = 1024
/** For so long at least one that begins is waited for, however silent its machine. */
const BEGINNING_MS_MIN = 10_000
/** In windows; one that others can't reach would hold all of them up. */
const PATIENCE_WINDOWS = 4

/**
 * Who begins a cluster among nodes that have none. A seeker that sees `expectedVoters`, itself
 * included, asks them for their word, the first by name at once and each one behind it later. With
 * so many words it says that it begins, and once so many have heard that, it does. A node that gave
 * its word gives it to no other for one window, and having heard that one begins it waits for that
 * one. So two can begin only where two groups of `expectedVoters` have no node in common: it should
 * be more than half of the nodes that may start at once.
 *
 * A word is a lease, kept in memory alone. Nobody gives one in its first window, so a node that
 * starts again can't break the word of its life before.
 */
export class Forming {
  readonly #options: FormingOptions
  readonly #startedMs: number
  readonly #met = new Map<MemberId, Met>()
  /** Who agreed to the present stance, with when it was asked. */
  readonly #agreed = new Map<MemberId, number>()
  #stance: Exclude<Stance, 'joining'> = 'looking'
  #stanceMs = 0
  #word: { readonly to: MemberId; readonly untilMs: number } | null = null
  /** Since when this node can look for others at all. */
  #seesSinceMs: number | null
  /** Since when enough others are seen. */
  #enoughMs: number | null = null
  #isDecided = false

  constructor(options: FormingOptions) {
    this.#options = options
    this.#startedMs = options.clock.nowMs()
    this.#seesSinceMs = options.isBlind ? null : this.#startedMs
  }

  get own(): Seeker {
    const { memberId, nodeId } = this.#options
    return { memberId, nodeId, stance: this.#stance }
  }

  /**
   * The source of addresses has answered, were it that nobody is there. Whoever could not ask does
   * not know whether it is alone: it begins nothing, and gives others its word all the same.
   */
  sees(): void {
    this.#seesSinceMs ??= this.#options.clock.nowMs()
  }

  /** Another seeker asks. True if this node agrees to what that one is about. */
  asked(seeker: Seeker): boolean {
    this.#record(seeker)
    if (seeker.stance === 'asking') return this.#gives(seeker.memberId)
    return seeker.stance === 'beginning' && this.#hasWord(seeker.memberId)
  }

  /** Another seeker's answer to what this node was about when it asked, at `askedMs`. */
  answered(from: Seeker, asked: Stance, agrees: boolean, askedMs: number): void {
    this.#record(from)
    const isPresent = asked === this.#stance && askedMs >= this.#stanceMs
    if (agrees && isPresent) this.#agreed.set(from.memberId, askedMs)
  }

  /** Before each round of questions. True once this node is the one that begins. */
  step(): boolean {
    const { clock, windowMs, memberId } = this.#options
    const nowMs = clock.nowMs()
    this.#forget()
    if (this.#isDecided) return true
    if (this.#stance === 'looking') {
      if (this.#mayAsk(nowMs) && this.#gives(memberId)) this.#take('asking')
    } else if (this.#stance === 'asking') {
      if (!this.#mayAsk(nowMs)) this.#take('looking')
      else if (this.#hasEnough(nowMs - windowMs / 2)) this.#take('beginning')
      else this.#gives(memberId)
    } else if (this.#hasEnough(nowMs - windowMs / 2)) {
      this.#isDecided = true
    } else if (nowMs - this.#stanceMs > windowMs) {
      this.#take('looking')
    }
    return this.#isDecided
  }

  /** Who is here, this node included, in the order in which they ask. */
  describe(): string {
    const { expectedVoters } = this.#options
    const here = [this.own, ...[...this.#met.values()].map(({ seeker }) => seeker)]
    const names = here.sort((a, b) => (isBefore(a, b) ? -1 : 1)).map(({ nodeId }) => nodeId)
    const count = `${names.length} of ${expectedVoters} expected voters are here`
    const text = `${count}: ${names.join(', ')}`
    return this.#seesSinceMs === null ? `${text}; nobody could say yet where others are` : text
  }

  #record(seeker: Seeker): void {
    if (seeker.stance === 'joining') return
    this.#forget()
    const isNew = !this.#met.has(seeker.memberId)
    if (isNew && this.#met.size >= MET_MAX) return
    this.#met.set(seeker.memberId, { seeker, heardMs: this.#options.clock.nowMs() })
  }

  #take(stance: Exclude<Stance, 'joining'>): void {
    this.#stance = stance
    this.#stanceMs = this.#options.clock.nowMs()
    this.#agreed.clear()
  }

  #mayAsk(nowMs: number): boolean {
    const { expectedVoters, windowMs } = this.#options
    const seen = [...this.#met.values()].map(({ seeker }) => seeker)
    if (seen.length + 1 < expectedVoters) this.#enoughMs = null
    else this.#enoughMs ??= nowMs
    if (this.#enoughMs === null || !this.#hasSought(nowMs)) return false
    const before = seen.filter((seeker) => isBefore(seeker, this.own))
    const isBusy = ({ stance }: Seeker): boolean => stance !== 'looking'
    if (seen.some(({ stance }) => stance === 'beginning') || before.some(isBusy)) return false
    return nowMs - this.#enoughMs >= before.length * PATIENCE_WINDOWS * windowMs
  }

  #hasEnough(sinceMs: number): boolean {
    const count = [...this.#agreed.values()].filter((askedMs) => askedMs >= sinceMs).length
    return count + 1 >= this.#options.expectedVoters
  }

  /** Gives this node's word, or gives it longer; false if it can't. */
  #gives(to: MemberId): boolean {
    const { clock, windowMs } = this.#options
    const nowMs = clock.nowMs()
    const isOthers = ({ seeker }: Met): boolean =>
      seeker.stance === 'beginning' && seeker.memberId !== to
    if (this.#stance === 'beginning' || [...this.#met.values()].some(isOthers)) return false
    if (!this.#hasLookedAround(nowMs)) return false
    if (this.#word !== null && this.#word.to !== to && nowMs < this.#word.untilMs) return false
    this.#word = { to, untilMs: nowMs + windowMs }
    return true
  }

  #hasWord(id: MemberId): boolean {
    return this.#word?.to === id && this.#options.clock.nowMs() < this.#word.untilMs
  }

  #hasLookedAround(nowMs: number): boolean {
    return nowMs - this.#startedMs >= this.#options.windowMs
  }

  #hasSought(nowMs: number): boolean {
    return this.#seesSinceMs !== null && nowMs - this.#seesSinceMs >= this.#options.windowMs
  }

  /** Whoever was silent for a window is gone. */
  #forget(): void {
    const { clock, windowMs } = this.#options
    const nowMs = clock.nowMs()
    for (const [id, { seeker, heardMs }] of this.#met) {
      const isBeginning = seeker.stance === 'beginning'
      const keptMs = isBeginning ? Math.max(BEGINNING_MS_MIN, windowMs) : windowMs
      if (nowMs - heardMs > keptMs) this.#met.delete(id)
    }
  }
}

function isBefore(a: Seeker, b: Seeker): boolean {
  return a.nodeId === b.nodeId ? a.memberId < b.memberId : a.nodeId < b.nodeId
}
