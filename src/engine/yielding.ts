import type { Clock } from '../base/ports.ts'
import type { MemberId, Raft } from '../raft/raft.ts'
import { transferAway } from './leadership.ts'

/** A transfer that comes to nothing stops writes for an election timeout. */
const AGAIN_MS = 10_000

export interface YieldingOptions {
  readonly raft: Raft
  readonly clock: Clock
  /** Why others should lead, most weighty first: each names them, or nobody. */
  readonly reasons: readonly (() => readonly MemberId[])[]
}

/** A leader hands over to members that are better suited, seldom. */
export class Yielding {
  readonly #options: YieldingOptions
  #againMs = 0

  constructor(options: YieldingOptions) {
    this.#options = options
  }

  tick(): void {
    const { raft, clock, reasons } = this.#options
    if (raft.role !== 'leader' || !raft.committedInOwnTerm || clock.nowMs() < this.#againMs) return
    for (const reason of reasons) {
      const preferred = reason()
      if (preferred.length === 0) continue
      this.#againMs = clock.nowMs() + AGAIN_MS
      transferAway(raft, (id) => preferred.includes(id))
      return
    }
  }
}
