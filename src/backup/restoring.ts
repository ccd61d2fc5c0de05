import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ColmenaError, describeLog, findMoment, type Replay, rollLog } from '../index.ts'
import { checkNotAborted } from './calls.ts'
import type { Snapshot } from './contents.ts'
import { getSnapshotFile } from './copying.ts'
import { damaged } from './damage.ts'
import { segmentName } from './names.ts'
import { findPath, type Path } from './path.ts'
import {
  chooseGeneration,
  type Damage,
  type Generation,
  isDamage,
  isOf,
  lastOf,
  readGenerations,
  requireNoneHidden,
  type Wanted,
} from './points.ts'
import { digestAtBegin } from './position.ts'
import type { Segment } from './segment.ts'
import type { Store } from './store.ts'

/** Of what is listed anew after something in it was not there. */
const TRIES_MAX = 3

/** How far a restore is. */
export interface RestoreProgress {
  /** A snapshot comes, or the log behind it; or all objects are read, to find what is damaged. */
  readonly phase: 'snapshot' | 'log' | 'check'
  /** Of SQLite files; of the log, and of all that is checked, as it is put there. */
  readonly doneBytes: number
  readonly totalBytes: number
  /** The entry that is reached; 0 before the log is replayed. */
  readonly index: number
}

export interface ReplayingOptions {
  /** A folder for the files of a snapshot, where `openReplay` looks for them; it is emptied. */
  readonly copies: string
  readonly openReplay: () => Promise<Replay>
  readonly wanted: Wanted
  /** Only snapshots before this entry are begun with. @defaultValue any */
  readonly before?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly progress?: ((progress: RestoreProgress) => void) | undefined
}

/** Databases as a backup has them. */
export interface Replayed {
  readonly replay: Replay
  readonly generation: string
  readonly snapshotIndex: number
  readonly index: number
  /** The time of the last entry that has one, in milliseconds since 1970. */
  readonly timeMs: number
  /** What was found to be damaged, and could be done without. */
  readonly damages: readonly Damage[]
}

/**
 * Brings databases to where they are wanted: the newest snapshot before that which is whole, and
 * the log behind it.
 *
 * @throws ColmenaError ERR_NOT_FOUND where the backup does not have it; ERR_BACKUP_DAMAGED naming
 * the object; ERR_MIXED_ENGINES where this process can't replay that log; ERR_TARGET, ERR_ABORTED
 */
export async function replayBackup(store: Store, options: ReplayingOptions): Promise<Replayed> {
  for (let tries = 1; ; tries += 1) {
    const names = await namesIn(store)
    try {
      return await replayOnce(store, options)
    } catch (error) {
      // What was listed may have been merged with others, or been removed as it was old.
      const isMoved = isDamage(error) && tries < TRIES_MAX && names !== (await namesIn(store))
      if (!isMoved) throw error
    }
  }
}

async function namesIn(store: Store): Promise<string> {
  return (await store.objects('')).map(({ name }) => name).join('\n')
}

async function replayOnce(store: Store, options: ReplayingOptions): Promise<Replayed> {
  const damages: Damage[] = []
  const generations = await readGenerations(store, damages)
  const generation = chooseGeneration(store, generations, options.wanted, damages)
  const snapshots = generation.snapshots.filter((snapshot) => isBefore(snapshot, options))
  for (const snapshot of snapshots.toReversed()) {
    const fetched = await fetchOrNote(store, snapshot, options, damages)
    if (!fetched) continue
    const replay = await options.openReplay()
    try {
      await new Replaying(store, generation, snapshot, replay, options).run()
      if (options.wanted.kind !== 'index' && replay.index >= lastOf(generation)) {
        requireNoneHidden(store, generation, damages)
        if (options.wanted.kind === 'time') {
          const { clusterId } = generation.manifest
          const own = generations.filter(({ manifest }) => manifest.clusterId === clusterId)
          requireNoGap(store, own, replay)
        }
      }
      const { index, timeMs } = replay
      const name = generation.listed.generation
      return { replay, generation: name, snapshotIndex: snapshot.index, index, timeMs, damages }
    } catch (error) {
      await replay.close()
      throw error
    }
  }
  throw new ColmenaError(
    'ERR_BACKUP_DAMAGED',
    `${store.label}: no snapshot before that is whole: ` +
      damages.map(({ message }) => message).join('; '),
  )
}

