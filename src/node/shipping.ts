import { join } from 'node:path'
import type { DatabasesCopy, LogChunk } from '../engine/engine.ts'
import { engineFingerprint } from '../sqlite/sqlite.ts'
import { checkSignalOptions, invalid, type SignalOptions, show } from './arguments.ts'
import type { ExtensionOptions } from './extension-options.ts'
import { checkKeys } from './nearest.ts'
import type { NodeCore } from './node-core.ts'

export type { DatabasesCopy, LogChunk }

export interface ReadLogOptions extends SignalOptions {
  /** At most so much of the log, but at least one entry. @defaultValue 4 MiB */
  readonly bytesMax?: number | undefined
}

export interface HoldLogOptions {
  /** Entries behind this index are kept. */
  readonly after: number
  /** At most so much log is kept for this, in bytes; what is beyond may go. */
  readonly bytesMax: number
}

/** Files that hold all databases of a node as they were at one index, until they are removed. */
export interface CopiedDatabases extends DatabasesCopy, AsyncDisposable {
  /** That the files are in. */
  readonly directory: string
  /** Removes the files, also a second time. */
  remove(): Promise<void>
}

const BYTES_MAX = 4 * 1024 * 1024
const BYTES_MAX_MAX = 64 * 1024 * 1024
/** Bound by the disk: a copy that takes forever is ended by its signal, or by `close`. */
const COPY_MS_MAX = 0x7fff_ffff

let keys = 0

/** Keeps a part of this node's log from being shortened. */
export class LogHold {
  readonly #core: NodeCore
  readonly #bytesMax: number
  readonly #key: number
  #after: number
  #isReleased = false

  constructor(core: NodeCore, { after, bytesMax }: HoldLogOptions) {
    this.#core = core
    this.#bytesMax = bytesMax
    this.#after = after
    keys += 1
    this.#key = keys
  }

  /** Entries behind this index are kept. */
  get after(): number {
    return this.#after
  }

  /** Lets go of entries up to `after`, which are not needed any more. */
  async move(after: number): Promise<void> {
    checkIndex(after)
    if (this.#isReleased) return
    this.#after = after
    const hold = { after, bytesMax: this.#bytesMax }
    await this.#core.request({ method: 'holdLog', key: this.#key, hold })
  }

  /** Keeps nothing any more, also when called again; a node that is closed keeps nothing. */
  async release(): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    if (this.#core.isOpen) {
      await this.#core.request({ method: 'holdLog', key: this.#key, hold: null })
    }
  }
}

/**
 * What somebody takes of a node who keeps its content elsewhere: the log as it is committed, and
 * copies of all databases at one index to begin with.
 */
export class Shipping {
  readonly #core: NodeCore

  constructor(core: NodeCore) {
    this.#core = core
  }

  /** The cluster whose history the indexes count: another one after `recover` or a restore. */
  get clusterId(): string {
    return this.#core.identity.clusterId
  }

  /** What this node runs SQL with: a replay gives the same content where it is the same. */
  get fingerprint(): string {
    return engineFingerprint(this.#core.config.extensions)
  }

  /** What this node was opened with: a replay of its log needs the same. */
  get extensions(): readonly ExtensionOptions[] {
    return this.#core.config.extensions
  }

  /**
   * The next entries behind `after` that this node has applied, none where there are none yet.
   *
   * @throws ColmenaError ERR_FELL_BEHIND where the log does not go back so far: a copy is where to
   * begin again; ERR_TIMEOUT, ERR_ABORTED, ERR_INVALID_ARGUMENT
   */
  async read(after: number, options: ReadLogOptions = {}): Promise<LogChunk> {
    checkIndex(after)
    checkKeys(options, ['bytesMax', 'signal'], invalid, ' of read')
    const { bytesMax = BYTES_MAX, ...rest } = options
    const signal = checkSignalOptions(rest, 'read')
    checkBytes(bytesMax, BYTES_MAX_MAX)
    return (await this.#core.request({ method: 'readLog', after, bytesMax }, signal)) as LogChunk
  }

  /**
   * Keeps log that would otherwise go: this node's alone, and until it is closed.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT, ERR_CLOSED
   */
  async hold(options: HoldLogOptions): Promise<LogHold> {
    checkKeys(options, ['after', 'bytesMax'], invalid, ' of hold')
    checkBytes(options.bytesMax, Number.MAX_SAFE_INTEGER)
    const hold = new LogHold(this.#core, options)
    await hold.move(options.after)
    return hold
  }

  /**
   * Copies all databases, the cluster's own `system` among them, as they are at one index, beside
   * those in use: as large as they are. Writes go on meanwhile. A restart removes what was left.
   *
   * @throws ColmenaError ERR_LAGGING where databases are at different indexes for now, ERR_ABORTED,
   * ERR_APPLY_HALTED, ERR_FAILED
   */
  async copy(options: SignalOptions = {}): Promise<CopiedDatabases> {
    const signal = checkSignalOptions(options, 'copy')
    keys += 1
    const directory = `snapshot/copy-${keys}`
    const remove = async (): Promise<void> => {
      if (this.#core.isOpen) await this.#core.request({ method: 'removeCopy', directory })
    }
    try {
      const request = { method: 'copyDatabases', directory } as const
      const copy = (await this.#core.request(request, signal, COPY_MS_MAX)) as DatabasesCopy
      const path = join(this.#core.config.dataDir, directory)
      return { ...copy, directory: path, remove, [Symbol.asyncDispose]: remove }
    } catch (error) {
      await remove()
      throw error
    }
  }
}

function checkIndex(after: unknown): void {
  if (Number.isSafeInteger(after) && (after as number) >= 0) return
  throw invalid(`after is ${show(after)}; it is the index of an entry, or 0`)
}

function checkBytes(bytesMax: unknown, most: number): void {
  if (Number.isSafeInteger(bytesMax) && (bytesMax as number) >= 1 && (bytesMax as number) <= most) {
    return
  }
  throw invalid(`bytesMax is ${show(bytesMax)}; it is a whole number of bytes from 1 to ${most}`)
}
