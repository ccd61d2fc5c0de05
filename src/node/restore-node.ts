import { ColmenaError, isColmenaError } from '../base/errors.ts'
import { probeExtensions, requireSqlite } from '../sqlite/sqlite.ts'
import { checkOpenOptions, type OpenConfig } from './config.ts'
import { type Hold, holdDataDir } from './data-dir.ts'
import { checkNotAborted } from './failures.ts'
import { type Identity, readIdentity, readUnbegun } from './identity.ts'
import { install } from './installing.ts'
import { checkKeys } from './nearest.ts'
import { invalid } from './option-checks.ts'
import type { OpenOptions } from './options.ts'
import { GENERATION, openReplay, type Replay, type ReplayedDatabase } from './replay.ts'
import type { RestoreConfig } from './restore-options.ts'
import type { RestoreOptions } from './restore-source.ts'
import { endRestore, makeCopiesFolder, restorePath } from './restoring-files.ts'
import { checkNodeName } from './tls-options.ts'

/** What {@link restoreNode} takes, each as `open` does. */
export interface RestoreNodeOptions
  extends Pick<OpenOptions, 'dataDir' | 'nodeId' | 'extensions' | 'logger' | 'signal'> {
  readonly restore: RestoreOptions
}

/** What a data directory was brought back to. */
export interface Restored {
  readonly dataDir: string
  readonly nodeId: string
  /** Of the cluster that begins with it: 32 hexadecimal digits. */
  readonly clusterId: string
  /** The last entry of the old cluster that is in it. */
  readonly index: number
  /** The time of the last entry that has one, in milliseconds since 1970; 0 if none has. */
  readonly timeMs: number
  readonly databases: readonly ReplayedDatabase[]
}

const KEYS = ['dataDir', 'nodeId', 'extensions', 'logger', 'signal', 'restore']

/**
 * Brings a data directory that holds no node back from a backup, as `open` with `restore` does, and
 * opens no node. It holds the only member of a cluster that is none of before: members of that are
 * strangers to it.
 *
 * @throws ColmenaError ERR_INVALID_OPTION, ERR_EXTENSION_FAILED before anything is touched;
 * ERR_INVALID_ARGUMENT where the directory holds a node; ERR_DATA_DIR, ERR_LOCKED,
 * ERR_ALREADY_OPEN, ERR_ABORTED, and what the source fails with. Then it holds none.
 */
export async function restoreNode(options: RestoreNodeOptions): Promise<Restored> {
  requireSqlite()
  checkKeys(options, KEYS, invalid, ' of restoreNode')
  const config = checkOpenOptions(options)
  const { dataDir, restore, signal } = config
  if (restore === undefined) throw invalid('restoreNode needs restore, such as { from: target }')
  checkNotAborted(signal)
  probeExtensions(config.extensions)
  const hold = holdDataDir(dataDir)
  try {
    const unbegun = readUnbegun(dataDir)
    if (unbegun === null) {
      throw new ColmenaError(
        'ERR_INVALID_ARGUMENT',
        `${dataDir} belongs to node '${readIdentity(dataDir)?.nodeId}': restore into another ` +
          'directory, or delete that one first',
      )
    }
    return await restoreUnbegun(config, restore, unbegun.kept)
  } finally {
    hold.release()
  }
}

/**
 * For an `open` with `restore`: holds the directory, which has a node from there on if it had none.
 *
 * @throws ColmenaError as of {@link restoreNode}
 */
export async function restoreFirst(config: OpenConfig): Promise<Hold | undefined> {
  const { restore, dataDir } = config
  if (restore === undefined) return undefined
  const hold = holdDataDir(dataDir)
  try {
    const unbegun = readUnbegun(dataDir)
    if (unbegun !== null) await restoreUnbegun(config, restore, unbegun.kept)
    return hold
  } catch (error) {
    hold.release()
    throw error
  }
}

async function restoreUnbegun(
  config: OpenConfig,
  restore: RestoreConfig,
  kept: Identity | null,
): Promise<Restored> {
  const { dataDir, security, extensions, logger } = config
  const nodeId = config.nodeId ?? kept?.nodeId
  // Before hours of work, as the open that comes then would refuse it.
  checkNodeName(security, nodeId ?? 'made-up', nodeId === undefined)
  try {
    const { index, timeMs, databases } = await bringBack(config, restore, nodeId)
    const incarnation = kept?.incarnation ?? 0
    const place = { dataDir, nodeId, incarnation, extensions }
    const { advertise, logSegmentBytes } = config
    const identity = await install({ ...place, advertise, logSegmentBytes })
    const restored = { dataDir, nodeId: identity.nodeId, clusterId: identity.clusterId }
    logger.info?.(`restored up to entry ${index}`, { index, timeMs })
    return { ...restored, index, timeMs, databases }
  } catch (error) {
    throw asRestoreFailure(error)
  } finally {
    endRestore(dataDir)
  }
}

/** Has the source do its work, and says what it came to. */
async function bringBack(
  { dataDir, extensions, logger, signal }: OpenConfig,
  { source, to, options }: RestoreConfig,
  nodeId: string | undefined,
): Promise<Pick<Restored, 'index' | 'timeMs' | 'databases'>> {
  const copies = makeCopiesFolder(dataDir, GENERATION)
  let replay: Replay | null = null
  try {
    await source.restore({
      copies,
      to,
      nodeId,
      options,
      signal,
      openReplay: async ({ voided } = {}) => {
        await replay?.close()
        replay = await openReplay({ directory: restorePath(dataDir), extensions, voided })
        return replay
      },
      progress: (message, details) => logger.info?.(message, details),
    })
    checkNotAborted(signal)
    if (replay === null) {
      throw new ColmenaError('ERR_FAILED', 'the source of the restore ended without a replay')
    }
    const { index, timeMs } = replay as Replay
    return { index, timeMs, databases: (replay as Replay).databases() }
  } finally {
    await (replay as Replay | null)?.close()
  }
}

function asRestoreFailure(error: unknown): unknown {
  if (isColmenaError(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  const isDisk = error instanceof Error && 'syscall' in error
  const what = `nothing was restored: ${reason}`
  return new ColmenaError(isDisk ? 'ERR_DATA_DIR' : 'ERR_FAILED', what, { cause: error })
}