function isBefore(snapshot: Snapshot, { wanted, before }: ReplayingOptions): boolean {
  const { index } = snapshot
  if (before !== undefined && index >= before) return false
  if (wanted.kind === 'latest') return true
  return wanted.kind === 'index' ? index <= wanted.index : isOf(snapshot, wanted.timeMs)
}

/** False, and told as damage, where the snapshot is not whole: an earlier one may be. */
async function fetchOrNote(
  store: Store,
  snapshot: Snapshot,
  options: ReplayingOptions,
  damages: Damage[],
): Promise<boolean> {
  try {
    await fetchSnapshot(store, snapshot, options)
    return true
  } catch (error) {
    if (!isDamage(error)) throw error
    const [file] = snapshot.files
    damages.push({ name: dirname(file?.name ?? ''), message: error.message })
    return false
  }
}

/** Puts the databases of a snapshot where a replay looks for them. */
export async function fetchSnapshot(
  store: Store,
  { files }: Snapshot,
  { copies, progress, signal }: Pick<ReplayingOptions, 'copies' | 'progress' | 'signal'>,
): Promise<void> {
  await rm(copies, { recursive: true, force: true })
  await mkdir(copies, { recursive: true, mode: 0o700 })
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let doneBytes = 0
  for (const file of files) {
    checkNotAborted(signal)
    await getSnapshotFile(store, file, join(copies, `${file.database}.db`), (bytes) => {
      doneBytes += bytes
      progress?.({ phase: 'snapshot', doneBytes, totalBytes, index: 0 })
    })
  }
}

/** The log of a generation on its way into a replay. */
class Replaying {
  readonly #store: Store
  readonly #generation: Generation
  readonly #replay: Replay
  readonly #options: ReplayingOptions
  readonly #path: Path
  /** Pieces whose last entries have no time, and may be of a later one than is wanted. */
  readonly #waiting: Uint8Array[] = []
  /** The rolling digest where the replay is; null while nothing tells of it. */
  #digest: string | null

  constructor(
    store: Store,
    generation: Generation,
    snapshot: Snapshot,
    replay: Replay,
    options: ReplayingOptions,
  ) {
    this.#store = store
    this.#generation = generation
    this.#replay = replay
    this.#options = options
    const { wanted } = options
    const until = wanted.kind === 'index' ? wanted.index : undefined
    this.#path = findPath(generation.listed.segments, snapshot.index, until)
    const { generation: name } = generation.listed
    const isFirst = snapshot.index === generation.manifest.firstIndex
    this.#digest = isFirst ? digestAtBegin(name) : null
  }

  async run(): Promise<void> {
    const { wanted, signal } = this.#options
    const { segments } = this.#path
    if (segments.length > 0) this.#requireEngine(this.#replay.fingerprint)
    const totalBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    let doneBytes = 0
    // Whoever watches learns where it begins, to tell how fast it is.
    this.#options.progress?.({ phase: 'log', doneBytes, totalBytes, index: this.#replay.index })
    let isDone = wanted.kind === 'index' && this.#replay.index >= wanted.index
    // The next one is on its way while one is applied.
    let next = this.#get(0)
    for (const [at, { sizeBytes }] of segments.entries()) {
      if (isDone) break
      checkNotAborted(signal)
      const segment = await next
      next = this.#get(at + 1)
      isDone = await this.#apply(segment as Segment)
      doneBytes += sizeBytes
      const { index } = this.#replay
      this.#options.progress?.({ phase: 'log', doneBytes, totalBytes, index })
    }
    if (!isDone) this.#requireEnd()
  }

