import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { ColmenaError } from '../base/errors.ts'
import {
  applyToCopies,
  ContentHashes,
  closeCopies,
  damaged,
  type HashedContent,
  openCopies,
  type Replica,
  readEntries,
  SYSTEM,
  voidEntries,
  voidedBy,
} from '../database/database.ts'
import type { Entry } from '../raft/raft.ts'
import {
  type Extension,
  engineFingerprint,
  probeExtensions,
  requireSqlite,
} from '../sqlite/sqlite.ts'
import { checkSignal, checkSignalOptions, invalid, type SignalOptions, show } from './arguments.ts'
import type { DatabaseCopy } from './copying.ts'
import { checkExtensions, type ExtensionOptions } from './extension-options.ts'
import { abortedError, checkNotAborted } from './failures.ts'
import { checkKeys } from './nearest.ts'
import { copyReplayed } from './replay-copy.ts'
import { requireEntries } from './threads.ts'

export interface ReplayOptions {
  /** A folder that is no node's, with the copies as `db/1/<name>.db`. The replay changes them. */
  readonly directory: string
  /**
   * What the nodes were opened with whose log is replayed.
   *
   * @defaultValue none
   */
  readonly extensions?: readonly ExtensionOptions[] | undefined
  /**
   * Entries that were skipped, as `describeLog` tells of the pieces that are going to be applied
   * and of those behind them. What a piece says of its own entries is known without.
   *
   * @defaultValue none
   */
  readonly voided?: readonly number[] | undefined
}

/** How far a replay goes; without it, to the end of what it is given. `findMoment` has an index. */
export interface ReplayBounds extends SignalOptions {
  /** The last entry that is applied. */
  readonly untilIndex?: number | undefined
}

/** How far a replay has come. */
export interface ReplayProgress {
  readonly index: number
  /** The time of the last entry that has one, in milliseconds since 1970; 0 before the first. */
  readonly timeMs: number
  /** Whether the bound is reached, so that nothing further on will be applied. */
  readonly isDone: boolean
}

/** A database as a replay has it. */
export interface ReplayedDatabase {
  readonly name: string
  /** The entry that made it. */
  readonly createdIndex: number
  readonly sizeBytes: number
}

/** The generation that copies lie as. */
export const GENERATION = 1
/** Each group is one turn of the event loop: some 10 ms of small writes. */
const GROUP_ENTRIES_MAX = 1_024
const GROUP_BYTES_MAX = 4 * 1024 * 1024
const KEYS = ['directory', 'extensions', 'voided']
const HASH_KEY = 'replay'

/**
 * Opens copies of all databases, taken at one index, to apply what the log had behind them.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT, ERR_INVALID_OPTION; ERR_BACKUP_DAMAGED where they are
 * not all of one index; ERR_DATA_DIR, ERR_UNSUPPORTED_FORMAT, ERR_EXTENSION_FAILED.
 */
export async function openReplay(options: ReplayOptions): Promise<Replay> {
  requireSqlite()
  requireEntries()
  checkKeys(options, KEYS, invalid, ' of openReplay')
  const { directory, voided = [] } = options
  if (typeof directory !== 'string' || directory === '') {
    throw invalid('openReplay needs the directory that holds the copies')
  }
  if (!Array.isArray(voided) || !voided.every(Number.isSafeInteger)) {
    throw invalid('voided must be a list of the indexes of entries')
  }
  const extensions = checkExtensions(options.extensions)
  probeExtensions(extensions)
  const place = { directory: join(directory, 'db'), generation: GENERATION }
  const replica = openCopies({ ...place, writer: { extensions } })
  try {
    voidEntries(replica, voided)
  } catch (error) {
    replica.close()
    throw error
  }
  return new Replay(directory, extensions, replica)
}

/**
 * Databases on their way from a copy along the log, without a cluster. They are nobody's yet: what
 * fails or is killed here is begun again from the copies.
 */
export class Replay implements AsyncDisposable {
  readonly #directory: string
  readonly #extensions: readonly Extension[]
  readonly #replica: Replica
  #isBusy = false
  #isClosed = false

