/**
 * `colmena/backup`: the committed log, shipped to targets outside the cluster, and snapshots to
 * begin with. Promises that what a target holds leads to the very content that the cluster had at
 * an entry, that damage is named and never restored in silence, that one cluster writes to a
 * target, and that a target which is down delays no write. Sees the core as users do.
 */
export { type DirectoryTargetOptions, directoryTarget } from './directory-target.ts'
export { type RestoredFile, type RestoreFileOptions, restoreFile } from './file-restoring.ts'
export type { EncryptionOptions } from './keys.ts'
export {
  type BackupList,
  type ListBackupOptions,
  type ListedGeneration,
  type ListedSnapshot,
  listBackup,
} from './listing.ts'
export type { BackupOptions, DrillOptions, RetentionOptions } from './options.ts'
export type { Damage } from './points.ts'
export type {
  BackupEvents,
  BackupStatus,
  DrillStatus,
  Failing,
  FailureReport,
  TargetStatus,
} from './reports.ts'
export type { RestoreFromOptions } from './restore-request.ts'
export type { RestoreProgress } from './restoring.ts'
export { Backup, startBackup } from './running.ts'
export { type BackupObject, BackupTarget, type PutCall, type TargetCall } from './target.ts'
export { type TargetCase, testTarget } from './test-target.ts'
export type { Verified, VerifyBackupOptions } from './verifying.ts'
export { type VerifiedTarget, type VerifyTargetOptions, verifyBackup } from './whole.ts'
