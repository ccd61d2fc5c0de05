import { createHash } from 'node:crypto'
import { ColmenaError, isColmenaError, type Shipping } from '../index.ts'
import type { Head, Manifest, Owner, TakenSnapshot } from './contents.ts'
import { damaged } from './damage.ts'
import { headName, type Listed, manifestName, OWNER, type SegmentName } from './names.ts'
import { findPath, type Path } from './path.ts'
import { isDamage } from './points.ts'
import type { Store } from './store.ts'

/** Where a target stands, as the next entries follow it. */
export interface Position {
  readonly generation: string
  /** The last entry that is there. */
  readonly last: number
  /** The rolling digest behind it, hexadecimal. */
  readonly digest: string
  readonly snapshots: readonly TakenSnapshot[]
}

/** Where to go on in a target, or why a new generation must begin there. */
export type Found =
  | { readonly position: Position; readonly reason: null; readonly owner: Owner }
  | { readonly position: null; readonly reason: string; readonly owner: Owner | null }

/** The digest that a generation begins with: no entry passes for one of another generation. */
export function digestAtBegin(generation: string): string {
  return createHash('sha256').update(generation).digest('hex')
}

/**
 * Looks for the last entry in a target, whoever put it there.
 *
 * @throws ColmenaError ERR_OTHER_CLUSTER where another cluster writes there; ERR_BACKUP_DAMAGED,
 * ERR_TARGET
 */
export async function findPosition(
  store: Store,
  shipping: Shipping,
  takeOver: string | undefined,
): Promise<Found> {
  const owner = (await store.documentOrNull<Owner>(OWNER)) ?? (await missingOwner(store, shipping))
  if (owner === null) return { position: null, reason: 'there is none here yet', owner }
  if (owner.clusterId !== shipping.clusterId) {
    if (owner.clusterId !== takeOver) throw otherCluster(store, owner, shipping)
    return { position: null, reason: `it takes over from cluster ${takeOver}`, owner }
  }
  const listed = await store.generation(owner.generation)
  if (listed === null) return { position: null, reason: 'the last one is not there', owner }
  const found = await goOn(store, shipping, listed).catch((error) => {
    // What is damaged stays so: from here on there is to be a backup again.
    if (isDamage(error)) return error.message
    throw error
  })
  if (typeof found === 'string') return { position: null, reason: found, owner }
  return { position: found, reason: null, owner }
}

/** @throws ColmenaError ERR_OTHER_CLUSTER where it is neither this one nor `takeOver` */
export async function checkOwner(
  store: Store,
  shipping: Shipping,
  takeOver?: string | undefined,
): Promise<Owner> {
  const owner = await store.documentOrNull<Owner>(OWNER)
  const id = owner?.clusterId
  if (owner !== null && (id === shipping.clusterId || id === takeOver)) return owner
  if (owner !== null) throw otherCluster(store, owner, shipping)
  throw damaged(store, OWNER, 'is not there any more')
}

/** A target without its first document may be another cluster's all the same. */
async function missingOwner(store: Store, shipping: Shipping): Promise<Owner | null> {
  const begun = (await store.generations()).filter(({ hasManifest }) => hasManifest)
  const names = begun.map(({ generation }) => manifestName(generation))
  const manifests = await Promise.all(names.map((name) => store.document<Manifest>(name)))
  const last = manifests.at(-1)
  if (last === undefined) return null
  const { clusterId, generation, beganMs } = last
  const ids = new Set(manifests.map((manifest) => manifest.clusterId))
  ids.delete(clusterId)
  const owner: Owner = { clusterId, generation, sinceMs: beganMs, formerIds: [...ids] }
  // Nobody restores without it.
  if (clusterId === shipping.clusterId) await store.claimDocument(OWNER, owner)
  return owner
}

/** Where to go on in a generation, or why that is not possible. */
async function goOn(store: Store, shipping: Shipping, listed: Listed): Promise<Position | string> {
  const { generation, segments } = listed
  const manifest = await store.documentOrNull<Manifest>(manifestName(generation))
  const head = await store.documentOrNull<Head>(headName(generation))
  if (manifest === null || head === null) return 'the last one was never finished'
  if (manifest.fingerprint !== shipping.fingerprint) {
    return `the cluster runs SQL with ${shipping.fingerprint}, not with ${manifest.fingerprint}`
  }
  const kept = head.snapshots.filter(({ index }) => listed.snapshots.includes(index))
  const path = findEnd(segments, kept, head.last)
  if (path === undefined) return 'the last one has no snapshot'
  if (path.last < head.last) return `of the last one, entries behind ${path.last} are missing`
  const end = path.segments.at(-1)
  const last = end === undefined ? null : await store.segment(end)
  const digest = last?.after ?? (head.last === path.last ? head.digest : null)
  if (digest === null) return 'what the last one ends with is not known'
  try {
    await shipping.read(path.last, { bytesMax: 1 })
  } catch (error) {
    if (isColmenaError(error) && error.code === 'ERR_FELL_BEHIND') return error.message
    throw error
  }
  return { generation, last: path.last, digest, snapshots: kept }
}

/**
 * Where the log ends. A snapshot is ahead of it where whoever took it was stopped before it put the
 * entries up to there: then that is told by an earlier one.
 */
function findEnd(
  segments: readonly SegmentName[],
  snapshots: readonly TakenSnapshot[],
  last: number,
): Path | undefined {
  const paths = snapshots.map(({ index }) => ({ index, ...findPath(segments, index) }))
  return paths.findLast((path) => path.segments.length > 0 || path.index <= last) ?? paths[0]
}

function otherCluster(store: Store, { clusterId }: Owner, own: Shipping): ColmenaError {
  return new ColmenaError(
    'ERR_OTHER_CLUSTER',
    `${store.label} has the backup of cluster ${clusterId}, and this is cluster ` +
      `${own.clusterId}: give it a target, or a prefix, of its own. If that cluster is no more, ` +
      'as this one was restored or recovered from it, start the backup with ' +
      `takeOver: '${clusterId}'`,
  )
}
