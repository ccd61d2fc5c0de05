import { AssertionFailure } from '../base/assert.ts'
import type {
  Environment,
  Statement,
  StatementResult,
  Trial,
  Unit,
  UnitError,
  UnitResult,
  WriteCommand,
} from '../command/command.ts'
import { classifyFailure, parseSavepoint, StatementFailure, type Writer } from '../sqlite/sqlite.ts'
import type { DatabaseFile } from './database-file.ts'
import { judgeMigration, noteMigration } from './migrations.ts'
import { refusedSettings } from './settings.ts'
import type { StatementWatch } from './statement-watch.ts'
import { troubleOf } from './trouble.ts'

/** A write command at its place in the log. */
export interface PlacedCommand {
  readonly index: number
  readonly term: number
  readonly command: WriteCommand
}

/** A unit's answer took the whole SQLite transaction with it (`RAISE(ROLLBACK)` and its like). */
export class TransactionVanished extends Error {
  override readonly name: string = 'TransactionVanished'
  readonly index: number
  readonly unit: number
  readonly error: UnitError

  constructor(index: number, unit: number, error: UnitError) {
    super(error.message)
    this.index = index
    this.unit = unit
    this.error = error
  }
}

const NOTHING: StatementResult = Object.freeze({
  columns: [],
  columnTypes: [],
  rows: [],
  rowsAffected: 0,
  lastInsertRowid: null,
})

/**
 * Runs one unit. With a savepoint of its own, a failing statement takes back its unit and nothing
 * else; the savepoint is taken even for one statement, since `ON CONFLICT FAIL` keeps what it did
 * and full-text tables lay out their pages by savepoints.
 */
export function runUnit(
  file: DatabaseFile,
  placed: PlacedCommand,
  ordinal: number,
  environment: Environment,
  hasSavepoint: boolean,
  watch: StatementWatch | undefined,
): UnitResult {
  const { writer } = file
  const { doubleQuotedStrings } = writer
  const made = { doubleQuotedStrings, changes: file.feed.isSetting }
  const refused = refusedSettings(placed.command, made)
  if (refused !== null) {
    const { code, message } = refused
    return { ok: false, error: { code, message, sqliteCode: 0, statementIndex: 0 } }
  }
  const { trial, units, rejectsNonDeterminism } = placed.command
  const unit = units[ordinal] as Unit
  const { statements, migration } = unit
  if (hasSavepoint) writer.savepoint()
  writer.resetUnit(environment, ordinal, rejectsNonDeterminism)
  const verdict = migration === undefined ? 'run' : judgeMigration(writer, migration)
  if (verdict !== 'run') {
    if (hasSavepoint) writer.releaseSavepoint()
    return verdict
  }
  writer.startRecording(file.feed.since !== null)
  const results: StatementResult[] = []
  watch?.enters(placed.index, ordinal)
  try {
    for (const statement of statements) {
      watch?.starts(statement.sql)
      const result =
        trial === undefined
          ? writer.run(statement.sql, statement.args)
          : runAgain(writer, statement, trial, results.length)
      results.push(result)
      if (watch?.isDue(statements.length)) watch.look(placed.command.database, placed.index)
    }
    watch?.look(placed.command.database, placed.index)
    if (unit.foreignKeysOff && !unit.foreignKeysUnchecked) writer.foreignKeys.check()
  } catch (error) {
    if (error instanceof AssertionFailure) throw error
    watch?.look(placed.command.database, placed.index)
    const position = Math.min(results.length, lastStatement(placed, ordinal))
    const failure = classifyFailure(error, writer, position)
    if (failure.kind === 'vanished') {
      throw new TransactionVanished(placed.index, ordinal, failure.error)
    }
    if (failure.kind !== 'answer') throw troubleOf(failure, error, whereOf(file, placed))
    if (hasSavepoint) writer.rollbackToSavepoint()
    return { ok: false, error: failure.error }
  }
  if (migration !== undefined) {
    noteMigration(writer, migration, { index: placed.index, runMs: environment.wallMs })
  }
  if (hasSavepoint) writer.releaseSavepoint()
  return { ok: true, statements: results }
}

/**
 * Runs a statement of a transaction's, savepoints included.
 *
 * @throws as `Writer.run`
 */
export function runInTransaction(writer: Writer, { sql, args }: Statement): StatementResult {
  const savepoint = parseSavepoint(sql)
  if (savepoint === null) return writer.run(sql, args)
  writer.markSavepoint(savepoint)
  return NOTHING
}

/** Runs a statement as its trial did, a failed one too: it may have left traces. */
function runAgain(
  writer: Writer,
  statement: Statement,
  { outcomes }: Trial,
  at: number,
): StatementResult {
  let result = NOTHING
  let changed: number | null = null
  try {
    result = runInTransaction(writer, statement)
    changed = result.rowsAffected
  } catch (error) {
    if (classifyFailure(error, writer).kind !== 'answer') throw error
  }
  if (changed === outcomes[at]) return result
  throw new StatementFailure(
    'ERR_TX_ABORTED',
    `statement ${at + 1} of the transaction came to another end than when it was tried: nothing ` +
      'of it was applied',
  )
}

/** The answer to a transaction that was tried on a state that is no more. */
export function staleTransaction(): UnitResult {
  const message =
    'another write to the database came before the transaction: nothing of it was applied. Run ' +
    'it again from its beginning'
  return { ok: false, error: { code: 'ERR_TX_ABORTED', message, sqliteCode: 0, statementIndex: 0 } }
}

/** The answer to a unit whose lease had ended when its entry came. */
export function fencedUnit(token: number): UnitResult {
  const message =
    `the lock of token ${token} had ended before this write came: nothing of it was applied. ` +
    'Whoever held it must begin again, with a lock of its own'
  return { ok: false, error: { code: 'ERR_FENCED', message, sqliteCode: 0, statementIndex: 0 } }
}

/** The answer to each unit of an entry that no member could apply. */
export function voidedUnit(index: number): UnitResult {
  const message =
    `entry ${index}, which this write was a part of, could be applied on no member and was ` +
    'skipped by an operator: nothing of it was applied'
  return { ok: false, error: { code: 'ERR_VOIDED', message, sqliteCode: 0, statementIndex: 0 } }
}

function whereOf(file: DatabaseFile, placed: PlacedCommand): string {
  return `${file.writer.path}, entry ${placed.index}`
}

/**
 * What a unit did goes into the file's digest, counted so that grouping does not show. Engines that
 * differ may store other values for the same statement, with the same counts: while they may be at
 * work, every row that was changed counts too. The same rows join the file's feed.
 */
export function mixUnit(
  file: DatabaseFile,
  index: number,
  ordinal: number,
  result: UnitResult,
): void {
  const { digest } = file
  digest.mix(index)
  digest.mix(ordinal)
  if (!result.ok) {
    file.writer.dropRecording()
    digest.mix(result.error.sqliteCode + 1)
    return
  }
  digest.mix(0)
  for (const { rowsAffected, lastInsertRowid } of result.statements) {
    digest.mix(rowsAffected)
    if (lastInsertRowid !== null) digest.mixBigint(lastInsertRowid)
  }
  file.keepChanges(index, ordinal)
}

/** Where a failure stands that is found at the end of a unit. */
export function lastStatement(placed: PlacedCommand, ordinal: number): number {
  return Math.max(0, (placed.command.units[ordinal]?.statements.length ?? 0) - 1)
}
