import type { MemberId, Raft } from '../raft/raft.ts'
import type { ClockStatus } from './protocol.ts'

/** How many times as long a node waits before it campaigns while its clock is off. */
const PATIENCE = 4

export interface ClockSkewOptions {
  readonly raft: Raft
  readonly voters: () => readonly MemberId[]
  readonly maxClockSkewMs: number
  readonly warning: (code: string, message: string) => void
}

/**
 * Whether this node's wall clock is what the majority of voters has. The leader's clock gives
 * entries their time, which never goes back: one leader whose clock is a year ahead would end every
 * lease at once, and hold time still for its successors. So whose clock is off says so, hands
 * leadership over, and campaigns only when nobody else has for a while. Where voters have no
 * majority that agrees, nobody is off.
 *
 * A member compares its clock with the leader's each time that a stamp of its own comes back: the
 * leader's word was written between the two, so what lies outside of them is certain, however long
 * the message was under way. The leader gathers what members found, and tells each how it stands.
 */
export class ClockSkew {
  readonly #options: ClockSkewOptions
  /** On the leader: how far the others are ahead of it. */
  readonly #ahead = new Map<MemberId, number>()
  #median: number | null = null
  #skewMs: number | null = null
  #aheadMs: number | null = null

  constructor(options: ClockSkewOptions) {
    this.#options = options
  }

  get status(): ClockStatus {
    return { skewMs: this.#skewMs, isOff: this.#isOff }
  }

  /** How far this node is ahead of the leader, as far as that is certain. */
  get aheadMs(): number | null {
    return this.#aheadMs
  }

  get #isOff(): boolean {
    return this.#skewMs !== null && Math.abs(this.#skewMs) > this.#options.maxClockSkewMs
  }

  /** What was found out about an earlier leader's clock says nothing of this one's. */
  leaderChanged(): void {
    this.#ahead.clear()
    this.#median = null
    this.#aheadMs = null
  }

  /** A stamp of `sentMs`, by this node's wall clock, is back with the leader's at `nowMs`. */
  compared(sentMs: number, nowMs: number, leaderMs: number): void {
    if (leaderMs < sentMs) this.#aheadMs = sentMs - leaderMs
    else this.#aheadMs = Math.min(0, nowMs - leaderMs)
  }

  /** On the leader: a member says how far it is ahead, or that it does not know yet. */
  said(from: MemberId, aheadMs: number | null): void {
    if (aheadMs === null) this.#ahead.delete(from)
    else this.#ahead.set(from, aheadMs)
  }

  /** On the leader: looks where the median is, and how this node stands. */
  judge(): void {
    const { raft, voters, maxClockSkewMs } = this.#options
    this.#ahead.set(raft.id, 0)
    const all = voters()
    const known = all.flatMap((id) => this.#ahead.get(id) ?? []).sort((a, b) => a - b)
    const median = known[Math.floor(known.length / 2)] ?? 0
    const agreeing = known.filter((ahead) => Math.abs(ahead - median) <= maxClockSkewMs)
    this.#median = agreeing.length > all.length / 2 ? median : null
    this.told(this.skewOf(raft.id))
  }

  /** On the leader: how far a member is ahead of the median. */
  skewOf(id: MemberId): number | null {
    const ahead = this.#ahead.get(id)
    return ahead === undefined || this.#median === null ? null : ahead - this.#median
  }

  /** How this node stands, as the leader says; who does not know yet changes nothing. */
  told(skewMs: number | null): void {
    if (skewMs === null) return
    const { raft, warning, maxClockSkewMs } = this.#options
    const wasOff = this.#isOff
    this.#skewMs = skewMs
    const isOff = this.#isOff
    if (isOff === wasOff) return
    raft.patience = isOff ? PATIENCE : 1
    if (!isOff) {
      warning('ERR_CLOCK_SKEW', "this node's clock agrees with the others' again")
      return
    }
    const size = Math.abs(skewMs)
    warning(
      'ERR_CLOCK_SKEW',
      `this node's clock is ${size} ms ${skewMs > 0 ? 'ahead of' : 'behind'} the median of the ` +
        `voters', more than maxClockSkewMs (${maxClockSkewMs}): it leaves leading to others. Set ` +
        'the clock, and let NTP keep it',
    )
  }

  /** Voters that should lead in place of this one, as its clock is off and theirs are not. */
  preferredLeaders(): readonly MemberId[] {
    if (!this.#isOff) return []
    const { raft, voters, maxClockSkewMs } = this.#options
    return voters().filter((id) => {
      const skewMs = this.skewOf(id)
      return id !== raft.id && skewMs !== null && Math.abs(skewMs) <= maxClockSkewMs
    })
  }
}
