/**
 * The replicated files: SQLite databases that follow the log. Promises that equal logs give equal
 * content, whatever the grouping, restarts or crashes; that an applied index never parts from the
 * work it counts; and that no command applies twice. The same machine runs on the storage thread
 * (`storage-thread.ts`) and in the simulator. Reads have connections of their own (`readers.ts`).
 * Leaves to others: what is committed and when (`engine/`), the log, the network, and what SQL may
 * say (`sqlite/`).
 */
export { type ApplyMetrics, emptyApplyMetrics } from './apply-metrics.ts'
export { ContentHashes } from './content-hashes.ts'
export { applyToCopies, closeCopies, openCopies, voidEntries } from './copies.ts'
export type { EntryChanges } from './feed-reader.ts'
export type { DatabaseStatus } from './file-status.ts'
export type { CopiedFile, Hold } from './generation.ts'
export { isDatabaseName, SYSTEM } from './generation.ts'
export type { ExpectedSnapshot } from './generation-files.ts'
export type { AppliedWrite, AskedHooks, HookNews, TouchedDatabase } from './hooks.ts'
export { leaseName } from './leases.ts'
export { migrationConflict, type RunMigration } from './migrations.ts'
export type {
  DropAnswer,
  GroupOutcome,
  Halted,
  OwnOriginState,
  OwnResult,
  OwnSequence,
} from './outcome.ts'
export {
  type CopiedDatabase,
  fromReaderFailure,
  type ReaderAnswer,
  type ReaderRequest,
  type ReaderSource,
  type ReaderWork,
  type TimedRows,
} from './reader-protocol.ts'
export {
  createReaders,
  type DatabaseReader,
  type Readers,
  type ReadersOptions,
  type ReadSnapshot,
  type ReadStatement,
} from './readers.ts'
export { Replica, type ReplicaOptions } from './replica.ts'
export type { AskedDatabase } from './settings.ts'
export {
  damaged,
  describeLog,
  findMoment,
  type LogSpan,
  type Moment,
  readEntries,
  timeOf,
  voidedBy,
} from './shipped-log.ts'
export type { PinnedSnapshot } from './snapshot.ts'
export { readStanding, rehomeDatabases, type Standing } from './standing.ts'
export { Storage } from './storage.ts'
export { StorageClient, type StorageHandlers, type StoragePort } from './storage-client.ts'
export type { ContentHasher, SnapshotMaker, StoragePorts } from './storage-ports.ts'
export {
  type AppliedReport,
  decodeResults,
  encodeEntries,
  type HashedContent,
  type ReplicaState,
  type SnapshotCopy,
  type StorageStatus,
  type StorageToUser,
  type StorageWorkerData,
  type TimedResult,
  type UserToStorage,
} from './storage-protocol.ts'
export type { Genesis, OriginRecord } from './system-file.ts'
export type { TrialRequest } from './trials.ts'
export type { Quarantine } from './trouble.ts'
