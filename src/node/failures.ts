import {
  ColmenaError,
  type ErrorCode,
  isColmenaError,
  type Outcome,
  SqlError,
} from '../base/errors.ts'
import type { UnitError } from '../command/command.ts'
import type { ErrorMessage } from '../engine/engine.ts'
import { isAnswerCode, StatementFailure } from '../sqlite/sqlite.ts'
import type { ThreadName } from './threads.ts'

/** An error that crossed threads as a message. */
export function errorFromMessage(message: ErrorMessage): ColmenaError {
  const { retryable, outcome, index } = message
  return new ColmenaError(message.code as ErrorCode, message.message, {
    retryable,
    outcome,
    index,
  })
}

/** The same for an answer that may be none. */
export function optionalError(message: ErrorMessage | null): ColmenaError | null {
  return message === null ? null : errorFromMessage(message)
}

/** Where a failed statement stands in what its caller passed. */
export interface StatementPlace {
  readonly index: number
  readonly count: number
}

/** Of a statement that is all that its caller passed. */
export const ALONE: StatementPlace = Object.freeze({ index: 0, count: 1 })

/**
 * The error of a failed unit, as its caller gets it. `place` counts what the caller passed before
 * this unit.
 */
export function errorFromUnit(
  error: UnitError,
  place: StatementPlace,
  index?: number | undefined,
): ColmenaError {
  const statementIndex = place.index + error.statementIndex
  const { sqliteCode, message: sqliteMessage } = error
  const where = place.count > 1 ? `statement ${statementIndex + 1} of ${place.count}: ` : ''
  const message = `${where}${sqliteMessage}`
  if (error.code !== 'ERR_SQL') {
    return new ColmenaError(error.code as ErrorCode, message, { index })
  }
  return new SqlError(message, { sqliteCode, sqliteMessage, statementIndex, index })
}

const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

/** What a local read threw, as its caller gets it: trouble of this machine is no one's SQL. */
export function readFailure(error: unknown, place: StatementPlace): unknown {
  if (!(error instanceof StatementFailure)) return error
  const { code, message, sqliteCode } = error
  if (code === 'ERR_SQL' && !isAnswerCode(sqliteCode)) {
    const isDamaged = [SQLITE_CORRUPT, SQLITE_NOTADB].includes(sqliteCode & 0xff)
    return new ColmenaError(
      'ERR_FAILED',
      `this node can't read its database: ${message} (SQLite code ${sqliteCode})`,
      { retryable: !isDamaged, cause: error },
    )
  }
  return errorFromUnit({ code, message, sqliteCode, statementIndex: 0 }, place)
}

/** A caller's signal ended the wait; `outcome` says what became of a write. */
export function abortedError(
  signal: AbortSignal,
  outcome: Outcome = 'not-applied',
  index?: number | undefined,
): ColmenaError {
  const message = 'the call was ended by its signal'
  return new ColmenaError('ERR_ABORTED', message, { cause: signal.reason, outcome, index })
}

/** @throws ColmenaError ERR_ABORTED where the signal was aborted before the call. */
export function checkNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal)
}

/** Why nothing goes any more: the node was closed, or it has failed, of which `failure` tells. */
export function closedError(failure: unknown, outcome: Outcome = 'not-applied'): ColmenaError {
  if (failure === undefined) {
    return new ColmenaError('ERR_CLOSED', 'this node is closed', { outcome })
  }
  if (isColmenaError(failure) && failure.code === 'ERR_REMOVED') {
    return new ColmenaError(failure.code, failure.message, { cause: failure, outcome })
  }
  const reason = failure instanceof Error ? failure.message : String(failure)
  const message = `this node has failed: ${reason}. Open it again: it recovers by itself`
  return new ColmenaError('ERR_FAILED', message, { cause: failure, outcome })
}

/**
 * Why a thread ended, null where it did not say. An error of ours comes across without its class,
 * but with the code that its thrower chose: a data directory that can't be opened is no bug.
 */
export function threadFailure(name: ThreadName, cause: unknown): ColmenaError {
  if (isColmenaError(cause)) {
    const { code, message, retryable } = cause
    return new ColmenaError(code, message, { cause, retryable })
  }
  const reason = cause instanceof Error ? cause.message : 'it stopped by itself'
  const message = `the ${name} thread of this node ended: ${reason}`
  return new ColmenaError('ERR_FAILED', message, { cause, outcome: 'unknown' })
}

/** A node whose files may be wrong answers nothing: only bringing it in anew helps. */
export function divergedError(haltedReason: string | null): ColmenaError {
  const reason = haltedReason ?? 'another program wrote to them'
  return new ColmenaError(
    'ERR_APPLY_HALTED',
    "this node's databases may differ from the other members', so nothing is read from or " +
      `written through it: ${reason}`,
  )
}
