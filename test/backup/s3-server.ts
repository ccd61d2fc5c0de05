/**
 * A server that speaks S3, in memory: it takes only what is signed, as AWS does, keeps conditions
 * as a test says, and fails as a test says. What it asks of clients is as strict as any of them.
 */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { readSigned, sha256, signatureOf } from './s3-signature.ts'

export interface Held {
  readonly bytes: Buffer
  readonly etag: string
  readonly modifiedMs: number
  readonly token: string | undefined
}

interface Upload {
  readonly name: string
  readonly token: string | undefined
  readonly parts: Map<number, { readonly bytes: Buffer; readonly etag: string }>
}

interface Key {
  readonly secret: string
  readonly token?: string
  readonly isExpired?: boolean
}

/** One request as a test sees it, before it is answered. */
export interface Seen {
  readonly method: string
  /** Of the object, without the bucket. */
  readonly name: string
  readonly query: URLSearchParams
  /** As it was sent, with what stands behind the question mark. */
  readonly path: string
  readonly headers: IncomingMessage['headers']
  /** `PUT`, `PUT part`, `POST uploads`, `POST uploadId`, `GET list` and so on. */
  readonly kind: string
}

/** What is done instead of an answer, or to it. */
export type Fault =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly code?: string
      readonly headers?: Record<string, string>
      readonly text?: string
    }
  /** Cuts the connection before anything is done, and while the body is still coming. */
  | { readonly kind: 'cut' }
  /** Does what is asked, and cuts the connection instead of saying so. */
  | { readonly kind: 'lose-answer' }
  /** Cuts the connection behind so many bytes of the answer's body, or sends no more. */
  | { readonly kind: 'cut-body' | 'stall-body'; readonly bytes: number }
  /** Cuts the connection behind so many bytes of the body that comes. */
  | { readonly kind: 'cut-upload'; readonly bytes: number }
  /** Finds a bit of the body that came the other way round. */
  | { readonly kind: 'damage' }
  /** Answers nothing, ever. */
  | { readonly kind: 'stall' }
  /** Answers with a byte now and then, without end. */
  | { readonly kind: 'drip' }

export interface S3ServerOptions {
  readonly conditions?: 'kept' | 'ignored' | 'refused' | 'kept-in-puts'
  readonly region?: string
  readonly isVirtualHost?: boolean
  /** Does not answer to `Expect: 100-continue`, and waits for the body. */
  readonly isMute?: boolean
  readonly tls?: { readonly cert: string; readonly key: string } | null
}

const DEFAULTS: Required<S3ServerOptions> = {
  conditions: 'kept',
  region: 'us-east-1',
  isVirtualHost: false,
  isMute: false,
  tls: null,
}
export const BUCKET = 'the-bucket'
export const KEY = 'THEKEY'
export const SECRET = 'the/secret+of=the/key'
const PART_BYTES_MIN = 5 * 1_048_576
const SKEW_MS = 900_000

