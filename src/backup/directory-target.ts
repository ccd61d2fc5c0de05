import { randomUUID } from 'node:crypto'
import type { Dirent } from 'node:fs'
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ColmenaError, isColmenaError } from '../index.ts'
import { Calls, readPieces } from './calls.ts'
import { checkName, checkPrefix } from './object-name.ts'
import { checkKeys, checkSwitch, invalidOption, show } from './option-checks.ts'
import { type BackupObject, BackupTarget, type PutCall, type TargetCall } from './target.ts'

export interface DirectoryTargetOptions {
  /**
   * Makes the folder where it is not there but the one that it lies in is. Say false for a folder
   * on a mounted file system, and make it there once yourself: while that is not mounted, backups
   * wait for it, instead of filling the disk below.
   *
   * @defaultValue true
   */
  readonly create?: boolean | undefined
}

/** Begins with a dot, as no object does: here lies what is not whole yet. */
const ASIDE = '.aside'
const DAY_MS = 86_400_000
const SWEEP_MS = 3_600_000
const READ_BYTES = 262_144
/** Each time, another call must have removed the last object of a folder that was just made. */
const PLACINGS_MAX = 20
/** What says that folders have no syncing here: there is nothing more that one could do. */
const UNSYNCABLE: ReadonlySet<string> = new Set(['EINVAL', 'EISDIR', 'ENOTSUP', 'EPERM'])

/**
 * Backups in a local or mounted folder, which only this process's user can read. Objects are files
 * under their own names; one that is put is written aside, synced, and moved into its place.
 *
 * @throws ColmenaError ERR_INVALID_OPTION
 */
export function directoryTarget(path: string, options: DirectoryTargetOptions = {}): BackupTarget {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw invalidOption(`the folder of a target is a path, not ${show(path)}`)
  }
  checkKeys(options, ['create'], 'directoryTarget')
  const { create = true } = options
  return new DirectoryTarget(resolve(path), checkSwitch('create', create))
}

class DirectoryTarget extends BackupTarget {
  readonly label: string
  readonly #root: string
  readonly #create: boolean
  readonly #calls: Calls
  readonly #read = new Set<FileHandle>()
  #sweptMs = Number.NEGATIVE_INFINITY
  /** What was here once is not made anew: it is away with the file system that it lies on. */
  #wasThere = false

  constructor(root: string, create: boolean) {
    super()
    this.label = root
    this.#root = root
    this.#create = create
    this.#calls = new Calls(root)
  }

