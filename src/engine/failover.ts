import type { Cancel, Clock, Random } from '../base/ports.ts'
import { type MemberId, NO_MEMBER, type Raft } from '../raft/raft.ts'
import type { VotePromises } from './vote-promises.ts'

/** Two that ask at once split the votes: so many more tries before the time-out decides. */
const TRIES = 4

export interface FailoverOptions {
  readonly raft: Raft
  readonly promises: Pick<VotePromises, 'keptForMs'>
  readonly clock: Clock
  readonly random: Random
  readonly heartbeatMs: number
  readonly changed: () => void
}

/**
 * Elections sooner than a time-out. When the process of the leader closes all its sockets nobody
 * need wait: forget it, and ask for a vote after a pause that is drawn, so that not all ask at
 * once. Those who still hear the leader refuse (pre-vote), so a broken link deposes nobody.
 */
export class Failover {
  readonly #options: FailoverOptions
  #cancel: Cancel = () => {}

  constructor(options: FailoverOptions) {
    this.#options = options
  }

  /** A member's process is gone, as far as its sockets tell. */
  processGone(id: MemberId): void {
    const { raft, changed } = this.#options
    if (id !== raft.leader || raft.role === 'leader') return
    raft.forgetLeader()
    // Who should not lead leaves it to the others.
    if (raft.patience === 1) this.#campaignSoon(TRIES)
    changed()
  }

  close(): void {
    this.#cancel()
  }

  #campaignSoon(tries: number): void {
    const { raft, promises, clock, random, heartbeatMs, changed } = this.#options
    // A promise binds also where the sockets tell of an end: they may be wrong.
    const pauseMs = promises.keptForMs + (heartbeatMs * random.u32()) / 0x1_0000_0000
    this.#cancel()
    this.#cancel = clock.setTimer(pauseMs, () => {
      if (raft.leader !== NO_MEMBER) return
      raft.campaign()
      if (tries > 1) this.#campaignSoon(tries - 1)
      changed()
    })
  }
}
