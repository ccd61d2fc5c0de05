import type { ExtensionOptions } from '../index.ts'
import { asColmenaError } from './failures.ts'
import { makeFolder } from './folders.ts'
import { Keys } from './keys.ts'
import type { ListBackupOptions } from './listing.ts'
import type { Objects } from './objects.ts'
import { type Damage, isDamage } from './points.ts'
import type { RestoreProgress } from './restoring.ts'
import { Store } from './store.ts'
import { passing } from './streams.ts'
import type { BackupTarget } from './target.ts'
import { findDamages, type Verified, verifyByRestoring } from './verifying.ts'

export interface VerifyTargetOptions extends ListBackupOptions {
  /** What the nodes were opened with. @defaultValue none */
  readonly extensions?: readonly ExtensionOptions[] | undefined
  /** Where it restores: it takes the room of all databases. @defaultValue for temporary files */
  readonly directory?: string | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
}

/** What reading all of a backup came to. */
export interface VerifiedTarget {
  /** All that is wrong, each by its object. */
  readonly damages: readonly Damage[]
  /** What it was restored to; null where that can't be, which is then among the damages. */
  readonly verified: Verified | null
}

/**
 * Reads every object of a backup, and restores the newest that is there into a folder that is
 * deleted again. No node is needed, and one that goes on writing there is no trouble.
 *
 * @throws ColmenaError ERR_NOT_FOUND where there is no backup; ERR_BACKUP_DAMAGED where nothing
 * tells what there is; ERR_MIXED_ENGINES where this process can't replay its log;
 * ERR_INVALID_OPTION, ERR_TARGET, ERR_ABORTED
 */
export async function verifyBackup(
  target: BackupTarget,
  options: VerifyTargetOptions = {},
): Promise<VerifiedTarget> {
  const { encryption, signal, extensions, onProgress } = options
  const keys = new Keys(encryption)
  await using folder = await makeFolder(options.directory, 'colmena-verify-')
  const directory = folder.path
  try {
    const damages = await readAll(target, keys, directory, options)
    const store = new Store(target, keys, signal)
    const replaying = { directory, extensions, signal, onProgress }
    const verified = await verifyByRestoring(store, replaying).catch((error) => {
      if (!isDamage(error)) throw error
      // What stands in its way may be named already.
      if (damages.every(({ message }) => !error.message.includes(message))) {
        damages.push({ name: target.label, message: error.message })
      }
      return null
    })
    return { damages, verified }
  } catch (error) {
    throw asColmenaError(error)
  }
}

async function readAll(
  target: BackupTarget,
  keys: Keys,
  directory: string,
  { signal, onProgress }: VerifyTargetOptions,
): Promise<Damage[]> {
  const store = new Store(target, keys, signal)
  const before = await store.objects('')
  const totalBytes = before.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let readBytes = 0
  const watched = watch(target, (bytes) => {
    readBytes += bytes
    const doneBytes = Math.min(readBytes, totalBytes)
    onProgress?.({ phase: 'check', doneBytes, totalBytes, index: 0 })
  })
  const damages = await findDamages(new Store(watched, keys, signal), { directory, signal })
  if (damages.length === 0) return []
  // What was merged with others, or removed as it was old, while this went on, is not missing.
  const after = new Set((await store.objects('')).map(({ name }) => name))
  const gone = new Set(before.map(({ name }) => name).filter((name) => !after.has(name)))
  return damages.filter(({ name }) => !gone.has(name))
}

/** The same target; `got` is told how many bytes came. */
function watch(target: BackupTarget, got: (bytes: number) => void): Objects {
  return {
    label: target.label,
    list: (prefix, call) => target.list(prefix, call),
    get: (name, call) => passing(target.get(name, call), ({ length }) => got(length)),
    put: (name, content, call) => target.put(name, content, call),
    delete: (name, call) => target.delete(name, call),
  }
}
