import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { ColmenaError } from '../base/errors.ts'
import { acquireFileLock, type FileLock } from '../sqlite/sqlite.ts'
import type { OpenConfig } from './config.ts'
import { type Identity, openIdentity, replaceIdentity, writeIdentity } from './identity.ts'
import { endRecovery } from './recovery-files.ts'
import { endRestore } from './restoring-files.ts'

/**
 * What every copy of this package in the process shares: a development server that reloads modules
 * keeps the old node open while the new code opens it again.
 */
interface Registry {
  readonly dataDirs: Set<string>
}

const REGISTRY = Symbol.for('colmena')

function registry(): Registry {
  const scope = globalThis as { [REGISTRY]?: Registry }
  scope[REGISTRY] ??= { dataDirs: new Set() }
  return scope[REGISTRY]
}

/** A data directory that this node alone has open. */
export class DataDir {
  readonly path: string
  readonly #hold: Hold
  #identity: Identity

  constructor(path: string, hold: Hold, identity: Identity) {
    this.path = path
    this.#hold = hold
    this.#identity = identity
  }

  get identity(): Identity {
    return this.#identity
  }

  /** Changes the identity durably before it returns. */
  keep(change: Partial<Omit<Identity, 'format' | 'memberId' | 'nodeId'>>): void {
    const identity = { ...this.#identity, ...change }
    writeIdentity(this.path, identity)
    this.#identity = identity
  }

  /** It knows its cluster now, and whether it is the one that begins it. */
  found({ clusterId, genesis }: Pick<Identity, 'clusterId' | 'genesis'>): void {
    this.keep({ clusterId, genesis })
  }

  /** The cluster's configuration names this node: from here on it knows where the others are. */
  joined(): void {
    if (this.#identity.rejoinAddresses !== undefined) this.keep({ rejoinAddresses: undefined })
  }

  /** What an unclean stop may have lost is behind this open. */
  lossKept({ durability }: OpenConfig): void {
    const { incarnation } = this.#identity
    this.keep({ relaxedSince: durability === 'relaxed' ? incarnation : undefined })
  }

  /** Everything that this open acknowledged is on the disk; what one before it may lack stays. */
  closedWell(): void {
    const { relaxedSince: since, incarnation } = this.#identity
    if (since !== incarnation) return
    try {
      this.keep({ relaxedSince: undefined })
    } catch {
      // It then counts as a stop without closing, which costs a copy of the data at most.
    }
  }

  /** This node is another member from now on, and holds nothing. */
  replace(config: OpenConfig, memberId: number, addresses: readonly string[]): void {
    this.#identity = replaceIdentity(this.path, this.#identity, config, memberId, addresses)
  }

  /** Lets others open it. */
  close(): void {
    this.#hold.release()
  }
}

/** While it lasts nobody else opens the directory, in this process or in any other. */
export interface Hold {
  /** Twice is once. */
  release(): void
}

/**
 * Locks the data directory, unless it is held, and reads who it is; lets it go where that fails.
 *
 * @throws ColmenaError ERR_ALREADY_OPEN, ERR_LOCKED, and what {@link openIdentity} throws.
 */
export function openDataDir(config: OpenConfig, held?: Hold | undefined): DataDir {
  const path = config.dataDir
  const hold = held ?? holdDataDir(path)
  try {
    endRecovery(path)
    endRestore(path)
    return new DataDir(path, hold, openIdentity(config))
  } catch (error) {
    hold.release()
    throw error
  }
}

/** @throws ColmenaError ERR_DATA_DIR, ERR_ALREADY_OPEN, ERR_LOCKED */
export function holdDataDir(path: string): Hold {
  let real: string
  try {
    makeFolder(resolve(path))
    real = realpathSync(path)
  } catch (cause) {
    throw new ColmenaError('ERR_DATA_DIR', `can't make or enter ${path}: ${cause}`, { cause })
  }
  if (!statSync(real).isDirectory()) {
    throw new ColmenaError('ERR_DATA_DIR', `${path} is a file: dataDir is a directory`)
  }
  const { dataDirs } = registry()
  if (dataDirs.has(real)) throw alreadyOpen(path)
  const lock = lockDataDir(path)
  dataDirs.add(real)
  return {
    release: () => {
      lock.release()
      dataDirs.delete(real)
    },
  }
}

/** Node.js's own `recursive` never ends where a parent is there but takes nothing, as /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another process may just have made it.
    if (!existsSync(path)) throw error
  }
}

function lockDataDir(path: string): FileLock {
  let lock: FileLock | null
  try {
    lock = acquireFileLock(join(path, 'lock'))
  } catch (cause) {
    throw new ColmenaError('ERR_DATA_DIR', `can't lock ${path}: ${cause}`, { cause })
  }
  if (lock !== null) return lock
  throw new ColmenaError(
    'ERR_LOCKED',
    `${path} is in use by another process or thread: stop it first, or use another dataDir`,
    { retryable: true },
  )
}

function alreadyOpen(path: string): ColmenaError {
  return new ColmenaError(
    'ERR_ALREADY_OPEN',
    `this process has ${path} open already. Share that node; where modules are reloaded, keep it ` +
      `on globalThis: const node = await (globalThis.colmenaNode ??= open({ dataDir: '${path}' }))`,
  )
}
