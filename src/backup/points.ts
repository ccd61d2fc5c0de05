import { ColmenaError, isColmenaError } from '../index.ts'
import type { Head, Manifest, Owner, Snapshot } from './contents.ts'
import { damaged } from './damage.ts'
import type { Opened } from './documents.ts'
import { headName, type Listed, manifestName, OWNER, snapshotName } from './names.ts'
import { findPath } from './path.ts'
import type { Store } from './store.ts'

/** What to restore to: the last entry that is there, the last one up to a time, or an entry. */
export type Wanted =
  | { readonly kind: 'latest' }
  | { readonly kind: 'time'; readonly timeMs: number }
  | { readonly kind: 'index'; readonly index: number }

/** A generation as it is read before anything of it is restored. */
export interface Generation {
  readonly listed: Listed
  readonly manifest: Manifest
  readonly head: Head
  /** The snapshots that are there, in their order. */
  readonly snapshots: readonly Snapshot[]
  /** Of the keys that these documents were sealed with, each once; none where it was with none. */
  readonly keyIds: readonly string[]
  /** Of a cluster that is no more, and counted entries of its own. */
  readonly isFormer: boolean
}

/** What is wrong with an object that a restore could do without. */
export interface Damage {
  readonly name: string
  readonly message: string
}

/**
 * Reads what tells of all generations of the cluster that writes to a target, and of those that it
 * took over from. What can't be read is left out, and told as damage.
 *
 * @throws ColmenaError ERR_NOT_FOUND where there is no backup; ERR_BACKUP_DAMAGED, ERR_TARGET
 */
export async function readGenerations(
  store: Store,
  damages: Damage[],
): Promise<readonly Generation[]> {
  const all = await store.generations()
  const owner = await store.documentOrNull<Owner>(OWNER)
  if (owner === null && all.length === 0) {
    throw new ColmenaError('ERR_NOT_FOUND', `${store.label} holds no backup`)
  }
  if (owner === null) throw damaged(store, OWNER, 'is missing')
  if (all.every(({ generation }) => generation !== owner.generation)) {
    throw damaged(store, owner.generation, `is missing, and ${OWNER} has it as the newest one`)
  }
  const generations: Generation[] = []
  for (const listed of all) {
    if (isUnfinished(listed) && listed.generation !== owner.generation) continue
    const generation = await readGeneration(store, listed, damages)
    const id = generation?.manifest.clusterId
    if (generation === null || id === undefined) continue
    if (id === owner.clusterId) generations.push(generation)
    else if (owner.formerIds.includes(id)) generations.push({ ...generation, isFormer: true })
  }
  return generations
}

/** Whoever began it was stopped before anything could be restored from it: that is no damage. */
function isUnfinished({ hasHead, segments }: Listed): boolean {
  return !hasHead && segments.length === 0
}

async function readGeneration(
  store: Store,
  found: Listed,
  damages: Damage[],
): Promise<Generation | null> {
  const { generation } = found
  const manifest = await readable<Manifest>(store, manifestName(generation), damages)
  const head = await readable<Head>(store, headName(generation), damages)
  if (manifest === null || head === null) return null
  const newest = head.content.snapshots.at(-1)?.index ?? 0
  // Entries were put there since it was listed: they are not missing.
  const isOld = findPath(found.segments, newest).last < head.content.last
  const listed = (isOld ? await store.generation(generation) : null) ?? found
  const keyIds = new Set([manifest.keyId, head.keyId])
  const snapshots: Snapshot[] = []
  for (const { index } of head.content.snapshots) {
    const snapshot = await readable<Snapshot>(store, snapshotName(generation, index), damages)
    if (snapshot === null) continue
    snapshots.push(snapshot.content)
    keyIds.add(snapshot.keyId)
  }
  const named = [...keyIds].filter((id) => id !== null)
  const { content } = manifest
  const rest = { snapshots, keyIds: named, isFormer: false }
  return { listed, manifest: content, head: head.content, ...rest }
}

/** Null, and told as damage, where it is missing or not what was put. */
async function readable<T extends object>(
  store: Store,
  name: string,
  damages: Damage[],
): Promise<Opened<T> | null> {
  try {
    return await store.openDocument<T>(name)
  } catch (error) {
    if (!isDamage(error)) throw error
    damages.push({ name, message: error.message })
    return null
  }
}

/** Whether all that a snapshot has is of a time or before: some of it may have no time. */
export function isOf({ timeMs, takenMs }: Snapshot, wantedMs: number): boolean {
  return timeMs <= wantedMs && takenMs <= wantedMs
}

/** Whether something is wrong with what is in a target, not with the target. */
export function isDamage(error: unknown): error is ColmenaError {
  return isColmenaError(error) && error.code === 'ERR_BACKUP_DAMAGED'
}

/**
 * The generation that has what is wanted: of several that begin before it the one that goes on for
 * longest, as entries of one cluster are the same in all of its generations.
 *
 * @throws ColmenaError ERR_NOT_FOUND, saying what there is; ERR_BACKUP_DAMAGED where what could not
 * be read may have it
 */
export function chooseGeneration(
  store: Store,
  generations: readonly Generation[],
  wanted: Wanted,
  damages: readonly Damage[],
): Generation {
  const able = generations.filter((each) => mayHave(each, wanted))
  // Each cluster counts entries of its own: those of the last that had begun by then are meant.
  const id = able.at(-1)?.manifest.clusterId
  const [first, ...others] = able.filter(({ manifest }) => manifest.clusterId === id)
  if (first === undefined) throw notThere(store, generations, damages)
  return others.reduce((best, each) => (lastOf(each) >= lastOf(best) ? each : best), first)
}

function mayHave(generation: Generation, wanted: Wanted): boolean {
  const [first] = generation.snapshots
  if (first === undefined) return false
  if (wanted.kind === 'time') return isOf(first, wanted.timeMs)
  if (generation.isFormer) return false
  if (wanted.kind === 'latest') return true
  return first.index <= wanted.index && wanted.index <= lastOf(generation)
}

/**
 * What could not be read of later generations, which may have more than this one.
 *
 * @throws ColmenaError ERR_BACKUP_DAMAGED
 */
export function requireNoneHidden(
  store: Store,
  { listed }: Generation,
  damages: readonly Damage[],
): void {
  const hidden = damages.filter(({ name }) => (name.split('/')[0] ?? '') > listed.generation)
  if (hidden.length > 0) throw unreadable(store, hidden)
}

/** The last entry that can be restored to, if all is as its name says. */
export function lastOf({ snapshots, listed, head }: Generation): number {
  const newest = snapshots.at(-1)?.index ?? 0
  return Math.max(findPath(listed.segments, newest).last, snapshots.length === 0 ? 0 : head.last)
}

function notThere(
  store: Store,
  generations: readonly Generation[],
  damages: readonly Damage[],
): ColmenaError {
  if (damages.length > 0) return unreadable(store, damages)
  const each = generations.map((generation) => {
    const [first] = generation.snapshots
    const from = first === undefined ? 'nothing' : new Date(first.takenMs).toISOString()
    return `${from} (entry ${first?.index ?? '–'}) to entry ${lastOf(generation)}`
  })
  return new ColmenaError(
    'ERR_NOT_FOUND',
    `${store.label} does not have that; it has ${each.join(', ') || 'nothing'}`,
  )
}

function unreadable({ label }: Store, damages: readonly Damage[]): ColmenaError {
  const each = damages.map(({ message }) => message).join('; ')
  const what = `${label}: what is wanted may be in what can't be read: ${each}`
  return new ColmenaError('ERR_BACKUP_DAMAGED', what)
}
