import type { Transaction, TransactionMode } from '../../index.ts'
import { HranaRefusal } from './failure.ts'
import { NOTHING, type Run, type StatementResult } from './run.ts'

/** A statement that begins or ends a transaction of a stream. */
export type Control =
  | { readonly kind: 'begin'; readonly mode: TransactionMode }
  | { readonly kind: 'commit' | 'rollback' }

/** Longer than any of them is written; it also bounds what a pattern can cost. */
const CONTROL_CHARS_MAX = 1_024
const COMMENT = /^\s*(?:--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)/
const BEGIN =
  /^\s*begin(?:\s+(deferred|immediate|exclusive))?(?:\s+transaction)?(?:\s+(readonly))?\s*;?\s*$/i
const COMMIT = /^\s*(?:commit|end)(?:\s+transaction)?\s*;?\s*$/i
const ROLLBACK = /^\s*rollback(?:\s+transaction)?\s*;?\s*$/i

/** Null for every other statement. */
export function parseControl(sql: string): Control | null {
  if (sql.length > CONTROL_CHARS_MAX) return null
  let text = sql
  for (let found = COMMENT.exec(text); found !== null; found = COMMENT.exec(text)) {
    text = text.slice(found[0].length)
  }
  const begin = BEGIN.exec(text)
  if (begin !== null) return { kind: 'begin', mode: modeOf(begin[1], begin[2]) }
  if (COMMIT.test(text)) return { kind: 'commit' }
  return ROLLBACK.test(text) ? { kind: 'rollback' } : null
}

function modeOf(kind: string | undefined, readonly: string | undefined): TransactionMode {
  if (readonly !== undefined) return 'read'
  return kind === undefined || /deferred/i.test(kind) ? 'deferred' : 'write'
}

/**
 * Begins or ends the transaction of a stream. One that is over by itself still has to be ended by
 * its client: until then nothing runs on the stream, as it would run outside of it.
 */
export async function runControl(control: Control, run: Run): Promise<StatementResult> {
  const { stream, database, options, mayWrite } = run
  const { transaction } = stream
  if (control.kind === 'begin') {
    if (transaction !== null) throw refused('cannot start a transaction within a transaction')
    const mode = mayWrite ? control.mode : 'read'
    // It outlives this request, and so its signal.
    const { signal: _, ...asked } = options
    stream.transaction = await database.transaction(mode, asked)
    return NOTHING
  }
  if (transaction === null) throw refused(`cannot ${control.kind} - no transaction is active`)
  stream.transaction = null
  await end(transaction, control.kind)
  return NOTHING
}

async function end(transaction: Transaction, kind: 'commit' | 'rollback'): Promise<void> {
  if (kind === 'rollback') await transaction.rollback()
  else await transaction.commit()
}

function refused(message: string): HranaRefusal {
  return new HranaRefusal('SQLITE_ERROR', message)
}
