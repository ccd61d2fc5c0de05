import type { ErrorCode } from '../base/errors.ts'
import type { UnitError } from '../command/command.ts'

/** What {@link StatementFailure} adds to a message. */
export interface StatementFailureOptions extends ErrorOptions {
  /** SQLite's extended result code; 0, the default, for a refusal of ours. */
  readonly sqliteCode?: number | undefined
  readonly isAutoincrementExhausted?: boolean | undefined
}

/** A user's statement that failed: SQLite's error in its own words, or a refusal of ours. */
export class StatementFailure extends Error {
  override readonly name: string = 'StatementFailure'
  readonly code: ErrorCode
  /** SQLite's extended result code; 0 for a refusal. */
  readonly sqliteCode: number
  /** SQLITE_FULL because an AUTOINCREMENT table has used its last rowid: the same everywhere. */
  readonly isAutoincrementExhausted: boolean

  constructor(code: ErrorCode, message: string, options: StatementFailureOptions = {}) {
    super(message, options)
    this.code = code
    this.sqliteCode = options.sqliteCode ?? 0
    this.isAutoincrementExhausted = options.isAutoincrementExhausted ?? false
  }
}

/** Whether every node answers with this code: all others are one machine's own. */
export function isAnswerCode(sqliteCode: number): boolean {
  return ANSWERS.has(sqliteCode & 0xff)
}

/** A refusal of our guard, with its reason and what to use instead. */
export function refusal(message: string): StatementFailure {
  return new StatementFailure('ERR_REFUSED_SQL', message)
}

/** SQLite's extended code of an error that node:sqlite threw; undefined for any other. */
export function sqliteCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode : undefined
}

/**
 * How a failure is to be taken. `answer`: every node gets it. `vanished`: an answer too, but the
 * whole SQLite transaction was rolled back under us (RAISE(ROLLBACK), ON CONFLICT ROLLBACK).
 * `busy`: retry for ever. `machine`: this node's own trouble: roll back, publish nothing, halt.
 */
export type FailureKind = 'answer' | 'vanished' | 'busy' | 'machine'

export interface ClassifiedFailure {
  readonly kind: FailureKind
  readonly error: UnitError
}

const SQLITE_ERROR = 1
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
export const SQLITE_FULL = 13
const SQLITE_TOOBIG = 18
const SQLITE_CONSTRAINT = 19
const SQLITE_MISMATCH = 20
const SQLITE_AUTH = 23
const SQLITE_RANGE = 25

const ANSWERS: ReadonlySet<number> = new Set([
  SQLITE_ERROR,
  SQLITE_TOOBIG,
  SQLITE_CONSTRAINT,
  SQLITE_MISMATCH,
  SQLITE_AUTH,
  SQLITE_RANGE,
])

/**
 * Judges what a writer threw; call it before anything else runs on that connection. Only an
 * allow-list is an answer: a full disk, too, ends a statement and its transaction, and a node that
 * took that for an answer would differ from the others silently.
 * A transaction must have been open when the statement began: whether it still is, is evidence.
 */
export function classifyFailure(
  error: unknown,
  writer: { readonly inTransaction: boolean },
  statementIndex = 0,
): ClassifiedFailure {
  const sqliteCode =
    error instanceof StatementFailure ? error.sqliteCode : (sqliteCodeOf(error) ?? -1)
  const code = error instanceof StatementFailure ? error.code : 'ERR_SQL'
  const message = error instanceof Error ? error.message : String(error)
  const kind = failureKind(error, sqliteCode, writer.inTransaction)
  return { kind, error: { code, message, sqliteCode: Math.max(0, sqliteCode), statementIndex } }
}

function failureKind(error: unknown, sqliteCode: number, isOpen: boolean): FailureKind {
  const isRefusal = error instanceof StatementFailure && sqliteCode === 0
  if (isRefusal) return isOpen ? 'answer' : 'machine'
  const primary = sqliteCode & 0xff
  if (primary === SQLITE_BUSY || primary === SQLITE_LOCKED) return 'busy'
  if (primary === SQLITE_FULL) {
    const isAnswer = error instanceof StatementFailure && error.isAutoincrementExhausted
    if (!isAnswer) return 'machine'
    return isOpen ? 'answer' : 'vanished'
  }
  if (sqliteCode < 0 || !isAnswerCode(sqliteCode)) return 'machine'
  if (isOpen) return 'answer'
  return primary === SQLITE_CONSTRAINT ? 'vanished' : 'machine'
}
