/** What S3 refuses for good, what is said of it, and how credentials are given and change. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { type S3Credentials, type S3TargetOptions, s3Target } from '../../src/backup/s3.ts'
import { hurry, inPieces, namesIn, readAll, startServer, targetOf } from './s3-rig.ts'
import { KEY, type S3Server, SECRET } from './s3-server.ts'

const BYTES = Buffer.from('what is kept')
const HOUR_MS = 3_600_000

interface Refusal {
  readonly options?: Partial<S3TargetOptions>
  readonly break?: (server: S3Server) => void
  readonly message: RegExp
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  'an access key that it does not know': {
    options: { accessKeyId: 'ANOTHER' },
    message: /InvalidAccessKeyId: .*\(request R0\); look at accessKeyId/,
  },
  'a secret that is another': {
    options: { secretAccessKey: 'not-the-secret' },
    message: /SignatureDoesNotMatch: .*; look at accessKeyId and secretAccessKey/,
  },
  'a session token that is not of the key': {
    options: { sessionToken: 'not-the-token' },
    message: /InvalidToken: .*; look at sessionToken/,
  },
  'credentials that have ended': {
    break: (server) => server.keys.set(KEY, { secret: SECRET, isExpired: true }),
    message: /ExpiredToken: .*; .*give a function credentials/,
  },
  'a bucket that is not there': {
    options: { bucket: 'another' },
    message: /s3:\/\/another could not .*NoSuchBucket: .*; make the bucket/,
  },
  'what the key may not': {
    break: (server) => {
      server.fault = () => ({ kind: 'answer', status: 403, code: 'AccessDenied' })
    },
    message: /AccessDenied: as the test says .*; let the key list the bucket/,
  },
  'what is signed by a clock that is wrong': {
    break: (server) => {
      server.clockMs = () => Date.now() + 2 * HOUR_MS
    },
    message: /RequestTimeTooSkewed: .*; the clock of this machine is wrong.* GMT here, .* GMT$/,
  },
  'what is meant for another region': {
    options: { region: 'eu-west-3' },
    message: /AuthorizationHeaderMalformed: .*another region: say region: 'us-east-1'/,
  },
  'what nobody has heard of yet': {
    break: (server) => {
      server.fault = () => ({ kind: 'answer', status: 418, code: 'Teapot' })
    },
    message: /Teapot: as the test says .*; look up what the target says of that/,
  },
}

describe('a target that refuses', () => {
  for (const [what, { options, break: breakServer, message }] of Object.entries(REFUSALS)) {
    it(`${what} is not asked again, and says why`, async (t) => {
      const server = await startServer(t)
      breakServer?.(server)
      const target = targetOf(t, server, options)
      const calls = [
        () => target.put('object', BYTES),
        () => target.put('object', BYTES, { ifAbsent: true }),
        () => target.put('object', inPieces(new Uint8Array(9_000_000))),
        () => target.delete('object'),
        () => namesIn(target),
        () => readAll(target, 'object'),
      ]
      for (const call of calls) {
        await assert.rejects(call(), (error: Error & { retryable: boolean; code: string }) => {
          assert.deepEqual([error.code, error.retryable], ['ERR_TARGET', false])
          assert.match(error.message, message)
          // The shown names of keys are none of the secrets.
          const secrets = [SECRET, 'not-the-secret', 'not-the-token', 'Signature=']
          const shown = inspect(error, { depth: 9 })
          assert.deepEqual(
            secrets.filter((secret) => shown.includes(secret)),
            [],
          )
          return true
        })
      }
      assert.ok(server.seen.length <= calls.length)
    })
  }

  it('without a word says its status', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    server.fault = () => ({ kind: 'answer', status: 409, text: '<html>no' })
    await assert.rejects(target.put('object', BYTES), { message: /HTTP 409: HTTP status 409/ })
    const moved = { 'x-amz-bucket-region': 'eu-north-1' }
    server.fault = () => ({ kind: 'answer', status: 301, text: '', headers: moved })
    await assert.rejects(target.put('object', BYTES), { message: /say region: 'eu-north-1'/ })
  })

  it('is no target where what it says is no answer of S3', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server, { retryMs: 0 })
    const one = '<Key>a</Key><LastModified>2020-01-01T00:00:00Z</LastModified>'
    for (const [text, message] of [
      ['<html><body>Please log in</body></html>', /the answer is a html, no list/],
      ['<html><br>Please log in</html>', /no XML: Unexpected close tag;/],
      ['{"ok":true}', /no XML: .*;/],
      ['', /no XML: there is nothing in it/],
      ['<ListBucketResult><Contents>', /no XML: Unclosed root tag;/],
      ['<ListBucketResult><Contents></Contents></ListBucketResult>', /what is no object/],
      [`<ListBucketResult><Contents>${one}</Contents></ListBucketResult>`, /what is no object/],
      ['<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>', /how to go on/],
    ] as const) {
      server.fault = () => ({ kind: 'answer', status: 200, text })
      await assert.rejects(namesIn(target), { code: 'ERR_TARGET', retryable: true, message })
    }
  })

  it('lists out of order is refused', async (t) => {
    const server = await startServer(t)
    const rest = '<LastModified>2020-01-01T00:00:00Z</LastModified><Size>1</Size>'
    const one = (key: string): string => `<Contents><Key>${key}</Key>${rest}</Contents>`
    const text = `<ListBucketResult>${one('b')}${one('a')}</ListBucketResult>`
    server.fault = () => ({ kind: 'answer', status: 200, text })
    const failed = { code: 'ERR_TARGET', retryable: false, message: /lists a behind b/ }
    await assert.rejects(namesIn(targetOf(t, server)), failed)
  })

  it('has objects of others, which are none of ours', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server, { prefix: 'ours' })
    await target.put('object', BYTES)
    const [held] = server.objects.values()
    assert.ok(held)
    for (const name of ['ours/', 'ours/a b', 'ours/.hidden', 'ours/x/', 'oursnot/x', 'other']) {
      server.objects.set(name, held)
    }
    assert.deepEqual([...server.objects.keys()].includes('ours/object'), true)
    assert.deepEqual(await namesIn(target), ['object'])
  })

  it('cannot be reached is tried again, and later again', async (t) => {
    hurry(t)
    const server = await startServer(t)
    const target = targetOf(t, server)
    await server.close()
    const failed = { code: 'ERR_TARGET', retryable: true, message: /ECONNREFUSED.*be reached/ }
    await assert.rejects(target.put('object', BYTES), failed)
  })
})

describe('credentials that a function gives', () => {
  /** A function that gives a key after the other, which the server takes. */
  function giving(server: S3Server, ...times: readonly (number | undefined)[]) {
    const asked: string[] = []
    const credentials = async (): Promise<S3Credentials> => {
      const accessKeyId = `KEY${asked.length}`
      const key = { secret: `secret${asked.length}`, token: `token${asked.length}` }
      server.keys.set(accessKeyId, key)
      const expiresMs = times[asked.length]
      asked.push(accessKeyId)
      return { accessKeyId, secretAccessKey: key.secret, sessionToken: key.token, expiresMs }
    }
    return { asked, credentials }
  }

  function end(server: S3Server, accessKeyId: string): void {
    server.keys.set(accessKeyId, { secret: `secret${accessKeyId.slice(3)}`, isExpired: true })
  }

  it('are asked for once, by many calls at once', async (t) => {
    const server = await startServer(t)
    const { asked, credentials } = giving(server, Date.now() + HOUR_MS)
    const target = targetOf(t, server, { credentials })
    assert.equal(asked.length, 0, 'nothing is asked for before it is needed')
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => target.put(name, BYTES)))
    assert.deepEqual(await namesIn(target), ['a', 'b', 'c', 'd'])
    assert.deepEqual(asked, ['KEY0'])
  })

  it('are asked for again before they end', async (t) => {
    const server = await startServer(t)
    const { asked, credentials } = giving(server, Date.now() + 30_000, Date.now() + HOUR_MS)
    const target = targetOf(t, server, { credentials })
    for (const name of ['a', 'b', 'c']) await target.put(name, BYTES)
    assert.deepEqual(asked, ['KEY0', 'KEY1'])
  })

  it('are asked for again where they have ended, by whatever call', async (t) => {
    const server = await startServer(t)
    const { asked, credentials } = giving(server)
    const target = targetOf(t, server, { credentials })
    await target.put('a', BYTES)
    end(server, 'KEY0')
    await Promise.all(['b', 'c', 'd'].map((name) => target.put(name, BYTES)))
    assert.deepEqual(asked, ['KEY0', 'KEY1'])
    end(server, 'KEY1')
    assert.deepEqual(await readAll(target, 'a'), BYTES)
    end(server, 'KEY2')
    assert.equal(await target.put('e', BYTES, { ifAbsent: true }), true)
    end(server, 'KEY3')
    const parts = new Uint8Array(9_000_000)
    assert.equal(await target.put('e', inPieces(parts), { ifAbsent: true }), false, 'by a HEAD')
    assert.equal(asked.length, 5)
  })

  it('are not asked for without end where none will do', async (t) => {
    const server = await startServer(t)
    const { asked, credentials } = giving(server)
    const target = targetOf(t, server, {
      credentials: async () => {
        const given = await credentials()
        end(server, given.accessKeyId)
        return given
      },
    })
    await assert.rejects(target.put('a', BYTES), { code: 'ERR_TARGET', message: /ExpiredToken/ })
    assert.equal(asked.length, 2)
  })

  it('that do not come are said so', async (t) => {
    const server = await startServer(t)
    const wrong: readonly [() => Promise<unknown>, boolean, RegExp][] = [
      [() => Promise.reject(new Error('no role')), true, /credentials .* failed: no role/],
      [() => new Promise(() => {}), true, /did not answer within 200 ms/],
      [async () => undefined, false, /gave none: they are no object/],
      [async () => ({ accessKeyId: 'a b' }), false, /gave none: accessKeyId is missing/],
      [async () => ({ accessKeyId: 'a' }), false, /gave none: secretAccessKey is missing/],
    ]
    for (const [give, retryable, message] of wrong) {
      const credentials = give as () => Promise<S3Credentials>
      const target = targetOf(t, server, { credentials, stallMs: 200 })
      await assert.rejects(target.put('a', BYTES), { code: 'ERR_TARGET', retryable, message })
    }
    assert.equal(server.seen.length, 0)
  })

  it('hold up no call that is ended', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server, { credentials: () => new Promise(() => {}) })
    const signal = AbortSignal.timeout(20)
    await assert.rejects(target.put('a', BYTES, { signal }), { code: 'ERR_ABORTED' })
  })
})

