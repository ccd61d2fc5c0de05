import { DecodeError } from '../base/bytes.ts'
import { ColmenaError, isColmenaError } from '../base/errors.ts'
import type { Entry } from '../raft/types.ts'
import { Writer } from '../sqlite/sqlite.ts'
import { requireGeneration } from './generation.ts'
import { closeFiles, openReceived, writerOpener } from './generation-files.ts'
import { Replica, type ReplicaOptions } from './replica.ts'
import { damaged } from './shipped-log.ts'
import { MachineTrouble, withDataDirErrors } from './trouble.ts'

const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

/**
 * Opens copies of databases that lie as a generation of no node, to go on from there. All of them
 * must be there, at one index. Nothing survives a loss of power before somebody has synced every
 * file, after this is closed: until then it is quicker.
 *
 * @throws ColmenaError ERR_BACKUP_DAMAGED, ERR_DATA_DIR, ERR_UNSUPPORTED_FORMAT
 */
export function openCopies(options: Omit<ReplicaOptions, 'openWriter'>): Replica {
  const source = { ...options, openWriter: openUnsynced }
  try {
    const path = requireGeneration(options.directory, options.generation)
    // A replica would make anew what is missing.
    withDataDirErrors(() => closeFiles(openReceived(path, writerOpener(source), null)))
    return Replica.open(source)
  } catch (error) {
    if (!isColmenaError(error) || error.code !== 'ERR_DATA_DIR') throw error
    if (error.retryable && !isDamage(error.cause)) throw error
    throw damaged(`the copies of the databases are not whole: ${error.message}`, error)
  }
}

/** Nothing may run of these, as far as they are not applied. @throws ColmenaError ERR_DATA_DIR */
export function voidEntries({ appliedIndex, note }: Replica, voided: readonly number[]): void {
  try {
    for (const index of voided) if (index > appliedIndex) note.void(index)
  } catch (cause) {
    const message = `the entries that were skipped could not be noted: ${cause}`
    throw new ColmenaError('ERR_DATA_DIR', message, { cause, retryable: true })
  }
}

/**
 * Applies entries, of which none is applied in all databases yet where it fails.
 *
 * @throws ColmenaError ERR_BACKUP_DAMAGED, ERR_UNSUPPORTED_FORMAT and ERR_OTHER_EXTENSIONS for what
 * is the same on all machines; ERR_DATA_DIR for what this one can't do now
 */
export function applyToCopies(replica: Replica, entries: readonly Entry[]): void {
  const { halted } = replica.apply(entries)
  if (halted === null) {
    withDataDirErrors(() => replica.checkpoint())
    return
  }
  const { message } = halted.error
  const { cause } = halted.error.cause as Error
  const what = `entries from ${entries[0]?.index} on could not be applied: ${message}`
  if (isColmenaError(cause)) throw cause
  if (cause instanceof DecodeError) throw damaged(what, halted.error)
  throw new ColmenaError('ERR_DATA_DIR', what, { cause: halted.error, retryable: true })
}

/**
 * Lets copies go, all of them at one index: {@link openCopies} takes them again.
 *
 * @throws ColmenaError ERR_DATA_DIR where the disk does not take that; they are let go even so.
 */
export function closeCopies(replica: Replica): void {
  try {
    withDataDirErrors(() => replica.bump(replica.appliedIndex))
  } finally {
    replica.close()
  }
}

function openUnsynced(path: string, settings: Writer['settings']): Writer {
  const writer = new Writer(path, settings)
  writer.internal(() => writer.own('PRAGMA synchronous = OFF').get())
  return writer
}

/** What SQLite says of a file that is none of its own. */
function isDamage(error: unknown): boolean {
  if (!(error instanceof MachineTrouble)) return false
  const { cause } = error
  const code = cause instanceof Error && 'errcode' in cause ? (cause.errcode as number) & 0xff : 0
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB
}
