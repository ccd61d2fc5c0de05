import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { ColmenaError } from '../index.ts'
import { orAborted } from './calls.ts'
import type { S3Client } from './s3-client.ts'
import type { S3Request } from './s3-connection.ts'
import { S3Failure } from './s3-failure.ts'
import type { S3Config } from './s3-options.ts'
import type { Part } from './s3-parts.ts'
import { readXml, textOf, writeParts } from './s3-xml.ts'

/** By this an object tells who put it, where an answer was lost or nobody else could say. */
const TOKEN = 'x-amz-meta-colmena-put'
const IF_NONE = { 'if-none-match': '*' }
const PARTS_MAX = 10_000
/** Others that looked before we put have put by then. */
const SETTLE_MS = 500
/** What becomes of parts nobody waits for long. */
const DISCARD_MS = 5_000
/** Putting parts together takes a target that long, without a word. */
const COMPLETE_STALLS = 10

/** How objects come into a bucket, whole and, where that is asked, only once. */
export class S3Puts {
  readonly #client: S3Client
  readonly #config: S3Config
  /** Whether the target keeps conditions of puts; null until it has shown that. */
  #isConditional: boolean | null

  constructor(client: S3Client, config: S3Config) {
    this.#client = client
    this.#config = config
    this.#isConditional = config.isConditional ? null : false
  }

  /** @returns false where `ifAbsent` found one */
  async put(
    name: string,
    parts: AsyncGenerator<Part, void, void>,
    ifAbsent: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { value: first } = await parts.next()
    if (first === undefined) throw new Error('there is always a part')
    if (!first.isLast) return await this.#putParts(name, first, parts, ifAbsent, signal)
    if (ifAbsent) return await this.#putIfAbsent(name, first.bytes, signal)
    await this.#client.request({ method: 'PUT', name, body: first.bytes }, signal)
    return true
  }

