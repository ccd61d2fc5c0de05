/** What a request of S3 must be signed with, from AWS's description of version 4 alone. */
import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export interface Signed {
  readonly accessKeyId: string
  readonly day: string
  readonly region: string
  readonly service: string
  readonly headers: readonly string[]
  readonly signature: string
}

const HEADER = new RegExp(
  '^AWS4-HMAC-SHA256 Credential=([^/]+)/(\\d{8})/([^/]+)/([^/]+)/aws4_request, ?' +
    'SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$',
)

export function readSigned(request: IncomingMessage): Signed | null {
  const match = HEADER.exec(request.headers.authorization ?? '')
  if (match === null) return null
  const [, accessKeyId = '', day = '', region = '', service = '', headers = '', signature = ''] =
    match
  return { accessKeyId, day, region, service, headers: headers.split(';'), signature }
}

export function signatureOf(request: IncomingMessage, signed: Signed, secret: string): string {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://host')
  const query = [...searchParams]
    .map(([key, value]) => `${encode(key)}=${encode(value)}`)
    .sort()
    .join('&')
  const path = pathname
    .split('/')
    .map((part) => encode(decodeURIComponent(part)))
    .join('/')
  const headers = signed.headers.map((name) => {
    return `${name}:${String(request.headers[name] ?? '')
      .trim()
      .replaceAll(/ +/g, ' ')}\n`
  })
  const canonical = [
    request.method,
    path,
    query,
    headers.join(''),
    signed.headers.join(';'),
    request.headers['x-amz-content-sha256'],
  ].join('\n')
  const scope = `${signed.day}/${signed.region}/${signed.service}/aws4_request`
  const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, sha256(canonical)]
  let key: Buffer = Buffer.from(`AWS4${secret}`)
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest()
  return createHmac('sha256', key).update(text.join('\n')).digest('hex')
}

export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  })
}
