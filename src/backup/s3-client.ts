import { randomInt } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { isColmenaError } from '../index.ts'
import { orAborted } from './calls.ts'
import { readText, S3Connection, type S3Request, type S3Response } from './s3-connection.ts'
import { ENDED_CREDENTIALS, S3Failure } from './s3-failure.ts'
import { S3Keys } from './s3-keys.ts'
import type { S3Config } from './s3-options.ts'

/** An answer as it was wanted. */
export interface S3Answer {
  readonly response: S3Response
  /** All of it where it was asked for so. */
  readonly text: string
  /** How often the request was sent: what changes something may have done so before. */
  readonly attempts: number
}

const ATTEMPTS_MAX = 8
const PAUSE_MS = 100
const PAUSE_MS_MAX = 10_000
const ERROR_BYTES_MAX = 65_536
/** A thousand objects, with the longest names there are and all that S3 says of them. */
const TEXT_BYTES_MAX = 8_388_608

/** How often and for how long something is tried. */
export class Attempts {
  readonly #endMs: number
  made = 0

  constructor(retryMs: number) {
    this.#endMs = performance.now() + retryMs
  }

  /** Waits before the next one; rejects with the failure where there is none. */
  async waitAfter(failure: unknown, signal: AbortSignal): Promise<void> {
    this.made += 1
    const isPassing = failure instanceof S3Failure ? failure.isPassing : isOfConnection(failure)
    const askedMs = failure instanceof S3Failure ? failure.retryAfterMs : 0
    const roomMs = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** this.made)
    const waitMs = Math.max(askedMs, randomInt(roomMs / 2, roomMs))
    const isLate = performance.now() + waitMs > this.#endMs
    if (failure instanceof S3Failure) failure.attempts = this.made
    if (!isPassing || isLate || this.made >= ATTEMPTS_MAX) throw failure
    await orAborted(
      pause(waitMs, undefined, { signal }).catch(() => {}),
      signal,
    )
  }
}

/** Sends requests until they are answered as wanted, or no more can be hoped for. */
export class S3Client {
  readonly #config: S3Config
  readonly #keys: S3Keys
  readonly #connection: S3Connection

  constructor(config: S3Config) {
    this.#config = config
    this.#keys = new S3Keys(config)
    this.#connection = new S3Connection(config)
  }

  close(): void {
    this.#connection.close()
  }

  /** @throws S3Failure, ColmenaError, or Error where the connection failed */
  async request(request: S3Request, signal: AbortSignal): Promise<S3Answer> {
    const attempts = new Attempts(this.#config.retryMs)
    for (;;) {
      try {
        const response = await this.open(request, signal)
        const text = await this.#readText(request, response, signal)
        return { response, text, attempts: attempts.made + 1 }
      } catch (error) {
        if (signal.aborted) throw signal.reason
        await attempts.waitAfter(error, signal)
      }
    }
  }

  /** Sends it once, or twice where the credentials had ended; the body is still to be read. */
  async open(request: S3Request, signal: AbortSignal): Promise<S3Response> {
    for (let isFirst = true; ; isFirst = false) {
      const credentials = await this.#keys.get(signal)
      const response = await this.#connection.send(request, credentials, signal)
      const { statusCode: status = 0, headers } = response
      if (status >= 200 && status < 300) return response
      const text = await readText(response, ERROR_BYTES_MAX, this.#config.stallMs, signal)
      const failure = new S3Failure(status, headers, text)
      // What answers HEAD has no body that would tell.
      const isRefused = request.method === 'HEAD' && (status === 400 || status === 403)
      const hasEnded = isRefused || ENDED_CREDENTIALS.has(failure.code)
      if (!hasEnded || !this.#keys.canChange || !isFirst) throw failure
      this.#keys.refuse(credentials)
    }
  }

  async #readText(request: S3Request, response: S3Response, signal: AbortSignal): Promise<string> {
    const patienceMs = request.patienceMs ?? this.#config.stallMs
    const text = await readText(response, TEXT_BYTES_MAX, patienceMs, signal)
    // What takes long begins with 200, and says how it went at the end.
    if (/<Error[\s>]/.test(text)) throw new S3Failure(200, response.headers, text)
    return text
  }
}

/** Neither our own word nor a slip of ours: what Node.js says of sockets and names has a code. */
function isOfConnection(error: unknown): boolean {
  if (isColmenaError(error)) return false
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return CONNECTION_CODES.has(code) || code.startsWith('HPE_')
}

const CONNECTION_CODES: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
])
