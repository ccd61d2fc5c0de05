import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { ColmenaError, isColmenaError, SqlError } from '../base/errors.ts'
import { encodeJson } from '../base/json-values.ts'
import type { MigrationStamp, Statement, StatementArgs, Unit } from '../command/command.ts'
import { migrationConflict, type RunMigration } from '../database/database.ts'
import { splitStatements } from '../sqlite/sqlite.ts'
import { checkSignal, invalid, show } from './arguments.ts'
import { checkSetting } from './database-options.ts'
import { checkNotAborted } from './failures.ts'
import { toMigration } from './migration.ts'
import { checkKeys } from './nearest.ts'
import type { NodeCore } from './node-core.ts'
import { type BatchStatement, transactionWord } from './statement.ts'
import { refuseNested } from './transaction-scope.ts'
import { WRITE_LIMITS } from './writes.ts'

/** One step in the life of a database, which it takes once. */
export interface Migration {
  /** A whole number from 1 on; a database runs its migrations in this order. */
  readonly version: number
  /** What it is called in errors. Another name alone is no other migration. */
  readonly name: string
  /** SQL text of one or more statements, or statements with their arguments. */
  readonly up: string | readonly BatchStatement[]
}

export interface MigrationsOptions {
  /**
   * The database that they are for.
   *
   * @defaultValue 'main'
   */
  readonly database?: string | undefined
  /** Whether all nodes keep the rows that change in it, as the option of `node.database`. */
  readonly changes?: boolean | undefined
  /**
   * How long to try, all migrations together: for a leader, and until those that take long are
   * applied here.
   *
   * @defaultValue 60000
   */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A migration that the database has run, now or before, through this node or another. */
export interface MigrationDone {
  readonly version: number
  /** As it was called when it ran. */
  readonly name: string
  /** Of the log entry that ran it. */
  readonly index: number
  readonly ranAt: Date
}

interface CheckedOptions {
  readonly database: string
  readonly changes: boolean | undefined
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

interface PreparedMigration {
  readonly stamp: MigrationStamp
  readonly unit: Unit
}

const KEYS = ['database', 'changes', 'timeoutMs', 'signal']
const MIGRATION_KEYS = ['version', 'name', 'up']
const TIMEOUT_MS = 60_000
const TIMEOUT_MS_MAX = 0x7fff_ffff
const NAME_CHARS_MAX = 200
const TRY_AGAIN_MS = 50
/** Ends of the tries that say nothing of the migration. */
const CUT_SHORT: readonly string[] = ['ERR_ABORTED', 'ERR_CLOSED', 'ERR_FAILED']

/**
 * Has a database run the migrations that it has not run yet, in order. Each goes through the log as
 * one entry that runs only where it has not been run before, so it does not matter who asks, how
 * often, or that many ask at once; and so every doubt on the way is answered by another try.
 */
export async function runMigrations(
  core: NodeCore,
  migrations: readonly Migration[],
  options: CheckedOptions,
): Promise<readonly MigrationDone[]> {
  core.checkOpen()
  const { database, changes, timeoutMs, signal } = options
  const prepared = prepareAll(migrations)
  refuseNested(core, database)
  const timeout = AbortSignal.timeout(timeoutMs)
  const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  const done: MigrationDone[] = []
  for (const migration of prepared) {
    try {
      done.push(await ensureRun(core, { database, changes }, migration, either))
    } catch (error) {
      const isLate = timeout.aborted && signal?.aborted !== true
      throw ofMigration(migration.stamp, isLate ? lateError(error, timeoutMs) : error)
    }
  }
  return done
}

async function ensureRun(
  core: NodeCore,
  asked: Pick<CheckedOptions, 'database' | 'changes'>,
  { stamp, unit }: PreparedMigration,
  signal: AbortSignal,
): Promise<MigrationDone> {
  const place = { index: 0, count: unit.statements.length }
  let doubt: ColmenaError | null = null
  for (;;) {
    try {
      checkNotAborted(signal)
      // What this node has seen it run stays so: the others need not be asked.
      const known = core.readers.database(asked.database).migration(stamp.version)
      if (known !== null) return toDone(known, stamp)
      await core.writes.submit({ ...asked, unit, place, signal })
    } catch (error) {
      const isAnswer = !isColmenaError(error) || !(mayTryAgain(error) || isCutShort(error))
      if (isAnswer) throw error
      if (error.outcome !== 'not-applied') doubt = error
      // That the last try came to nothing says nothing of those before.
      if (signal.aborted || isCutShort(error)) throw doubt ?? error
      await setTimeout(TRY_AGAIN_MS)
    }
  }
}

/** @throws ColmenaError ERR_MIGRATION_CONFLICT where something else was run by that number. */
function toDone(known: RunMigration, stamp: MigrationStamp): MigrationDone {
  const conflict = migrationConflict(known, stamp)
  if (conflict !== null) throw new ColmenaError('ERR_MIGRATION_CONFLICT', conflict)
  const { version, name, index, runMs } = known
  return { version, name, index, ranAt: new Date(runMs) }
}

function isCutShort({ code }: ColmenaError): boolean {
  return CUT_SHORT.includes(code)
}

function mayTryAgain({ code, retryable }: ColmenaError): boolean {
  return retryable || code === 'ERR_TIMEOUT' || code === 'ERR_RESULT_LOST'
}

/** The time that all have together is over. */
function lateError(error: unknown, timeoutMs: number): unknown {
  if (!isColmenaError(error) || !['ERR_ABORTED', 'ERR_TIMEOUT'].includes(error.code)) return error
  const { outcome, index, cause } = error
  const message = `it was not run within ${timeoutMs} ms; asking again is safe`
  return new ColmenaError('ERR_TIMEOUT', message, { retryable: true, outcome, index, cause })
}

/** The same error, with the migration that met it. */
function ofMigration({ version, name }: MigrationStamp, error: unknown): unknown {
  if (!isColmenaError(error) || error.code === 'ERR_MIGRATION_CONFLICT') return error
  const message = `migration ${version} '${name}': ${error.message}`
  const { code, retryable, outcome, index, cause } = error
  const options = { retryable, outcome, index, cause }
  if (!(error instanceof SqlError)) return new ColmenaError(code, message, options)
  const { sqliteCode, sqliteMessage, statementIndex } = error
  return new SqlError(message, { ...options, sqliteCode, sqliteMessage, statementIndex })
}

/** All of them, before the first one runs. @throws ColmenaError ERR_INVALID_ARGUMENT */
function prepareAll(migrations: readonly Migration[]): PreparedMigration[] {
  if (!Array.isArray(migrations)) throw invalid('migrate takes an array of migrations')
  let last = 0
  return migrations.map((migration: Migration, at) => {
    const prepared = prepare(migration, `migration ${at + 1} of ${migrations.length}`)
    const { version } = prepared.stamp
    if (version <= last) {
      throw invalid(`migration ${version} comes after ${last}: give them in order, each once`)
    }
    last = version
    return prepared
  })
}

function prepare(migration: Migration, where: string): PreparedMigration {
  if (typeof migration !== 'object' || migration === null) {
    throw invalid(`${where} is no object; pass { version, name, up }`)
  }
  checkKeys(migration, MIGRATION_KEYS, invalid, ` of ${where}`)
  const { version, name, up } = migration
  if (!Number.isSafeInteger(version) || version < 1) {
    throw invalid(`the version of ${where} is ${show(version)}; it is a whole number from 1 on`)
  }
  if (typeof name !== 'string' || name === '' || name.length > NAME_CHARS_MAX) {
    throw invalid(`the name of migration ${version} must be text of 1 to ${NAME_CHARS_MAX} letters`)
  }
  const input = typeof up === 'string' ? splitStatements(up) : up
  if (!Array.isArray(input) || input.length === 0) {
    throw invalid(`up of migration ${version} must be SQL text or an array of statements, not none`)
  }
  const { statements } = toMigration(input, undefined).unit
  for (const { sql } of statements) refuseEnding(sql, version)
  const stamp = { version, name, checksum: checksumOf(statements, version) }
  return { stamp, unit: { statements, foreignKeysOff: true, migration: stamp } }
}

function refuseEnding(sql: string, version: number): void {
  const word = transactionWord(sql)
  if (word === null) return
  throw new ColmenaError(
    'ERR_REFUSED_SQL',
    `${word.toUpperCase()} in migration ${version} is refused: a migration is one transaction as ` +
      'it is; leave it out',
  )
}

/** Over what runs: comments, space and kinds of line ends around it change nothing. */
function checksumOf(statements: readonly Statement[], version: number): Uint8Array {
  const hashed = statements.map(({ sql, args }) => [sql.replaceAll('\r\n', '\n'), plainArgs(args)])
  const bounds = { what: `migration ${version}`, bytesMax: 2 * WRITE_LIMITS.unitBytesMax }
  return createHash('sha256').update(encodeJson(hashed, bounds)).digest()
}

function plainArgs(args: StatementArgs): unknown {
  return args instanceof Map ? Object.fromEntries([...args].sort()) : args
}

/** The name of the database is for the caller to check. @throws ColmenaError */
export function checkMigrationsOptions(options: MigrationsOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) {
    throw invalid("the options of migrate are an object, such as { database: 'main' }")
  }
  checkKeys(options, KEYS, invalid, ' of migrate')
  const { database = 'main', changes, timeoutMs = TIMEOUT_MS, signal } = options
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > TIMEOUT_MS_MAX) {
    throw invalid(
      `timeoutMs is ${show(timeoutMs)}; it is a whole number from 1 to ${TIMEOUT_MS_MAX}`,
    )
  }
  checkSignal(signal)
  checkSetting('changes', changes)
  return { database, changes, timeoutMs, signal }
}