  async #putIfAbsent(name: string, body: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const token = randomUUID()
    const plain: S3Request = { method: 'PUT', name, body, headers: { [TOKEN]: token } }
    if (this.#isConditional !== false) {
      const isPut = await this.#conditionally(plain, token, signal)
      if (isPut !== null) return isPut
    } else if ((await this.#readToken(name, signal)) !== null) return false
    else await this.#client.request(plain, signal)
    return await this.#hasWon(name, token, signal)
  }

  /** Whether the target took it; null where it took it without looking. */
  async #conditionally(
    plain: S3Request,
    token: string,
    signal: AbortSignal,
  ): Promise<boolean | null> {
    const name = plain.name as string
    const request = { ...plain, headers: { ...plain.headers, ...IF_NONE } }
    const first = await this.#tryOn(request, signal)
    if (first === 'unknown') {
      if ((await this.#readToken(name, signal)) !== null) return false
      await this.#client.request(plain, signal)
      return null
    }
    if (first === 'there') return (await this.#readToken(name, signal)) === token
    if (this.#isConditional === true) return true
    // It may have taken the condition for nothing, as many do: now there is one.
    const second = await this.#tryOn(request, signal)
    this.#isConditional = second === 'there'
    return second === 'there' ? true : null
  }

  async #tryOn(request: S3Request, signal: AbortSignal): Promise<'put' | 'there' | 'unknown'> {
    try {
      await this.#client.request(request, signal)
      return 'put'
    } catch (error) {
      if (isThere(error)) return 'there'
      if (!isUnknown(error)) throw error
      this.#isConditional = false
      return 'unknown'
    }
  }

  /** Where two put at once, the later one's is there, and says so to both. */
  async #hasWon(name: string, token: string, signal: AbortSignal): Promise<boolean> {
    await orAborted(pause(SETTLE_MS), signal)
    return (await this.#readToken(name, signal)) === token
  }

  /** Who put what is there, '' where it was put without saying; null where there is none. */
  async #readToken(name: string, signal: AbortSignal): Promise<string | null> {
    try {
      const { response } = await this.#client.request({ method: 'HEAD', name }, signal)
      return String(response.headers[TOKEN] ?? '')
    } catch (error) {
      if (error instanceof S3Failure && error.status === 404) return null
      throw error
    }
  }

  async #putParts(
    name: string,
    first: Part,
    rest: AsyncGenerator<Part, void, void>,
    ifAbsent: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (ifAbsent && (await this.#readToken(name, signal)) !== null) return false
    const token = randomUUID()
    const uploadId = await this.#begin(name, token, signal)
    let isOver = false
    try {
      const etags = [await this.#putPart(name, uploadId, 1, first, signal)]
      for await (const part of rest) {
        if (etags.length === PARTS_MAX) throw this.#tooLarge()
        etags.push(await this.#putPart(name, uploadId, etags.length + 1, part, signal))
      }
      const isPut = await this.#complete(name, uploadId, etags, token, ifAbsent, signal)
      isOver = isPut
      if (isPut && ifAbsent) return await this.#isOurs(name, token, signal)
      return isPut
    } finally {
      if (!isOver) await this.#discard(name, uploadId)
    }
  }

  async #begin(name: string, token: string, signal: AbortSignal): Promise<string> {
    const headers = { [TOKEN]: token }
    const request: S3Request = { method: 'POST', name, query: { uploads: '' }, headers }
    const { text } = await this.#client.request(request, signal)
    const uploadId = textOf(readXml(text), 'UploadId')
    if (uploadId === undefined || uploadId === '') throw new Error('the answer has no UploadId')
    return uploadId
  }

  async #putPart(
    name: string,
    uploadId: string,
    partNumber: number,
    { bytes: body }: Part,
    signal: AbortSignal,
  ): Promise<string> {
    const query = { partNumber: String(partNumber), uploadId }
    const { response } = await this.#client.request({ method: 'PUT', name, query, body }, signal)
    const { etag } = response.headers
    if (etag === undefined) throw new Error(`part ${partNumber} was answered without an ETag`)
    return etag
  }

  async #complete(
    name: string,
    uploadId: string,
    etags: readonly string[],
    token: string,
    ifAbsent: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const isConditional = ifAbsent && this.#isConditional !== false
    const request: S3Request = {
      method: 'POST',
      name,
      query: { uploadId },
      headers: isConditional ? IF_NONE : {},
      body: writeParts(etags),
      patienceMs: this.#config.stallMs * COMPLETE_STALLS,
    }
    try {
      await this.#client.request(request, signal)
      return true
    } catch (error) {
      if (isThere(error)) return await this.#isToken(name, token, signal)
      if (isConditional && isUnknown(error)) {
        this.#isConditional = false
        return await this.#complete(name, uploadId, etags, token, ifAbsent, signal)
      }
      // It was there and is over: the answer to an earlier attempt was lost, or somebody ended it.
      const isGone = error instanceof S3Failure && error.code === 'NoSuchUpload'
      if (isGone && (await this.#isToken(name, token, signal))) return true
      throw error
    }
  }

  async #isToken(name: string, token: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#readToken(name, signal)) === token
  }

  /** Not all that keep conditions of puts keep them here. */
  async #isOurs(name: string, token: string, signal: AbortSignal): Promise<boolean> {
    if (this.#isConditional === true) return await this.#isToken(name, token, signal)
    return await this.#hasWon(name, token, signal)
  }

  /** Parts without an end are paid for. It must not fail what failed already, nor hold it up. */
  async #discard(name: string, uploadId: string): Promise<void> {
    const request: S3Request = { method: 'DELETE', name, query: { uploadId } }
    await this.#client.request(request, AbortSignal.timeout(DISCARD_MS)).catch(() => {})
  }

  #tooLarge(): ColmenaError {
    const { label, partBytes } = this.#config
    const message =
      `an object of more than ${PARTS_MAX} parts of ${partBytes} bytes can't be put to ${label}: ` +
      'raise partBytes'
    return new ColmenaError('ERR_TARGET', message)
  }
}

/** What a condition is answered with that is not met; older MinIO says 304 of that. */
function isThere(error: unknown): boolean {
  if (!(error instanceof S3Failure)) return false
  return error.status === 412 || error.status === 304 || error.code === 'PreconditionFailed'
}

/** As B2 and OVHcloud say. */
function isUnknown(error: unknown): boolean {
  return error instanceof S3Failure && (error.status === 501 || error.code === 'NotImplemented')
}
