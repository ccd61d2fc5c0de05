import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { syncDirectoryNow } from '../base/directory-sync.ts'
import { ColmenaError } from '../base/errors.ts'

/**
 * The directory `<dataDir>/db/<generation>/`, and the only code of this room that touches files
 * other than through SQLite. It never closes a descriptor of a `.db` or `-shm` file that a
 * connection may have open: that would drop SQLite's POSIX locks of the whole process. A `-wal`
 * file carries no locks, and may be opened.
 */

export const SYSTEM = 'system'

const NAME = /^[a-z0-9_-]{1,64}$/
const NOTE = 'applying'
const DIVERGED = 'diverged'
const VOIDED = 'voided'
const HELD = 'held'
const ASIDE = 'diverged-'
const ASIDE_MAX = 2

/** True for a name that a user's database may have. */
export function isDatabaseName(name: string): boolean {
  return NAME.test(name) && name !== SYSTEM
}

export function generationPath(directory: string, generation: number): string {
  return join(directory, String(generation))
}

export function databasePath(generationDirectory: string, name: string): string {
  return join(generationDirectory, `${name}.db`)
}

export function notePath(generationDirectory: string): string {
  return join(generationDirectory, NOTE)
}

/** That the files of a generation may differ from the other members'. */
export interface DivergenceNote {
  /** How far they had applied. */
  readonly index: number
  readonly reason: string
}

/** Null if nothing is known of a generation. */
export function readDivergence(generationDirectory: string): DivergenceNote | null {
  const path = join(generationDirectory, DIVERGED)
  if (!hasFile(path)) return null
  const [index = '', ...reason] = fs.readFileSync(path, 'utf8').split('\n')
  return { index: Number(index), reason: reason.join('\n') }
}

/** Keeps why, whatever happens to the process or the power. */
export function noteDivergence(generationDirectory: string, index: number, reason: string): void {
  const note = `${index}\n${reason}`
  fs.writeFileSync(join(generationDirectory, DIVERGED), note, { flush: true, mode: 0o600 })
  syncDirectoryNow(generationDirectory)
}

/** The entries of a generation that are void: none of their statements run there. */
export function readVoided(generationDirectory: string): ReadonlySet<number> {
  const path = join(generationDirectory, VOIDED)
  if (!hasFile(path)) return new Set()
  return new Set(fs.readFileSync(path, 'utf8').trim().split('\n').map(Number))
}

/** Whole or not at all, and there before any of them is passed over. */
export function noteVoided(generationDirectory: string, indexes: Iterable<number>): void {
  const path = join(generationDirectory, VOIDED)
  fs.writeFileSync(`${path}.tmp`, [...indexes].join('\n'), { flush: true, mode: 0o600 })
  fs.renameSync(`${path}.tmp`, path)
  syncDirectoryNow(generationDirectory)
}

/** An entry that a node does not try again until it is told what came of the leader's question. */
export interface Hold {
  readonly index: number
  /** Of the leader that asked, and how often it had asked: what is older counts no more. */
  readonly term: number
  readonly round: number
}

/** Null if a generation waits for no word. */
export function readHeld(generationDirectory: string): Hold | null {
  const path = join(generationDirectory, HELD)
  if (!hasFile(path)) return null
  const [index = 0, term = 0, round = 0] = fs.readFileSync(path, 'utf8').split(' ').map(Number)
  return { index, term, round }
}

/** Whole or not at all, and there before the leader hears of it. */
export function noteHeld(generationDirectory: string, hold: Hold | null): void {
  const path = join(generationDirectory, HELD)
  if (hold === null) {
    fs.rmSync(path, { force: true })
  } else {
    const text = `${hold.index} ${hold.term} ${hold.round}`
    fs.writeFileSync(`${path}.tmp`, text, { flush: true, mode: 0o600 })
    fs.renameSync(`${path}.tmp`, path)
  }
  syncDirectoryNow(generationDirectory)
}

/** Makes an empty directory in place of whatever a creation that died half-way left. */
export function makeDirectory(path: string): void {
  fs.rmSync(path, { recursive: true, force: true })
  fs.mkdirSync(path, { recursive: true, mode: 0o700 })
}

export function removeDirectory(path: string): void {
  fs.rmSync(path, { recursive: true, force: true })
}

export function hasFile(path: string): boolean {
  return fs.existsSync(path)
}

/** Names of the databases that have a file, the system's included. */
export function listDatabases(generationDirectory: string): readonly string[] {
  return fs
    .readdirSync(generationDirectory)
    .filter((file) => file.endsWith('.db'))
    .map((file) => file.slice(0, -3))
    .sort()
}

