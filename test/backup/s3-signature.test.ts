/** Our requests are signed as another implementation of version 4 signs them. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { SignatureV4 } from '@smithy/signature-v4'
import { inPieces, namesIn, readAll, startServer, targetOf } from './s3-rig.ts'
import { KEY, SECRET, type Seen } from './s3-server.ts'

/** What that implementation asks of a hash. */
class Sha256 {
  readonly #hash

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    const key = ArrayBuffer.isView(secret)
      ? Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength)
      : secret
    this.#hash =
      key === undefined ? createHash('sha256') : createHmac('sha256', Buffer.from(key as string))
  }

  update(data: string | Uint8Array): void {
    this.#hash.update(data)
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
}

async function signAsOthersDo({ method, path, headers }: Seen): Promise<string> {
  const { pathname, searchParams } = new URL(path, 'http://host')
  const authorization = String(headers.authorization)
  const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? []
  const date = String(headers['x-amz-date'])
  const signer = new SignatureV4({
    service: 's3',
    region: 'us-east-1',
    credentials: { accessKeyId: KEY, secretAccessKey: SECRET },
    sha256: Sha256,
    uriEscapePath: false,
    applyChecksum: false,
  })
  const request = {
    method,
    protocol: 'http:',
    hostname: 'localhost',
    path: pathname,
    query: Object.fromEntries(searchParams),
    headers: Object.fromEntries(names.map((name) => [name, String(headers[name])])),
  }
  const signingDate = new Date(date.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z'))
  const signed = await signer.sign(request, { signingDate })
  return String(signed.headers['authorization'])
}

function signatureOf(authorization: string): string | undefined {
  return /Signature=([0-9a-f]{64})/.exec(authorization)?.[1]
}

describe('the signature of a request', () => {
  it('is what another implementation makes of it', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server, { prefix: 'a/prefix_with.all-0' })
    await target.put('object', Buffer.from('what is kept'))
    await target.put('object-2', Buffer.from('what is kept'), { ifAbsent: true })
    await target.put('parts', inPieces(new Uint8Array(9_000_000)))
    for (let at = 0; at < 1_005; at += 1) {
      const [held] = server.objects.values()
      if (held !== undefined) server.objects.set(`a/prefix_with.all-0/many/${at}`, held)
    }
    assert.equal((await namesIn(target, 'many/')).length, 1_005)
    server.fault = ({ headers }) => {
      return headers.range === undefined ? { kind: 'cut-body', bytes: 5 } : undefined
    }
    await readAll(target, 'object')
    server.fault = () => undefined
    await target.delete('object')
    const kinds = new Set(server.seen.map(({ kind }) => kind))
    assert.equal(kinds.size, 7)
    for (const seen of server.seen) {
      const authorization = String(seen.headers.authorization)
      const expected = signatureOf(await signAsOthersDo(seen))
      assert.equal(signatureOf(authorization), expected, `${seen.kind} ${seen.path}`)
    }
  })
})
