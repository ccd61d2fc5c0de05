import { ColmenaError, isColmenaError, type Outcome } from '../../index.ts'

/** An error as the protocol carries it, and what our own clients read beside that. */
export interface HranaError {
  readonly message: string
  readonly code: string
  readonly retryable: boolean
  readonly outcome: Outcome
}

/** A client that knows the protocol alone sees only the message: it must say what to do. */
const WORDS: Readonly<Record<Outcome, string>> = {
  'not-applied': 'retryable: nothing was applied',
  committed: 'committed: it is applied, or will be, so do not repeat it',
  unknown: 'unknown outcome: it may have been applied, so read before you repeat it',
}

/** What SQLite itself would answer, were the connection its own. */
export class HranaRefusal extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** @throws whatever is no error of ours: that is nobody's answer, but a mistake in the server. */
export function toHranaError(error: unknown): HranaError {
  if (error instanceof HranaRefusal) {
    const { code, message } = error
    return { message: `SQLite error: ${message}`, code, retryable: false, outcome: 'not-applied' }
  }
  if (!isColmenaError(error)) throw error
  const { retryable, outcome } = error
  if ('extendedCode' in error && 'sqliteMessage' in error) {
    // The protocol has the first two words of the name: SQLITE_CONSTRAINT.
    const code = String(error.extendedCode).split('_', 2).join('_')
    return { message: `SQLite error: ${error.sqliteMessage}`, code, retryable, outcome }
  }
  const isPlain = outcome === 'not-applied' && !retryable
  const message = isPlain ? error.message : `${error.message} (${WORDS[outcome]})`
  return { message, code: error.code, retryable, outcome }
}

/** The position of the failed statement in a batch, where the error is one statement's. */
export function failedStatement(error: unknown): number | undefined {
  if (!isColmenaError(error) || !('statementIndex' in error)) return undefined
  return Number(error.statementIndex)
}

export function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}

export function tooLarge(message: string, outcome: Outcome = 'not-applied'): ColmenaError {
  return new ColmenaError('ERR_TOO_LARGE', message, { outcome })
}
