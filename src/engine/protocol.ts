import type { MessagePort } from 'node:worker_threads'
import type { WantedRole } from '../command/command.ts'
import type { Genesis as StorageGenesis } from '../database/database.ts'
import type { Durability } from '../log/log.ts'
import type { TransportSecurity } from '../transport/transport.ts'
import type { Divergence, LogHold, MemberStatus } from './reports.ts'

export type * from './reports.ts'
export type { Durability, StorageGenesis }

/**
 * What the user thread and the engine thread say to each other. Bytes are transferred, never
 * cloned; everything else is small. The storage thread answers writes on a port of its own, with
 * encoded command results (`database/storage-protocol.ts`).
 */

/** How a node begins where it has no state; where it has some, this is ignored. */
export type Genesis = 'bootstrap' | 'join'

/** A relaxed open of this data directory that was never closed. */
export interface UncleanStop {
  /** Names this stop: whoever passes it to `open` accepts what was lost by it. */
  readonly token: string
  /** Under which this node asks to be taken in again; the same one each time it asks. */
  readonly newMemberId: number
}

/** Everything the engine thread must know, checked and complete. */
export interface EngineConfig {
  readonly nodeId: string
  readonly memberId: number
  /** 32 hexadecimal digits; '' for a joiner that has not found its cluster yet. */
  readonly clusterId: string
  readonly incarnation: number
  /** This open's origin, 32 hexadecimal digits. */
  readonly origin: string
  /** True if log and databases exist; false for a first start that must make them. */
  readonly isEstablished: boolean
  readonly genesis: Genesis
  readonly dataDir: string
  /** null: a single node without network. */
  readonly bind: { readonly host: string; readonly port: number } | null
  /** '' without network. */
  readonly advertise: string
  readonly joinAddresses: readonly string[]
  /** Whether more addresses come while it runs, as `addresses`. */
  readonly hasJoinSource: boolean
  /** Null for a node that never begins a cluster with others. */
  readonly forming: {
    readonly expectedVoters: number
    readonly windowMs: number
  } | null
  /** Whether to join anew where the cluster has removed this node while it was away. */
  readonly rejoins: boolean
  readonly joinAs: WantedRole
  readonly joinTimeoutMs: number
  readonly security: TransportSecurity
  readonly heartbeatMs: number
  readonly electionTimeoutMs: number
  /** For how long this member keeps its vote for a leader that asks, 0 for not at all. */
  readonly promiseMs: number
  /** The longest that it may have promised in earlier opens. */
  readonly keptPromiseMs: number
  readonly requestTimeoutMs: number
  readonly transactionIdleMs: number
  readonly transactionMs: number
  readonly maxClockSkewMs: number
  readonly logRetainBytes: number
  readonly durability: Durability
  /** Null: there was none that matters any more. */
  readonly uncleanStop: UncleanStop | null
  readonly fingerprint: string
  /** Bounds for tests and odd machines; defaults in node/options. */
  readonly segmentBytes: number
  readonly snapshotBytesPerSecond: number
  /** Whether to say what is decided, for `NODE_DEBUG`. */
  readonly isDebugging: boolean
}

/** An error as it crosses threads. */
export interface ErrorMessage {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
  readonly outcome: 'not-applied' | 'committed' | 'unknown'
  readonly index?: number | undefined
}

/** Statements of a transaction, for the leader to try. */
export interface TrialStep {
  /** An encoded write command, whose units have one statement each. */
  readonly bytes: Uint8Array
  /** Whether the transaction begins here. */
  readonly begins: boolean
  /** The last write that one which begins must find, null for whichever it is. */
  readonly base: number | null
}

/** What an operator may ask of a member. */
export type MemberChange = 'promote' | 'demote' | 'remove'

/** Administrative requests, each answered by a `reply` with the same id. */
export type EngineRequest =
  | { readonly method: 'status' }
  | { readonly method: 'members' }
  | { readonly method: 'metrics' }
  /** `to`: a node id; null lets the leader choose. */
  | { readonly method: 'transferLeadership'; readonly to: string | null }
  | { readonly method: 'changeMember'; readonly change: MemberChange; readonly nodeId: string }
  /** Acknowledged at once; the outcome is in `drops` of the storage thread, or `dropRejected`. */
  | { readonly method: 'dropDatabase'; readonly database: string; readonly request: number }
  | { readonly method: 'dropSettled'; readonly request: number }
  /** A step of a transaction for the leader to try: answered with an encoded `TrialAnswer`. */
  | { readonly method: 'tryStatements'; readonly step: TrialStep }
  /** A transaction that its owner has no more use for. */
  | { readonly method: 'endTrial'; readonly database: string; readonly number: number }
  /**
   * An encoded write command with a trial. Acknowledged at once; the outcome comes as a result of
   * that number, or as `commitRejected`.
   */
  | { readonly method: 'commit'; readonly number: number; readonly bytes: Uint8Array }
  | { readonly method: 'commitSettled'; readonly number: number }
  /** What became of an own command whose caller timed out. */
  | { readonly method: 'outcome'; readonly database: string; readonly sequence: number }
  /** A call for a handler of the leader's user, whose encoded answer this gets. */
  | { readonly method: 'forward'; readonly bytes: Uint8Array; readonly timeoutMs: number }
  /** Acknowledged at once; `verified` has the answer under `key`, once there is one. */
  | { readonly method: 'verify'; readonly key: number; readonly timeoutMs: number }
  | { readonly method: 'verified'; readonly key: number }
  | { readonly method: 'reinstall' }
  /** Of the kind that there was; answered once it holds. */
  | { readonly method: 'rotate'; readonly security: TransportSecurity }
  /** Answered once the leader has applied what is behind that entry, or says why it will not. */
  | { readonly method: 'skip'; readonly index: number; readonly without: readonly string[] }
  /** Answered with a {@link LogChunk} of what is applied here. */
  | { readonly method: 'readLog'; readonly after: number; readonly bytesMax: number }
  /** Keeps the log behind `after` from being shortened; null: no more. See {@link LogHold}. */
  | { readonly method: 'holdLog'; readonly key: number; readonly hold: LogHold | null }
  /** Into a directory relative to the data directory; answered with a {@link DatabasesCopy}. */
  | { readonly method: 'copyDatabases'; readonly directory: string }
  | { readonly method: 'removeCopy'; readonly directory: string }