export class S3Server {
  readonly objects: Map<string, Held> = new Map<string, Held>()
  readonly uploads: Map<string, Upload> = new Map<string, Upload>()
  readonly seen: Seen[] = []
  /** Secrets by access key, and the token that must come with it. */
  readonly keys: Map<string, Key> = new Map([[KEY, { secret: SECRET }]])
  clockMs: () => number = Date.now
  fault: (seen: Seen) => Fault | undefined = () => undefined
  connectionsMade = 0
  readonly #options: Required<S3ServerOptions>
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(options: S3ServerOptions = {}) {
    this.#options = { ...DEFAULTS, ...options }
    const { tls } = this.#options
    this.#server = tls === null ? createServer() : createTlsServer(tls)
    this.#server.on('request', (request, response) => this.#serve(request, response))
    // Connections that are left end by who made them.
    this.#server.keepAliveTimeout = 0
    this.#server.on('checkContinue', (request, response) => {
      const { isMute } = this.#options
      this.#serve(request, response, () => (isMute ? undefined : response.writeContinue()))
    })
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      this.connectionsMade += 1
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get endpoint(): string {
    const scheme = this.#options.tls === null ? 'http' : 'https'
    return `${scheme}://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** How many requests of a kind came. */
  count(kind: string): number {
    return this.seen.filter((seen) => seen.kind === kind).length
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    if (this.#server.listening) await once(this.#server, 'close')
  }

  #serve(request: IncomingMessage, response: ServerResponse, goOn = (): void => {}): void {
    this.#answer(request, response, goOn).catch((error: unknown) => {
      if (error instanceof Refusal) return error.send(request, response)
      response.destroy(error as Error)
    })
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    goOn: () => void,
  ): Promise<void> {
    const seen = this.#see(request)
    this.seen.push(seen)
    const fault = this.fault(seen)
    if (fault?.kind === 'cut') return void request.socket.destroy()
    if (fault?.kind === 'stall') return
    if (fault?.kind === 'drip') {
      const timer = setInterval(() => response.write(' '), 20)
      return void response.once('close', () => clearInterval(timer))
    }
    if (fault?.kind === 'answer') {
      const { status, code, text, headers } = fault
      throw new Refusal(status, code ?? '', 'as the test says', headers, text)
    }
    this.#check(request)
    goOn()
    const body = await readAll(request, fault?.kind === 'cut-upload' ? fault.bytes : Infinity)
    if (fault?.kind === 'damage') body[0] = (body[0] ?? 0) ^ 1
    if (sha256(body) !== request.headers['x-amz-content-sha256']) {
      throw new Refusal(400, 'XAmzContentSHA256Mismatch', 'the body is not what was signed')
    }
    const answer = this.#do(seen, body)
    if (fault?.kind === 'lose-answer') return void request.socket.destroy()
    response.writeHead(answer.status, { 'x-amz-request-id': 'R1', ...answer.headers })
    if (fault?.kind !== 'cut-body' && fault?.kind !== 'stall-body') {
      return void response.end(answer.body)
    }
    response.write((answer.body ?? Buffer.alloc(0)).subarray(0, fault.bytes), () => {
      if (fault.kind === 'cut-body') request.socket.destroy()
    })
  }

  #see(request: IncomingMessage): Seen {
    const { pathname, searchParams: query } = new URL(request.url ?? '', 'http://host')
    const isHost = request.headers.host?.startsWith(`${BUCKET}.`) === true
    const isPath = pathname === `/${BUCKET}` || pathname.startsWith(`/${BUCKET}/`)
    if (this.#options.isVirtualHost ? !isHost : !isPath) {
      throw new Refusal(404, 'NoSuchBucket', 'The specified bucket does not exist')
    }
    const path = this.#options.isVirtualHost ? pathname : pathname.slice(BUCKET.length + 1)
    const name = decodeURIComponent(path.slice(1))
    const method = request.method ?? ''
    const what = ['uploads', 'partNumber', 'uploadId'].find((key) => query.has(key))
    const part = what === 'partNumber' ? 'part' : what
    const kind = [method, part ?? (name === '' ? 'list' : undefined)].filter(Boolean).join(' ')
    return { method, name, query, path: request.url ?? '', headers: request.headers, kind }
  }

  #check(request: IncomingMessage): void {
    const signed = readSigned(request)
    if (signed === null) throw new Refusal(403, 'AccessDenied', 'Access Denied')
    const key = this.keys.get(signed.accessKeyId)
    if (key === undefined) throw new Refusal(403, 'InvalidAccessKeyId', 'there is no such key')
    if (signed.region !== this.#options.region) {
      const message = `the region '${signed.region}' is wrong; expecting '${this.#options.region}'`
      const region = `<Region>${this.#options.region}</Region>`
      const headers = { 'x-amz-bucket-region': this.#options.region }
      throw new Refusal(400, 'AuthorizationHeaderMalformed', message, headers, undefined, region)
    }
    if (signatureOf(request, signed, key.secret) !== signed.signature) {
      throw new Refusal(403, 'SignatureDoesNotMatch', 'the signature does not match')
    }
    const must = ['host', 'x-amz-content-sha256', 'x-amz-date', 'if-none-match', 'if-match']
    const unsigned = must.find((one) => one in request.headers && !signed.headers.includes(one))
    if (unsigned !== undefined) throw new Refusal(403, 'AccessDenied', `${unsigned} is not signed`)
    const date = String(request.headers['x-amz-date'])
    const sentMs = Date.parse(date.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z'))
    if (!(Math.abs(sentMs - this.clockMs()) < SKEW_MS)) {
      const headers = { date: new Date(this.clockMs()).toUTCString() }
      throw new Refusal(403, 'RequestTimeTooSkewed', 'the difference is too large', headers)
    }
    const token = request.headers['x-amz-security-token']
    if (key.isExpired === true) throw new Refusal(400, 'ExpiredToken', 'the token has expired')
    if (token !== key.token) throw new Refusal(403, 'InvalidToken', 'the token is not of this key')
  }

  #do(seen: Seen, body: Buffer): Answer {
    const { kind, name } = seen
    if (kind === 'GET list') return this.#list(seen.query)
    if (kind === 'GET' || kind === 'HEAD') return this.#get(seen)
    if (kind === 'PUT') return this.#put(seen, body)
    if (kind === 'POST uploads') return this.#begin(seen)
    if (kind === 'PUT part') return this.#putPart(seen, body)
    if (kind === 'POST uploadId') return this.#complete(seen, body)
    if (kind === 'DELETE uploadId') this.uploads.delete(seen.query.get('uploadId') ?? '')
    else if (kind === 'DELETE') this.objects.delete(name)
    else throw new Refusal(405, 'MethodNotAllowed', kind)
    return { status: 204, headers: {} }
  }

  #list(query: URLSearchParams): Answer {
    if (query.get('list-type') !== '2') throw new Refusal(400, 'InvalidArgument', 'list-type')
    const prefix = query.get('prefix') ?? ''
    const token = query.get('continuation-token')
    const after = token === null ? '' : Buffer.from(token.slice(4), 'base64').toString()
    const names = [...this.objects.keys()].sort()
    const found = names.filter((name) => name.startsWith(prefix) && name > after)
    const page = found.slice(0, Number(query.get('max-keys')))
    const contents = page.map((name) => {
      const { bytes, modifiedMs, etag } = this.objects.get(name) as Held
      const time = new Date(modifiedMs).toISOString()
      return (
        `<Contents><Key>${escapeXml(name)}</Key><LastModified>${time}</LastModified>` +
        `<ETag>${escapeXml(etag)}</ETag><Size>${bytes.length}</Size></Contents>`
      )
    })
    const isTruncated = page.length < found.length
    // Of characters that addresses must not have as they are.
    const next = `+/ =${Buffer.from(page.at(-1) ?? '').toString('base64')}`
    const end = isTruncated ? `<NextContinuationToken>${next}</NextContinuationToken>` : ''
    const xml =
      '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
      `<IsTruncated>${isTruncated}</IsTruncated>${contents.join('')}${end}</ListBucketResult>`
    return { status: 200, headers: { 'content-type': 'application/xml' }, body: Buffer.from(xml) }
  }

  #get({ name, headers, method }: Seen): Answer {
    const held = this.objects.get(name)
    if (held === undefined) throw new Refusal(404, 'NoSuchKey', 'The key does not exist.')
    const match = headers['if-match']
    if (match !== undefined && match !== held.etag) throw failed()
    const from = /^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1]
    const body = from === undefined ? held.bytes : held.bytes.subarray(Number(from))
    const range = `bytes ${from}-${held.bytes.length - 1}/${held.bytes.length}`
    return {
      status: from === undefined ? 200 : 206,
      headers: {
        etag: held.etag,
        'content-length': String(body.length),
        ...(from === undefined ? {} : { 'content-range': range }),
        ...(held.token === undefined ? {} : { 'x-amz-meta-colmena-put': held.token }),
      },
      ...(method === 'HEAD' ? {} : { body }),
    }
  }

  #put({ name, headers }: Seen, bytes: Buffer): Answer {
    this.#checkCondition(name, headers)
    const held = hold(bytes, headers)
    this.objects.set(name, held)
    return { status: 200, headers: { etag: held.etag } }
  }

  #checkCondition(name: string, headers: IncomingMessage['headers'], isParts = false): void {
    const { conditions } = this.#options
    if (headers['if-none-match'] === undefined || conditions === 'ignored') return
    if (conditions === 'kept-in-puts' && isParts) return
    if (conditions === 'refused') {
      const message = 'A header you provided implies functionality that is not implemented'
      throw new Refusal(501, 'NotImplemented', message)
    }
    if (this.objects.has(name)) throw failed()
  }

  #begin({ name, headers }: Seen): Answer {
    const uploadId = `${randomUUID()}+/=&`
    this.uploads.set(uploadId, { name, token: tokenOf(headers), parts: new Map() })
    const xml =
      '<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
      `<UploadId>${escapeXml(uploadId)}</UploadId></InitiateMultipartUploadResult>`
    return { status: 200, headers: {}, body: Buffer.from(xml) }
  }

  #uploadOf({ query }: Seen): Upload {
    const upload = this.uploads.get(query.get('uploadId') ?? '')
    if (upload === undefined) throw new Refusal(404, 'NoSuchUpload', 'there is no such upload')
    return upload
  }

  #putPart(seen: Seen, bytes: Buffer): Answer {
    const etag = `"${createHash('md5').update(bytes).digest('hex')}&"`
    this.#uploadOf(seen).parts.set(Number(seen.query.get('partNumber')), { bytes, etag })
    return { status: 200, headers: { etag } }
  }

  #complete(seen: Seen, body: Buffer): Answer {
    if (/&(?!amp;|lt;|gt;|quot;)/.test(body.toString())) {
      throw new Refusal(400, 'MalformedXML', 'The XML you provided was not well-formed')
    }
    // Before it is known whether this was done already, as some do.
    this.#checkCondition(seen.name, seen.headers, true)
    const upload = this.#uploadOf(seen)
    const told = [
      ...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>(.*?)<\/ETag>/g),
    ]
    const parts = told.map(([, number, etag]) => {
      const part = upload.parts.get(Number(number))
      if (part === undefined || part.etag !== etag?.replaceAll('&amp;', '&')) {
        throw new Refusal(400, 'InvalidPart', `part ${number} is not there`)
      }
      return part.bytes
    })
    for (const bytes of parts.slice(0, -1)) {
      // The first as AWS has it, the second as R2 does.
      if (bytes.length < PART_BYTES_MIN || bytes.length !== parts[0]?.length) {
        throw new Refusal(400, 'EntityTooSmall', 'a part is too small')
      }
    }
    this.uploads.delete(seen.query.get('uploadId') ?? '')
    this.objects.set(upload.name, { ...hold(Buffer.concat(parts), {}), token: upload.token })
    const xml = '<CompleteMultipartUploadResult><Key>k</Key></CompleteMultipartUploadResult>'
    return { status: 200, headers: {}, body: Buffer.from(`\n  ${xml}`.trim()) }
  }
}

interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body?: Buffer
}

class Refusal extends Error {
  readonly #status: number
  readonly #text: string
  readonly #headers: Record<string, string>

  constructor(
    status: number,
    code: string,
    message: string,
    headers: Record<string, string> = {},
    text?: string,
    more = '',
  ) {
    super(message)
    this.#status = status
    this.#headers = headers
    const said = `<Code>${code}</Code><Message>${escapeXml(message)}</Message>${more}`
    const xml = `<?xml version="1.0"?>\n<Error>${said}<RequestId>R0</RequestId></Error>`
    this.#text = text ?? (code === '' ? '' : xml)
  }

  send(request: IncomingMessage, response: ServerResponse): void {
    const isHead = request.method === 'HEAD'
    // As many do: whoever still sends a body is not listened to any more.
    if (!request.complete) response.setHeader('connection', 'close')
    response.writeHead(this.#status, { 'x-amz-request-id': 'R0', ...this.#headers })
    response.end(isHead ? undefined : this.#text)
  }
}

function failed(): Refusal {
  return new Refusal(412, 'PreconditionFailed', 'At least one condition did not hold')
}

function hold(bytes: Buffer, headers: IncomingMessage['headers']): Held {
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
  return { bytes, etag, modifiedMs: Date.now(), token: tokenOf(headers) }
}

function tokenOf(headers: IncomingMessage['headers']): string | undefined {
  const token = headers['x-amz-meta-colmena-put']
  return token === undefined ? undefined : String(token)
}

async function readAll(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request) {
    pieces.push(piece as Buffer)
    bytes += (piece as Buffer).length
    if (bytes >= bytesMax) request.socket.destroy()
  }
  return Buffer.concat(pieces)
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
