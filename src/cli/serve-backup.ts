import type { BackupOptions } from '../backup/backup.ts'
import type { RestorePoint } from '../index.ts'
import { usageError } from './failure.ts'
import { toInteger } from './numbers.ts'
import { toIndex, toTime } from './restore-point.ts'

type Kind = 'text' | 'number' | 'port' | 'switch' | 'list'

/** One thing that `serve` can be told: by a flag, by the environment, or in the file. */
export interface Setting {
  /** Its key in the file; the flag and the variable are made from it. */
  readonly key: string
  readonly kind: Kind
  readonly help: string
}

export type Value = string | number | boolean | readonly string[]
export type Values = Readonly<Record<string, Value | undefined>>

/** Those of the backup, in the order in which help lists them. */
export const BACKUP_SETTINGS: readonly Setting[] = [
  { key: 'backup', kind: 'list', help: 'a folder or s3://bucket/prefix; each of several has all' },
  { key: 'backupSyncIntervalMs', kind: 'number', help: 'how often writes go there (1000)' },
  { key: 'backupSnapshotIntervalMs', kind: 'number', help: 'and all databases (3600000)' },
  { key: 'backupKeepDays', kind: 'number', help: 'for how long moments can be restored (7)' },
  { key: 'backupCompression', kind: 'text', help: 'of snapshots: none (the default) or zstd' },
  { key: 'backupKeyFile', kind: 'text', help: 'seals all of it: a line with an id and the key' },
  { key: 'backupTakeOver', kind: 'text', help: 'the id of the cluster whose backup goes on here' },
  { key: 'restore', kind: 'text', help: 'with --bootstrap: the backup that a first start brings' },
  { key: 'restoreTo', kind: 'text', help: 'the last moment of it that counts, or the last entry' },
]

/** What `serve` does about backups, checked as far as that needs no target. */
export interface BackupPlan {
  readonly targets: readonly string[]
  /** For `startBackup`, beside the targets. */
  readonly options: Omit<BackupOptions, 'targets'>
  readonly keyFile: string | undefined
  readonly restore: { readonly target: string; readonly to: RestorePoint | undefined } | null
}

const DAY_MS = 86_400_000

/** @throws CliError */
export function toBackupPlan(values: Values): BackupPlan {
  const targets = (values['backup'] ?? []) as readonly string[]
  const restore = values['restore'] as string | undefined
  const to = values['restoreTo'] as string | undefined
  requireFor(targets.length > 0, values, '--backup', [
    'backupSyncIntervalMs',
    'backupSnapshotIntervalMs',
    'backupKeepDays',
    'backupCompression',
    'backupTakeOver',
  ])
  requireFor(restore !== undefined, values, '--restore', ['restoreTo'])
  requireFor(targets.length > 0 || restore !== undefined, values, '--backup', ['backupKeyFile'])
  // Days are all that counts then: as many snapshots as come in them.
  const keepDays = within(values, 'backupKeepDays', 1, 36_600)
  return {
    targets,
    keyFile: values['backupKeyFile'] as string | undefined,
    restore:
      restore === undefined
        ? null
        : { target: restore, to: to === undefined ? undefined : toPoint(to) },
    options: {
      syncIntervalMs: within(values, 'backupSyncIntervalMs', 10, DAY_MS),
      snapshotIntervalMs: within(values, 'backupSnapshotIntervalMs', 100, 30 * DAY_MS),
      retention: keepDays === undefined ? {} : { keepMs: keepDays * DAY_MS, keepCount: 100_000 },
      compression: toCompression(values['backupCompression']),
      takeOver: toTakeOver(values['backupTakeOver']),
    },
  }
}

function requireFor(
  isThere: boolean,
  values: Values,
  needed: string,
  keys: readonly string[],
): void {
  const lonely = isThere ? undefined : keys.find((key) => values[key] !== undefined)
  if (lonely !== undefined) throw usageError(`${flagName(lonely)} needs ${needed}`)
}

/** Before a node is opened: what `startBackup` refuses it refuses after that. */
function within(values: Values, key: string, min: number, max: number): number | undefined {
  const value = values[key]
  return value === undefined ? undefined : toInteger(flagName(key), String(value), min, max)
}

function toCompression(value: Value | undefined): 'none' | 'zstd' | undefined {
  if (value === undefined || value === 'none' || value === 'zstd') return value
  throw usageError(`--backup-compression is '${String(value)}'; it must be none or zstd`)
}

function toTakeOver(value: Value | undefined): string | undefined {
  if (value === undefined || /^[0-9a-f]{32}$/.test(String(value))) return value as string
  throw usageError(
    `--backup-take-over is '${String(value)}'; it must be the id of a cluster, 32 hexadecimal ` +
      'digits, as colmena backup list shows it',
  )
}

function toPoint(text: string): RestorePoint {
  return /^\d+$/.test(text) ? toIndex('--restore-to', text) : toTime('--restore-to', text)
}

/** The flag of a setting. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