export type UserToEngine =
  /** An encoded write command of this origin; sequences per database come without gaps. */
  | {
      readonly kind: 'write'
      readonly database: string
      readonly sequence: number
      readonly bytes: Uint8Array
    }
  /** Asks for an index that, once applied here, satisfies the level. */
  | { readonly kind: 'read'; readonly id: number; readonly level: 'weak' | 'strong' }
  | { readonly kind: 'request'; readonly id: number; readonly request: EngineRequest }
  /** The answer to `clusterFound`: identity.json holds the cluster id. */
  | { readonly kind: 'clusterKept' }
  /** Where nodes of this cluster may be, in place of what was said before. */
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] }
  /** Hands leadership over if it can, finishes what is proposed, and ends the thread. */
  | { readonly kind: 'close' }
  /** The answer to `handle`: an encoded one, or why no handler was run. */
  | {
      readonly kind: 'handled'
      readonly id: number
      readonly bytes: Uint8Array | null
      readonly error: ErrorMessage | null
    }

export type EngineToUser =
  /**
   * A joiner found its cluster, or is the one that begins it: keep that in identity.json, then
   * answer `clusterKept`.
   */
  | { readonly kind: 'clusterFound'; readonly clusterId: string; readonly genesis: Genesis }
  /** Start the storage thread on this generation; `genesis` makes it first. */
  | {
      readonly kind: 'startStorage'
      readonly generation: number
      readonly genesis: StorageGenesis | null
    }
  /** A new member was taken in place of this one: keep that, delete the old state, start anew. */
  | {
      readonly kind: 'replaced'
      readonly memberId: number
      /** Where the others are. */
      readonly addresses: readonly string[]
    }
  /** This node is alone and goes on after an unclean stop: what was lost has been passed over. */
  | { readonly kind: 'lossKept'; readonly message: string }
  /** Log and databases are made: identity.json may say so. */
  | { readonly kind: 'established' }
  /** This node serves local reads; `port` is the one really bound, 0 without network. */
  | { readonly kind: 'ready'; readonly port: number }
  /** Opening failed for good; the thread ends. */
  | { readonly kind: 'openFailed'; readonly error: ErrorMessage }
  /** Own commands `from`…`to` (sequences) will never apply; their slots are filled empty. */
  | {
      readonly kind: 'rejected'
      readonly database: string
      readonly from: number
      readonly to: number
      readonly error: ErrorMessage
    }
  /** A `dropDatabase` that will never apply. */
  | { readonly kind: 'dropRejected'; readonly request: number; readonly error: ErrorMessage }
  /** A `commit` that will never apply. */
  | { readonly kind: 'commitRejected'; readonly number: number; readonly error: ErrorMessage }
  | {
      readonly kind: 'readAnswer'
      readonly id: number
      readonly index: number
      readonly error: ErrorMessage | null
    }
  | {
      readonly kind: 'reply'
      readonly id: number
      readonly value: unknown
      readonly error: ErrorMessage | null
    }
  /** Role, term or leader changed. */
  | { readonly kind: 'leader'; readonly nodeId: string | null; readonly term: number }
  | { readonly kind: 'membership'; readonly members: readonly MemberStatus[] }
  | { readonly kind: 'warning'; readonly code: string; readonly message: string }
  /** As the node's event of that name. */
  | { readonly kind: 'divergence'; readonly divergence: Divergence }
  /** Why nothing may be written: voters differ, and nobody can tell who is wrong; null: no more. */
  | { readonly kind: 'undecided'; readonly reason: string | null }
  /** For `NODE_DEBUG=colmena` alone. */
  | { readonly kind: 'decision'; readonly line: string }
  /** The engine can't go on (failed sync, broken invariant); the thread ends. */
  | { readonly kind: 'fatal'; readonly error: ErrorMessage }
  /** The answer to `close`; `isDurable` tells whether all that the log was given is. */
  | { readonly kind: 'closed'; readonly isDurable: boolean }
  /** This node leads, and node `from` asks for what its user handles: answer with `handled`. */
  | {
      readonly kind: 'handle'
      readonly id: number
      readonly from: string
      readonly leader: string
      readonly bytes: Uint8Array
    }

/** What is said while a node opens. */
export type EngineOpening = Extract<
  EngineToUser,
  {
    kind:
      | 'clusterFound'
      | 'startStorage'
      | 'replaced'
      | 'lossKept'
      | 'established'
      | 'ready'
      | 'openFailed'
  }
>

/** The engine worker's `workerData`. */
export interface EngineWorkerData {
  readonly config: EngineConfig
  readonly shared: SharedArrayBuffer
  /** To the storage thread. */
  readonly storagePort: MessagePort
}
