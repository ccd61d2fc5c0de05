import * as fs from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { decodeCommandResult } from '../../src/command/command.ts'
import {
  type ContentHasher,
  decodeResults,
  type PinnedSnapshot,
  type SnapshotMaker,
  Storage,
  StorageClient,
  type StoragePorts,
  type StorageToUser,
} from '../../src/database/database.ts'
import { MachineTrouble } from '../../src/database/trouble.ts'
import type { ApplierHandlers } from '../../src/engine/ports.ts'
import type { StorageGenesis } from '../../src/engine/protocol.ts'
import type { Entry } from '../../src/raft/types.ts'
import { FailedSync, type SqliteFiles } from './sqlite-files.ts'
import { FaultyWriter, Killed, WriterTrouble } from './sqlite-writer.ts'
import type { StorageOptions, WrittenRow } from './storage.ts'

export interface SqliteStorageOptions extends StorageOptions {
  readonly root: string
  readonly files: SqliteFiles
  readonly isTormented: () => boolean
  /** The process is dead, of what it was just doing. */
  readonly killed: () => void
  readonly generation: number
  readonly genesis: StorageGenesis | null
  readonly handlers: ApplierHandlers
}

const WATCH_MS = 1_000
const SNAPSHOT_MS = 20
/** Little enough that WALs begin anew in a life of seconds. */
const WAL_BOUNDS = { checkpointBytes: 150_000, bytesMax: 400_000_000, restMsMax: 1_000 }

/** Messages from one thread to another: each takes its time, none passes another. */
class Lane<Sent> {
  readonly #options: StorageOptions
  readonly #deliver: (message: Sent) => void
  readonly #delaysMs: number
  readonly #queue: Sent[] = []

  constructor(options: StorageOptions, deliver: (message: Sent) => void, delaysMs = 3) {
    this.#options = options
    this.#deliver = deliver
    this.#delaysMs = delaysMs
  }

  send(message: Sent): void {
    this.#queue.push(message)
    this.#options.plan(this.#options.random.below(this.#delaysMs), () => {
      const next = this.#queue.shift()
      if (next !== undefined) this.#deliver(next)
    })
  }
}

/** The production's storage thread and its client, on the simulation's one thread. */
export class SqliteStorage extends StorageClient {
  readonly #options: SqliteStorageOptions
  readonly #trouble: WriterTrouble
  #storage: Storage | null = null
  #reader: { readonly path: string; readonly db: DatabaseSync } | null = null

