import * as fs from 'node:fs'
import { join } from 'node:path'
import type { ApplierHandlers } from '../../src/engine/ports.ts'
import type { StorageGenesis } from '../../src/engine/protocol.ts'
import { LIVES, makePassing } from './passing.ts'
import type { SeededRandom } from './random.ts'
import { SqliteFiles } from './sqlite-files.ts'
import { SqliteStorage } from './sqlite-storage.ts'
import type { StorageOptions } from './storage.ts'

export interface SqliteMachineOptions {
  readonly random: SeededRandom
  /** The process is dead, in the midst of an event of its storage. */
  readonly killed: () => void
  /** Whether anything may go wrong now. */
  readonly isTormented: () => boolean
}

/** Databases of SQLite, under the production code, in a directory that outlives processes. */
export class SqliteMachine {
  readonly #options: SqliteMachineOptions
  readonly #root = makePassing(LIVES)
  readonly #files: SqliteFiles
  readonly snapshots: DirectorySnapshots
  #storage: SqliteStorage | null = null

  constructor(options: SqliteMachineOptions) {
    this.#options = options
    const { random, isTormented } = options
    const syncs = random.stream('syncs')
    const syncChance = syncs.pick([0, 0, 0.02])
    this.#files = new SqliteFiles({
      root: this.#root,
      random,
      failsSync: () => syncs.chance(syncChance) && isTormented(),
    })
    this.snapshots = new DirectorySnapshots(this.#root, this.#files)
  }

  open(
    options: StorageOptions,
    generation: number,
    genesis: StorageGenesis | null,
    handlers: ApplierHandlers,
  ): SqliteStorage {
    const { killed, isTormented } = this.#options
    this.#storage = new SqliteStorage({
      ...options,
      root: this.#root,
      files: this.#files,
      killed,
      isTormented,
      generation,
      genesis,
      handlers,
    })
    return this.#storage
  }

  /** The process is gone; with the power goes what was not synced, or some of it. */
  crash(losesPower: boolean, losesAll: boolean): void {
    const storage = this.#storage
    this.#storage = null
    if (storage === null) return
    this.#files.keepAside()
    storage.vanish()
    this.#files.putBack(losesPower, losesAll ? { kept: 0, garbage: 0 } : null)
  }

  /** Somebody deleted the data directory. */
  forget(): void {
    for (const name of fs.readdirSync(this.#root)) {
      fs.rmSync(join(this.#root, name), { recursive: true })
    }
    this.#files.forget()
  }

  /** The life is over. */
  dispose(): void {
    this.#storage?.vanish()
    this.#storage = null
    this.#files.dispose()
    fs.rmSync(this.#root, { recursive: true, force: true })
  }
}

/** What travels is copied; that all of it arrived is for the transport's own tests. */
export class DirectorySnapshots {
  readonly #root: string
  readonly #files: SqliteFiles

  constructor(root: string, files: SqliteFiles) {
    this.#root = root
    this.#files = files
  }

  /** Takes what lies in another machine's `directory`; false if nothing does. */
  receive(from: DirectorySnapshots, directory: string, target: string): boolean {
    const source = join(from.#root, directory)
    if (!fs.existsSync(source)) return false
    const place = join(this.#root, target)
    fs.rmSync(place, { recursive: true, force: true })
    fs.cpSync(source, place, { recursive: true })
    this.#files.keep(place)
    return true
  }
}
