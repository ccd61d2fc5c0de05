import {
  type BackupTarget,
  type EncryptionOptions,
  listBackup,
  type RestoreProgress,
  restoreFile,
} from '../backup/backup.ts'
import { type ExtensionOptions, type Restored, type RestorePoint, restoreNode } from '../index.ts'
import { asTyped, showTime } from './backup.ts'
import { readKeys, toTarget } from './backup-target.ts'
import { usageError } from './failure.ts'
import { toIndex, toTime } from './restore-point.ts'
import { RestoreWatch, showBytes } from './restore-watch.ts'
import { toExtension } from './serve-settings.ts'
import { endSignal } from './signals.ts'
import { escapeControls } from './table.ts'

export interface RestoreFlags {
  readonly dataDir?: string
  readonly nodeId?: string
  readonly toFile?: string
  readonly database?: string
  readonly to?: string
  readonly toIndex?: string
  readonly keyFile?: string
  readonly extensions?: readonly string[]
}

/** Brings back what a target has: a data directory of a node, or a file of one database. */
export async function runRestore(text: string, flags: RestoreFlags): Promise<void> {
  const { dataDir, toFile, nodeId, database } = flags
  if ((dataDir === undefined) === (toFile === undefined)) {
    throw usageError('give --data-dir for a node, or --to-file for a plain SQLite file')
  }
  if (dataDir === undefined && nodeId !== undefined) {
    throw usageError('--node-id goes with --data-dir: a file is no node')
  }
  if (toFile === undefined && database !== undefined) {
    throw usageError('--database goes with --to-file: a node gets all databases')
  }
  const to = toPoint(flags)
  const encryption = readKeys('--key-file', flags.keyFile)
  const extensions = flags.extensions?.map(toExtension)
  await using target = await toTarget(text, { isRead: true })
  const common: Common = { to, encryption, extensions, signal: endSignal() }
  try {
    if (dataDir !== undefined) await toDirectory(target, { ...common, dataDir, nodeId })
    else await toDatabaseFile(target, { ...common, path: toFile as string, database })
  } catch (error) {
    throw asTyped(error)
  }
}

interface Common {
  readonly to: RestorePoint | undefined
  readonly encryption: EncryptionOptions | undefined
  readonly extensions: readonly ExtensionOptions[] | undefined
  readonly signal: AbortSignal
}

function toPoint({ to, toIndex: index }: RestoreFlags): RestorePoint | undefined {
  if (to !== undefined && index !== undefined) {
    throw usageError('--to and --to-index both say where it ends: give one')
  }
  if (index !== undefined) return toIndex('--to-index', index)
  return to === undefined ? undefined : toTime('--to', to)
}

async function toDirectory(
  target: BackupTarget,
  options: Common & { readonly dataDir: string; readonly nodeId: string | undefined },
): Promise<void> {
  const { to, encryption, extensions, signal, dataDir, nodeId } = options
  // Also so that what is no backup is said before anything is done.
  const { clusterId } = await listBackup(target, { encryption, signal })
  const watch = new RestoreWatch()
  const restored = await restoreNode({
    dataDir,
    nodeId,
    extensions,
    signal,
    logger: watch,
    restore: { from: target, to: to && 'timeMs' in to ? to.timeMs : to, encryption },
  })
  process.stdout.write(`${describeNode(restored, clusterId)}\n${watch.end()}\n`)
}

function describeNode(restored: Restored, oldClusterId: string): string {
  const { dataDir, nodeId, clusterId, index, timeMs, databases } = restored
  const each = databases.map(({ name, sizeBytes }) => `${name} ${showBytes(sizeBytes)}`)
  return [
    `RESTORED: ${dataDir} holds node '${nodeId}' of a new cluster, ${clusterId},`,
    `with cluster ${oldClusterId} up to entry ${index} (${showTime(timeMs)}): ` +
      `${each.join(', ') || 'no database yet'}.`,
    `Start it:  colmena serve --data-dir ${dataDir}`,
    'Other nodes join it with empty data directories, never with those of the old cluster.',
    'To go on with the backup in the same place, once the old cluster is no more, start it with',
    `  --backup-take-over ${oldClusterId}`,
  ].join('\n')
}

async function toDatabaseFile(
  target: BackupTarget,
  options: Common & { readonly path: string; readonly database: string | undefined },
): Promise<void> {
  const watch = new RestoreWatch()
  const onProgress = (progress: RestoreProgress): void => watch.update(progress)
  const { path, sizeBytes, index, timeMs, damages } = await restoreFile(target, {
    ...options,
    onProgress,
  })
  for (const { message } of damages) process.stderr.write(`done without: ${message}\n`)
  const what = `${path} has ${options.database ?? 'main'} up to entry ${index}`
  const lines = [`${what} (${showTime(timeMs)}), ${showBytes(sizeBytes)}`, watch.end()]
  process.stdout.write(`${escapeControls(lines.join('; '))}\n`)
}
