import type { Owner, Snapshot } from './contents.ts'
import { type EncryptionOptions, Keys } from './keys.ts'
import { OWNER } from './names.ts'
import { type Damage, type Generation, lastOf, readGenerations } from './points.ts'
import { Store } from './store.ts'
import type { BackupTarget } from './target.ts'

export interface ListBackupOptions {
  /** The keys that it was sealed with. @defaultValue none */
  readonly encryption?: EncryptionOptions | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a target holds. Indexes are of the log, times in milliseconds since 1970. */
export interface BackupList {
  /** The target's label. */
  readonly target: string
  /** Whose it is. */
  readonly clusterId: string
  /** In the order in which they began; the last one is written to. */
  readonly generations: readonly ListedGeneration[]
  /** What tells of them and can't be read. */
  readonly damages: readonly Damage[]
}

/** A part of a backup without a gap: any moment from `from` to `to` can be restored. */
export interface ListedGeneration {
  readonly generation: string
  /** Another one than the present where that took over: such a one is restored by time alone. */
  readonly clusterId: string
  /** Why it was begun. */
  readonly reason: string
  readonly beganMs: number
  /** The build of SQLite, and the extensions, that the log was applied by. */
  readonly fingerprint: string
  /** The first moment that can be restored to; null where no snapshot is left to begin with. */
  readonly from: { readonly index: number; readonly timeMs: number } | null
  /** `shippedMs` is when the leader had put all of that there, by its clock. */
  readonly to: { readonly index: number; readonly shippedMs: number }
  readonly snapshots: readonly ListedSnapshot[]
  /** Of the keys that are needed; none where it is not encrypted. */
  readonly keyIds: readonly string[]
  /** What the log takes in the target. */
  readonly logBytes: number
  /** What all of it takes in the target. */
  readonly sizeBytes: number
}

export interface ListedSnapshot {
  readonly index: number
  readonly timeMs: number
  readonly takenMs: number
  /** What it takes in the target. */
  readonly sizeBytes: number
  /** Of its SQLite files. */
  readonly databaseBytes: number
  readonly databases: readonly string[]
}

/** The cluster's own, which no one restores by itself. */
const SYSTEM = 'system'

/**
 * Says what there is to restore in a target. It reads what tells of it, not the content itself.
 *
 * @throws ColmenaError ERR_NOT_FOUND where there is no backup; ERR_BACKUP_DAMAGED also where a key
 * is missing; ERR_INVALID_OPTION, ERR_TARGET, ERR_ABORTED
 */
export async function listBackup(
  target: BackupTarget,
  { encryption, signal }: ListBackupOptions = {},
): Promise<BackupList> {
  const store = new Store(target, new Keys(encryption), signal)
  const damages: Damage[] = []
  const generations = await readGenerations(store, damages)
  const { clusterId } = await store.document<Owner>(OWNER)
  const sizes = new Map<string, number>()
  for (const { name, sizeBytes } of await store.objects('')) sizes.set(name, sizeBytes)
  return {
    target: store.label,
    clusterId,
    generations: generations.map((generation) => describe(generation, sizes)),
    damages,
  }
}

function describe(generation: Generation, sizes: ReadonlyMap<string, number>): ListedGeneration {
  const { listed, manifest, head, snapshots, keyIds } = generation
  const sizeOf = (names: Iterable<string>): number =>
    [...names].reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0)
  const [first] = snapshots
  return {
    generation: listed.generation,
    clusterId: manifest.clusterId,
    reason: manifest.reason,
    beganMs: manifest.beganMs,
    fingerprint: manifest.fingerprint,
    from: first === undefined ? null : firstMoment(first),
    to: { index: lastOf(generation), shippedMs: head.shippedMs },
    snapshots: snapshots.map(({ index, timeMs, takenMs, files }) => ({
      index,
      timeMs,
      takenMs,
      sizeBytes: sizeOf(files.map(({ name }) => name)),
      databaseBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      databases: files.map(({ database }) => database).filter((name) => name !== SYSTEM),
    })),
    keyIds,
    logBytes: sizeOf(listed.segments.map(({ name }) => name)),
    sizeBytes: sizeOf(listed.names),
  }
}

/** Before it was taken all of it may not have been there: some of it may have no time. */
function firstMoment({ index, timeMs, takenMs }: Snapshot): ListedGeneration['from'] {
  return { index, timeMs: Math.max(timeMs, takenMs) }
}
