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
}

interface Met {
  readonly seeker: Seeker
  readonly heardMs: number
}

/** How far a node has looked around. */
export interface Around {
  /** Whether it is known where others may be: who can't ask for that knows nothing. */
  readonly isTold: boolean
  /** Whether all who were found were asked, and none of them can have a cluster. */
  readonly isClear: boolean
}

/** Far more than start at once; the rest is not counted. */
const MET_MAX = 1024
/** In windows; one that others can't reach would hold all of them up. */
const PATIENCE_WINDOWS = 4

/**
 * Who begins a cluster among nodes that have none. A seeker that sees `expectedVoters`, itself
 * included, asks them for their word, the first by name at once and each one behind it later. With
 * so many words it says that it begins, and once so many have heard that, it does. A node that gave
 * its word gives it to no other for one window, and having heard that one begins it waits for that
 * one, until that one says otherwise or has started anew: it may have begun before it was cut off.
 * So two can begin only where two groups of `expectedVoters` have no node in common: it should be
 * more than half of the nodes that may start at once.
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
  /** Since when it is known where others may be. */
  #toldMs: number | null = null
  /** Since when enough others are seen. */
  #enoughMs: number | null = null
  #isDecided = false

  constructor(options: FormingOptions) {
    this.#options = options
    this.#startedMs = options.clock.nowMs()
  }

  get own(): Seeker {
    const { memberId, nodeId } = this.#options
    return { memberId, nodeId, stance: this.#stance }
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
  step({ isTold, isClear }: Around): boolean {
    const { clock, windowMs, memberId } = this.#options
    const nowMs = clock.nowMs()
    if (isTold) this.#toldMs ??= nowMs
    this.#forget()
    if (this.#isDecided) return true
    const mayAsk = this.#mayAsk(nowMs) && isClear
    if (this.#stance === 'looking') {
      if (mayAsk && this.#gives(memberId)) this.#take('asking')
    } else if (this.#stance === 'asking') {
      if (!mayAsk) this.#take('looking')
      else if (this.#hasEnough(nowMs - windowMs / 2)) this.#take('beginning')
      else this.#gives(memberId)
    } else if (isClear && this.#hasEnough(nowMs - windowMs / 2)) {
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
    const count = `${names.length} of ${expectedVoters}`
    const text = `${count} expected voters are here: ${names.join(', ')}`
    if (this.#toldMs === null) return `${text}; nobody could say yet where others are`
    const [first] = this.#beginners()
    return first === undefined
      ? text
      : `${text}; '${first.nodeId}' has said that it begins a cluster, and is waited for`
  }

  #record(seeker: Seeker): void {
    if (seeker.stance === 'joining') return
    this.#forget()
    const isNew = !this.#met.has(seeker.memberId)
    if (isNew) this.#forgetEarlier(seeker.nodeId)
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
    if (this.#enoughMs === null || !this.#isAfterWindow(this.#toldMs, nowMs)) return false
    const before = seen.filter((seeker) => isBefore(seeker, this.own))
    const isBusy = ({ stance }: Seeker): boolean => stance !== 'looking'
    if (this.#beginners().length > 0 || before.some(isBusy)) return false
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
    const isOther = ({ memberId }: Seeker): boolean => memberId !== to
    if (this.#stance === 'beginning' || this.#beginners().some(isOther)) return false
    if (!this.#isAfterWindow(this.#startedMs, nowMs)) return false
    if (this.#word !== null && this.#word.to !== to && nowMs < this.#word.untilMs) return false
    this.#word = { to, untilMs: nowMs + windowMs }
    return true
  }

  #hasWord(id: MemberId): boolean {
    return this.#word?.to === id && this.#options.clock.nowMs() < this.#word.untilMs
  }

  #isAfterWindow(sinceMs: number | null, nowMs: number): boolean {
    return sinceMs !== null && nowMs - sinceMs >= this.#options.windowMs
  }

  #beginners(): readonly Seeker[] {
    const seekers = [...this.#met.values()].map(({ seeker }) => seeker)
    return seekers.filter(({ stance }) => stance === 'beginning')
  }

  /** Whoever was silent for a window is gone, but for one that begins. */
  #forget(): void {
    const { clock, windowMs } = this.#options
    for (const [id, { seeker, heardMs }] of this.#met) {
      if (seeker.stance === 'beginning') continue
      if (clock.nowMs() - heardMs > windowMs) this.#met.delete(id)
    }
  }

  /** A node that has started anew, and still has no cluster, had none before. */
  #forgetEarlier(nodeId: string): void {
    for (const [id, { seeker }] of this.#met) if (seeker.nodeId === nodeId) this.#met.delete(id)
  }
}

function isBefore(a: Seeker, b: Seeker): boolean {
  return a.nodeId === b.nodeId ? a.memberId < b.memberId : a.nodeId < b.nodeId
}
