/** The values that go into and come out of the consensus core. All numbers are safe integers. */

/** A member's number, unique for ever in its cluster; 0 means "none". */
export type MemberId = number

export const NO_MEMBER: MemberId = 0
/** The pseudo-members that storage messages are addressed to. */
export const APPEND_THREAD: MemberId = -1
export const APPLY_THREAD: MemberId = -2

/** What an entry's data is: opaque bytes, or a configuration change in this room's own encoding. */
export type EntryType = 'normal' | 'confChange' | 'confChangeV2'

export interface Entry {
  readonly index: number
  readonly term: number
  readonly type: EntryType
  readonly data: Uint8Array
}

/** What must be durable before a vote or an acknowledgement leaves (paper, figure 2). */
export interface HardState {
  readonly term: number
  readonly vote: MemberId
  readonly commit: number
}

export type Role = 'follower' | 'precandidate' | 'candidate' | 'leader'

export interface SoftState {
  readonly leader: MemberId
  readonly role: Role
}

/** A cluster configuration; `votersOutgoing` is not empty while it is joint. Ids ascend. */
export interface ConfState {
  readonly voters: readonly MemberId[]
  readonly learners: readonly MemberId[]
  readonly votersOutgoing: readonly MemberId[]
  readonly learnersNext: readonly MemberId[]
  readonly autoLeave: boolean
}

export interface SnapshotMeta {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
}

/** A snapshot as the core sees it; `data` is the owner's business. */
export interface Snapshot {
  readonly meta: SnapshotMeta
  readonly data: Uint8Array
}

export type ConfChangeType = 'addNode' | 'removeNode' | 'updateNode' | 'addLearner'

export interface ConfChangeSingle {
  readonly type: ConfChangeType
  readonly id: MemberId
}

/** etcd's three transitions: joint only if needed; joint, left by itself; joint, left by hand. */
export type ConfChangeTransition = 'auto' | 'jointImplicit' | 'jointExplicit'

export interface ConfChange {
  readonly transition: ConfChangeTransition
  /** No changes: leave the joint configuration. */
  readonly changes: readonly ConfChangeSingle[]
  /** The owner's bytes, carried along. */
  readonly context: Uint8Array
}

export type MessageType =
  | 'hup'
  | 'beat'
  | 'propose'
  | 'append'
  | 'appendResponse'
  | 'vote'
  | 'voteResponse'
  | 'snapshot'
  | 'heartbeat'
  | 'heartbeatResponse'
  | 'unreachable'
  | 'snapshotStatus'
  | 'checkQuorum'
  | 'transferLeader'
  | 'timeoutNow'
  | 'readIndex'
  | 'readIndexResponse'
  | 'preVote'
  | 'preVoteResponse'
  | 'storageAppend'
  | 'storageAppendResponse'
  | 'storageApply'
  | 'storageApplyResponse'
  | 'forgetLeader'

/** One message of any type; fields that a type does not use are 0, empty or absent. */
export interface Message {
  readonly type: MessageType
  readonly from: MemberId
  readonly to: MemberId
  readonly term: number
  readonly logTerm: number
  readonly index: number
  readonly commit: number
  readonly vote: MemberId
  readonly reject: boolean
  readonly rejectHint: number
  readonly entries: readonly Entry[]
  readonly snapshot: Snapshot | null
  /** Read counters, transfer marks, the owner's read context. */
  readonly context: Uint8Array
  /** To be sent once the work of a storage message is done. */
  readonly responses: readonly Message[]
}

/** A read that may be served once `index` is applied. */
export interface ReadState {
  readonly index: number
  readonly context: Uint8Array
}

/** Everything the core wants done; see consensus contract at the top of `raft.ts`. */
export interface Ready {
  readonly softState: SoftState | null
  readonly hardState: HardState | null
  readonly readStates: readonly ReadState[]
  readonly entries: readonly Entry[]
  readonly snapshot: Snapshot | null
  readonly committedEntries: readonly Entry[]
  readonly messages: readonly Message[]
  /** There are entries, or a term or a vote: not for a commit index alone (etcd's MustSync). */
  readonly mustSync: boolean
}

/** Why storage could not answer: gone for good, or not in memory just now (ask again later). */
export type Unavailable = 'compacted' | 'unavailable'

/**
 * The core's view of what is already stored. All calls are synchronous and never do IO: what is
 * not in memory is 'unavailable', and the owner fetches it and tells the core to try again.
 */
export interface RaftStorage {
  initialState(): { readonly hardState: HardState; readonly confState: ConfState }
  /** Entries of [lo, hi), at least one if there is any, cut where their bytes pass `bytesMax`. */
  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | Unavailable
  /** Valid for firstIndex − 1 … lastIndex; below that 'compacted'. */
  term(index: number): number | Unavailable
  firstIndex(): number
  lastIndex(): number
  /** The newest snapshot, or 'unavailable' while one is being prepared. */
  snapshot(): Snapshot | 'unavailable'
}
