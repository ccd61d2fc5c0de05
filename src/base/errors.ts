import { nameSqliteCode } from './sqlite-code.ts'

/** Every failure that Colmena reports, in one table: `docs/errors.md` explains each code. */
export type ErrorCode =
  | 'ERR_ABORTED'
  | 'ERR_ADDRESS_IN_USE'
  | 'ERR_ALREADY_OPEN'
  | 'ERR_APPLY_HALTED'
  | 'ERR_BACKUP_DAMAGED'
  | 'ERR_BUNDLED'
  | 'ERR_BUSY'
  | 'ERR_CLOSED'
  | 'ERR_DATA_DIR'
  | 'ERR_DATABASE_DROPPED'
  | 'ERR_DISCOVERY'
  | 'ERR_EXTENSION_FAILED'
  | 'ERR_FAILED'
  | 'ERR_FELL_BEHIND'
  | 'ERR_FENCED'
  | 'ERR_FORBIDDEN'
  | 'ERR_HANDLER_FAILED'
  | 'ERR_HANDSHAKE'
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_INVALID_OPTION'
  | 'ERR_JOB_FAILED'
  | 'ERR_JOIN_FAILED'
  | 'ERR_LAGGING'
  | 'ERR_LOCKED'
  | 'ERR_LOG_CORRUPT'
  | 'ERR_MIGRATION_CONFLICT'
  | 'ERR_MISSING_PACKAGE'
  | 'ERR_MIXED_ENGINES'
  | 'ERR_NODE_ID_TAKEN'
  | 'ERR_NON_DETERMINISTIC_SQL'
  | 'ERR_NOT_FOUND'
  | 'ERR_NO_HANDLER'
  | 'ERR_NO_LEADER'
  | 'ERR_NO_PRIMARY_KEY'
  | 'ERR_OTHER_CLUSTER'
  | 'ERR_OTHER_EXTENSIONS'
  | 'ERR_OWN_ADDRESS'
  | 'ERR_READ_EXPIRED'
  | 'ERR_REFUSED_SQL'
  | 'ERR_REMOVED'
  | 'ERR_RESULT_LOST'
  | 'ERR_SQL'
  | 'ERR_STALE'
  | 'ERR_TARGET'
  | 'ERR_TIMEOUT'
  | 'ERR_TOO_LARGE'
  | 'ERR_UNAUTHORIZED'
  | 'ERR_TX_ABORTED'
  | 'ERR_UNCLEAN_STOP'
  | 'ERR_UNSUPPORTED_FORMAT'
  | 'ERR_UNSUPPORTED_RUNTIME'
  | 'ERR_VOIDED'
  | 'ERR_WEAK_SECRET'

/**
 * What became of a write whose promise rejected: `not-applied` (it never will be), `committed` (the
 * log has it for good, and every node runs it once, at its index; whether its statements or its
 * fence let it through, only a read after that index tells), or `unknown` (only reading can tell).
 */
export type Outcome = 'not-applied' | 'committed' | 'unknown'

/** What {@link ColmenaError} takes beside its code and message. */
export interface ColmenaErrorOptions extends ErrorOptions {
  /** Whether the same call can succeed later without any change; false by default. */
  readonly retryable?: boolean | undefined
  /** 'not-applied' by default. */
  readonly outcome?: Outcome | undefined
  /** The log index of the write, where it is known; of ERR_FELL_BEHIND, where to go on from. */
  readonly index?: number | undefined
}

/**
 * The one error class. Match on `code`: `instanceof` breaks where two copies of the package are
 * loaded.
 */
export class ColmenaError extends Error {
  override readonly name: string = 'ColmenaError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly outcome: Outcome
  readonly index: number | undefined

  constructor(code: ErrorCode, message: string, options: ColmenaErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.retryable = options.retryable ?? false
    this.outcome = options.outcome ?? 'not-applied'
    this.index = options.index
  }
}

/** What {@link SqlError} adds. */
export interface SqlErrorOptions extends ColmenaErrorOptions {
  readonly sqliteCode: number
  readonly sqliteMessage: string
  readonly statementIndex: number
}

/** SQLite's own answer to a statement: every node gets the same one. */
export class SqlError extends ColmenaError {
  override readonly name: string = 'SqlError'
  /** SQLite's extended result code, such as 2067 for SQLITE_CONSTRAINT_UNIQUE. */
  readonly sqliteCode: number
  /** The same under the name that libsql's errors have for it. */
  readonly rawCode: number
  /** Its name, as in libsql's errors: 'SQLITE_CONSTRAINT_UNIQUE'. */
  readonly extendedCode: string
  /** SQLite's words, without ours around them. */
  readonly sqliteMessage: string
  /** The failing statement's position in its batch, from 0. */
  readonly statementIndex: number

  constructor(message: string, options: SqlErrorOptions) {
    super('ERR_SQL', message, options)
    this.sqliteCode = options.sqliteCode
    this.rawCode = options.sqliteCode
    this.extendedCode = nameSqliteCode(options.sqliteCode)
    this.sqliteMessage = options.sqliteMessage
    this.statementIndex = options.statementIndex
  }
}

/** True for errors of this package, also of another copy of it. */
export function isColmenaError(error: unknown): error is ColmenaError {
  return error instanceof Error && 'outcome' in error && 'retryable' in error && 'code' in error
}