/** Removes a database's files; no connection of ours may be open on them. */
export function removeDatabase(generationDirectory: string, name: string): void {
  const path = databasePath(generationDirectory, name)
  for (const file of [path, `${path}-wal`, `${path}-shm`]) fs.rmSync(file, { force: true })
}

/**
 * Deletes generations that `isWanted` says no to, and returns those that are gone. Files that
 * differed from the other members' are no generation any more, but are kept aside: they are all
 * that is left to find out why, and may hold what an operator wants back.
 */
export function removeGenerations(
  directory: string,
  isWanted: (generation: number) => boolean,
): readonly number[] {
  const removed: number[] = []
  for (const name of fs.readdirSync(directory)) {
    if (!/^\d+$/.test(name) || isWanted(Number(name))) continue
    const path = join(directory, name)
    const diverged = readDivergence(path)
    if (diverged !== null) keepAside(directory, path, diverged.index)
    fs.rmSync(path, { recursive: true, force: true })
    removed.push(Number(name))
  }
  return removed.sort((a, b) => a - b)
}

/** Only the latest few: a machine that goes wrong again and again must not fill its disk. */
function keepAside(directory: string, path: string, index: number): void {
  const aside = join(directory, `${ASIDE}${index}`)
  fs.rmSync(aside, { recursive: true, force: true })
  fs.renameSync(path, aside)
  const kept = fs
    .readdirSync(directory)
    .filter((name) => name.startsWith(ASIDE))
    .sort((a, b) => Number(b.slice(ASIDE.length)) - Number(a.slice(ASIDE.length)))
  for (const name of kept.slice(ASIDE_MAX)) removeDirectory(join(directory, name))
}

/** Bytes of a file, 0 where there is none. It asks for the name's status and opens nothing. */
export function fileSizeBytes(path: string): number {
  return fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** Tells one file of a name from another; null where there is none. Opens nothing. */
export function fileIdentity(path: string): string | null {
  const status = fs.statSync(path, { throwIfNoEntry: false })
  return status === undefined ? null : `${status.dev}:${status.ino}`
}

/** Makes what a WAL file holds survive a power loss. */
export function syncWal(walPath: string): void {
  let file: number
  try {
    file = fs.openSync(walPath, 'r+')
  } catch (error) {
    // Without a WAL everything is in the database file, which SQLite syncs before it drops a WAL.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    fs.fdatasyncSync(file)
  } finally {
    fs.closeSync(file)
  }
}

export interface CopiedFile {
  readonly name: string
  readonly sizeBytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

/** Hashes a finished copy, on which no connection is open. */
export async function hashCopy(directory: string, name: string): Promise<CopiedFile> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of fs.createReadStream(join(directory, name))) {
    hash.update(chunk as Buffer)
    sizeBytes += (chunk as Buffer).length
  }
  return { name, sizeBytes, sha256: hash.digest('hex') }
}

/**
 * Hands a copy to the disk bit by bit while it is written. All of it in one sync at the end would
 * stand before the log's own syncs, and every write of the cluster behind it. Its descriptor stays
 * open until the copy is made, as closing it would drop the locks of the connection that writes.
 */
export class GradualSync {
  readonly #path: string
  readonly #everyBytes: number
  #handle: fs.promises.FileHandle | null = null
  #unsyncedBytes = 0
  #syncing: Promise<void> | null = null

  constructor(path: string, everyBytes: number) {
    this.#path = path
    this.#everyBytes = everyBytes
  }

  /** So many bytes more were written. */
  wrote(bytes: number): void {
    this.#unsyncedBytes += bytes
    if (this.#unsyncedBytes < this.#everyBytes || this.#syncing !== null) return
    this.#unsyncedBytes = 0
    this.#syncing = this.#sync().finally(() => {
      this.#syncing = null
    })
  }

  /** The copy is made, or was given up. */
  async end(): Promise<void> {
    await this.#syncing
    await this.#handle?.close()
  }

  async #sync(): Promise<void> {
    try {
      this.#handle ??= await fs.promises.open(this.#path, 'r+')
      await this.#handle.datasync()
    } catch {
      // A help only: whoever makes the copy syncs it again, and is told what is wrong with it.
    }
  }
}

/** The directory of a generation, or the reason why it can't be one. */
export function requireGeneration(directory: string, generation: number): string {
  const path = generationPath(directory, generation)
  if (hasFile(databasePath(path, SYSTEM))) return path
  throw new ColmenaError('ERR_DATA_DIR', `${path} holds no ${SYSTEM}.db, so it is no generation`)
}