  constructor(directory: string, extensions: readonly Extension[], replica: Replica) {
    this.#directory = directory
    this.#extensions = extensions
    this.#replica = replica
  }

  get directory(): string {
    return this.#directory
  }

  /** Every entry up to here is in every database. */
  get index(): number {
    return this.#replica.appliedIndex
  }

  /** The time of the last entry that has one, in milliseconds since 1970; 0 before the first. */
  get timeMs(): number {
    return this.#replica.clockMs
  }

  /** Of the cluster that the copies are of: 32 hexadecimal digits. */
  get clusterId(): string {
    return this.#replica.clusterId
  }

  /** What this process runs SQL with: the log comes to the same content where that is the same. */
  get fingerprint(): string {
    return engineFingerprint(this.#extensions)
  }

  /** In the order of their names. */
  databases(): readonly ReplayedDatabase[] {
    this.#checkOpen()
    const users = this.#replica.databases().filter(({ name }) => name !== SYSTEM)
    const sorted = users.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    return sorted.map(({ name, createdIndex, sizeBytes }) => ({ name, createdIndex, sizeBytes }))
  }

  /**
   * Applies a piece of the log, which begins at or below the entry that is due and reaches it.
   *
   * @throws ColmenaError ERR_BACKUP_DAMAGED for a piece that can't be read, or does not follow;
   * ERR_DATA_DIR where this machine could not apply it: the same piece may be given again;
   * ERR_UNSUPPORTED_FORMAT, ERR_OTHER_EXTENSIONS, ERR_ABORTED, ERR_CLOSED.
   */
  async apply(bytes: Uint8Array, bounds: ReplayBounds = {}): Promise<ReplayProgress> {
    const { untilIndex = Number.POSITIVE_INFINITY, signal } = checkBounds(bounds)
    return this.#alone(async () => {
      const due = this.#due(readEntries(bytes))
      voidEntries(this.#replica, due.flatMap(voidedBy))
      const wanted = due.filter(({ index }) => index <= untilIndex)
      for (let at = 0; at < wanted.length; ) {
        checkNotAborted(signal)
        const group = groupFrom(wanted, at)
        applyToCopies(this.#replica, group)
        at += group.length
        await setImmediate()
        this.#checkOpen()
      }
      const isDone = wanted.length < due.length || this.index >= untilIndex
      return { index: this.index, timeMs: this.timeMs, isDone }
    })
  }

  /**
   * What each database's rolling digest is now, by its name and the entry that made it, as in
   * `main@7`; of those 64 that were written to last. It counts what writes did: equal logs give
   * equal ones, on every node.
   */
  digests(): Readonly<Record<string, string>> {
    this.#checkOpen()
    this.#checkWhole()
    return Object.fromEntries(this.#replica.digestsAt(this.index))
  }

  /**
   * A hash of the content of each database, as `node.verify()` compares them, by the same names.
   * It reads everything, on a thread of its own.
   *
   * @throws ColmenaError ERR_FAILED, ERR_ABORTED, ERR_CLOSED; ERR_DATA_DIR after an `apply` that
   * failed so, until that piece is applied.
   */
  async hashes(options: SignalOptions = {}): Promise<Readonly<Record<string, string>>> {
    const signal = checkSignalOptions(options, 'hashes')
    checkNotAborted(signal)
    return this.#alone(async () => {
      this.#checkWhole()
      const { promise, resolve } = Promise.withResolvers<HashedContent>()
      const hasher = new ContentHashes({ pinned: () => {}, hashed: resolve })
      const giveUp = (): void => hasher.close()
      signal?.addEventListener('abort', giveUp, { once: true })
      hasher.expect(HASH_KEY)
      hasher.begin(HASH_KEY, this.#replica.hashSource())
      const { hashes, error } = await promise
      signal?.removeEventListener('abort', giveUp)
      if (hashes !== null) return Object.fromEntries(hashes)
      if (signal?.aborted) throw abortedError(signal)
      throw new ColmenaError('ERR_FAILED', `the databases could not be hashed: ${error}`)
    })
  }

  /**
   * Copies one database to a file of its own, as `database.copyTo` does: any SQLite opens it, and
   * nothing of ours is in it. No file is replaced.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where there is no such database, or a file of that
   * path; ERR_FAILED, ERR_ABORTED, ERR_CLOSED; ERR_DATA_DIR as of {@link hashes}
   */
  async copyTo(database: string, path: string, options: SignalOptions = {}): Promise<DatabaseCopy> {
    const signal = checkSignalOptions(options, 'copyTo')
    checkNotAborted(signal)
    return this.#alone(async () => {
      this.#checkWhole()
      const names = this.databases().map(({ name }) => name)
      if (!names.includes(database)) {
        const known = names.join(', ') || 'none'
        const where = `at entry ${this.index}`
        throw invalid(`there is no database ${show(database)} ${where}, but ${known}`)
      }
      const extensions = this.#extensions
      const { index, directory } = this
      const files = { directory, generation: GENERATION, extensions, index }
      return copyReplayed(files, database, path, signal)
    })
  }

  /**
   * Lets the files go. Twice is once.
   *
   * @throws ColmenaError ERR_DATA_DIR where the disk did not take the last of it.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    closeCopies(this.#replica)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Those that are not applied yet. @throws ColmenaError ERR_BACKUP_DAMAGED */
  #due(entries: readonly Entry[]): readonly Entry[] {
    const { appliedIndex, appliedTerm } = this.#replica
    const first = entries[0] as Entry
    const last = entries.at(-1) as Entry
    const piece = `the piece with entries ${first.index} to ${last.index}`
    if (first.index > appliedIndex + 1 || last.index <= appliedIndex) {
      throw damaged(`${piece} does not follow entry ${appliedIndex}, which is applied`)
    }
    const due = appliedIndex + 1 - first.index
    const before = entries[due - 1]
    const [next] = entries.slice(due)
    if ((before?.term ?? appliedTerm) !== appliedTerm || (next?.term ?? 0) < appliedTerm) {
      throw damaged(
        `${piece} is not of the log that was applied up to entry ${appliedIndex} of term ` +
          `${appliedTerm}: it has that entry in term ${before?.term ?? next?.term}`,
      )
    }
    return entries.slice(due)
  }

  /** One thing at a time: what is applied meanwhile would be in no hash, or in another group. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#checkOpen()
    if (this.#isBusy) throw invalid('this replay is busy: wait for one call before the next')
    this.#isBusy = true
    try {
      return await work()
    } finally {
      this.#isBusy = false
    }
  }

  /** Where a piece could be applied in part, some databases have more of it than others. */
  #checkWhole(): void {
    const { highestApplied, appliedIndex } = this.#replica
    if (highestApplied === appliedIndex) return
    throw new ColmenaError(
      'ERR_DATA_DIR',
      `the databases are at entries from ${appliedIndex} to ${highestApplied}, as this machine ` +
        'could not apply a piece of the log to all of them: give that piece again',
      { retryable: true },
    )
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ColmenaError('ERR_CLOSED', 'this replay is closed')
  }
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
function checkBounds(bounds: ReplayBounds): ReplayBounds {
  checkKeys(bounds, ['untilIndex', 'signal'], invalid, ' of apply')
  checkSignal(bounds.signal)
  const { untilIndex } = bounds
  if (untilIndex === undefined || Number.isFinite(untilIndex)) return bounds
  throw invalid(`untilIndex is ${show(untilIndex)}; it must be a number`)
}

function groupFrom(entries: readonly Entry[], from: number): readonly Entry[] {
  let sizeBytes = 0
  let to = from
  while (to < entries.length && to - from < GROUP_ENTRIES_MAX) {
    sizeBytes += entries[to]?.data.length ?? 0
    if (to > from && sizeBytes > GROUP_BYTES_MAX) break
    to += 1
  }
  return entries.slice(from, to)
}
