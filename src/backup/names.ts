/**
 * How objects are called in a target:
 *
 * ```text
 * backup.json                                   whose it is, and the newest generation
 * <generation>/manifest.json                    what the generation begins with
 * <generation>/head.json                        how far it goes
 * <generation>/snapshots/<index>/snapshot.json  what belongs to that snapshot
 * <generation>/snapshots/<index>/<database>.db  a SQLite file (with `.zst` and `.sealed` behind)
 * <generation>/log/<first>-<last>.log           entries behind a snapshot
 * ```
 */

/** Digits of an index, so that names sort as indexes do. */
const INDEX_DIGITS = 16
const GENERATION = /^\d{8}T\d{6}Z-[0-9a-f]{8}$/
const SEGMENT = /^(\d{16})-(\d{16})\.log$/

export const OWNER = 'backup.json'

/**
 * One that is begun later comes later, whatever this machine's clock says.
 *
 * @param newest of those that are there; null for none
 */
export function nameGeneration(nowMs: number, random: string, newest: string | null): string {
  const beganMs = newest === null ? nowMs : Math.max(nowMs, beginOf(newest) + 1_000)
  const day = new Date(beganMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  return `${day}-${random}`
}

function beginOf(generation: string): number {
  const [year = '', ...rest] = generation.match(/^\d{4}|\d\d/g) ?? []
  const [month, day, hour, minute, second] = rest.map(Number)
  return Date.UTC(Number(year), (month ?? 1) - 1, day, hour, minute, second)
}

export function manifestName(generation: string): string {
  return `${generation}/manifest.json`
}

export function headName(generation: string): string {
  return `${generation}/head.json`
}

export function segmentName(generation: string, first: number, last: number): string {
  return `${generation}/log/${digits(first)}-${digits(last)}.log`
}

/** The folder of a snapshot, with a slash at its end. */
export function snapshotFolder(generation: string, index: number): string {
  return `${generation}/snapshots/${digits(index)}/`
}

export function snapshotName(generation: string, index: number): string {
  return `${snapshotFolder(generation, index)}snapshot.json`
}

export interface SegmentName {
  readonly name: string
  readonly first: number
  readonly last: number
  readonly sizeBytes: number
}

/** What the names of a generation's objects tell. */
export interface Listed {
  readonly generation: string
  readonly hasManifest: boolean
  readonly hasHead: boolean
  /** In the order of their first entries. */
  readonly segments: readonly SegmentName[]
  /** Indexes of snapshots that are complete, as their `snapshot.json` comes last; ascending. */
  readonly snapshots: readonly number[]
  /** All names, those that nobody knows too. */
  readonly names: ReadonlySet<string>
}

/** By generation, in their order. */
export function sortNames(
  objects: Iterable<{ readonly name: string; readonly sizeBytes: number }>,
): readonly Listed[] {
  const found = new Map<string, Sorting>()
  for (const { name, sizeBytes } of objects) {
    const [generation = '', folder, ...rest] = name.split('/')
    if (!GENERATION.test(generation)) continue
    const sorting = found.get(generation) ?? new Sorting(generation)
    found.set(generation, sorting)
    sorting.names.add(name)
    if (folder === 'log') sorting.addSegment(name, rest.join('/'), sizeBytes)
    const [index = '', file] = rest
    if (folder === 'snapshots' && file === 'snapshot.json') sorting.snapshots.push(Number(index))
  }
  const sorted = [...found.values()].sort((a, b) => (a.generation < b.generation ? -1 : 1))
  return sorted.map((sorting) => sorting.end())
}

class Sorting {
  readonly generation: string
  readonly names = new Set<string>()
  readonly segments: SegmentName[] = []
  readonly snapshots: number[] = []

  constructor(generation: string) {
    this.generation = generation
  }

  addSegment(name: string, file: string, sizeBytes: number): void {
    const [, first, last] = SEGMENT.exec(file) ?? []
    if (first === undefined) return
    this.segments.push({ name, first: Number(first), last: Number(last), sizeBytes })
  }

  end(): Listed {
    const { generation, names, segments, snapshots } = this
    return {
      generation,
      names,
      hasManifest: names.has(manifestName(generation)),
      hasHead: names.has(headName(generation)),
      segments: segments.sort((a, b) => a.first - b.first || a.last - b.last),
      snapshots: snapshots.sort((a, b) => a - b),
    }
  }
}

function digits(index: number): string {
  return String(index).padStart(INDEX_DIGITS, '0')
}
