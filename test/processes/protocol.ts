/** What a test and the processes it starts say to each other. */
import type { BackupOptions, BackupStatus } from '../../src/backup/backup.ts'
import type {
  CallOptions,
  Change,
  Compacted,
  Consistency,
  Leader,
  LockOptions,
  MemberStatus,
  Migration,
  MigrationDone,
  NodeEvents,
  NodeStatus,
  OnceOptions,
  OpenOptions,
  VerifyAnswer,
} from '../../src/index.ts'
import type { Enqueued, EnqueueOptions, Jobs, JobsOptions } from '../../src/jobs/jobs.ts'
import type { ServerOptions } from '../../src/server/server.ts'
import type { Formation } from '../hosts/formation.ts'

/** `place` answers where it runs, with its request; `hang` writes a row and never returns. */
export type HandlerKey = 'place' | 'hang'

/** What a process can be asked for: each answers once, or with the error of what it did. */
export interface NodeCalls {
  open(options: OpenOptions, threads?: Threads): Opened
  /** Starts a node that finds its cluster, or begins it with those that it finds. */
  form(formation: Formation): Opened
  /** Of a node that was so started. */
  healthy(): boolean
  execute(sql: string, args?: readonly unknown[], options?: CallOptions): Executed
  /** Its token; it is held until it is released, or this process ends. */
  lock(key: string, options: LockOptions): number
  /** Whether the lock of this token was held up to now. */
  release(token: number): boolean
  /** Begins a transaction that lasts over several calls: its number. */
  begin(mode: 'write' | 'read' | 'deferred'): number
  executeIn(transaction: number, sql: string, args?: readonly unknown[]): Executed
  /** The log index of its commit; 0 where there was none. */
  end(transaction: number, how: 'commit' | 'rollback'): number
  /** Each caller's result; the work notes its run in the table `runs`. */
  once(options: OnceCallers): readonly unknown[]
  copyTo(path: string): void
  /** Statements of one transaction, in turn; it commits after the last. */
  transaction(statements: readonly string[]): void
  batch(statements: readonly (readonly [sql: string, args: readonly unknown[]])[]): number
  /** In one of several ways. */
  write(way: WriteWay, statements: readonly (readonly [string, readonly unknown[]])[]): Written
  status(): NodeStatus
  leader(): { readonly isLeader: boolean; readonly leader: Leader | null }
  transferLeadership(nodeId: string): void
  dropDatabase(name: string): boolean
  /** To its log, since it was opened. */
  appendedBytes(): number
  members(): readonly MemberStatus[]
  changeMember(change: 'promote' | 'demote' | 'remove', nodeId: string): void
  /** Runs a statement on a database that is made to keep its changes. */
  makeKept(sql: string): void
  /** Tells the changes of a table after an index, until the process ends. */
  startChanges(table: string, from: number): void
  /**
   * Listens to writes, and stands still at the first one until so many rows are in this node's
   * file, or for too long: how many there were then.
   */
  standStill(table: string, count: number): number
  startWriters(options: WritersOptions): void
  /** Answers when no write is under way any more. */
  stopWriters(): void
  startFlood(options: FloodOptions): void
  stopFlood(): FloodReport
  /** Keeps the user thread busy: nothing else of it runs meanwhile. */
  block(durationMs: number): void
  /** Serves the node over HTTP, on a free port. */
  serve(options: ServerOptions): number
  /** The memory of this process without garbage; its threads must have `garbage.ts` preloaded. */
  heldBytes(): number
  /** The most memory that this process ever had. */
  peakMemoryBytes(): number
  migrate(migrations: readonly Migration[]): readonly MigrationDone[]
  /** Handles a key of `handlers.ts`. */
  handle(key: HandlerKey): void
  forward(key: HandlerKey, request: unknown, options?: { readonly timeoutMs?: number }): unknown
  breakThread(name: 'engine' | 'storage', how: 'throw' | 'exhaust' | 'misapply'): void
  /** Makes the jobs of this node; its handlers are those of `job-handlers.ts`. */
  startJobs(options: JobsOptions): void
  /** One of the calls that take no key. */
  jobs<Name extends JobsCall>(name: Name, ...args: Parameters<Jobs[Name]>): unknown
  enqueue(type: JobType, args: JobArgs, options?: EnqueueOptions): Enqueued
  /** Again and again if need be: its jobs are made once. */
  enqueueChunk(chunk: JobChunk): void
  /** Into a transaction that was begun: the id of the job. */
  enqueueIn(transaction: number, type: JobType, tag: string): string
  /** A row of the table `own`, and a job with its id as a tag. */
  enqueueBeside(id: string, type: JobType): void
  enqueueUnique(options: UniqueEnqueues): readonly Asked[]
  /** Into a folder. */
  startBackup(directory: string, options: Omit<BackupOptions, 'targets'>): void
  syncBackup(): void
  backupStatus(): BackupStatus
  verify(): VerifyAnswer
  compact(): Compacted
  reinstall(): void
  skip(index: number, without?: readonly string[]): void
  close(): void
  /** Ends the process without closing anything. */
  exit(): void
}

