import { createHash } from 'node:crypto'
import http, { type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import https from 'node:https'
import aws4 from 'aws4'
import { orAborted } from './calls.ts'
import type { S3Config, S3Credentials } from './s3-options.ts'

/** One request of S3, before it is signed. */
export interface S3Request {
  readonly method: 'DELETE' | 'GET' | 'HEAD' | 'POST' | 'PUT'
  /** Of an object, behind the prefix; without it the bucket is meant. */
  readonly name?: string | undefined
  readonly query?: Readonly<Record<string, string>> | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | undefined
  /** How long the answer may keep quiet, if that is longer than others may. */
  readonly patienceMs?: number | undefined
}

/** Who has it reads the body to its end, or destroys it. */
export type S3Response = IncomingMessage

const SOCKETS_MAX = 64
/** Who refuses a larger body says so before it is sent: behind that, nobody would hear it. */
const ASK_FIRST_BYTES = 1_048_576
/** Targets that do not answer to that are sent the body all the same. */
const ASK_FIRST_MS = 1_000
/** An answer that comes drop by drop is not waited for longer than so many times `stallMs`. */
const STALLS_MAX = 20
/** Slower than that nobody puts a backup anywhere. */
const BYTES_PER_MS_MIN = 10
const NO_BYTES = new Uint8Array(0)

/** Signs requests, and sends them over connections that it keeps. */
export class S3Connection {
  readonly #config: S3Config
  readonly #agent: http.Agent

  constructor(config: S3Config) {
    this.#config = config
    const options = { keepAlive: true, maxSockets: SOCKETS_MAX }
    const isSecure = config.baseUrl.startsWith('https:')
    this.#agent = isSecure ? new https.Agent(options) : new http.Agent(options)
  }

  close(): void {
    this.#agent.destroy()
  }

  /**
   * Sends it once, and resolves with the answer's head, whatever that says.
   *
   * @throws Error what became of the connection
   */
  async send(
    request: S3Request,
    credentials: S3Credentials,
    signal: AbortSignal,
  ): Promise<S3Response> {
    const { body = NO_BYTES, patienceMs = this.#config.stallMs } = request
    const { url, headers } = this.#sign(request, body, credentials)
    signal.throwIfAborted()
    const isAsked = body.length >= ASK_FIRST_BYTES
    const sending = (url.protocol === 'https:' ? https : http).request(url, {
      method: request.method,
      agent: this.#agent,
      timeout: patienceMs,
      headers: {
        ...headers,
        ...(request.method === 'PUT' || request.method === 'POST'
          ? { 'content-length': body.length }
          : {}),
        ...(isAsked ? { expect: '100-continue' } : {}),
      },
    })
    const stalled = (): void => void sending.destroy(stallError(patienceMs))
    const lateMs = patienceMs * STALLS_MAX + Math.ceil(body.length / BYTES_PER_MS_MIN)
    const late = setTimeout(() => sending.destroy(lateError(lateMs)), lateMs)
    sending.on('timeout', stalled)
    try {
      const { response, isAnswered } = receive(sending)
      if (isAsked) await orAborted(Promise.race([mayGoOn(sending), response]), signal)
      if (!isAnswered()) sending.end(body)
      const answer = await orAborted(response, signal)
      // From here on, who reads the body watches it.
      sending.off('timeout', stalled)
      // An answer that came before the body was sent is the last on its connection.
      if (!sending.writableEnded) answer.once('end', () => sending.destroy())
      return answer
    } catch (error) {
      sending.destroy()
      throw error
    } finally {
      clearTimeout(late)
    }
  }

  #sign(
    { method, name, query, headers }: S3Request,
    body: Uint8Array,
    credentials: S3Credentials,
  ): { readonly url: URL; readonly headers: OutgoingHttpHeaders } {
    const { baseUrl, prefix, region, isTigris } = this.#config
    // A bucket in the path is its last part: some sign for it without the slash behind it.
    const url = new URL(name === undefined ? baseUrl.slice(0, -1) : `${baseUrl}${prefix}${name}`)
    for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, value)
    const { accessKeyId, secretAccessKey, sessionToken } = credentials
    const signed = aws4.sign(
      {
        method,
        host: url.host,
        path: url.pathname + url.search,
        service: 's3',
        region,
        headers: {
          ...headers,
          // The target takes only what it comes to: a body that was damaged on its way is refused.
          'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
          // Elsewhere than where it was written, Tigris may not have heard of it yet.
          ...(isTigris ? { 'x-tigris-consistent': 'true' } : {}),
        },
      },
      { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    )
    return { url, headers: signed.headers ?? {} }
  }
}

/**
 * The pieces of a body, each waited for as long as nothing else moves; the time that who reads it
 * takes does not count.
 */
export async function* readBody(
  response: S3Response,
  stallMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const pieces: AsyncIterator<Buffer> = response[Symbol.asyncIterator]()
  try {
    for (;;) {
      const timer = setTimeout(() => response.destroy(stallError(stallMs)), stallMs)
      const next = await orAborted(pieces.next(), signal).finally(() => clearTimeout(timer))
      if (next.done === true) break
      yield next.value
    }
  } finally {
    if (!response.readableEnded) response.destroy()
  }
}

/** All of a body. @throws Error where it is longer, or comes slower, than any answer of S3 */
export async function readText(
  response: S3Response,
  bytesMax: number,
  stallMs: number,
  signal: AbortSignal,
): Promise<string> {
  const pieces: Uint8Array[] = []
  const lateMs = stallMs * STALLS_MAX
  const endMs = performance.now() + lateMs
  let bytes = 0
  for await (const piece of readBody(response, stallMs, signal)) {
    bytes += piece.length
    if (performance.now() > endMs) throw lateError(lateMs)
    if (bytes > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

interface Receiving {
  readonly response: Promise<S3Response>
  readonly isAnswered: () => boolean
}

function receive(sending: ClientRequest): Receiving {
  const received = Promise.withResolvers<S3Response>()
  let isAnswered = false
  sending.on('response', (response) => {
    isAnswered = true
    received.resolve(response)
  })
  // Once a body is on its way, what happens to the connection is told to who reads that.
  sending.on('error', received.reject)
  // Nobody may wait for it any more.
  received.promise.catch(() => {})
  return { response: received.promise, isAnswered: () => isAnswered }
}

function mayGoOn(sending: ClientRequest): Promise<void> {
  const asked = Promise.withResolvers<void>()
  const timer = setTimeout(asked.resolve, ASK_FIRST_MS)
  sending.once('continue', asked.resolve)
  sending.once('close', asked.resolve)
  sending.flushHeaders()
  return asked.promise.finally(() => clearTimeout(timer))
}

function stallError(stallMs: number): Error {
  return Object.assign(new Error(`nothing came within ${stallMs} ms`), { code: 'ETIMEDOUT' })
}

function lateError(lateMs: number): Error {
  return Object.assign(new Error(`no whole answer came within ${lateMs} ms`), { code: 'ETIMEDOUT' })
}
