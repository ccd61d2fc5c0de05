import { ColmenaError, type ErrorCode, isColmenaError, type Logger } from '../index.ts'

/**
 * What each failure is in HTTP. 503 is what another node, or the same one a little later, may
 * answer; 500 is what somebody has to look at.
 */
const STATUSES: Readonly<Record<ErrorCode, number>> = {
  ERR_ABORTED: 503,
  ERR_ADDRESS_IN_USE: 500,
  ERR_ALREADY_OPEN: 500,
  ERR_APPLY_HALTED: 503,
  ERR_BACKUP_DAMAGED: 500,
  ERR_BUNDLED: 500,
  ERR_BUSY: 503,
  ERR_CLOSED: 503,
  ERR_DATA_DIR: 500,
  ERR_DATABASE_DROPPED: 409,
  ERR_DISCOVERY: 503,
  ERR_EXTENSION_FAILED: 500,
  ERR_FAILED: 500,
  ERR_FELL_BEHIND: 410,
  ERR_FENCED: 409,
  ERR_FORBIDDEN: 403,
  ERR_HANDLER_FAILED: 500,
  ERR_HANDSHAKE: 500,
  ERR_INVALID_ARGUMENT: 400,
  ERR_INVALID_OPTION: 400,
  ERR_JOB_FAILED: 500,
  ERR_JOIN_FAILED: 500,
  ERR_LAGGING: 503,
  ERR_LOCKED: 500,
  ERR_LOG_CORRUPT: 500,
  ERR_MIGRATION_CONFLICT: 409,
  ERR_MISSING_PACKAGE: 500,
  ERR_MIXED_ENGINES: 409,
  ERR_NODE_ID_TAKEN: 409,
  ERR_NON_DETERMINISTIC_SQL: 400,
  ERR_NOT_FOUND: 404,
  ERR_NO_HANDLER: 503,
  ERR_NO_LEADER: 503,
  ERR_NO_PRIMARY_KEY: 409,
  ERR_OTHER_CLUSTER: 500,
  ERR_OTHER_EXTENSIONS: 500,
  ERR_OWN_ADDRESS: 500,
  ERR_READ_EXPIRED: 503,
  ERR_REFUSED_SQL: 400,
  ERR_REMOVED: 503,
  ERR_RESULT_LOST: 500,
  ERR_SQL: 400,
  ERR_STALE: 503,
  ERR_TARGET: 503,
  ERR_TIMEOUT: 504,
  ERR_TOO_LARGE: 413,
  ERR_TX_ABORTED: 409,
  ERR_UNAUTHORIZED: 401,
  ERR_UNCLEAN_STOP: 500,
  ERR_UNSUPPORTED_FORMAT: 500,
  ERR_UNSUPPORTED_RUNTIME: 500,
  ERR_VOIDED: 409,
  ERR_WEAK_SECRET: 500,
}

/** Long enough for an election, short enough for a person who waits. */
export const RETRY_AFTER_SECONDS = '1'

/** The body of every failure; libsql's client reads the two fields outside `error`. */
export interface FailureBody {
  readonly message: string
  readonly code: string
  readonly error: {
    readonly code: string
    readonly message: string
    readonly retryable: boolean
    readonly outcome: string
  }
}

export function toFailureBody({ code, message, retryable, outcome }: ColmenaError): FailureBody {
  return { message, code, error: { code, message, retryable, outcome } }
}

/** The answer to a request that failed; what Colmena does not know is the logger's, not theirs. */
export function toFailureResponse(error: unknown, logger: Logger): Response {
  const known = isColmenaError(error) ? error : toUnknownFailure(error, logger)
  const status = STATUSES[known.code] ?? 500
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  if (status === 503) headers['retry-after'] = RETRY_AFTER_SECONDS
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  return Response.json(toFailureBody(known), { status, headers })
}

function toUnknownFailure(error: unknown, logger: Logger): ColmenaError {
  logger.error?.('a request failed for a reason that the server does not know', error)
  return new ColmenaError('ERR_FAILED', "the server failed; its 'logger' was told why", {
    outcome: 'unknown',
  })
}