/** `faulty` ones can be broken by {@link NodeCalls.breakThread}; `newer` ones read format 2. */
export type Threads = 'faulty' | 'newer'

export interface Opened {
  readonly address: string
  readonly nodeId: string
}

export interface Executed {
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  readonly rowsAffected: number
  readonly index: number
  readonly consistency: Consistency | undefined
}

/** The last two leave nothing. */
export type WriteWay = 'execute' | 'batch' | 'commit' | 'rollback' | 'fencedOff'

export interface Written {
  readonly rowsAffected: number
  readonly index: number
}

export interface OnceCallers extends OnceOptions {
  readonly key: string
  readonly callers: number
  /** Whether the work never ends once it has noted its run. */
  readonly isEndless?: boolean | undefined
}

export interface WritersOptions {
  /** What the ids of these writes begin with; never used twice in one test. */
  readonly prefix: string
  readonly count: number
  /** As one batch, or as a transaction that reads the total before it writes it. */
  readonly way?: 'batch' | 'transaction' | undefined
  /**
   * How long each rests after a write. Where writes only show that a cluster goes on, a few are
   * enough, and the processors are there for what is tested. Without it they never rest.
   */
  readonly restMs?: number | undefined
}

export interface FloodOptions {
  readonly count: number
  readonly bodyBytes: number
}

/** Writes of a flood; each writer has a row of its own in which it counts. */
export interface FloodReport {
  readonly acknowledged: readonly number[]
  readonly refused: readonly number[]
  /** Of writes that failed with an outcome other than `not-applied`. */
  readonly unknown: readonly number[]
  /** What the failures were, by code and whether they may be tried again. */
  readonly failures: Readonly<Record<string, number>>
}

/** `job-handlers.ts` says what each does. */
export type JobType =
  | 'free'
  | 'capped'
  | 'keyed'
  | 'rated'
  | 'unique'
  | 'tick'
  | 'stubborn'
  | 'flow'
  | 'link'
  | 'short'

export type JobsCall =
  | 'ready'
  | 'limit'
  | 'schedule'
  | 'unschedule'
  | 'schedules'
  | 'metrics'
  | 'close'

export interface JobArgs {
  readonly n?: number
}

/** Jobs that are made by one transaction. */
export interface JobChunk extends EnqueueOptions {
  readonly id: string
  readonly type: JobType
  readonly ns: readonly number[]
}

export interface UniqueEnqueues {
  readonly count: number
  readonly keys: number
  /** How many ask at a time. */
  readonly callers: number
}

/** An enqueue with a unique key: what came of it, and how far the history was before and after. */
export interface Asked {
  readonly key: string
  readonly id: string
  readonly created: boolean
  readonly from: number
  readonly to: number
}

/** An error as it crosses processes. */
export interface ProcessError {
  readonly name: string
  readonly message: string
  readonly code: string
  readonly retryable: boolean | undefined
  readonly outcome: string | undefined
  readonly sqliteCode: number | undefined
}

export type Fate = 'acknowledged' | 'not-applied' | 'committed' | 'unknown'

/** What became of one write, as its caller was told. */
export interface WriteFate {
  readonly id: string
  readonly fate: Fate
  /** Of the error, '' without one. */
  readonly code: string
}

export type EventName = 'leader' | 'warning' | 'closed' | 'divergence'

export interface ProcessEvent<Name extends EventName = EventName> {
  readonly name: Name
  readonly event: NodeEvents[Name][0]
}

export type ToProcess = {
  readonly id: number
  readonly method: keyof NodeCalls
  readonly args: readonly unknown[]
}

/** A change as it crosses processes, or the error that ended them. */
export interface ReadChange {
  readonly index: number
  readonly isLast: boolean
  readonly kind: Change['kind']
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
  readonly error: ProcessError | undefined
}

export type FromProcess =
  | { readonly kind: 'change'; readonly change: ReadChange }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: ProcessError }
  | { readonly kind: 'fates'; readonly fates: readonly WriteFate[] }
  | { readonly kind: 'event'; readonly event: ProcessEvent }

export function toProcessError(error: unknown): ProcessError {
  const { name, message, code, retryable, outcome, sqliteCode } = error as Partial<ProcessError>
  return {
    name: name ?? 'Error',
    message: message ?? String(error),
    code: code ?? '',
    retryable,
    outcome,
    sqliteCode,
  }
}
