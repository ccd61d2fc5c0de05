/**
 * SQLite connections, and the only importer of node:sqlite. Promises that a user's statement runs
 * the same on every node: an allow-list guards what it may name, clock and randomness come from the
 * command, and nothing of the connection's past shows. Promises to tell an answer (every node gets
 * it) from this machine's trouble. Leaves to `database/`: transactions of groups, bookkeeping
 * tables, applied indexes, retries and halting.
 */
export type { RecordedUnit, RowChange, UnitChange } from './changes.ts'
export type { RowChangeKind } from './changeset.ts'
export { compact } from './compact.ts'
export type { ConnectionSettings, RowBudget } from './connection.ts'
export { checkIntegrity, hashContent } from './content.ts'
export { exportTo } from './export.ts'
export { type Extension, probeExtensions } from './extensions.ts'
export type { StatementFacts } from './facts.ts'
export {
  type ClassifiedFailure,
  classifyFailure,
  type FailureKind,
  isAnswerCode,
  StatementFailure,
} from './failure.ts'
export { foreignKeysSetting } from './foreign-keys.ts'
export { acquireFileLock, type FileLock } from './lock.ts'
export * from './reader.ts'
export {
  DATABASE_LIMITS,
  DATABASE_OPTIONS,
  type DatabaseLimits,
  engineFingerprint,
  requireSqlite,
} from './runtime.ts'
export { parseSavepoint, type SavepointStatement } from './savepoint.ts'
export { splitStatements } from './script.ts'
export { type CheckpointResult, Writer } from './writer.ts'
