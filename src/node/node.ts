/**
 * What a user holds: a node, its databases, and `open` to get them. Promises that options are
 * checked before anything is touched, that every call ends (with an answer, or with an error that
 * says what became of a write), and that a failure or `close` leaves nothing open. Runs on the
 * user's thread; consensus and SQLite's writers have threads of their own (`engine/`, `database/`).
 */
export type { HistogramValue } from '../base/histogram.ts'
export type { InputValue } from '../command/command.ts'
export { describeLog, findMoment, type LogSpan, type Moment } from '../database/database.ts'
export type {
  ClockStatus,
  Divergence,
  DivergenceStatus,
  FormatStatus,
  MemberStatus,
  SlowApply,
  SlowTransaction,
  TermStatus,
} from '../engine/engine.ts'
export type { StatementDescription } from '../sqlite/sqlite.ts'
export type { AppliedEvent, AppliedStatement } from './applied-events.ts'
export type { SignalOptions } from './arguments.ts'
export type { BatchMode, BatchOptions } from './batch-options.ts'
export type { ErrorCounts, ReadMetrics, WriteMetrics } from './call-counts.ts'
export type { CallOptions } from './call-options.ts'
export type {
  Change,
  Changes,
  ChangesOptions,
  RowChangeEvent,
  SchemaChangeEvent,
} from './changes.ts'
export type { ColmenaNode } from './colmena-node.ts'
export type { Compacted, CompactOptions } from './compaction.ts'
export { type Consistency, withConsistency } from './consistency.ts'
export type { DatabaseCopy } from './copying.ts'
export type { Database, TransactionCallOptions } from './database-client.ts'
export type { DatabaseOptions } from './database-options.ts'
export type {
  DatabaseReader,
  PrepareOptions,
  ReaderRow,
  ReaderStatement,
  ReaderValue,
} from './database-reader.ts'
export type { NodeEvents, SlowStatement } from './events.ts'
export type { ExtensionOptions } from './extension-options.ts'
export type { ForwardOptions } from './forwarding.ts'
export {
  type Handler,
  type HandlerContext,
  type HandlerName,
  type HandlerOptions,
  type HandlerWork,
  handler,
  type Travelling,
} from './handler.ts'
export type { Leader, WaitOptions } from './leader-watch.ts'
export type { Fence, Lease, LockOptions, OnceOptions } from './lease-options.ts'
export type { Lock } from './lock.ts'
export { rollLog } from './log-digest.ts'
export type { NodeMetrics } from './metrics.ts'
export type { MigrateOptions } from './migration.ts'
export type { Migration, MigrationDone, MigrationsOptions } from './numbered-migrations.ts'
export { open, openNode } from './open.ts'
export {
  type JoinSource,
  type Logger,
  OPTION_DEFAULTS,
  type OpenOptions,
  type TlsOptions,
} from './options.ts'
export {
  type PlanRecoveryOptions,
  planRecovery,
  type RecoverOptions,
  type RecoveryDone,
  type RecoveryMember,
  type RecoveryPlan,
  recover,
} from './recovery.ts'
export {
  openReplay,
  type Replay,
  type ReplayBounds,
  type ReplayedDatabase,
  type ReplayOptions,
  type ReplayProgress,
} from './replay.ts'
export { type Restored, type RestoreNodeOptions, restoreNode } from './restore-node.ts'
export type {
  RestoreOptions,
  RestorePoint,
  RestoreRequest,
  RestoreSource,
} from './restore-source.ts'
export type { IntMode, Replicated, ResultSet, Row, Value } from './result-set.ts'
export type { Rotation } from './rotation.ts'
export type {
  CopiedDatabases,
  HoldLogOptions,
  LogChunk,
  LogHold,
  ReadLogOptions,
  Shipping,
} from './shipping.ts'
export type { SkipOptions } from './skipping.ts'
export type { BatchStatement, InputArgs, InputStatement } from './statement.ts'
export type { NodeStatus } from './status.ts'
export {
  type StartThread,
  startWorker,
  type Thread,
  type ThreadHandlers,
  type ThreadName,
} from './threads.ts'
export type { Transaction } from './transaction.ts'
export type { TransactionMode } from './transaction-reads.ts'
export type { VerifyAnswer, VerifyOptions } from './verification.ts'
export type { Watch } from './watch.ts'
export { type WipeOptions, wipe } from './wiping.ts'
export type { WriteTiming } from './write-call.ts'
