/**
 * `colmena/backup`: where backups are kept, and what tells whether a target of your own will do.
 */
export { type DirectoryTargetOptions, directoryTarget } from './directory-target.ts'
export { type BackupObject, BackupTarget, type PutCall, type TargetCall } from './target.ts'
export { type TargetCase, testTarget } from './test-target.ts'
