import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import { commandKind, commandTimeMs, decodeVoid } from '../command/command.ts'
import type { Entry } from '../raft/types.ts'
import { decodeEntries } from './storage-protocol.ts'

/** What a piece of the log says of itself. */
export interface LogSpan {
  readonly firstIndex: number
  readonly lastIndex: number
  /** Of the last entry. */
  readonly term: number
  /** Of the first entry that has a time, in milliseconds since 1970; null where none has. */
  readonly firstMs: number | null
  /** The latest time of any entry; null as above. */
  readonly lastMs: number | null
  /** Entries, here or before, of which nothing may run: whoever replays must know before. */
  readonly voided: readonly number[]
}

/**
 * Reads a piece of the log without applying it.
 *
 * @throws ColmenaError ERR_BACKUP_DAMAGED for bytes that are no entries, each one behind the last.
 */
export function describeLog(bytes: Uint8Array): LogSpan {
  const entries = readEntries(bytes)
  const times = entries.map(timeOf).filter((timeMs) => timeMs !== null)
  return {
    firstIndex: entries[0]?.index ?? 0,
    lastIndex: entries.at(-1)?.index ?? 0,
    term: entries.at(-1)?.term ?? 0,
    firstMs: times[0] ?? null,
    lastMs: times.length === 0 ? null : times.reduce((latest, timeMs) => Math.max(latest, timeMs)),
    voided: entries.flatMap(voidedBy),
  }
}

/** Where a time lies in a piece of the log. */
export interface Moment {
  /** The last entry that has a time, and none later than that; null where there is none. */
  readonly index: number | null
  /** Whether a later one follows: then what is behind `index` is none of that time. */
  readonly isPassed: boolean
}

/**
 * Finds out which entries of a piece are of a time or before. Some have none, such as the drop of a
 * database: one is of that time if one behind it is, or if the piece was read by then.
 *
 * @param timeMs in milliseconds since 1970
 * @throws ColmenaError ERR_BACKUP_DAMAGED as of {@link describeLog}
 */
export function findMoment(bytes: Uint8Array, timeMs: number): Moment {
  let index: number | null = null
  for (const entry of readEntries(bytes)) {
    const own = timeOf(entry)
    if (own === null) continue
    if (own > timeMs) return { index, isPassed: true }
    index = entry.index
  }
  return { index, isPassed: false }
}

/** Entries as they were shipped, at least one. @throws ColmenaError ERR_BACKUP_DAMAGED */
export function readEntries(bytes: Uint8Array): readonly Entry[] {
  const entries = decoded(bytes)
  const [first] = entries
  if (first === undefined) throw damaged('a piece of the log holds no entry')
  let { index, term } = first
  for (const entry of entries.slice(1)) {
    if (entry.index !== index + 1 || entry.term < term) {
      throw damaged(
        `a piece of the log has entry ${entry.index} of term ${entry.term} behind entry ${index} ` +
          `of term ${term}`,
      )
    }
    ;({ index, term } = entry)
  }
  return entries
}

function decoded(bytes: Uint8Array): readonly Entry[] {
  try {
    return decodeEntries(bytes)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw damaged(`a piece of the log can't be read: ${error.message}`, error)
  }
}

/** The time that the leader gave an entry; null for one that has none. */
export function timeOf({ index, type, data }: Entry): number | null {
  if (type !== 'normal' || data.length === 0) return null
  return readable(index, () => commandTimeMs(data))
}

/** What an entry makes void: none, or one. */
export function voidedBy({ index, type, data }: Entry): readonly number[] {
  if (type !== 'normal' || data.length !== VOID_BYTES) return []
  return readable(index, () => (commandKind(data) === 'void' ? [decodeVoid(data)] : []))
}

function readable<T>(index: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw damaged(`entry ${index} of the log can't be read: ${error.message}`, error)
  }
}

/** An envelope and an index. */
const VOID_BYTES = 12

export function damaged(message: string, cause?: unknown): ColmenaError {
  return new ColmenaError('ERR_BACKUP_DAMAGED', message, { cause })
}
