import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ColmenaError, type ExtensionOptions, openReplay } from '../index.ts'
import { checkNotAborted } from './calls.ts'
import type { Snapshot } from './contents.ts'
import { OWNER, snapshotName } from './names.ts'
import { findPath } from './path.ts'
import { type Damage, type Generation, isDamage, readGenerations } from './points.ts'
import {
  fetchSnapshot,
  type ReplayingOptions,
  type RestoreProgress,
  replayBackup,
} from './restoring.ts'
import type { Store } from './store.ts'

export interface VerifyBackupOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
}

/** What a verification saw. */
export interface Verified {
  readonly target: string
  readonly generation: string
  /** The entry up to which it restored, and the time of the last one that has any. */
  readonly index: number
  readonly timeMs: number
  /** SHA-256 of the content of each database there. */
  readonly hashes: Readonly<Record<string, string>>
  /** The snapshot that the log led to from the one before, with the same content; null: no two. */
  readonly comparedIndex: number | null
  readonly damages: readonly Damage[]
}

interface Options extends VerifyBackupOptions {
  /** A folder of its own, which is emptied, and removed at the end. */
  readonly directory: string
  readonly extensions?: readonly ExtensionOptions[] | undefined
}

/**
 * Restores all there is into a folder, which is deleted again. Where there are two snapshots, the
 * log must lead from the one to the very content of the other.
 *
 * @throws ColmenaError ERR_BACKUP_DAMAGED where it can't be restored, or comes to something else
 */
export async function verifyByRestoring(store: Store, options: Options): Promise<Verified> {
  const { signal, onProgress: progress, directory, extensions } = options
  const copies = join(directory, 'db', '1')
  const openIt = () => openReplay({ directory, extensions })
  const common = { copies, openReplay: openIt, signal, progress }
  try {
    const comparedIndex = await compareSnapshots(store, common)
    const wanted = { kind: 'latest' } as const
    const replayed = await replayBackup(store, { ...common, wanted })
    const { replay, generation, index, timeMs, damages } = replayed
    await using _ = replay
    const hashes = await replay.hashes({ signal })
    return { target: store.label, generation, index, timeMs, hashes, comparedIndex, damages }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** The last two snapshots of the newest generation that has two. */
async function compareSnapshots(
  store: Store,
  options: Omit<ReplayingOptions, 'wanted'>,
): Promise<number | null> {
  const generations = await readGenerations(store, [])
  const two = generations.findLast(({ snapshots }) => snapshots.length > 1)
  const [earlier, later] = two?.snapshots.slice(-2) ?? []
  if (earlier === undefined || later === undefined) return null
  const direct = await hashesOf(store, later, options)
  const wanted = { kind: 'index', index: later.index } as const
  // Not from the later one itself.
  const replayed = await replayBackup(store, { ...options, wanted, before: later.index })
  await using replay = replayed.replay
  const led = await replay.hashes({ signal: options.signal })
  const other = Object.keys({ ...direct, ...led }).find((key) => direct[key] !== led[key])
  if (other === undefined) return later.index
  throw new ColmenaError(
    'ERR_BACKUP_DAMAGED',
    `${store.label}: the log leads from snapshot ${earlier.index} to another content of ${other} ` +
      `than snapshot ${later.index} has`,
  )
}

async function hashesOf(
  store: Store,
  snapshot: Snapshot,
  options: Omit<ReplayingOptions, 'wanted'>,
): Promise<Readonly<Record<string, string>>> {
  await fetchSnapshot(store, snapshot, options)
  await using replay = await options.openReplay()
  return await replay.hashes({ signal: options.signal })
}

/**
 * Reads every object of a backup, and answers with all that is wrong: missing, cut short, changed,
 * or not what its name says.
 */
export async function findDamages(
  store: Store,
  { directory, signal }: Pick<Options, 'directory' | 'signal'>,
): Promise<readonly Damage[]> {
  const damages: Damage[] = []
  const note = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    checkNotAborted(signal)
    try {
      await work()
    } catch (error) {
      if (!isDamage(error)) throw error
      damages.push({ name, message: error.message })
    }
  }
  let generations: readonly Generation[] = []
  await note(OWNER, async () => {
    generations = await readGenerations(store, damages)
  })
  for (const generation of generations) {
    const { listed, snapshots } = generation
    for (const snapshot of snapshots) {
      await note(snapshotName(listed.generation, snapshot.index), () =>
        fetchSnapshot(store, snapshot, { copies: directory, signal }),
      )
    }
    for (const segment of listed.segments) await note(segment.name, () => store.segment(segment))
    damages.push(...gapsOf(generation))
  }
  await rm(directory, { recursive: true, force: true })
  return damages
}

function gapsOf(generation: Generation): readonly Damage[] {
  const { listed, snapshots, head } = generation
  const [first] = snapshots
  const name = `${listed.generation}/log`
  if (first === undefined) return [{ name, message: 'there is no snapshot to begin with' }]
  const { last, behindGap } = findPath(listed.segments, first.index)
  const end = behindGap === null ? head.last : behindGap.first - 1
  if (last >= end) return []
  return [{ name, message: `entries ${last + 1} to ${end} are missing` }]
}