  constructor(options: SqliteStorageOptions) {
    let listen: Parameters<ConstructorParameters<typeof StorageClient>[0]['on']>[1] = () => {}
    const toEngine = new Lane(options, (message: Parameters<typeof listen>[0]) => listen(message))
    const toStorage = new Lane(options, (message: Parameters<Storage['receive']>[0][number]) =>
      this.#run(() => this.#storage?.receive([message])),
    )
    const port = {
      on: (_: 'message', listener: typeof listen) => {
        listen = listener
      },
      postMessage: (message: Parameters<Storage['receive']>[0][number]) => toStorage.send(message),
      close: () => {},
    }
    super(port, options.handlers)
    this.#options = options
    const { random, isTormented, files } = options
    this.#trouble = new WriterTrouble({
      random: random.stream('trouble'),
      // Nobody dies twice in a row of the same entries: that is taken for their fault.
      isTormented: () => isTormented() && options.shared.applied() > files.killedAt,
      keepAside: () => {
        files.killedAt = options.shared.applied()
        files.keepAside()
      },
      saved: (walPath) => files.saved(walPath),
    })
    options.plan(options.random.below(4), () => this.#run(() => this.#open(toEngine)))
  }

  override apply(entries: readonly Entry[]): void {
    for (const entry of entries) this.#options.saw(entry)
    super.apply(entries)
  }

  /** What was written, in the order in which it was applied. */
  rows(): readonly WrittenRow[] {
    const directory = this.#directory
    return fs
      .readdirSync(directory)
      .filter((name) => name.endsWith('.db') && name !== 'system.db')
      .flatMap((name) => rowsOf(join(directory, name), name.slice(0, -3)))
  }

  /** What a read of this node sees at this very moment: one column of one row, or null. */
  look(database: string, sql: string, args: readonly string[]): unknown {
    const path = join(this.#directory, `${database}.db`)
    if (this.#reader?.path !== path) {
      this.#reader?.db.close()
      this.#reader = null
      if (!fs.existsSync(path)) return null
      this.#reader = { path, db: new DatabaseSync(path, { readOnly: true }) }
    }
    const [value] = Object.values(this.#reader.db.prepare(sql).get(...args) ?? {})
    return value ?? null
  }

  /** The process is gone: connections must be closed all the same. */
  vanish(): void {
    this.#reader?.db.close()
    this.#reader = null
    const storage = this.#storage
    this.#storage = null
    storage?.close()
  }

  get #directory(): string {
    const { root, shared } = this.#options
    return join(root, 'db', String(shared.generation()))
  }

  #open(toEngine: Lane<Parameters<StoragePorts['tellEngine']>[0]>): void {
    const { root, generation, genesis, memberId, ownOrigin, shared } = this.#options
    const { random, plan, nowMs } = this.#options
    const settings = { dataDir: root, generation, genesis, memberId, ownOrigin }
    const toUser = new Lane<StorageToUser>(this.#options, (one) => this.#tellUser(one), 2)
    this.#storage = new Storage(
      { ...settings, slowMs: 1_000_000, walBounds: WAL_BOUNDS },
      {
        clock: { nowMs, setTimer: (delayMs, fire) => plan(delayMs, () => this.#run(fire)) },
        shared,
        openWriter: (path, writer) => new FaultyWriter(path, writer, this.#trouble),
        defer: (turn) => void plan(random.below(2), () => this.#run(turn)),
        tellEngine: (message) => toEngine.send(message),
        tellUser: (message) => toUser.send(message),
        createCopies: (pin) => this.#createCopies(pin),
        createHashes: () => NO_HASHES,
        closed: () => {},
      },
    )
    this.#watch()
  }

  #watch(): void {
    this.#options.plan(WATCH_MS, () => {
      this.#run(() => this.#storage?.watch())
      this.#watch()
    })
  }

  /** What the production code can't go on after ends its process. */
  #run(event: () => void): void {
    let isOver = false
    try {
      event()
    } catch (error) {
      // Whom the machine fails while it opens has nothing to halt, and says that it can't open.
      const cannotOpen = this.#storage === null && this.#trouble.hasFailed
      if (!isInjected(error) && !cannotOpen) throw error
      isOver = true
    }
    if (isOver || this.#trouble.isDead) this.#options.killed()
  }

  #tellUser(message: StorageToUser): void {
    if (message.kind === 'results') {
      for (const { bytes } of decodeResults(message.bytes)) {
        this.#options.answered(decodeCommandResult(bytes))
      }
    } else if (message.kind === 'installed') {
      const own = message.sequences.map((one) => [one.database, one.sequence] as const)
      this.#options.installed(message.index, new Map(own))
    }
  }

  /** As the production's copies: what stops one is its answer. */
  #pin(pin: () => PinnedSnapshot | null): PinnedSnapshot | null {
    try {
      return pin()
    } catch (error) {
      if (isInjected(error) || !(error instanceof MachineTrouble)) throw error
      return null
    }
  }

  /** Copies that are there at once: that a real one takes its time is not tested here. */
  #createCopies(pin: () => PinnedSnapshot | null): SnapshotMaker {
    const { root, plan } = this.#options
    fs.rmSync(join(root, 'snapshot'), { recursive: true, force: true })
    return {
      make: (directory, done) => {
        const pinned = this.#pin(pin)
        if (pinned === null) {
          const error = { code: 'ERR_LAGGING', message: 'not now', retryable: true }
          done({ error, value: null })
          return
        }
        const { index, term, confState, clockMs, digests } = pinned
        const copy = { index, term, confState, clockMs, digests, files: [] }
        const target = join(root, directory)
        fs.cpSync(this.#directory, target, { recursive: true, filter: isOfCopy })
        pinned.release()
        plan(SNAPSHOT_MS, () => done({ error: null, value: copy }))
      },
      remove: (directory) => fs.rmSync(join(root, directory), { recursive: true, force: true }),
      close: () => {},
    }
  }
}

/** Nobody here asks for a hash: equality is judged by the rows. */
const NO_HASHES: ContentHasher = { isPinning: false, expect() {}, begin() {}, close() {} }

function isOfCopy(path: string): boolean {
  return !/-shm$|\/applying$|\/diverged$/.test(path)
}

function isInjected(error: unknown): boolean {
  return error instanceof Killed || error instanceof FailedSync
}

const ROWS =
  'SELECT text, id, chance, at, before, length(padding) AS padding FROM written ORDER BY id'

function rowsOf(path: string, database: string): WrittenRow[] {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const isThere = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'written'").get()
    if (isThere === undefined) return []
    const statement = db.prepare(ROWS)
    statement.setReadBigInts(true)
    return statement.all().map((row) => {
      const whole = Object.values(row).join('/')
      return { database, text: String(row['text']), whole }
    })
  } finally {
    db.close()
  }
}
