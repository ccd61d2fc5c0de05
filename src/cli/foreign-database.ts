import type { DatabaseSync } from 'node:sqlite'
import { CliError } from './failure.ts'

/** A database that no node has, and whose rows an import takes. */
export type ForeignDatabase = DatabaseSync

/** For whoever holds the file to let go of it. */
const LOCKED_MS_MAX = 5_000

/** Opens a file to read it alone, with what its writers have left beside it. */
export function openSqliteFile(path: string): ForeignDatabase {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const options = { readOnly: true, allowExtension: false, timeout: LOCKED_MS_MAX }
  try {
    return new DatabaseSync(path, options)
  } catch (error) {
    throw unreadable(path, error)
  }
}

/** A temporary one, gone when it is closed, where all may be written but other files. */
export function openTemporary(): ForeignDatabase {
  const { constants, DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const db = new DatabaseSync('', {
    allowExtension: false,
    defensive: false,
    enableForeignKeyConstraints: false,
  })
  const { SQLITE_ATTACH, SQLITE_DENY, SQLITE_OK } = constants
  db.setAuthorizer((action) => (action === SQLITE_ATTACH ? SQLITE_DENY : SQLITE_OK))
  return db
}

const SQLITE_BUSY = 5
const SQLITE_READONLY = 8
const SQLITE_CORRUPT = 11
const SQLITE_CANTOPEN = 14

/** What to do about a file that SQLite fails to read. */
export function unreadable(path: string, cause: unknown): CliError {
  const { errcode = 0, message } = cause as Error & { readonly errcode?: number }
  const advice = new Map([
    [SQLITE_BUSY, ': another process keeps it locked; stop that, or import a copy'],
    [SQLITE_READONLY, `: its last write did not end; sqlite3 ${path} .tables mends that`],
    [SQLITE_CORRUPT, `: it is damaged; sqlite3 ${path} .recover saves what can be`],
    [SQLITE_CANTOPEN, ': import a copy of it and what is beside it, from a folder you may write'],
  ]).get(errcode & 0xff)
  const said = `${path} can't be read as an SQLite file: ${message}${advice ?? ''}`
  return new CliError(said, 1, { cause })
}
