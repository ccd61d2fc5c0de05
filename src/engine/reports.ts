import type { WantedRole } from '../command/command.ts'
import type { Durability } from '../log/log.ts'

/* What the engine tells of itself, as users get it. */

/** Entries of the log, which all members have or will have. */
export interface LogChunk {
  /** The index of the first entry. */
  readonly first: number
  /** The index of the last entry; `first - 1` where nothing is applied behind what was asked. */
  readonly last: number
  /** The entries: for a replay, and for `rollLog`. */
  readonly bytes: Uint8Array
  /** Rolling digests of the databases as `last` left them, as far as this node still knows them. */
  readonly digests: Readonly<Record<string, string>>
}

/** What of the log is to be kept for somebody who reads it. */
export interface LogHold {
  /** Entries behind this one. */
  readonly after: number
  /** At most so much log, whoever waits for it. */
  readonly bytesMax: number
}

/** Copies of all databases, as they were at one index. */
export interface DatabasesCopy {
  readonly index: number
  readonly term: number
  /** The time of the latest entry that was given one, as all nodes have it; 0 before. */
  readonly timeMs: number
  /** As in {@link LogChunk}. */
  readonly digests: Readonly<Record<string, string>>
  readonly files: readonly {
    /** `<database>.db`; `system.db` is the cluster's own. */
    readonly name: string
    readonly sizeBytes: number
    /** Hexadecimal. */
    readonly sha256: string
  }[]
}

/** `members()`, one row each. */
export interface MemberStatus {
  readonly nodeId: string
  readonly memberId: number
  readonly address: string
  readonly role: 'voter' | 'learner'
  readonly wantedRole: WantedRole
  readonly isLeader: boolean
  /** The highest log index known to be on that member; null where only the leader knows. */
  readonly match: number | null
  /** Milliseconds since that member was last heard, null if never or unknown here. */
  readonly lastContactMs: number | null
  /**
   * What it runs SQL with: build and options of SQLite, platform, C library. Members with equal
   * ones compute the same. Null until its present open has told the cluster.
   */
  readonly fingerprint: string | null
}

/** A term as one node saw it. */
export interface TermStatus {
  readonly term: number
  /** Who led it; null while this node knows of nobody, or if nobody ever did. */
  readonly leaderId: string | null
  /** When this node first saw the term, in milliseconds since 1970. */
  readonly sinceMs: number
}

/** The engine's part of `status()`. */
export interface EngineStatus {
  readonly role: 'follower' | 'precandidate' | 'candidate' | 'leader'
  readonly isLearner: boolean
  readonly term: number
  readonly leader: { readonly id: string; readonly address: string } | null
  readonly lastIndex: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly compactedIndex: number
  readonly lastLeaderContactMs: number | null
  /** Whether the log names this open as the one that writes for its member. */
  readonly isRegistered: boolean
  readonly durability: DurabilityStatus
  /** Whether the disk has no room for more log. */
  readonly isLogFull: boolean
  readonly logBytes: number
  readonly forwards: number
  readonly elections: number
  readonly snapshotsSent: number
  readonly snapshotsReceived: number
  readonly terms: readonly TermStatus[]
  readonly engineMix: 'uniform' | 'mixed'
  readonly slowApply: SlowApply | null
  readonly slowTransaction: SlowTransaction | null
  readonly format: FormatStatus
  readonly divergence: DivergenceStatus
  readonly clock: ClockStatus
  readonly certificateEndsMs: number | null
}

/** Which formats of commands are read and written. */
export interface FormatStatus {
  /** The newest that this node reads. */
  readonly local: number
  /** The newest that the cluster writes: all its members read that. */
  readonly effective: number
  /** Node ids of members that read less than this node, as they last said. */
  readonly behind: readonly string[]
}

/** When this node acknowledges. */
export interface DurabilityStatus {
  /** `full`: once it is on the disk; `relaxed`: up to 100 ms before. */
  readonly mode: Durability
  /** Entries in this node's log that a loss of power would take at this moment. */
  readonly unsyncedEntries: number
}

/** An entry whose apply takes long. */
export interface SlowApply {
  readonly index: number
  /** Null for what is no write. */
  readonly database: string | null
  /** The beginning of the statement that runs; or what the entry is instead. */
  readonly sql: string
}

/** A statement of a transaction that takes long on this node, as the leader that tries it. */
export interface SlowTransaction {
  readonly database: string
  /** Whose transaction it is. */
  readonly nodeId: string
  /** The beginning of the statement. */
  readonly sql: string
}

/** Members whose databases are not what the majority of voters has. */
export interface Divergence {
  /** None where voters differ without a majority: then writes stop. */
  readonly nodeIds: readonly string[]
  /** Up to which entry they were compared. */
  readonly index: number
  readonly reason: string
}

/** What a node knows of its wall clock. */
export interface ClockStatus {
  /**
   * How many milliseconds it is ahead of the median of the voters', negative where it is behind;
   * null before a majority of them was known to agree on a time. As a leader last said.
   */
  readonly skewMs: number | null
  /** Whether that is more than `maxClockSkewMs`: then this node leaves leading to others. */
  readonly isOff: boolean
}

/** What a node knows of databases that differ. */
export interface DivergenceStatus {
  /** Why this node's own databases may differ; null if they do not, as far as anybody knows. */
  readonly reason: string | null
  /** Why nothing may be written anywhere: voters differ without a majority. */
  readonly undecided: string | null
  /** Members that were found to differ, this one among them. */
  readonly found: number
  /** How often this node took another's databases in place of its own. */
  readonly reinstalls: number
}

/** What `verify()` found. */
export interface VerifyAnswer {
  /** The entry up to which all members had applied when they were read. */
  readonly index: number
  readonly members: readonly {
    readonly nodeId: string
    /** SHA-256 of each database's content; null where `error` says why there is none. */
    readonly hashes: Readonly<Record<string, string>> | null
    readonly error: string | null
  }[]
  /** The nodes that do not hold what the majority of voters holds. */
  readonly differing: readonly string[]
  /** Databases in which voters differ without a majority. */
  readonly undecided: readonly string[]
}
