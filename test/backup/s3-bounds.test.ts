/** Where requests go, and the bounds of what is put and read. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import dns from 'node:dns'
import { describe, it, type TestContext } from 'node:test'
import { s3Target } from '../../src/backup/s3.ts'
import type { S3Client } from '../../src/backup/s3-client.ts'
import type { S3Request } from '../../src/backup/s3-connection.ts'
import { type S3TargetOptions, toS3Config } from '../../src/backup/s3-options.ts'
import { cutParts, type Part } from '../../src/backup/s3-parts.ts'
import { S3Puts } from '../../src/backup/s3-put.ts'
import { failFirst, inPieces, namesIn, readAll, startServer, targetOf } from './s3-rig.ts'

const KEYS = { accessKeyId: 'a', secretAccessKey: 's' }

/** Every host is this machine, but those that are not there. */
function resolveHere(t: TestContext): string[] {
  const { lookup } = dns
  const asked: string[] = []
  t.mock.method(dns, 'lookup', (host: string, ...rest: unknown[]) => {
    asked.push(host)
    const answer = rest.at(-1) as (error: Error) => void
    if (!host.endsWith('.amazonaws.com') && !host.endsWith('.amazonaws.com.cn')) {
      return Reflect.apply(lookup, dns, ['localhost', ...rest])
    }
    const message = `getaddrinfo ENOTFOUND ${host}`
    process.nextTick(answer, Object.assign(new Error(message), { code: 'ENOTFOUND' }))
  })
  return asked
}

describe('a request', () => {
  it("goes to AWS's host of the bucket and its region where none is named", async (t) => {
    const asked = resolveHere(t)
    const options: S3TargetOptions = { bucket: 'b-1', retryMs: 0, ...KEYS }
    const hosts: readonly [Partial<S3TargetOptions>, string][] = [
      [{}, 'b-1.s3.us-east-1.amazonaws.com'],
      [{ region: 'eu-west-3' }, 'b-1.s3.eu-west-3.amazonaws.com'],
      [{ region: 'cn-north-1' }, 'b-1.s3.cn-north-1.amazonaws.com.cn'],
      [{ pathStyle: true }, 's3.us-east-1.amazonaws.com'],
    ]
    for (const [more, host] of hosts) {
      await using target = s3Target({ ...options, ...more })
      const failed = { code: 'ERR_TARGET', retryable: true, message: /ENOTFOUND.*look at endpoint/ }
      await assert.rejects(target.delete('object'), failed)
      assert.equal(asked.at(-1), host)
    }
  })

  it('asks Tigris for what is consistent, and nobody else', async (t) => {
    resolveHere(t)
    const server = await startServer(t)
    const { port } = new URL(server.endpoint)
    for (const [host, expected] of [
      ['t3.storage.dev', 'true'],
      ['fly.storage.tigris.dev', 'true'],
      ['storage.example.com', undefined],
    ] as const) {
      const target = targetOf(t, server, { endpoint: `http://${host}:${port}` })
      await target.put('object', randomBytes(10))
      assert.deepEqual(await namesIn(target), ['object'])
      const headers = server.seen.splice(0).map((seen) => seen.headers['x-tigris-consistent'])
      assert.deepEqual(headers, [expected, expected])
    }
  })

  it('may go to a folder of a host', async (t) => {
    const server = await startServer(t)
    server.fault = () => ({ kind: 'answer', status: 418, code: 'Teapot' })
    const endpoint = `${server.endpoint}/the-bucket/s3`
    const target = targetOf(t, server, { endpoint })
    await assert.rejects(target.put('object', randomBytes(10)), { message: /Teapot/ })
    assert.equal(server.seen[0]?.path, '/the-bucket/s3/the-bucket/object')
  })
})

describe('an object', () => {
  it('has 10,000 parts at most', async () => {
    const sent: S3Request[] = []
    const client = {
      request: async (request: S3Request) => {
        sent.push(request)
        const text =
          '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>'
        return { text, response: { headers: { etag: 'e' } }, attempts: 1 }
      },
    }
    const config = toS3Config({ bucket: 'b-1', ...KEYS })
    const puts = new S3Puts(client as unknown as S3Client, config)
    const parts = async function* (count: number): AsyncGenerator<Part, void, void> {
      for (let at = 1; at <= count; at += 1) {
        yield { bytes: new Uint8Array(1), isLast: at === count }
      }
    }
    const { signal } = new AbortController()
    assert.equal(await puts.put('object', parts(10_000), false, signal), true)
    sent.length = 0
    const failed = { code: 'ERR_TARGET', retryable: false, message: /10000 parts.*raise partBytes/ }
    await assert.rejects(puts.put('object', parts(10_001), false, signal), failed)
    assert.equal(sent.at(-1)?.method, 'DELETE')
    assert.equal(sent.length, 10_002)
  })

  it('is cut into parts of one size, however its pieces come', async () => {
    for (let sizeBytes = 0; sizeBytes <= 40; sizeBytes += 1) {
      const content = randomBytes(sizeBytes)
      for (const pieceBytes of [1, 2, 3, 7, 9, 10, 11, 20, 21, 40]) {
        const parts: Uint8Array[] = []
        const last: boolean[] = []
        for await (const { bytes, isLast } of cutParts(inPieces(content, pieceBytes), 10)) {
          parts.push(bytes.slice())
          last.push(isLast)
        }
        const sizes = parts.map(({ length }) => length)
        assert.deepEqual(Buffer.concat(parts), content)
        assert.ok(
          sizes.slice(0, -1).every((size) => size === 10),
          `sizes ${sizes}`,
        )
        assert.equal(parts.length, Math.max(1, Math.ceil(sizeBytes / 10)))
        assert.equal(last.indexOf(true), last.length - 1)
      }
    }
  })

  it('may end with a part, and be one byte longer', async (t) => {
    const server = await startServer(t)
    const partBytes = 5_242_880
    const target = targetOf(t, server, { partBytes })
    for (const [sizeBytes, parts] of [
      [partBytes, 0],
      [partBytes + 1, 2],
      [2 * partBytes, 2],
    ] as const) {
      const content = randomBytes(sizeBytes)
      for (const put of [content, inPieces(content), inPieces(content, sizeBytes)]) {
        server.seen.length = 0
        await target.put('object', put)
        assert.ok((await readAll(target, 'object')).equals(content))
        assert.equal(server.count('PUT part'), parts)
      }
    }
  })

  it('is not put together of what did not know ranges', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    await target.put('object', randomBytes(1_000_000))
    const whole = { kind: 'answer', status: 200, text: 'all of it' } as const
    failFirst(server, 'GET', { kind: 'cut-body', bytes: 500_000 }, whole)
    await assert.rejects(readAll(target, 'object'), { code: 'ERR_TARGET', message: /ranges/ })
  })
})

describe('an answer', () => {
  it('is not waited for without end where it comes drop by drop', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server, { stallMs: 100, retryMs: 0 })
    server.fault = () => ({ kind: 'drip' })
    const failed = { code: 'ERR_TARGET', retryable: true, message: /whole answer .* 2000 ms/ }
    await assert.rejects(namesIn(target), failed)
  })

  it('is not held in memory whatever its size', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    server.fault = () => ({ kind: 'answer', status: 200, text: 'x'.repeat(9_000_000) })
    await assert.rejects(namesIn(target), { code: 'ERR_TARGET', message: /longer than 8388608/ })
    server.fault = () => ({ kind: 'answer', status: 403, text: 'x'.repeat(100_000) })
    await assert.rejects(namesIn(target), { code: 'ERR_TARGET', message: /longer than 65536/ })
  })
})
