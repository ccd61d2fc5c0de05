import { ColmenaError } from '../base/errors.ts'
import type { SharedState } from '../base/shared-state.ts'
import { type ConnectionSettings, Reader } from '../sqlite/sqlite.ts'
import { databasePath, fileIdentity, generationPath } from './generation.ts'
import { type AskedDatabase, readSettings, refusedSettings } from './settings.ts'

/** Tries at a lock that is held for moments: the recovery of a WAL, a database being made. */
const BUSY_TRIES_MAX = 500
const BUSY_PAUSE_MS = 2
/** Tries at a read while the files under it are replaced. */
const STALE_TRIES_MAX = 8

const SQLITE_BUSY = 5
const SQLITE_CANTOPEN = 14

const pauseCell = new Int32Array(new SharedArrayBuffer(4))

/** Where the databases are and which of them count, as the storage thread published it. */
export interface ReadSource {
  /** The directory that holds the generations. */
  readonly directory: string
  readonly shared: SharedState
  /** Loaded into every connection; none by default. */
  readonly extensions?: ConnectionSettings['extensions']
}

/** A connection, and the state of the files it was opened in. */
export interface ReadConnection {
  readonly reader: Reader
  readonly generation: number
  readonly databasesEpoch: number
}

/** Whether the files were replaced, or databases made or dropped, since it was opened. */
export function isStale({ shared }: ReadSource, connection: ReadConnection): boolean {
  return (
    connection.generation !== shared.generation() ||
    connection.databasesEpoch !== shared.databasesEpoch()
  )
}

/**
 * Opens a database for reading; one that does not exist reads as an empty one. The first read is
 * made here, since SQLite opens the WAL only then: a name that came to mean another file in
 * between would mix one database's pages with another's WAL.
 *
 * @throws ColmenaError ERR_INVALID_OPTION where it was made otherwise than is asked for.
 */
export function openConnection(source: ReadSource, asked: AskedDatabase): ReadConnection {
  const { shared, directory, extensions } = source
  for (let tries = 1; ; tries += 1) {
    const state = { generation: shared.generation(), databasesEpoch: shared.databasesEpoch() }
    const generation = generationPath(directory, state.generation)
    const path = databasePath(generation, asked.database)
    const identity = fileIdentity(path)
    const reader = tryOpen(() => {
      // Read after the file was seen, so that they are not those of a database before it.
      const { limits, doubleQuotedStrings: made } = readSettings(generation, asked.database)
      const doubleQuotedStrings = made ?? asked.doubleQuotedStrings
      const settings = { limits, doubleQuotedStrings, extensions }
      if (identity === null) return new Reader(':memory:', { readOnly: false, ...settings })
      return new Reader(path, { commits: () => shared.commits(), ...settings })
    })
    if (reader !== null) {
      const isSame = fileIdentity(path) === identity
      const refused = refusedSettings(asked, { doubleQuotedStrings: reader.doubleQuotedStrings })
      if (isSame && refused === null) return { reader, ...state }
      reader.close()
      if (isSame && refused !== null) throw refused
    }
    if (tries >= BUSY_TRIES_MAX) throw unreadable(path)
    pause()
  }
}

function tryOpen(open: () => Reader): Reader | null {
  let reader: Reader | null = null
  try {
    reader = open()
    reader.schemaVersion()
    return reader
  } catch (error) {
    reader?.close()
    const code = primaryCode(error)
    if (code === SQLITE_BUSY || code === SQLITE_CANTOPEN) return null
    throw error
  }
}

/**
 * Runs a read again where its files were replaced under it, or where a lock was in its way for a
 * moment. `connect` gives a connection that is not stale.
 */
export function readSteadily<T>(
  source: ReadSource,
  connect: () => ReadConnection,
  read: (connection: ReadConnection) => T,
): T {
  for (let tries = 1; ; tries += 1) {
    const connection = connect()
    try {
      const result = read(connection)
      if (tries >= STALE_TRIES_MAX || !isStale(source, connection)) return result
    } catch (error) {
      if (primaryCode(error) === SQLITE_BUSY) {
        if (tries >= BUSY_TRIES_MAX) throw unreadable(connection.reader.path, error)
        pause()
      } else if (tries >= STALE_TRIES_MAX || !isStale(source, connection)) {
        throw error
      }
    }
  }
}

function pause(): void {
  Atomics.wait(pauseCell, 0, 0, BUSY_PAUSE_MS)
}

function unreadable(path: string, cause?: unknown): ColmenaError {
  return new ColmenaError('ERR_BUSY', `${path} stayed locked`, { retryable: true, cause })
}

/** SQLite's primary result code of an error, 0 for an error that is not SQLite's. */
function primaryCode(error: unknown): number {
  if (!(error instanceof Error)) return 0
  const code =
    'sqliteCode' in error ? error.sqliteCode : 'errcode' in error ? error.errcode : undefined
  return typeof code === 'number' ? code & 0xff : 0
}
