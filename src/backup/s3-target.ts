import { ColmenaError, isColmenaError } from '../index.ts'
import { Calls, readPieces } from './calls.ts'
import { checkName, checkPrefix, isName } from './object-name.ts'
import { Attempts, S3Client } from './s3-client.ts'
import { readBody, type S3Response } from './s3-connection.ts'
import { S3Failure, toTargetError } from './s3-failure.ts'
import { type S3Config, type S3TargetOptions, toS3Config } from './s3-options.ts'
import { cutParts, sliceParts } from './s3-parts.ts'
import { S3Puts } from './s3-put.ts'
import { childrenOf, readXml, textOf } from './s3-xml.ts'
import { type BackupObject, BackupTarget, type PutCall, type TargetCall } from './target.ts'

/** What came since the last cut, for a get to be more than the same cut again and again. */
const PROGRESS_BYTES = 262_144
const PAGE = '1000'

/**
 * Backups in a bucket of S3, or of what speaks as it does. Nothing is asked of it before the first
 * call.
 *
 * @throws ColmenaError ERR_INVALID_OPTION
 */
export function s3Target(options: S3TargetOptions): BackupTarget {
  return new S3Target(toS3Config(options))
}

class S3Target extends BackupTarget {
  readonly label: string
  readonly #config: S3Config
  readonly #calls: Calls
  readonly #client: S3Client
  readonly #puts: S3Puts
  readonly #putting = new Set<Promise<boolean>>()

  constructor(config: S3Config) {
    super()
    this.label = config.label
    this.#config = config
    this.#calls = new Calls(config.label)
    this.#client = new S3Client(config)
    this.#puts = new S3Puts(this.#client, config)
  }