  #get(at: number): Promise<Segment> | null {
    const name = this.#path.segments[at]
    const segment = name === undefined ? null : this.#store.segment(name)
    // Nobody may come to wait for it.
    segment?.catch(() => {})
    return segment
  }

  /** Whether what is wanted is reached. */
  async #apply(segment: Segment): Promise<boolean> {
    const { wanted } = this.#options
    const { first, last } = segment
    this.#requireChain(segment)
    const until = wanted.kind === 'index' ? wanted.index : undefined
    const isThere = () => until !== undefined && this.#replay.index >= until
    for (const [at, chunk] of segment.chunks.entries()) {
      if (describeLog(chunk).lastIndex <= this.#replay.index) continue
      if (wanted.kind === 'time') {
        const readMs = segment.chunkMs[at] as number
        if (await this.#applyByTime(chunk, readMs, wanted.timeMs)) return true
      } else await this.#bring(chunk, until)
      if (isThere()) break
    }
    this.#digest = segment.after
    // What it left behind its last entry is known, and nothing else.
    if (this.#replay.index < last) return isThere()
    const own = this.#replay.digests()
    const other = Object.keys(segment.digests).find((key) => {
      return own[key] !== undefined && own[key] !== segment.digests[key]
    })
    if (other === undefined) return isThere()
    throw damaged(
      this.#store,
      this.#generation.listed.generation,
      `can't be replayed: entries ${first} to ${last} did to ${other} what they did not do before`,
    )
  }

  /** Whether a later entry follows. One without a time waits until it is known to be due. */
  async #applyByTime(chunk: Uint8Array, readMs: number, timeMs: number): Promise<boolean> {
    const { index, isPassed } = findMoment(chunk, timeMs)
    const isOld = readMs <= timeMs
    if (isOld || index !== null) {
      for (const waiting of this.#waiting.splice(0)) await this.#bring(waiting)
    }
    if (isOld && !isPassed) await this.#bring(chunk)
    else if (index !== null) await this.#bring(chunk, index)
    if (!isOld && !isPassed && index !== describeLog(chunk).lastIndex) this.#waiting.push(chunk)
    return isPassed
  }

  async #bring(chunk: Uint8Array, untilIndex?: number | undefined): Promise<void> {
    await this.#replay.apply(chunk, { untilIndex, signal: this.#options.signal })
  }

  /** Each segment goes on from the very entries that were applied. */
  #requireChain(segment: Segment): void {
    if (this.#digest === null) return
    let digest: Uint8Array = Buffer.from(segment.before, 'hex')
    for (const chunk of segment.chunks) {
      if (describeLog(chunk).firstIndex > this.#replay.index) break
      digest = rollLog(digest, chunk, this.#replay.index)
    }
    if (Buffer.from(digest).toString('hex') === this.#digest) return
    const { generation } = this.#generation.listed
    const name = segmentName(generation, segment.first, segment.last)
    throw damaged(this.#store, name, 'does not go on from the entries before it')
  }

  /** All that was put there has been replayed. */
  #requireEnd(): void {
    const { wanted } = this.#options
    const { listed, head } = this.#generation
    const { last, behindGap } = this.#path
    const name = `${listed.generation}/log`
    if (behindGap !== null) {
      throw damaged(
        this.#store,
        name,
        `misses entries ${last + 1} to ${behindGap.first - 1}, before ${behindGap.name}`,
      )
    }
    if (last < head.last) {
      throw damaged(this.#store, name, `misses entries ${last + 1} to ${head.last}, its last ones`)
    }
    if (wanted.kind === 'index' && last < wanted.index) {
      const message = `${this.#store.label} has entries up to ${last}, not ${wanted.index}`
      throw new ColmenaError('ERR_NOT_FOUND', message)
    }
  }

  /** @throws ColmenaError ERR_MIXED_ENGINES */
  #requireEngine(own: string): void {
    const { manifest, snapshots } = this.#generation
    if (manifest.fingerprint === own) return
    const points = snapshots.map(({ index, timeMs }) => {
      return `${index} (${new Date(timeMs).toISOString()})`
    })
    throw new ColmenaError(
      'ERR_MIXED_ENGINES',
      `the log of this backup was applied by ${manifest.fingerprint}, and here runs ${own}: it ` +
        'may come to something else. Restore with that build, or to one of the entries that have ' +
        `a snapshot: ${points.join(', ')}`,
    )
  }
}

/** A time between two generations, where entries are in no backup. @throws ERR_NOT_FOUND */
function requireNoGap(store: Store, generations: readonly Generation[], replay: Replay): void {
  const next = generations.find(({ manifest }) => manifest.firstIndex > replay.index)
  if (next === undefined) return
  throw new ColmenaError(
    'ERR_NOT_FOUND',
    `${store.label} has entries up to ${replay.index} (${new Date(replay.timeMs).toISOString()}) ` +
      `and from ${next.manifest.firstIndex} on, and that time may be between them: restore to ` +
      `{ index: ${replay.index} } or to { index: ${next.manifest.firstIndex} }`,
  )
}
