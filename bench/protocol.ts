/** What the bench and the processes it starts say to each other. */
import type { CallOptions, Consistency, NodeStatus, OpenOptions } from '../src/index.ts'

export interface MemberCalls {
  /** Answers with the milliseconds until a local read was answered. */
  open(options: OpenOptions, isProfiled?: boolean): number
  execute(sql: string, args?: readonly unknown[], options?: CallOptions): void
  /** Rows of `bodyBytes` each, through the log. */
  fill(sql: string, rows: number, bodyBytes: number): void
  /** 10,000 rows by key, and beside them a plain SQLite file with the same. */
  prepareReads(folder: string): void
  read(plan: ReadPlan): ReadResult
  status(): NodeStatus
  isLeader(): boolean
  knowsLeader(): boolean
  startWrites(writers: number, what?: Written): void
  stopWrites(): Recording
  /** Writes once, again after retryable errors; answers when it was answered, monotonic. */
  writeUntilDone(): number
  /** Plain writes, transactions, and raw ones in `folder`, in turn; each one's milliseconds. */
  transact(folder: string | null, rounds: number): TransactionTimes
  openQueue(place: QueuePlace): void
  /** Before any job of the type is made, on one member. */
  prepareType(type: string): void
  enqueueMany(type: string, count: number): void
  /** One job after the other, each on an idle queue. */
  enqueueApart(type: string, count: number): void
  startWork(type: string): void
  stopWork(): void
  startedCount(): number
  /** When jobs were started, and how long after they were made, since this was asked last. */
  takeStarts(): Recording
  startBackup(folder: string, syncIntervalMs: number): void
  /** How old each write of {@link writeApart} was when it was in the target, in milliseconds. */
  stopBackup(): Float64Array
  /** One write after the other, for so long. */
  writeApart(durationMs: number): void
  /** Milliseconds until a data directory was restored from the backup in a folder. */
  restoreBackup(folder: string, dataDir: string): number
  countRows(): number
  copyTo(path: string): void
  /** Inserts a second by SQLite alone, a thousand in a transaction. */
  rawBatches(folder: string, rows: number): number
  /** Megabytes a second of a file that is copied and synced. */
  rawCopy(path: string, folder: string): number
  rawInserts(folder: string, durationMs: number): RawResult
  rawSyncs(folder: string, durationMs: number): RawResult
  startProfile(thread: ProfiledThread): void
  /** A `.cpuprofile`. */
  stopProfile(thread: ProfiledThread): string
  rssBytes(): number
  /** The most that was seen since the last `startWrites`. */
  peakRssBytes(): number
}

/** A row of our own, the row of a job as a plain insert, a job, or a hundred at once. */
export type Written = 'item' | 'job row' | 'job' | 'jobs'

/** A queue of jobs: of the node that is open, or of a peer's server on this port of loopback. */
export type QueuePlace =
  | { readonly kind: 'colmena' }
  | { readonly kind: 'bullmq' | 'pgboss'; readonly port: number }

export type ProfiledThread = 'engine' | 'storage' | 'user'

/** Writes that were answered: when, on the clock that all processes share, and after how long. */
export interface Recording {
  readonly endsMs: Float64Array
  readonly latenciesMs: Float64Array
}

export interface ReadPlan {
  /** `raw` is node:sqlite itself, `reader` is `db.reader`, else `execute` at a level. */
  readonly how: 'raw' | 'reader' | Consistency
  readonly durationMs: number
}

export interface ReadResult {
  readonly perSecond: number
  readonly p50Ms: number
}

export interface TransactionTimes {
  readonly rawMs: readonly number[]
  readonly plainMs: readonly number[]
  readonly transactionMs: readonly number[]
}

export interface RawResult {
  readonly perSecond: number
  readonly p50Ms: number
}

export interface ToMember {
  readonly id: number
  readonly method: keyof MemberCalls
  readonly args: readonly unknown[]
}

export interface FromMember {
  readonly id: number
  readonly value?: unknown
  /** What went wrong, as text. */
  readonly failure?: string
}
