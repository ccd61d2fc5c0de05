import type { Logger } from '../index.ts'
import { type EncryptionOptions, Keys } from './keys.ts'
import { checkKeys, checkWhole, invalidOption, show } from './option-checks.ts'
import type { Failing } from './reports.ts'
import { BackupTarget } from './target.ts'

export interface BackupOptions {
  /** Where the backup is kept: one, or several that each have all of it. */
  readonly targets: BackupTarget | readonly BackupTarget[]
  /** How often what was written is put there, in milliseconds. @defaultValue 1,000 */
  readonly syncIntervalMs?: number | undefined
  /** How often all databases are put there, in milliseconds. @defaultValue 3,600,000 */
  readonly snapshotIntervalMs?: number | undefined
  readonly retention?: RetentionOptions | undefined
  /**
   * Of snapshots: `'zstd'` makes them smaller, and `zstd -d` makes SQLite files of them again. The
   * log is always compressed.
   *
   * @defaultValue 'none'
   */
  readonly compression?: 'none' | 'zstd' | undefined
  /** Seals all that is put. @defaultValue none */
  readonly encryption?: EncryptionOptions | undefined
  /**
   * How much log each node keeps at most while a target can't be reached. Beyond that a new
   * generation begins there, and what was in between can't be restored to. @defaultValue 1 GiB
   */
  readonly logBytesMax?: number | undefined
  readonly drills?: DrillOptions | undefined
  /** So many failures of a target in a row, or of drills, make an alert. @defaultValue 5 */
  readonly alertAfter?: number | undefined
  /** Called once for each such row; what it throws is logged. */
  readonly onAlert?: ((failing: Failing) => unknown) | undefined
  /**
   * The id of the cluster whose backup this one takes over, as the error that refuses to do so
   * names it: for a cluster that came of a restore or of `recover`, once the old one is no more.
   */
  readonly takeOver?: string | undefined
  /** @defaultValue none */
  readonly logger?: Logger | undefined
}

/** Which moments can still be restored to. */
export interface RetentionOptions {
  /** Those of the last so many milliseconds; negative: all. @defaultValue 604,800,000: a week */
  readonly keepMs?: number | undefined
  /** At most so many snapshots, and what is behind the oldest. @defaultValue 168 */
  readonly keepCount?: number | undefined
}

/** Restoring for a try, into a folder that is deleted again. */
export interface DrillOptions {
  /** In milliseconds; 0: never by itself. @defaultValue 86,400,000: a day */
  readonly everyMs?: number | undefined
  /** Where: it takes the room of all databases. @defaultValue a folder for temporary files */
  readonly directory?: string | undefined
}

/** {@link BackupOptions} after checking, complete. */
export interface BackupConfig {
  readonly targets: readonly BackupTarget[]
  readonly syncIntervalMs: number
  readonly snapshotIntervalMs: number
  readonly keepMs: number
  readonly keepCount: number
  readonly isCompressed: boolean
  readonly keys: Keys
  readonly logBytesMax: number
  readonly drillEveryMs: number
  readonly drillDirectory: string | undefined
  readonly alertAfter: number
  readonly onAlert: ((failing: Failing) => unknown) | undefined
  readonly takeOver: string | undefined
  readonly logger: Logger | undefined
}

const DAY_MS = 86_400_000
const GIB = 1024 ** 3
const TARGETS_MAX = 8
const KEYS = [
  'targets',
  'syncIntervalMs',
  'snapshotIntervalMs',
  'retention',
  'compression',
  'encryption',
  'logBytesMax',
  'drills',
  'alertAfter',
  'onAlert',
  'takeOver',
  'logger',
]

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkBackupOptions(options: BackupOptions): BackupConfig {
  checkKeys(options, KEYS, 'startBackup')
  const { retention = {}, drills = {}, compression = 'none', takeOver, onAlert } = options
  checkKeys(retention, ['keepMs', 'keepCount'], 'retention')
  checkKeys(drills, ['everyMs', 'directory'], 'drills')
  if (compression !== 'none' && compression !== 'zstd') {
    throw invalidOption(`compression is 'none' or 'zstd', not ${show(compression)}`)
  }
  if (takeOver !== undefined && !/^[0-9a-f]{32}$/.test(String(takeOver))) {
    throw invalidOption(
      `takeOver is the id of a cluster, 32 hexadecimal digits, not ${show(takeOver)}`,
    )
  }
  const { directory } = drills
  if (directory !== undefined && (typeof directory !== 'string' || directory === '')) {
    throw invalidOption(`drills.directory is the path of a folder, not ${show(directory)}`)
  }
  if (onAlert !== undefined && typeof onAlert !== 'function') {
    throw invalidOption(`onAlert is a function, not ${show(onAlert)}`)
  }
  return {
    targets: checkTargets(options.targets),
    syncIntervalMs: checkWhole('syncIntervalMs', options.syncIntervalMs ?? 1_000, 10, DAY_MS),
    snapshotIntervalMs: checkWhole(
      'snapshotIntervalMs',
      options.snapshotIntervalMs ?? 3_600_000,
      100,
      30 * DAY_MS,
    ),
    keepMs: checkWhole('keepMs', retention.keepMs ?? 7 * DAY_MS, -1, 36_600 * DAY_MS),
    keepCount: checkWhole('keepCount', retention.keepCount ?? 168, 1, 100_000),
    isCompressed: compression === 'zstd',
    keys: new Keys(options.encryption),
    logBytesMax: checkWhole('logBytesMax', options.logBytesMax ?? GIB, 1_048_576, 1024 * GIB),
    drillEveryMs: checkWhole('everyMs', drills.everyMs ?? DAY_MS, 0, 366 * DAY_MS),
    drillDirectory: drills.directory,
    alertAfter: checkWhole('alertAfter', options.alertAfter ?? 5, 1, 1_000_000),
    onAlert,
    takeOver,
    logger: options.logger,
  }
}

function checkTargets(targets: unknown): readonly BackupTarget[] {
  const list: readonly unknown[] = Array.isArray(targets) ? targets : [targets]
  if (list.length === 0 || list.length > TARGETS_MAX) {
    throw invalidOption(`targets are 1 to ${TARGETS_MAX}, not ${list.length}`)
  }
  const own = list.filter((target) => target instanceof BackupTarget)
  if (own.length < list.length) {
    throw invalidOption(
      'targets are what directoryTarget, s3Target or a BackupTarget of yours made',
    )
  }
  const labels = own.map(({ label }) => label)
  const twice = labels.find((label, at) => labels.indexOf(label) < at)
  if (twice !== undefined) throw invalidOption(`the target ${twice} is there twice`)
  return own
}