  async *list(prefix: string, call?: TargetCall): AsyncIterable<BackupObject> {
    checkPrefix(prefix)
    using scope = this.#calls.begin(call)
    const { signal } = scope
    let last: string | undefined
    for (let token: string | undefined = ''; token !== undefined; ) {
      const page: Page = await this.#run(`list ${JSON.stringify(prefix)}`, signal, () =>
        this.#readPage(prefix, token as string, signal),
      )
      for (const object of page.objects) {
        signal.throwIfAborted()
        if (last !== undefined && object.name <= last) throw this.#unordered(object.name, last)
        last = object.name
        // Others may keep what they like in the bucket.
        if (isName(object.name)) yield object
      }
      token = page.next
    }
    signal.throwIfAborted()
  }

  async *get(name: string, call?: TargetCall): AsyncIterable<Uint8Array> {
    checkName(name)
    using scope = this.#calls.begin(call)
    const { signal } = scope
    const place: Place = { at: 0, size: undefined, etag: undefined }
    let attempts = new Attempts(this.#config.retryMs)
    for (let cutAt = 0; ; ) {
      try {
        const response = await this.#client.open(rangeOf(name, place), signal)
        note(place, response)
        for await (const piece of readBody(response, this.#config.stallMs, signal)) {
          place.at += piece.length
          yield piece
        }
        if (place.size === undefined || place.at === place.size) return
        throw Object.assign(new Error('it ended early'), { code: 'ECONNRESET' })
      } catch (error) {
        if (place.at - cutAt >= PROGRESS_BYTES) attempts = new Attempts(this.#config.retryMs)
        cutAt = place.at
        await this.#run(`get ${name}`, signal, () => this.#goOn(name, error, attempts, signal))
      }
    }
  }

  async put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    call: PutCall = {},
  ): Promise<boolean> {
    checkName(name)
    const putting = this.#put(name, content, call)
    this.#putting.add(putting)
    return await putting.finally(() => this.#putting.delete(putting))
  }

  async delete(name: string, call?: TargetCall): Promise<void> {
    checkName(name)
    using scope = this.#calls.begin(call)
    const { signal } = scope
    await this.#run(`delete ${name}`, signal, async () => {
      try {
        await this.#client.request({ method: 'DELETE', name }, signal)
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    })
  }

  /** Behind those that put, as they discard what they had put of an object. */
  override async close(): Promise<void> {
    this.#calls.close()
    await Promise.allSettled(this.#putting)
    this.#client.close()
  }

  async #put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    call: PutCall,
  ): Promise<boolean> {
    using scope = this.#calls.begin(call)
    const { signal } = scope
    const { partBytes } = this.#config
    const failed: { readonly error: unknown }[] = []
    const parts =
      content instanceof Uint8Array
        ? sliceParts(content, partBytes)
        : cutParts(noting(readPieces(content, signal), failed), partBytes)
    try {
      return await this.#puts.put(name, parts, call.ifAbsent === true, signal)
    } catch (error) {
      if (failed.some((one) => one.error === error)) throw error
      throw this.#failed(`put ${name}`, error, signal)
    } finally {
      await parts.return()
    }
  }

  async #readPage(prefix: string, token: string, signal: AbortSignal): Promise<Page> {
    const query: Record<string, string> = {
      'list-type': '2',
      'max-keys': PAGE,
      prefix: this.#config.prefix + prefix,
    }
    if (token !== '') query['continuation-token'] = token
    const { text } = await this.#client.request({ method: 'GET', query }, signal)
    const root = readXml(text)
    if (root.name !== 'ListBucketResult') throw new Error(`the answer is a ${root.name}, no list`)
    const objects = childrenOf(root, 'Contents').map((content) => {
      const name = textOf(content, 'Key') ?? ''
      const sizeBytes = Number(textOf(content, 'Size'))
      const modifiedMs = Date.parse(textOf(content, 'LastModified') ?? '')
      if (!name.startsWith(query['prefix'] as string) || !Number.isSafeInteger(sizeBytes)) {
        throw new Error('the answer lists what is no object')
      }
      if (Number.isNaN(modifiedMs)) throw new Error(`the answer has no time of ${name}`)
      return { name: name.slice(this.#config.prefix.length), sizeBytes, modifiedMs }
    })
    const isTruncated = textOf(root, 'IsTruncated') === 'true'
    const next = textOf(root, 'NextContinuationToken')
    if (isTruncated && next === undefined) throw new Error('the answer does not say how to go on')
    return { objects, next: isTruncated ? next : undefined }
  }

  /** Resolves where another attempt is to be made. */
  async #goOn(
    name: string,
    error: unknown,
    attempts: Attempts,
    signal: AbortSignal,
  ): Promise<void> {
    if (isMissing(error)) throw this.#missing(name)
    const isReplaced = error instanceof S3Failure && error.status === 412
    if (isReplaced) throw this.#replaced(name)
    if (signal.aborted) throw signal.reason
    await attempts.waitAfter(error, signal)
  }

  async #run<T>(doing: string, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      throw this.#failed(doing, error, signal)
    }
  }

  #failed(doing: string, error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason
    return isColmenaError(error) ? error : toTargetError(this.label, doing, error)
  }

  #missing(name: string): ColmenaError {
    return new ColmenaError('ERR_NOT_FOUND', `there is no ${name} in ${this.label}`)
  }

  #replaced(name: string): ColmenaError {
    const message = `${name} in ${this.label} was replaced while it was read: read it anew`
    return new ColmenaError('ERR_TARGET', message, { retryable: true })
  }

  #unordered(name: string, last: string): ColmenaError {
    const message =
      `${this.label} lists ${name} behind ${last}: it does not list in the order of names, as ` +
      'directory buckets do not; take another bucket'
    return new ColmenaError('ERR_TARGET', message)
  }
}

interface Page {
  readonly objects: readonly BackupObject[]
  /** What the next page is asked for with; undefined where there is none. */
  readonly next: string | undefined
}

/** How far an object is read, and which one it is. */
interface Place {
  at: number
  size: number | undefined
  etag: string | undefined
}

/** A get that was cut goes on where it was, in the same object. */
function rangeOf(name: string, { at, etag }: Place): Parameters<S3Client['open']>[0] {
  if (at === 0) return { method: 'GET', name }
  const condition = etag === undefined ? {} : { 'if-match': etag }
  return { method: 'GET', name, headers: { range: `bytes=${at}-`, ...condition } }
}

/** @throws Error where the answer is not what was asked for */
function note(place: Place, response: S3Response): void {
  const { headers } = response
  try {
    if (place.at === 0) {
      place.etag = headers.etag
      const length = headers['content-length']
      place.size = length === undefined ? undefined : Number(length)
    } else if (!isFrom(place.at, headers['content-range'])) {
      throw new Error('it does not know ranges: what was cut could not go on')
    }
  } catch (error) {
    response.destroy()
    throw error
  }
}

function isFrom(at: number, range: string | undefined): boolean {
  return range?.startsWith(`bytes ${at}-`) === true
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof S3Failure)) return false
  return error.code === 'NoSuchKey' || error.code === 'HTTP 404'
}

/** What the content throws is told from what the target does. */
async function* noting(
  pieces: AsyncIterable<Uint8Array>,
  failed: { readonly error: unknown }[],
): AsyncIterable<Uint8Array> {
  try {
    yield* pieces
  } catch (error) {
    failed.push({ error })
    throw error
  }
}
