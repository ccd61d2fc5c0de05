import { DecodeError } from '../base/bytes.ts'
import { ColmenaError, isColmenaError } from '../base/errors.ts'
import { type ClassifiedFailure, classifyFailure, type Writer } from '../sqlite/sqlite.ts'
import type { Hold } from './generation.ts'

/** Where apply stands still, as its entry killed the process twice, or a leader asked for it. */
export interface Quarantine {
  readonly index: number
  /** Units of that entry that are in the files already. */
  readonly unitsDone: number
  /** Who asked this node to stay there; null where its process died of the entry. */
  readonly hold: Hold | null
}

interface TroubleOptions {
  readonly busy?: boolean
  readonly divergent?: boolean
  readonly quarantine?: Quarantine
}

/**
 * This machine could not do what the log asks: the group is rolled back and tried again, since
 * going on without it would make this node differ from its peers. It never leaves this room.
 */
export class MachineTrouble extends Error {
  override readonly name: string = 'MachineTrouble'
  readonly retry: 'busy' | 'pause'
  readonly isDivergent: boolean
  /** The entry that is not tried any more, where that is the trouble. */
  readonly quarantine: Quarantine | null

  constructor(message: string, options: ErrorOptions & TroubleOptions) {
    super(message, options)
    this.quarantine = options.quarantine ?? null
    this.retry = options.busy === true ? 'busy' : 'pause'
    this.isDivergent = options.divergent === true
  }

  toError(): ColmenaError {
    return new ColmenaError('ERR_APPLY_HALTED', this.message, { cause: this, retryable: true })
  }
}

/**
 * Runs bookkeeping of our own on `writer`. What SQLite can't do there is trouble of this machine;
 * what SQLite answers to it ("no such table") is not foreseen, and goes on as the bug it is.
 */
export function guardOwn<T>(writer: Writer, where: string, work: () => T): T {
  try {
    return writer.internal(work)
  } catch (error) {
    throw asTrouble(error, writer, where)
  }
}

/** The trouble that an error of SQLite's is, or the error itself if it is something else. */
export function asTrouble(error: unknown, writer: Writer, where: string): unknown {
  if (error instanceof MachineTrouble || !isSqliteError(error)) return error
  const failure = classifyFailure(error, writer)
  return failure.kind === 'busy' || failure.kind === 'machine'
    ? troubleOf(failure, error, where)
    : error
}

export function troubleOf(
  { kind, error }: ClassifiedFailure,
  cause: unknown,
  where: string,
): MachineTrouble {
  const message = `${where}: ${error.message} (SQLite code ${error.sqliteCode})`
  return new MachineTrouble(message, { cause, busy: kind === 'busy' })
}

/** Nothing that keeps a connection from opening is an answer to anyone. */
export function troubleOfOpening(error: unknown, path: string): MachineTrouble {
  const failure = classifyFailure(error, { inTransaction: false })
  return troubleOf(failure, error, `opening ${path}`)
}

const SQLITE_IOERR_FSYNC = 1034
const SQLITE_IOERR_DIR_FSYNC = 1290

/** After it, what is in memory and what is on disk may differ without a sign. */
export function isSyncFailure({ cause }: MachineTrouble): boolean {
  const code = cause instanceof Error && 'errcode' in cause ? cause.errcode : 0
  return code === SQLITE_IOERR_FSYNC || code === SQLITE_IOERR_DIR_FSYNC
}

export function isSqliteError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return 'sqliteCode' in error || ('code' in error && error.code === 'ERR_SQLITE_ERROR')
}

/** The trouble that halts apply for an error, null for a bug of ours. */
export function haltingTrouble(error: unknown): MachineTrouble | null {
  if (error instanceof MachineTrouble) return error
  // A committed entry that this version can't read: the node must stop there, not guess.
  if (error instanceof DecodeError || isColmenaError(error)) {
    return new MachineTrouble(error.message, { cause: error })
  }
  return null
}

/** Where nothing is applied yet, there is nothing to halt: trouble means that it can't open. */
export function withDataDirErrors<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof MachineTrouble)) throw error
    throw new ColmenaError('ERR_DATA_DIR', error.message, { cause: error, retryable: true })
  }
}

/** Why a request of another thread failed. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}

/** How an ordinary failure is told to another thread; null for a bug of ours, or a failed sync. */
export function asFailure(error: unknown): Failure | null {
  if (error instanceof MachineTrouble) return asFailure(error.toError())
  if (!isColmenaError(error)) return null
  const { code, message, retryable } = error
  return { code, message, retryable }
}
