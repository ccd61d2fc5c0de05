import type { Consistency } from './consistency.ts'
import type { ExtensionOptions } from './extension-options.ts'
import type { RestoreOptions } from './restore-source.ts'

/** Where a node tells what happens in the background; each method is optional. */
export interface Logger {
  debug?(message: string, details?: unknown): void
  info?(message: string, details?: unknown): void
  warn?(message: string, details?: unknown): void
  error?(message: string, details?: unknown): void
}

/**
 * Says where nodes of this cluster may be, as `host:port`; this node's own address among them does
 * no harm. It is asked again and again, more often while there is no leader.
 */
export type JoinSource = (options: {
  readonly signal: AbortSignal
}) => readonly string[] | Promise<readonly string[]>

/** What nodes with certificates are opened with; all of it in PEM, never as a file's name. */
export interface TlsOptions {
  /** The certificates of the CAs whose nodes are trusted; several while one is replaced. */
  readonly ca: string | Uint8Array | readonly (string | Uint8Array)[]
  /** This node's certificate, which has its node id as a DNS name; behind it those up to the CA. */
  readonly cert: string | Uint8Array
  /** The certificate's private key. */
  readonly key: string | Uint8Array
  /** Of the key, where it is encrypted. */
  readonly passphrase?: string | undefined
}

/** What `open` takes. `docs/options.md` says what raising and lowering each one costs. */
export interface OpenOptions {
  /**
   * This node's name in its cluster, up to 128 characters without spaces. It is kept in the data
   * directory, and a later open with another name is an error.
   *
   * @defaultValue the name kept from before, or a made-up one
   */
  readonly nodeId?: string | undefined
  /** Where everything is kept; made if it is missing. One process at a time may have it open. */
  readonly dataDir: string
  /**
   * `host:port` to listen on. Without it the node is alone and opens no socket. Beyond loopback it
   * needs `secret` or `tls` (or `insecure`).
   */
  readonly bind?: string | undefined
  /**
   * `host:port` that the others dial; needed where `bind` names no single address (`0.0.0.0`).
   *
   * @defaultValue `bind`
   */
  readonly advertise?: string | undefined
  /**
   * Begins a new cluster where the data directory holds none yet; ignored where it does.
   *
   * @defaultValue true without `bind`, else false
   */
  readonly bootstrap?: boolean | undefined
  /**
   * Where the data directory holds no cluster yet, it is first brought back from a backup, with
   * `bootstrap`: a new cluster begins with what was in that. Ignored where it holds one. It takes
   * as long as it takes; `signal` ends it.
   */
  readonly restore?: RestoreOptions | undefined
  /**
   * Where members may be, to join through; or a function that says so, again and again. Where the
   * data directory holds a cluster it serves to find members again that have moved.
   */
  readonly join?: string | readonly string[] | JoinSource | undefined
  /**
   * Nodes without a cluster that find each other through `join` begin one once so many of them are
   * there; one of them does, and the others join it. The same on all of them, and more than half of
   * those that may start at once.
   *
   * @defaultValue none: they wait for a cluster that was begun by `bootstrap`
   */
  readonly expectedVoters?: number | undefined
  /**
   * With `expectedVoters`: how long a node looks around before it may begin a cluster, and how long
   * one that falls silent is waited for, in milliseconds.
   *
   * @defaultValue 2000
   */
  readonly discoveryWindowMs?: number | undefined
  /**
   * What a node does that its cluster removed while it was away: `fail` with ERR_REMOVED, or
   * `rejoin`, once members have said so three times: it deletes what it holds and joins anew. Then
   * `open` waits up to ten election timeouts for word of a leader.
   *
   * @defaultValue 'fail'
   */
  readonly ifRemoved?: 'fail' | 'rejoin' | undefined
  /**
   * What this node wants to be: a voter (once it has caught up), or for ever a learner, which
   * serves reads and takes writes but counts for no majority.
   *
   * @defaultValue 'voter'
   */
  readonly joinAs?: 'voter' | 'learner' | undefined
  /**
   * The level of reads that name none.
   *
   * @defaultValue 'weak'
   */
  readonly consistency?: Consistency | undefined
  /**
   * How the leader makes sure of its leadership for a `strong` read: `majority` asks one for each
   * round of reads; `lease` goes by what a majority has promised for as long as it lasts, which
   * needs no message and trusts that clocks run alike. Give it to all nodes.
   *
   * @defaultValue 'majority'
   */
  readonly strongReads?: 'majority' | 'lease' | undefined
  /**
   * When this node acknowledges what it is given to hold: `full` once it is on the disk; `relaxed`
   * up to 100 ms before, which is faster. A relaxed node that stops without closing may have lost
   * that: it is replaced in its cluster by a new member, and a node that is alone says what it may
   * have lost. `docs/durability.md` tells what that costs.
   *
   * @defaultValue 'full'
   */
  readonly durability?: 'full' | 'relaxed' | undefined
  /**
   * Accepts that what a relaxed node had not on its disk is lost, where no majority is left that
   * lost nothing: the token that ERR_UNCLEAN_STOP of this node names. Good for that stop alone.
   */
  readonly acceptLoss?: string | undefined
  /**
   * What becomes of `random()`, 'now' and their like in this node's writes: `freeze` has every node
   * answer them alike, `reject` fails them with ERR_NON_DETERMINISTIC_SQL.
   *
   * @defaultValue 'freeze'
   */
  readonly nonDeterminism?: 'freeze' | 'reject' | undefined
  /**
   * How often a leader lets its peers know that it lives, in milliseconds; at most a third of
   * `electionTimeoutMs`.
   *
   * @defaultValue 100
   */
  readonly heartbeatMs?: number | undefined
  /**
   * Silence after which a leader counts as lost, in milliseconds. Nodes add a random part to it.
   *
   * @defaultValue 1000
   */
  readonly electionTimeoutMs?: number | undefined
  /**
   * The deadline of every call, in milliseconds; a caller's `signal` can end it sooner.
   *
   * @defaultValue 10000
   */
  readonly requestTimeoutMs?: number | undefined
  /**
   * How long a read with `isolated: true` may run before its process is killed, in milliseconds.
   *
   * @defaultValue 10000
   */
  readonly statementTimeoutMs?: number | undefined
  /**
   * How long a transaction that can write may do nothing before it is ended, in milliseconds: the
   * writes of its database wait for it.
   *
   * @defaultValue 5000
   */
  readonly transactionIdleMs?: number | undefined
  /**
   * How long a transaction that can write may take in all, in milliseconds.
   *
   * @defaultValue 8000
   */
  readonly transactionMs?: number | undefined
  /**
   * How far this node's clock may be from the median of the voters' before it says so and leaves
   * leading to others, in milliseconds: the leader's clock gives writes their time. Where voters
   * have no majority that agrees on a time, nobody is off.
   *
   * @defaultValue 5000
   */
  readonly maxClockSkewMs?: number | undefined
  /**
   * A statement that SQLite takes longer for is told by the `slow` event, in milliseconds.
   *
   * @defaultValue 1000
   */
  readonly slowMs?: number | undefined
  /**
   * Bytes of changed rows that each database keeps on this node for `db.changes()`, if it was made
   * with `changes: true` or somebody listens. Older ones go first.
   *
   * @defaultValue 67108864
   */
  readonly changesBytesMax?: number | undefined
  /**
   * How long a first `open` with `join` tries to get in, in milliseconds.
   *
   * @defaultValue 60000
   */
  readonly joinTimeoutMs?: number | undefined
  /**
   * Log kept behind what is applied, in bytes, so that a member that was away catches up from it
   * instead of receiving whole databases.
   *
   * @defaultValue 67108864 (64 MiB)
   */
  readonly logRetainBytes?: number | undefined
  /**
   * Size of one log file, in bytes; two are laid out ahead.
   *
   * @defaultValue 16777216 (16 MiB)
   */
  readonly logSegmentBytes?: number | undefined
  /**
   * What this node sends of whole databases to members that were away for too long, to all of them
   * together, in bytes per second. Copies at full speed slow the writes of the same moment down.
   *
   * @defaultValue 41943040 (40 MiB)
   */
  readonly snapshotBytesPerSecond?: number | undefined
  /**
   * What all nodes of the cluster know and no one else: at least 16 bytes of randomness. It
   * encrypts and authenticates every connection. A list, newest first, is for changing it.
   */
  readonly secret?: string | readonly string[] | undefined
  /**
   * In place of `secret`: certificates of a CA of yours, one for each node, in PEM. Every
   * connection is encrypted, and both sides show theirs. `colmena ca` and `colmena/certificates`
   * make them.
   */
  readonly tls?: TlsOptions | undefined
  /**
   * Allows plaintext beyond loopback. Whoever reaches the port then owns the data.
   *
   * @defaultValue false
   */
  readonly insecure?: boolean | undefined
  /**
   * SQLite's own kind of extensions, loaded in this order into every connection of this node: what
   * they bring may then be used in reads and writes. Names and versions, in their order, must be
   * the same on all nodes.
   *
   * @defaultValue none
   */
  readonly extensions?: readonly ExtensionOptions[] | undefined
  /**
   * Gets what the events say, as lines; nothing is ever printed without it. `console`, a logger of
   * pino as it is, or any object that takes `(message, details)`.
   */
  readonly logger?: Logger | undefined
  /** Gives up opening; what was begun is closed again. */
  readonly signal?: AbortSignal | undefined
}

