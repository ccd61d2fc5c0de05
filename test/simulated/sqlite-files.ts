import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'
import { type CrashOdds, Inode, POWER_LOSSES } from './inode.ts'
import type { SeededRandom } from './random.ts'

/** Where the two salts of a WAL stand: another pair, another beginning. */
const SALTS = [16, 24] as const
/** How often the file had begun anew before that, as a number of 32 bits. */
const BEGINNINGS_AT = 12

export interface SqliteFilesOptions {
  /** Holds `db/` and whatever else there is. */
  readonly root: string
  readonly random: SeededRandom
  /** Whether the sync that is asked for fails, and drops what it was to save. */
  readonly failsSync: () => boolean
}

/** What a disk says that could not save what was written. */
export class FailedSync extends Error {
  override readonly name: string = 'FailedSync'
  readonly code = 'EIO'
}

/**
 * The databases of one machine as its disk has them. The files are real, so a crash is played by
 * what they are when it comes: they are copied before the connections are closed, and the copies
 * are what the next process finds. A power loss takes sectors of what was written to a WAL and not
 * synced, and names that no sync of their directory saved. What SQLite syncs by itself, before it
 * lets a WAL begin anew, is taken for safe.
 */
export class SqliteFiles {
  readonly #options: SqliteFilesOptions
  readonly #databases: string
  readonly #aside: string
  readonly #wals = new Map<string, Inode>()
  /** How far they had applied when the process was last killed over them. */
  killedAt = -1
  /** Whose names a power loss leaves. */
  readonly #named = new Set<string>()

  constructor(options: SqliteFilesOptions) {
    this.#options = options
    this.#databases = join(options.root, 'db')
    this.#aside = join(options.root, 'aside')
    watchSyncs(options.root, this)
  }

  dispose(): void {
    watched.delete(this.#options.root)
  }

  /** The production code syncs a file. @throws what a disk says that can't */
  sync(path: string): void {
    const wal = this.#observe(path)
    if (this.#options.failsSync()) {
      wal?.forget(wal.pending())
      throw new FailedSync(`EIO: i/o error, fdatasync '${path}'`)
    }
    wal?.settle(wal.pending())
  }

  /** SQLite has synced it by itself. */
  saved(path: string): void {
    const wal = this.#observe(path)
    wal?.settle(wal.pending())
  }

  syncDirectory(path: string): void {
    for (const name of fs.readdirSync(path)) this.#named.add(join(path, name))
  }

  /** Whoever wrote these files made sure of them. */
  keep(directory: string): void {
    this.syncDirectory(directory)
    for (const path of filesOf(directory)) {
      if (!isWal(path)) continue
      const wal = new Inode()
      wal.damage(0, fs.readFileSync(path))
      this.#wals.set(path, wal)
    }
  }

  /** The files as they are this very moment, though connections are open. */
  keepAside(): void {
    if (fs.existsSync(this.#aside) || !fs.existsSync(this.#databases)) return
    for (const path of filesOf(this.#databases)) {
      if (path.endsWith('-shm')) continue
      const target = join(this.#aside, path.slice(this.#databases.length))
      fs.mkdirSync(dirname(target), { recursive: true })
      fs.copyFileSync(path, target)
    }
  }

  /** What was kept aside takes the place of what the connections left behind them. */
  putBack(losesPower: boolean, odds: CrashOdds | null): void {
    if (!fs.existsSync(this.#aside)) return
    fs.rmSync(this.#databases, { recursive: true, force: true })
    fs.renameSync(this.#aside, this.#databases)
    if (losesPower) this.#losePower(odds ?? this.#options.random.pick(POWER_LOSSES))
  }

  forget(): void {
    this.#wals.clear()
    this.#named.clear()
  }

  #losePower(odds: CrashOdds): void {
    const { random } = this.#options
    for (const path of [...filesOf(this.#databases)]) {
      if (!path.endsWith('.db')) continue
      const walPath = `${path}-wal`
      if (!this.#named.has(path) && !random.chance(odds.kept)) {
        for (const name of [path, walPath]) fs.rmSync(name, { force: true })
        this.#wals.delete(walPath)
        continue
      }
      const wal = this.#observe(walPath)
      if (wal === null) continue
      wal.crash(random, odds)
      fs.writeFileSync(walPath, wal.readDurable())
    }
  }

  /** Takes in what SQLite wrote to a WAL since the last time; null where there is none. */
  #observe(walPath: string): Inode | null {
    if (!isWal(walPath) || !fs.existsSync(walPath)) {
      this.#wals.delete(walPath)
      return null
    }
    const bytes = fs.readFileSync(walPath)
    const known = this.#wals.get(walPath)
    // A shorter one was cut, after all of it was in the database.
    const isKnown = known !== undefined && known.sizeBytes <= bytes.length && isSame(known, bytes)
    const wal = isKnown ? known : new Inode()
    this.#wals.set(walPath, wal)
    const before = wal.read(0, wal.sizeBytes)
    const from = firstDifference(before, bytes)
    if (from < bytes.length) wal.write(from, bytes.subarray(from))
    return wal
  }
}

/** What counts its beginnings from none again is another file: the last to close had deleted it. */
function isSame(known: Inode, bytes: Buffer): boolean {
  const before = Buffer.from(known.read(0, SALTS[1]))
  if (before.length < SALTS[1] || isContinued(before, bytes)) return true
  return bytes.readUInt32BE(BEGINNINGS_AT) > before.readUInt32BE(BEGINNINGS_AT)
}

/** A WAL grows at its end, or begins anew, with other salts. */
function firstDifference(before: Uint8Array, bytes: Uint8Array): number {
  return isContinued(before, bytes) ? before.length : 0
}

function isContinued(before: Uint8Array, bytes: Uint8Array): boolean {
  return Buffer.compare(before.subarray(...SALTS), bytes.subarray(...SALTS)) === 0
}

function isWal(path: string): boolean {
  return path.endsWith('-wal')
}

function* filesOf(directory: string): Generator<string> {
  const entries = fs.readdirSync(directory, { withFileTypes: true })
  // In an order of ours: chance is drawn by it.
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) yield* filesOf(path)
    else yield path
  }
}

/**
 * Files here are on no disk, and nobody could tell whether they are synced but for whoever asks the
 * system to: so these few calls of the system are watched, in this process, for files of lives.
 */
const watched = new Map<string, SqliteFiles>()
const paths = new Map<number, string>()
const real = { ...fs }

function watchSyncs(root: string, files: SqliteFiles): void {
  watched.set(root, files)
  if (fs.openSync !== real.openSync) return
  fs.openSync = (...args) => {
    const descriptor = real.openSync(...args)
    paths.set(descriptor, String(args[0]))
    return descriptor
  }
  fs.closeSync = (descriptor) => {
    paths.delete(descriptor)
    real.closeSync(descriptor)
  }
  fs.fdatasyncSync = (descriptor) => {
    const path = paths.get(descriptor) ?? ''
    const owner = ownerOf(path)
    if (owner === undefined) real.fdatasyncSync(descriptor)
    else owner.sync(path)
  }
  fs.fsyncSync = (descriptor) => {
    const path = paths.get(descriptor) ?? ''
    const owner = ownerOf(path)
    if (owner === undefined) real.fsyncSync(descriptor)
    else owner.syncDirectory(path)
  }
  syncBuiltinESMExports()
}

function ownerOf(path: string): SqliteFiles | undefined {
  for (const [root, files] of watched) if (path.startsWith(`${root}/`)) return files
  return undefined
}
