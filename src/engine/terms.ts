import type { Clock } from '../base/ports.ts'
import { type MemberId, NO_MEMBER, type Raft } from '../raft/raft.ts'
import type { TermStatus } from './protocol.ts'

/** More terms than that are of no use to anyone who looks for what happened. */
const TERMS_MAX = 50

interface SeenTerm {
  readonly term: number
  /** NO_MEMBER while none is known. A term has one leader at most, so it is never replaced. */
  leader: MemberId
  /** The leader's node id, kept so that a member that left later still has its name. */
  leaderId: string | null
  readonly sinceMs: number
}

export interface TermsOptions {
  readonly raft: Pick<Raft, 'role' | 'term' | 'leader'>
  readonly clock: Clock
  /** null for a member that the configuration does not name. */
  readonly nodeId: (id: MemberId) => string | null
}

/** Terms and their leaders, as this node saw them come and go. */
export class Terms {
  readonly #options: TermsOptions
  readonly #seen: SeenTerm[] = []
  #term: number
  #leader: MemberId = NO_MEMBER
  #leaderHeardMs: number | null = null
  /** Terms that began since the start. */
  elections = 0
  /** How often a leader became known since the start. */
  leaderChanges = 0

  constructor(options: TermsOptions) {
    this.#options = options
    this.#term = options.raft.term
    if (this.#term > 0) this.#note()
  }

  /** Looks what the core decided; true if the term or the leader is another one than before. */
  look(): boolean {
    const { raft, clock } = this.#options
    const { term, leader } = raft
    if (leader === this.#leader && term === this.#term) return false
    if (term !== this.#term) this.elections += 1
    if (leader !== NO_MEMBER) {
      this.leaderChanges += 1
      this.#leaderHeardMs = clock.nowMs()
    }
    this.#leader = leader
    this.#term = term
    this.#note()
    return true
  }

  /** A message of that member came. */
  heard(from: MemberId): void {
    if (from === this.#options.raft.leader) this.#leaderHeardMs = this.#options.clock.nowMs()
  }

  /** Milliseconds since the leader was last heard; null if none ever was. */
  get leaderContactMs(): number | null {
    const { raft, clock } = this.#options
    if (raft.role === 'leader') return 0
    return this.#leaderHeardMs === null ? null : clock.nowMs() - this.#leaderHeardMs
  }

  /** Newest last. */
  list(): readonly TermStatus[] {
    for (const seen of this.#seen) seen.leaderId ??= this.#options.nodeId(seen.leader)
    return this.#seen.map(({ term, leaderId, sinceMs }) => ({ term, leaderId, sinceMs }))
  }

  #note(): void {
    const { clock, nodeId } = this.#options
    let last = this.#seen.at(-1)
    if (last?.term !== this.#term) {
      last = { term: this.#term, leader: NO_MEMBER, leaderId: null, sinceMs: clock.wallMs() }
      this.#seen.push(last)
      if (this.#seen.length > TERMS_MAX) this.#seen.shift()
    }
    if (this.#leader === NO_MEMBER) return
    last.leader = this.#leader
    last.leaderId = nodeId(this.#leader)
  }
}
