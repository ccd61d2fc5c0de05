import type { MigrationStamp, UnitResult } from '../command/command.ts'
import type { Reader, Writer } from '../sqlite/sqlite.ts'
import { guardOwn } from './trouble.ts'

/** Without rowids, so that what a user's statement sees of the last one is never ours. */
export const CREATE_MIGRATIONS = `CREATE TABLE _colmena_migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL,
    log_index INTEGER NOT NULL, run_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID`
const SELECT_ONE =
  'SELECT name, checksum, log_index, run_ms FROM _colmena_migrations WHERE version = ?'
const SELECT_LAST = 'SELECT version, name FROM _colmena_migrations ORDER BY version DESC LIMIT 1'
const INSERT = 'INSERT INTO _colmena_migrations VALUES (?, ?, ?, ?, ?)'

/** A migration that the database has run; it never changes, and is never taken out. */
export interface RunMigration extends MigrationStamp {
  /** Of the log entry that ran it. */
  readonly index: number
  /** When, in milliseconds since 1970 by the clock of that entry. */
  readonly runMs: number
}

/** What a reader sees of a migration in its file; null where that has not run it yet. */
export function readMigration(
  reader: Pick<Reader, 'internal' | 'own'>,
  version: number,
): RunMigration | null {
  return reader.internal(() => findMigration(reader, version))
}

/**
 * Whether a migration is still to run. That it runs once follows from where this is asked: in the
 * transaction that runs it and notes it, on each node at the same place of the log.
 */
export function judgeMigration(writer: Writer, stamp: MigrationStamp): 'run' | UnitResult {
  return guardOwn(writer, writer.path, () => judge(writer, stamp))
}

function judge(writer: Writer, stamp: MigrationStamp): 'run' | UnitResult {
  const known = findMigration(writer, stamp.version)
  if (known !== null) {
    const conflict = migrationConflict(known, stamp)
    return conflict === null ? { ok: true, statements: [] } : refused(conflict)
  }
  const last = writer.own(SELECT_LAST).get() as unknown as [bigint, string] | undefined
  if (last === undefined || last[0] < stamp.version) return 'run'
  const newest = title({ version: Number(last[0]), name: last[1] })
  return refused(
    `migration ${title(stamp)} comes before ${newest}, which the database has run already: give ` +
      'it a number after that',
  )
}

export function noteMigration(
  writer: Writer,
  { version, name, checksum }: MigrationStamp,
  place: Pick<RunMigration, 'index' | 'runMs'>,
): void {
  guardOwn(writer, writer.path, () =>
    writer.own(INSERT).run(version, name, checksum, place.index, place.runMs),
  )
}

/** Why a migration is not the one that the database has run under its number; null if it is. */
export function migrationConflict(known: RunMigration, asked: MigrationStamp): string | null {
  if (Buffer.compare(known.checksum, asked.checksum) === 0) return null
  return (
    `migration ${title(asked)} is not what the database ran as ${title(known)} at index ` +
    `${known.index}: its checksum was ${hex(known)} and is ${hex(asked)}. Leave what has run as ` +
    'it was, and add a new migration'
  )
}

function findMigration(
  connection: Pick<Reader | Writer, 'own'>,
  version: number,
): RunMigration | null {
  const row = connection.own(SELECT_ONE).get(version)
  if (row === undefined) return null
  const [name, checksum, index, runMs] = row as unknown as [string, Uint8Array, bigint, bigint]
  return { version, name, checksum, index: Number(index), runMs: Number(runMs) }
}

function refused(message: string): UnitResult {
  const code = 'ERR_MIGRATION_CONFLICT'
  return { ok: false, error: { code, message, sqliteCode: 0, statementIndex: 0 } }
}

function title({ version, name }: Pick<MigrationStamp, 'version' | 'name'>): string {
  return `${version} '${name}'`
}

function hex({ checksum }: MigrationStamp): string {
  return Buffer.from(checksum).toString('hex').slice(0, 12)
}
