import { ColmenaError, type ErrorCode, isColmenaError } from '../base/errors.ts'
import type { StorageView } from '../base/shared-state.ts'
import type { Statement } from '../command/command.ts'
import { type Extension, type QueryResult, StatementFailure } from '../sqlite/sqlite.ts'
import type { AskedDatabase } from './settings.ts'

/** What a reader process reads, and with what: its only argument, as JSON. */
export interface ReaderSource {
  /** The directory that holds the generations. */
  readonly directory: string
  readonly extensions: readonly Extension[]
}

/** What a reader process is asked and what it says, as structured clones. */

export type ReaderWork =
  /** Reads on one snapshot, whose rows together take at most `resultBytesMax`. */
  | {
      readonly kind: 'query'
      readonly statements: readonly Statement[]
      readonly resultBytesMax: number
    }
  /** An ordinary SQLite file of the database at `path`, which must not be there. */
  | { readonly kind: 'copy'; readonly path: string }

export interface ReaderRequest {
  readonly asked: AskedDatabase
  readonly work: ReaderWork
  /** What the storage thread had published when this was sent. */
  readonly view: StorageView
}

/** A statement's rows, and how long SQLite took for them. */
export interface TimedRows extends QueryResult {
  readonly durationMs: number
}

/** A copy, and the index that its database had applied. */
export interface CopiedDatabase {
  readonly appliedIndex: number
  readonly sizeBytes: number
}

export type ReaderAnswer =
  /** Work can be sent, one at a time. */
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'rows'
      readonly results: readonly TimedRows[]
      /** As `ReadSnapshot.lastWrite` of the snapshot that they were read on. */
      readonly lastWrite: number | null
    }
  | { readonly kind: 'copied'; readonly copied: CopiedDatabase }
  | { readonly kind: 'failed'; readonly statementIndex: number; readonly failure: ReaderFailure }

/** An error on its way between processes, which keeps nothing of a class. */
export interface ReaderFailure {
  readonly isStatement: boolean
  readonly code: string
  readonly message: string
  readonly sqliteCode: number
  readonly retryable: boolean
}

export function toReaderFailure(error: unknown): ReaderFailure {
  if (error instanceof StatementFailure) {
    const { code, message, sqliteCode } = error
    return { isStatement: true, code, message, sqliteCode, retryable: false }
  }
  const message = error instanceof Error ? error.message : String(error)
  const known = isColmenaError(error) ? error : { code: 'ERR_FAILED', retryable: false }
  const { code, retryable } = known
  return { isStatement: false, code, message, sqliteCode: 0, retryable }
}

/** The error as if it had been thrown here. */
export function fromReaderFailure(failure: ReaderFailure): StatementFailure | ColmenaError {
  const { isStatement, message, sqliteCode, retryable } = failure
  const code = failure.code as ErrorCode
  return isStatement
    ? new StatementFailure(code, message, { sqliteCode })
    : new ColmenaError(code, message, { retryable })
}
