import type { LeadershipView, SharedState } from '../base/shared-state.ts'

/** Of an election timeout: the two clocks of one machine may move apart by so much in a lease. */
const APART_MAX = 0.1

export interface OwnLeadershipOptions {
  readonly shared: SharedState
  readonly electionTimeoutMs: number
  /** The clock that the engine stamps the shared state with. */
  readonly nowMs: () => number
  readonly wallMs: () => number
}

/** What this node knows of the leader's commit index because it leads, without asking anyone. */
export class OwnLeadership {
  readonly #options: OwnLeadershipOptions

  constructor(options: OwnLeadershipOptions) {
    this.#options = options
  }

  /**
   * The commit index while this node takes itself for the leader: its own term has committed
   * (before that the index may lag), and its engine is alive. Null where it does not.
   */
  commit(): number | null {
    return this.#commitIn(this.#options.shared.readLeadership())
  }

  /** The same while nobody else can lead: nothing was acknowledged beyond it. */
  heldCommit(): number | null {
    const view = this.#options.shared.readLeadership()
    const commit = this.#commitIn(view)
    // The clocks are read after the index: it was all there was when they were not yet too late.
    return commit !== null && this.#isHeldIn(view) ? commit : null
  }

  isHeld(): boolean {
    return this.heldCommit() !== null
  }

  #commitIn(view: LeadershipView): number | null {
    const { electionTimeoutMs, nowMs } = this.#options
    if (!view.isLeader || !view.ownTermCommitted || view.isClosed) return null
    return nowMs() - view.stampMs < electionTimeoutMs ? view.commit : null
  }

  /**
   * By both clocks, since one of them stands still while a machine sleeps. The other one, put back
   * meanwhile, would hide that.
   */
  #isHeldIn({ leadsUntilMs, leadsUntilWallMs }: LeadershipView): boolean {
    const { nowMs, wallMs, electionTimeoutMs } = this.#options
    const leftMs = leadsUntilMs - nowMs()
    const leftWallMs = leadsUntilWallMs - wallMs()
    return leftMs > 0 && leftWallMs > 0 && leftWallMs - leftMs < electionTimeoutMs * APART_MAX
  }
}
