import { lstat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ColmenaError, type ExtensionOptions, openReplay, type RestorePoint } from '../index.ts'
import { asColmenaError } from './failures.ts'
import { makeFolder } from './folders.ts'
import { Keys } from './keys.ts'
import type { ListBackupOptions } from './listing.ts'
import { checkKeys, invalidOption, show } from './option-checks.ts'
import type { Damage } from './points.ts'
import { asWanted } from './restore-request.ts'
import { type RestoreProgress, replayBackup } from './restoring.ts'
import { Store } from './store.ts'
import type { BackupTarget } from './target.ts'

export interface RestoreFileOptions extends ListBackupOptions {
  /** Which one. @defaultValue 'main' */
  readonly database?: string | undefined
  /** Of the file to make, which is not there yet; beside it is room for all databases. */
  readonly path: string
  /** The last entry that counts, or the last moment. @defaultValue the newest that there is */
  readonly to?: RestorePoint | undefined
  /** What the nodes were opened with. @defaultValue none */
  readonly extensions?: readonly ExtensionOptions[] | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
}

/** A file that holds a database of a backup. */
export interface RestoredFile {
  readonly path: string
  readonly sizeBytes: number
  /** The last entry that is in it. */
  readonly index: number
  /** The time of the last entry that has one, in milliseconds since 1970; 0 if none has. */
  readonly timeMs: number
  /** What was found to be damaged, and could be done without. */
  readonly damages: readonly Damage[]
}

const KEYS = ['database', 'path', 'to', 'extensions', 'onProgress', 'encryption', 'signal']

/**
 * Makes a plain SQLite file of one database of a backup, without a node: any SQLite opens it, and
 * nothing of ours is in it.
 *
 * @throws ColmenaError ERR_INVALID_OPTION; ERR_INVALID_ARGUMENT where there is no such database, or
 * a file of that path; ERR_NOT_FOUND, ERR_BACKUP_DAMAGED, ERR_MIXED_ENGINES, ERR_TARGET,
 * ERR_ABORTED
 */
export async function restoreFile(
  target: BackupTarget,
  options: RestoreFileOptions,
): Promise<RestoredFile> {
  checkKeys(options, KEYS, 'restoreFile')
  const { database = 'main', encryption, extensions, signal, onProgress: progress } = options
  if (typeof options.path !== 'string' || options.path === '') {
    throw invalidOption(`path is that of the file to make, not ${show(options.path)}`)
  }
  const wanted = asWanted(checkPoint(options.to))
  const path = resolve(options.path)
  await requireFree(path)
  const store = new Store(target, new Keys(encryption), signal)
  await using folder = await makeFolder(dirname(path), '.colmena-restore-')
  const directory = folder.path
  try {
    const replayed = await replayBackup(store, {
      copies: join(directory, 'db', '1'),
      wanted,
      openReplay: () => openReplay({ directory, extensions }),
      signal,
      progress,
    })
    const { replay, index, timeMs, damages } = replayed
    await using _ = replay
    const { sizeBytes } = await replay.copyTo(database, path, { signal })
    return { path, sizeBytes, index, timeMs, damages }
  } catch (error) {
    throw asColmenaError(error)
  }
}

/** Before the work, which may take hours. */
async function requireFree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null)
  if (found === null) return
  const message = `there is a file ${path} already: remove it, or name another one`
  throw new ColmenaError('ERR_INVALID_ARGUMENT', message)
}

function checkPoint(to: unknown): RestorePoint | undefined {
  if (to === undefined) return undefined
  const entries = typeof to === 'object' && to !== null ? Object.entries(to) : []
  const [name, value] = entries[0] ?? []
  const isPoint = (name === 'index' || name === 'timeMs') && Number.isSafeInteger(value)
  if (isPoint && entries.length === 1) return to as RestorePoint
  throw invalidOption(`to is { index } or { timeMs }, a whole number, not ${show(to)}`)
}