  async *list(prefix: string, call?: TargetCall): AsyncIterable<BackupObject> {
    checkPrefix(prefix)
    using scope = this.#calls.begin(call)
    try {
      if (!(await this.#find())) return
      await this.#sweep()
      yield* this.#walk('', prefix, scope.signal)
    } catch (error) {
      throw this.#failed(`list ${show(prefix)}`, error)
    }
  }

  /** Folders count with the `/` behind them, so that names come in the order of all characters. */
  async *#walk(folder: string, prefix: string, signal: AbortSignal): AsyncIterable<BackupObject> {
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(ifGone)
    const names = (entries ?? []).filter(isObject).map((entry) => folder + nameOf(entry))
    for (const name of names.sort(byCharacters)) {
      signal.throwIfAborted()
      if (name.endsWith('/')) {
        if (!name.startsWith(prefix) && !prefix.startsWith(name)) continue
        yield* this.#walk(name, prefix, signal)
      } else if (name.startsWith(prefix)) {
        const found = await stat(join(this.#root, name)).catch(ifGone)
        if (found === undefined) continue
        yield { name, sizeBytes: found.size, modifiedMs: Math.round(found.mtimeMs) }
      }
    }
  }

  async *get(name: string, call?: TargetCall): AsyncIterable<Uint8Array> {
    checkName(name)
    using scope = this.#calls.begin(call)
    const { signal } = scope
    let file: FileHandle | undefined
    try {
      await this.#find()
      file = await open(join(this.#root, name), 'r').catch(ifGone)
      const found = await file?.stat()
      if (file === undefined || found?.isFile() !== true) throw this.#missing(name)
      this.#read.add(file)
      let leftBytes = found.size
      while (leftBytes > 0) {
        signal.throwIfAborted()
        const piece = new Uint8Array(Math.min(READ_BYTES, leftBytes))
        const { bytesRead } = await file.read(piece)
        if (bytesRead === 0) throw new Error(`its last ${leftBytes} bytes are not there`)
        leftBytes -= bytesRead
        yield piece.subarray(0, bytesRead)
      }
    } catch (error) {
      throw signal.aborted ? signal.reason : this.#failed(`read ${name}`, error)
    } finally {
      if (file !== undefined) await this.#giveBack(file)
    }
  }

  async put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    call: PutCall = {},
  ): Promise<boolean> {
    checkName(name)
    using scope = this.#calls.begin(call)
    const pieces = readPieces(content, scope.signal)
    const aside = join(this.#root, ASIDE, randomUUID())
    // What the pieces throw is none of these failures.
    const run = async <T>(step: Promise<T>): Promise<T> => {
      return await step.catch((error) => {
        throw this.#failed(`put ${name}`, error)
      })
    }
    try {
      await run(this.#make())
      await run(this.#sweep())
      if (call.ifAbsent === true && (await run(this.#has(name)))) return false
      const file = await run(open(aside, 'wx', 0o600))
      try {
        for await (const piece of pieces) await run(file.writeFile(piece))
        await run(file.sync())
      } finally {
        await file.close().catch(() => {})
      }
      scope.signal.throwIfAborted()
      return await run(this.#place(aside, name, call.ifAbsent === true))
    } finally {
      await pieces.return()
      await rm(aside, { force: true }).catch(() => {})
    }
  }

  async delete(name: string, call?: TargetCall): Promise<void> {
    checkName(name)
    using _ = this.#calls.begin(call)
    try {
      if (!(await this.#find())) return
      await rm(join(this.#root, name)).catch((error) => {
        // A folder is no object, so there is none.
        if (codeOf(error) !== 'ERR_FS_EISDIR') ifGone(error)
      })
      await this.#prune(dirname(name))
    } catch (error) {
      throw this.#failed(`delete ${name}`, error)
    }
  }

  override async close(): Promise<void> {
    this.#calls.close()
    await Promise.all([...this.#read].map((file) => this.#giveBack(file)))
  }

  async #giveBack(file: FileHandle): Promise<void> {
    this.#read.delete(file)
    await file.close().catch(() => {})
  }

  async #has(name: string): Promise<boolean> {
    return (await stat(join(this.#root, name)).catch(ifGone)) !== undefined
  }

  /** Only a link takes a name that is free in one step. */
  async #place(aside: string, name: string, ifAbsent: boolean): Promise<boolean> {
    const path = join(this.#root, name)
    for (let placing = 1; ; placing += 1) {
      try {
        await this.#makeFolder(dirname(name))
        await (ifAbsent ? link(aside, path) : rename(aside, path))
        break
      } catch (error) {
        if (ifAbsent && codeOf(error) === 'EEXIST') {
          // NFS may have made the link, lost the answer, and done it again.
          if ((await stat(aside)).nlink > 1) break
          return false
        }
        if (codeOf(error) !== 'ENOENT' || placing >= PLACINGS_MAX) throw error
      }
    }
    // Up to the root, as another call may have made a folder of these and not have synced it yet.
    for (let folder = dirname(name); ; folder = dirname(folder)) {
      await syncFolder(join(this.#root, folder))
      if (folder === '.') return true
    }
  }

  /** One after the other, as the root is not made here: it may be away by now. */
  async #makeFolder(folder: string): Promise<void> {
    if (folder === '.') return
    await this.#makeFolder(dirname(folder))
    await mkdir(join(this.#root, folder), { mode: 0o700 }).catch(ifThere)
  }

  /** A folder that holds nothing any more goes too, as far as no other call uses it. */
  async #prune(from: string): Promise<void> {
    let folder = from
    for (; folder !== '.'; folder = dirname(folder)) {
      const isRemoved = await rmdir(join(this.#root, folder)).then(
        () => true,
        (error) => codeOf(error) === 'ENOENT',
      )
      if (!isRemoved) break
    }
    await syncFolder(join(this.#root, folder))
  }

  /** Whether there is a folder; one that is not there and may not be made is a failure. */
  async #find(): Promise<boolean> {
    const aside = await stat(join(this.#root, ASIDE)).catch(ifGone)
    if (aside !== undefined) this.#wasThere = true
    if (this.#wasThere && aside === undefined) throw this.#away(false)
    const found = await stat(this.#root).catch(ifGone)
    if (found?.isDirectory() === true) return true
    if (found !== undefined) throw this.#away(true)
    const parent = await stat(dirname(this.#root)).catch(ifGone)
    if (!this.#create || parent === undefined) throw this.#away(false)
    return false
  }

  async #make(): Promise<void> {
    const aside = join(this.#root, ASIDE)
    if (!(await this.#find())) {
      await mkdir(this.#root, { mode: 0o700 }).catch(ifThere)
      await syncFolder(dirname(this.#root))
    }
    if (this.#wasThere) return
    await mkdir(aside, { mode: 0o700 }).catch(ifThere)
    await syncFolder(this.#root)
    this.#wasThere = true
  }

  /** What is old here was left by a process that ended in the middle of a put. */
  async #sweep(): Promise<void> {
    const nowMs = Date.now()
    if (nowMs - this.#sweptMs < SWEEP_MS) return
    this.#sweptMs = nowMs
    const aside = join(this.#root, ASIDE)
    for (const name of (await readdir(aside).catch(ifGone)) ?? []) {
      const found = await stat(join(aside, name)).catch(ifGone)
      if (found === undefined || nowMs - found.mtimeMs < DAY_MS) continue
      await rm(join(aside, name), { force: true }).catch(() => {})
    }
  }

  #missing(name: string): ColmenaError {
    return new ColmenaError('ERR_NOT_FOUND', `there is no ${name} in ${this.label}`)
  }

  #away(isFile: boolean): ColmenaError {
    if (isFile) {
      return new ColmenaError(
        'ERR_TARGET',
        `${this.label} is no folder: name one that backups have`,
      )
    }
    const why = this.#wasThere ? 'is not there any more' : 'is not there'
    const message =
      `the folder ${this.label} of backups ${why}: mount the file system that it lies on, or ` +
      'make it if this is its first use'
    return new ColmenaError('ERR_TARGET', message, { retryable: true })
  }

  #failed(doing: string, error: unknown): unknown {
    if (isColmenaError(error)) return error
    const code = codeOf(error) ?? ''
    const { advice, retryable } = TROUBLE[code] ?? OTHER_TROUBLE
    const said = error instanceof Error ? error.message : String(error)
    const message = `${this.label} could not ${doing}: ${said}; ${advice}`
    return new ColmenaError('ERR_TARGET', message, { cause: error, retryable })
  }
}

interface Trouble {
  readonly advice: string
  readonly retryable: boolean
}

const FULL = { advice: 'make room there, or keep fewer backups', retryable: true }
const FORBIDDEN = { advice: 'let the user of this process read and write there', retryable: false }
const NO_PLACE = {
  advice: 'a file stands there where a folder belongs, or the reverse',
  retryable: false,
}
const OTHER_TROUBLE = { advice: 'look after the file system that it lies on', retryable: true }
/** Of what an error of the file system says, what to do, and whether that is needed at all. */
const TROUBLE: Readonly<Record<string, Trouble>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EACCES: FORBIDDEN,
  EPERM: {
    advice: `${FORBIDDEN.advice}, and take a file system that has hard links`,
    retryable: false,
  },
  ENOTSUP: { advice: 'take a file system that has hard links', retryable: false },
  EOPNOTSUPP: { advice: 'take a file system that has hard links', retryable: false },
  EROFS: { advice: 'mount it so that it can be written', retryable: false },
  EISDIR: NO_PLACE,
  ENOTDIR: NO_PLACE,
  EEXIST: NO_PLACE,
  ENOTEMPTY: NO_PLACE,
  ENAMETOOLONG: { advice: 'take a folder with a shorter path', retryable: false },
}

async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (error) {
    const code = codeOf(error) ?? ''
    // Gone again with the last object in it, which another call removed.
    if (code !== 'ENOENT' && !UNSYNCABLE.has(code)) throw error
  }
}

function isObject(entry: Dirent): boolean {
  return !entry.name.startsWith('.') && (entry.isFile() || entry.isDirectory())
}

function nameOf(entry: Dirent): string {
  return entry.isDirectory() ? `${entry.name}/` : entry.name
}

function byCharacters(left: string, right: string): number {
  return left < right ? -1 : 1
}

/** A file where a folder should be hides all names below as well. */
function ifGone(error: unknown): undefined {
  const code = codeOf(error)
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error
}

function ifThere(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
