import type { IncomingHttpHeaders } from 'node:http'
import { ColmenaError } from '../index.ts'
import { readXml, textOf } from './s3-xml.ts'

/** What S3 answered instead of what was asked of it. */
export class S3Failure extends Error {
  readonly status: number
  /** S3's own name for it, such as `NoSuchKey`; of an answer without a body only the status. */
  readonly code: string
  readonly requestId: string | undefined
  /** The region that the bucket is in, where the answer tells. */
  readonly region: string | undefined
  /** By the target's clock. */
  readonly date: string | undefined
  readonly retryAfterMs: number
  /** How often the request had been sent by then. */
  attempts = 1

  constructor(status: number, headers: IncomingHttpHeaders, body: string) {
    const { code, message, requestId, region } = readBody(body)
    super(message ?? `HTTP status ${status}`)
    this.status = status
    this.code = code ?? `HTTP ${status}`
    this.requestId = requestId ?? one(headers['x-amz-request-id'])
    this.region = region ?? one(headers['x-amz-bucket-region'])
    this.date = headers.date
    this.retryAfterMs = readRetryAfter(headers['retry-after'])
  }

  /** Whether the same request may do better a little later. */
  get isPassing(): boolean {
    if (PASSING.has(this.code)) return true
    if (this.status === 501 || this.status === 505) return false
    return this.status >= 500 || [307, 408, 425, 429].includes(this.status)
  }
}

const PASSING: ReadonlySet<string> = new Set([
  // What came was not what was signed: it was damaged or cut on its way.
  'BadDigest',
  'ConditionalRequestConflict',
  'IncompleteBody',
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'XAmzContentSHA256Mismatch',
])

/** Others than these must be had from who gives credentials. */
export const ENDED_CREDENTIALS: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidToken',
  'TokenRefreshRequired',
])

const REGION_CODES: ReadonlySet<string> = new Set([
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'PermanentRedirect',
  'HTTP 301',
])

const SIGNATURE = 'look at accessKeyId and secretAccessKey, and whether they are of this endpoint'
const RIGHTS =
  'let the key list the bucket, and get, put and delete objects in it: docs/backup-targets.md'
const ADVICE: Readonly<Record<string, string>> = {
  AccessDenied: RIGHTS,
  AllAccessDisabled: RIGHTS,
  'HTTP 403': RIGHTS,
  ExpiredToken: 'the sessionToken has ended: give a function credentials, which gives new ones',
  InvalidAccessKeyId: SIGNATURE,
  InvalidToken: 'look at sessionToken, which is of its accessKeyId alone',
  NoSuchBucket: 'make the bucket, or look at bucket, endpoint and pathStyle',
  NoSuchUpload: 'somebody else ended this upload: look for a rule of the bucket that does so soon',
  SignatureDoesNotMatch: SIGNATURE,
}

/** What went wrong with a target, and what to do. The wrapped error has no secret either. */
export function toTargetError(label: string, doing: string, error: unknown): ColmenaError {
  const { said, advice, retryable } = describe(error)
  const message = `${label} could not ${doing}: ${said}; ${advice}`
  return new ColmenaError('ERR_TARGET', message, { cause: error, retryable })
}

interface Description {
  readonly said: string
  readonly advice: string
  readonly retryable: boolean
}

function describe(error: unknown): Description {
  if (!(error instanceof S3Failure)) return describeConnection(error)
  const request = error.requestId === undefined ? '' : ` (request ${error.requestId})`
  const said = `${error.code}: ${error.message}${request}`
  if (error.isPassing) return { said, advice: 'it was tried again in vain', retryable: true }
  return { said, advice: adviseOn(error), retryable: false }
}

function adviseOn(failure: S3Failure): string {
  if (failure.code === 'RequestTimeTooSkewed') {
    const theirs = failure.date === undefined ? '' : `, the target's ${failure.date}`
    const ours = new Date().toUTCString()
    return `the clock of this machine is wrong, or the target's: it is ${ours} here${theirs}`
  }
  const isElsewhere = REGION_CODES.has(failure.code) || failure.status === 400
  if (isElsewhere && failure.region !== undefined) {
    const where = `say region: '${failure.region}'`
    return `the bucket is in another region: ${where}, and an endpoint of it if you name one`
  }
  if (REGION_CODES.has(failure.code)) return 'the bucket is in another region: look at region'
  return ADVICE[failure.code] ?? 'look up what the target says of that'
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|ERR_TLS|ERR_SSL|EPROTO/

function describeConnection(error: unknown): Description {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const said = error instanceof Error ? error.message || code : String(error)
  if (CERTIFICATE.test(code)) {
    const advice = 'look at endpoint; Node.js trusts other authorities by NODE_EXTRA_CA_CERTS'
    return { said, advice, retryable: false }
  }
  if (code === 'ENOTFOUND') {
    const advice = 'look at endpoint, bucket and pathStyle, and whether there is a network'
    return { said, advice, retryable: true }
  }
  return { said, advice: 'look at endpoint, and whether it can be reached', retryable: true }
}

interface Body {
  readonly code?: string | undefined
  readonly message?: string | undefined
  readonly requestId?: string | undefined
  readonly region?: string | undefined
}

function readBody(text: string): Body {
  try {
    const root = readXml(text)
    if (root.name !== 'Error') return {}
    const message = textOf(root, 'Message')
    return {
      code: textOf(root, 'Code') || undefined,
      // On one line, as it becomes a part of one.
      message: message === undefined ? message : message.replaceAll(/\s+/g, ' ').slice(0, 500),
      requestId: textOf(root, 'RequestId') || undefined,
      region: textOf(root, 'Region') || undefined,
    }
  } catch {
    // A proxy's page, or nothing: the status has to do.
    return {}
  }
}

/** Seconds or a date. */
function readRetryAfter(value: string | undefined): number {
  if (value === undefined) return 0
  const afterMs = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return Number.isFinite(afterMs) ? Math.max(0, afterMs) : 0
}

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}