/** Every option of {@link OpenOptions} with its default; undefined where there is no fixed one. */
export const OPTION_DEFAULTS: Required<{
  readonly [Key in keyof OpenOptions]: OpenOptions[Key] | undefined
}> = Object.freeze({
  nodeId: undefined,
  dataDir: undefined,
  bind: undefined,
  advertise: undefined,
  bootstrap: undefined,
  restore: undefined,
  join: undefined,
  expectedVoters: undefined,
  discoveryWindowMs: 2_000,
  ifRemoved: 'fail',
  joinAs: 'voter',
  consistency: 'weak',
  strongReads: 'majority',
  durability: 'full',
  acceptLoss: undefined,
  nonDeterminism: 'freeze',
  heartbeatMs: 100,
  electionTimeoutMs: 1000,
  requestTimeoutMs: 10_000,
  statementTimeoutMs: 10_000,
  transactionIdleMs: 5_000,
  transactionMs: 8_000,
  maxClockSkewMs: 5_000,
  slowMs: 1_000,
  changesBytesMax: 67_108_864,
  joinTimeoutMs: 60_000,
  logRetainBytes: 67_108_864,
  logSegmentBytes: 16_777_216,
  snapshotBytesPerSecond: 41_943_040,
  secret: undefined,
  tls: undefined,
  insecure: false,
  extensions: undefined,
  logger: undefined,
  signal: undefined,
})
