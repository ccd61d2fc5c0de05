/**
 * `colmena/backup/s3`: backups in a bucket of S3, or of what speaks as it does. Promises what
 * `BackupTarget` does, over connections that fail; loads nothing of S3 before it is imported.
 */
export type { S3Credentials, S3TargetOptions } from './s3-options.ts'
export { s3Target } from './s3-target.ts'
