import { invariant } from './invariant.ts'
import type { TraceEvent } from './trace.ts'
import type { MemberId, RaftStorage } from './types.ts'

/** What an owner gives the core; nothing of it changes while the core lives. */
export interface RaftConfig {
  readonly id: MemberId
  readonly storage: RaftStorage
  /** The index that is applied already at a restart; 0 for a fresh state machine. */
  readonly appliedIndex: number
  /** Ticks without a leader before a campaign; drawn anew each time from [n, 2n − 1]. */
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /** Storage works by messages and never blocks the core; else by `advance`. */
  readonly asyncStorageWrites: boolean
  /** Bound of one append message; 0 means one entry each. */
  readonly messageBytesMax: number
  /** Bound of entries handed out and not yet applied; 0 takes `messageBytesMax`. */
  readonly committedBytesMax: number
  /** Bound of the leader's uncommitted payloads, beyond which proposals drop; 0 is no bound. */
  readonly uncommittedBytesMax: number
  /** Append messages on the way to one member. */
  readonly inflightMessagesMax: number
  /** Bytes on the way to one member; 0 is no bound. */
  readonly inflightBytesMax: number
  /** Reads waiting for a confirmation; further ones are dropped. No bound if left out. */
  readonly pendingReadsMax?: number
  /** A leader that has not heard a quorum for an election timeout steps down (thesis §6.2). */
  readonly checkQuorum: boolean
  /** Ask before raising the term (thesis §9.6). */
  readonly preVote: boolean
  /** 'safe' confirms each read with a quorum; 'lease' trusts the clock, needs `checkQuorum`. */
  readonly readOnly: 'safe' | 'lease'
  readonly disableProposalForwarding: boolean
  /** Lets any configuration change into the log; for owners that check changes themselves. */
  readonly disableConfChangeValidation: boolean
  /** A leader that is removed or demoted stops leading at once. */
  readonly stepDownOnRemoval: boolean
  /** A uniformly drawn integer in [0, bound). */
  readonly random: (boundExclusive: number) => number
  /**
   * Whether this member has promised its vote to the leader that it has: then it neither votes nor
   * campaigns, unless a leader hands over. No promises if left out.
   */
  readonly keepsVote?: (() => boolean) | undefined
  readonly trace?: ((event: TraceEvent) => void) | undefined
}

/**
 * What became of an input, as a value: peers and callers may send anything at any time.
 * `dropped`: not now (no leader, a transfer under way, over a quota), try again.
 * `noLeader`: a read or transfer found no leader to go to.
 * `unknownPeer`: an answer from a member that is not in the configuration.
 * `localMessage`: a message that only this node's own threads may send.
 * `invalid`: malformed, or impossible for an honest peer; nothing was changed by it.
 */
export type StepResult = 'ok' | 'dropped' | 'noLeader' | 'unknownPeer' | 'localMessage' | 'invalid'

/** Checks a configuration and writes out its defaults; throws on the owner's mistakes. */
export function resolveConfig(config: RaftConfig): RaftConfig {
  const { id, electionTicks, heartbeatTicks, messageBytesMax, inflightBytesMax } = config
  invariant(Number.isSafeInteger(id) && id > 0, 'a member id is a positive integer')
  invariant(heartbeatTicks > 0, 'heartbeatTicks is greater than 0')
  invariant(electionTicks > heartbeatTicks, 'electionTicks is greater than heartbeatTicks')
  invariant(config.inflightMessagesMax > 0, 'inflightMessagesMax is greater than 0')
  invariant(messageBytesMax >= 0, 'messageBytesMax is not negative')
  invariant(
    inflightBytesMax === 0 || inflightBytesMax >= messageBytesMax,
    'inflightBytesMax is 0 or at least messageBytesMax',
  )
  invariant(
    config.readOnly === 'safe' || config.checkQuorum,
    'reads by lease need checkQuorum: without it a deposed leader never notices',
  )
  return {
    ...config,
    committedBytesMax: config.committedBytesMax || messageBytesMax || 1,
    uncommittedBytesMax: config.uncommittedBytesMax || Number.POSITIVE_INFINITY,
    inflightBytesMax: inflightBytesMax || Number.POSITIVE_INFINITY,
    pendingReadsMax: config.pendingReadsMax ?? Number.POSITIVE_INFINITY,
  }
}