describe('options of s3Target', () => {
  const good: S3TargetOptions = { bucket: 'b-1', accessKeyId: 'a', secretAccessKey: 's' }

  it('are checked at once', () => {
    const wrong: readonly [Record<string, unknown> | null, RegExp][] = [
      [null, /an object, not null/],
      [{ buckets: 'b' }, /has no option 'buckets'; it has bucket, prefix/],
      [{ bucket: undefined }, /bucket is undefined/],
      [{ bucket: 'a/b' }, /bucket is "a\/b"/],
      [{ bucket: 'a.b' }, /has a dot.*pathStyle: true/],
      [{ prefix: '/a' }, /prefix is "\/a"/],
      [{ prefix: '../a' }, /prefix is/],
      [{ region: 'EU' }, /region is "EU"/],
      [{ endpoint: 'minio:9000' }, /endpoint is "minio:9000"; it must be as 'https:/],
      [{ endpoint: 's3.example.com' }, /endpoint is/],
      [{ endpoint: 'https://u:p@s3.example.com' }, /endpoint is/],
      [{ endpoint: 'https://s3.example.com/?a=b' }, /endpoint is/],
      [{ endpoint: 'http://127.0.0.1:9000' }, /no bucket has a host below 127.0.0.1.*pathStyle/],
      [{ endpoint: 'http://[::1]:9000' }, /pathStyle: true/],
      [{ pathStyle: 'yes' }, /pathStyle is "yes"/],
      [{ conditionalPut: 'always' }, /conditionalPut is "always"/],
      [{ partBytes: 1_000 }, /partBytes .*5242880/],
      [{ stallMs: 1.5 }, /stallMs .*1\.5/],
      [{ retryMs: -1 }, /retryMs .*-1/],
      [{ accessKeyId: undefined }, /accessKeyId is missing.*function credentials/],
      [{ secretAccessKey: '' }, /secretAccessKey is missing/],
      [{ secretAccessKey: 'a\nb' }, /secretAccessKey is missing, or no text without spaces/],
      [{ sessionToken: 7 }, /sessionToken/],
      [{ credentials: 'a' }, /credentials is "a"/],
      [{ credentials: async () => ({}) }, /not both/],
    ]
    for (const [options, message] of wrong) {
      const merged = options === null ? null : { ...good, ...options }
      assert.throws(() => s3Target(merged as unknown as S3TargetOptions), {
        code: 'ERR_INVALID_OPTION',
        message,
      })
    }
  })

  it('name the target', () => {
    assert.equal(s3Target(good).label, 's3://b-1')
    const target = s3Target({ ...good, prefix: 'a/b/', secretAccessKey: 'not-to-be-seen' })
    assert.equal(target.label, 's3://b-1/a/b')
    assert.doesNotMatch(inspect(target, { depth: 9, showHidden: true }), /not-to-be-seen/)
  })
})
