import type { Cancel, Clock, Random } from '../base/ports.ts'
import { NO_MEMBER, type Raft } from '../raft/raft.ts'
import type { Membership } from './membership.ts'
import type { EngineConfig, EngineToUser } from './protocol.ts'
import { randomMemberId } from './settings.ts'

/** In election timeouts: for so long a node that starts waits for word of its place. */
const WAIT_TIMEOUTS = 10

/**
 * Whether a node that starts is a member still: what its own databases say may be old. One that
 * joins anew if it was removed waits for word of a leader, or that it is none of them, before it
 * serves anything; where there is neither, as when a whole cluster starts, it serves what it has.
 */
export class OwnPlace {
  #cancel: Cancel | null = null

  /** Calls `sure` once, perhaps at once. */
  await(raft: Raft, clock: Clock, config: EngineConfig, sure: () => void): void {
    if (this.#cancel !== null) return
    const untilMs = clock.nowMs() + WAIT_TIMEOUTS * config.electionTimeoutMs
    const look = (): void => {
      const isSure = !config.rejoins || raft.leader !== NO_MEMBER
      if (isSure || clock.nowMs() >= untilMs) sure()
      else this.#cancel = clock.setTimer(config.heartbeatMs, look)
    }
    this.#cancel = () => {}
    look()
  }

  stop(): void {
    this.#cancel?.()
  }
}

/** What a removed node begins again as, and where it finds the others. */
export function newPlace(
  { membership, raft }: { readonly membership: Membership; readonly raft: Raft },
  random: Random,
): Extract<EngineToUser, { kind: 'replaced' }> {
  const others = [...membership.records()].filter(({ memberId }) => memberId !== raft.id)
  const addresses = others.map(({ address }) => address)
  return { kind: 'replaced', memberId: randomMemberId(random), addresses }
}
