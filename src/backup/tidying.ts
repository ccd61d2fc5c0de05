import type { Head, TakenSnapshot } from './contents.ts'
import {
  headName,
  type Listed,
  manifestName,
  type SegmentName,
  segmentName,
  snapshotFolder,
  snapshotName,
  sortNames,
} from './names.ts'
import type { BackupObject } from './objects.ts'
import { findPath } from './path.ts'
import { isDamage } from './points.ts'
import type { Segment } from './segment.ts'
import type { Store } from './store.ts'

export interface Tidying {
  /** The newest generation. */
  readonly generation: string
  /** Its snapshots. */
  readonly snapshots: readonly TakenSnapshot[]
  /** Negative: for ever. */
  readonly keepMs: number
  readonly keepCount: number
  readonly nowMs: number
  /** Up to this snapshot all has been merged. */
  readonly mergedUntil: number
}

/** Before it is compressed; segments beyond it are merged no further. */
const MERGED_BYTES = 32 * 1024 * 1024
/** What a snapshot left that was never finished goes after so long. */
const UNFINISHED_MS = 86_400_000

/**
 * How many of the snapshots, in their order, are of no use any more: not to restore to any of the
 * last `keepMs`, or beyond `keepCount`. The last one always stays.
 */
export function countExpired(
  taken: readonly number[],
  { keepMs, keepCount, nowMs }: Pick<Tidying, 'keepMs' | 'keepCount' | 'nowMs'>,
): number {
  // The newest one from before that is what moments behind it are restored from.
  const base = keepMs < 0 ? -1 : taken.findLastIndex((takenMs) => takenMs <= nowMs - keepMs)
  return Math.max(0, base, taken.length - keepCount)
}

/**
 * Removes what is kept no longer, and merges the segments between two snapshots.
 *
 * @param keep told which snapshots of the newest generation stay, before others are removed
 */
export async function tidyTarget(
  store: Store,
  tidying: Tidying,
  keep: (snapshots: readonly TakenSnapshot[]) => Promise<void>,
): Promise<void> {
  const objects = await store.objects('')
  const all = sortNames(objects)
  const old = all.filter(({ generation }) => generation < tidying.generation)
  const heads = new Map<string, readonly TakenSnapshot[]>()
  for (const { generation } of old) {
    const taken = await snapshotsOf(store, generation)
    if (taken !== null) heads.set(generation, taken)
  }
  heads.set(tidying.generation, tidying.snapshots)
  const taken = [...heads.values()].flat()
  let expired = countExpired(
    taken.map(({ takenMs }) => takenMs),
    tidying,
  )
  for (const listed of all) {
    const own = heads.get(listed.generation)
    if (own === undefined) continue
    const kept = own.slice(Math.min(own.length, expired))
    expired = Math.max(0, expired - own.length)
    if (kept.length === 0) await removeGeneration(store, listed)
    else if (kept.length < own.length) {
      if (listed.generation === tidying.generation) await keep(kept)
      await removeBefore(store, listed, kept[0] as TakenSnapshot)
    }
  }
  const newest = all.find(({ generation }) => generation === tidying.generation)
  if (newest === undefined) return
  await removeUnfinished(store, newest, tidying.nowMs, objects)
  await mergeBetween(store, newest, tidying)
}

/** Null where that can't be read: of such a generation nothing is known to be old. */
async function snapshotsOf(
  store: Store,
  generation: string,
): Promise<readonly TakenSnapshot[] | null> {
  try {
    return (await store.documentOrNull<Head>(headName(generation)))?.snapshots ?? []
  } catch (error) {
    if (!isDamage(error)) throw error
    return null
  }
}

/** What tells of it goes last, so that whoever is stopped half-way goes on the next time. */
async function removeGeneration(store: Store, listed: Listed): Promise<void> {
  const { generation, names, snapshots } = listed
  const first = snapshots.map((index) => snapshotName(generation, index))
  const last = [headName(generation), manifestName(generation)]
  const between = [...names].filter((name) => !first.includes(name) && !last.includes(name))
  await store.delete([...first, ...between, ...last].filter((name) => names.has(name)))
}

async function removeBefore(store: Store, listed: Listed, oldest: TakenSnapshot): Promise<void> {
  const { generation, names, segments, snapshots } = listed
  for (const index of snapshots.filter((each) => each < oldest.index)) {
    const folder = snapshotFolder(generation, index)
    const document = snapshotName(generation, index)
    const files = [...names].filter((name) => name.startsWith(folder) && name !== document)
    await store.delete([document, ...files])
  }
  const passed = segments.filter(({ last }) => last <= oldest.index)
  await store.delete(passed.map(({ name }) => name))
}

async function removeUnfinished(
  store: Store,
  { generation, names, snapshots }: Listed,
  nowMs: number,
  objects: readonly BackupObject[],
): Promise<void> {
  const modified = new Map(objects.map(({ name, modifiedMs }) => [name, modifiedMs]))
  const whole = snapshots.map((index) => snapshotFolder(generation, index))
  const left = [...names].filter((name) => {
    if (!name.startsWith(`${generation}/snapshots/`)) return false
    if (whole.some((folder) => name.startsWith(folder))) return false
    return (modified.get(name) ?? nowMs) < nowMs - UNFINISHED_MS
  })
  await store.delete(left)
}

/** One segment in place of those between two snapshots, once the second is there. */
async function mergeBetween(
  store: Store,
  { generation, segments }: Listed,
  { snapshots, mergedUntil }: Tidying,
): Promise<void> {
  for (const [at, { index: until }] of snapshots.entries()) {
    const from = snapshots[at - 1]?.index
    if (from === undefined || until <= mergedUntil) continue
    const inside = segments.filter(({ first, last }) => first > from && last <= until)
    const [begin] = inside
    if (begin === undefined || inside.length === 1) continue
    const path = findPath(inside, begin.first - 1).segments
    for (const name of await mergePath(store, generation, path)) {
      const replaced = inside.filter(({ first, last }) => first >= name.first && last <= name.last)
      await store.delete(replaced.map((each) => each.name).filter((each) => each !== name.name))
    }
  }
}

/** Answers with the segments that were made. */
async function mergePath(
  store: Store,
  generation: string,
  path: readonly SegmentName[],
): Promise<readonly SegmentName[]> {
  const made: SegmentName[] = []
  let group: Segment[] = []
  let bytes = 0
  const end = async (): Promise<void> => {
    if (group.length > 1) made.push(await putMerged(store, generation, group))
    group = []
    bytes = 0
  }
  for (const name of path) {
    const segment = await store.segment(name)
    const ownBytes = segment.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    const follows = segment.first === (group.at(-1)?.last ?? segment.first - 1) + 1
    if (bytes + ownBytes > MERGED_BYTES || !follows) await end()
    group.push(segment)
    bytes += ownBytes
  }
  await end()
  return made
}

async function putMerged(
  store: Store,
  generation: string,
  group: readonly Segment[],
): Promise<SegmentName> {
  const [begin, end] = [group[0], group.at(-1)] as [Segment, Segment]
  const { first, before } = begin
  const name = segmentName(generation, first, end.last)
  const chunks = group.flatMap((segment) => segment.chunks)
  const chunkMs = group.flatMap((segment) => segment.chunkMs)
  const sizeBytes = await store.putSegment(name, { ...end, first, before, chunks, chunkMs })
  return { name, first, last: end.last, sizeBytes }
}
