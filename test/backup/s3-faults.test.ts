/** What S3 and the way to it do wrong now and then, and that none of it is lost or done twice. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { until } from '../processes/wait.ts'
import { failFirst, hurry, inPieces, namesIn, readAll, startServer, targetOf } from './s3-rig.ts'
import type { Fault, S3Server } from './s3-server.ts'

const BYTES = Buffer.from('what is kept')
const BIG = randomBytes(3_000_000)
/** Two parts, and a third that is smaller. */
const PARTS = randomBytes(18_000_000)
const SLOW_DOWN: Fault = { kind: 'answer', status: 503, code: 'SlowDown' }

/** Every kind of request, and what makes one. */
const KINDS: Readonly<Record<string, (t: TestContext, server: S3Server) => Promise<void>>> = {
  PUT: async (t, server) => {
    await targetOf(t, server).put('object', BYTES)
    assert.deepEqual(server.objects.get('object')?.bytes, BYTES)
  },
  GET: async (t, server) => {
    const target = targetOf(t, server)
    await target.put('object', BYTES)
    assert.deepEqual(await readAll(target, 'object'), BYTES)
  },
  'GET list': async (t, server) => {
    const target = targetOf(t, server)
    await target.put('object', BYTES)
    assert.deepEqual(await namesIn(target), ['object'])
  },
  DELETE: async (t, server) => {
    const target = targetOf(t, server)
    await target.put('object', BYTES)
    await target.delete('object')
    assert.equal(server.objects.size, 0)
  },
  'POST uploads': putParts,
  'PUT part': putParts,
  'POST uploadId': putParts,
}

async function putParts(t: TestContext, server: S3Server): Promise<void> {
  await targetOf(t, server).put('object', inPieces(PARTS))
  assert.ok(server.objects.get('object')?.bytes.equals(PARTS))
  assert.equal(server.count('PUT part') - 3 <= 1, true, 'parts are sent again one by one')
}

describe('requests that fail', () => {
  const faults: Readonly<Record<string, Fault>> = {
    'is asked to slow down': SLOW_DOWN,
    'is answered with a 500 of a proxy': { kind: 'answer', status: 502, text: '<html>oh' },
    'is cut off before it is answered': { kind: 'cut' },
    'is cut off behind what it did': { kind: 'lose-answer' },
    'is asked to begin anew': { kind: 'answer', status: 400, code: 'RequestTimeout' },
    'is sent to another host for now': { kind: 'answer', status: 307, code: 'TemporaryRedirect' },
  }
  for (const [kind, run] of Object.entries(KINDS)) {
    for (const [what, fault] of Object.entries(faults)) {
      it(`does a ${kind} again that ${what}`, async (t) => {
        hurry(t)
        const server = await startServer(t)
        failFirst(server, kind, fault)
        await run(t, server)
        // Nobody can remove an upload whose name was lost.
        const isLost = kind === 'POST uploads' && fault.kind === 'lose-answer'
        assert.equal(server.uploads.size, isLost ? 1 : 0)
      })
    }
  }

  it('gives up behind eight attempts', async (t) => {
    hurry(t)
    const server = await startServer(t)
    server.fault = () => SLOW_DOWN
    const failed = { code: 'ERR_TARGET', retryable: true, message: /SlowDown.* \(request R0\)/ }
    await assert.rejects(targetOf(t, server).put('object', BYTES), failed)
    assert.equal(server.seen.length, 8)
  })

  it('gives up behind retryMs', async (t) => {
    const server = await startServer(t)
    server.fault = () => SLOW_DOWN
    const target = targetOf(t, server, { retryMs: 0 })
    await assert.rejects(target.put('object', BYTES), { code: 'ERR_TARGET', retryable: true })
    assert.equal(server.seen.length, 1)
  })

  it('does not ask earlier than it was told to', async (t) => {
    const server = await startServer(t)
    for (const after of ['3', new Date(Date.now() + 3_600_000).toUTCString()]) {
      server.seen.length = 0
      failFirst(server, 'PUT', { ...SLOW_DOWN, headers: { 'retry-after': after } } as Fault)
      const target = targetOf(t, server, { retryMs: 2_000 })
      await assert.rejects(target.put('object', BYTES), { code: 'ERR_TARGET', retryable: true })
      assert.equal(server.seen.length, 1, 'so late that there is no time left')
    }
    failFirst(server, 'PUT', { ...SLOW_DOWN, headers: { 'retry-after': '0' } } as Fault)
    await targetOf(t, server, { retryMs: 2_000 }).put('object', BYTES)
  })

  it('ends by its signal while it waits for another attempt', async (t) => {
    const server = await startServer(t)
    const aborted = new AbortController()
    server.fault = () => {
      setImmediate(() => aborted.abort(new Error('enough')))
      return { ...SLOW_DOWN, headers: { 'retry-after': '50' } } as Fault
    }
    const put = targetOf(t, server).put('object', BYTES, { signal: aborted.signal })
    await assert.rejects(put, { code: 'ERR_ABORTED' })
  })

  it('ends by its signal, or by close, while nothing is answered', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    await target.put('object', BYTES)
    server.seen.length = 0
    server.fault = () => ({ kind: 'stall' })
    const aborted = new AbortController()
    const put = target.put('object', BYTES, { signal: aborted.signal })
    const list = namesIn(target)
    list.catch(() => {})
    await until('both are there', () => server.seen.length === 2)
    aborted.abort()
    await assert.rejects(put, { code: 'ERR_ABORTED' })
    await target.close()
    await assert.rejects(list, { code: 'ERR_CLOSED' })
    await until('no connection is left', () => server.connections === 0)
  })

  it('keeps its connection, and gives it back', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    for (let turn = 0; turn < 5; turn += 1) await target.put('object', BYTES)
    assert.equal(server.connectionsMade, 1)
    await target.close()
    await until('no connection is left', () => server.connections === 0, 5_000)
  })

  it('gives up a connection that stalls', async (t) => {
    const server = await startServer(t)
    failFirst(server, 'PUT', { kind: 'stall' }, { kind: 'stall' })
    await targetOf(t, server, { stallMs: 200 }).put('object', BYTES)
    server.fault = () => ({ kind: 'stall' })
    const target = targetOf(t, server, { stallMs: 200, retryMs: 0 })
    const message = /nothing came within 200 ms/
    await assert.rejects(target.delete('object'), { code: 'ERR_TARGET', retryable: true, message })
  })
})

describe('a body that is put', () => {
  it('is not taken where it was damaged on its way', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    failFirst(server, 'PUT', { kind: 'damage' })
    await target.put('object', BIG)
    assert.ok(server.objects.get('object')?.bytes.equals(BIG))
    failFirst(server, 'PUT part', { kind: 'damage' })
    await target.put('parts', inPieces(PARTS))
    assert.ok(server.objects.get('parts')?.bytes.equals(PARTS))
  })

  it('is sent again where the connection was cut in the middle of it', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    failFirst(server, 'PUT', { kind: 'cut-upload', bytes: 100_000 })
    await target.put('object', BIG)
    assert.ok(server.objects.get('object')?.bytes.equals(BIG))
    failFirst(server, 'PUT part', { kind: 'cut-upload', bytes: 5_000_000 })
    await target.put('parts', inPieces(PARTS))
    assert.ok(server.objects.get('parts')?.bytes.equals(PARTS))
  })

  it('is sent to who does not say that it may be', async (t) => {
    const server = await startServer(t, { isMute: true })
    await targetOf(t, server).put('object', BIG)
    assert.ok(server.objects.get('object')?.bytes.equals(BIG))
  })

  it('is no reason not to hear why it is not wanted', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server, { secretAccessKey: 'wrong' })
    for (const sizeBytes of [10, 500_000, 8_000_000]) {
      const put = target.put('object', new Uint8Array(sizeBytes))
      await assert.rejects(put, { code: 'ERR_TARGET', message: /SignatureDoesNotMatch/ })
    }
    assert.equal(server.seen.length, 3)
    // What is large is not sent before it is wanted: a connection that is cut tells nothing.
    const asked = server.seen.map(({ headers }) => headers.expect)
    assert.deepEqual(asked, [undefined, undefined, '100-continue'])
  })
})

describe('an object in parts', () => {
  it('leaves no parts where it does not come to its end', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    const failing = async function* (): AsyncIterable<Uint8Array> {
      yield* inPieces(PARTS)
      throw new Error('this content ends')
    }
    await assert.rejects(target.put('object', failing()), /this content ends/)
    const aborted = new AbortController()
    const stuck = async function* (): AsyncIterable<Uint8Array> {
      yield* inPieces(PARTS)
      aborted.abort()
      await new Promise(() => {})
    }
    const put = target.put('object', stuck(), { signal: aborted.signal })
    await assert.rejects(put, { code: 'ERR_ABORTED' })
    failFirst(server, 'PUT part', { kind: 'answer', status: 403, code: 'AccessDenied' })
    await assert.rejects(target.put('object', inPieces(PARTS)), { code: 'ERR_TARGET' })
    assert.equal(server.count('DELETE uploadId'), 3)
    assert.equal(server.uploads.size, 0)
    assert.equal(server.objects.size, 0)
  })

  it('leaves none as the target is closed either', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    const asked = Promise.withResolvers<void>()
    const stuck = async function* (): AsyncIterable<Uint8Array> {
      yield* inPieces(PARTS)
      asked.resolve()
      await new Promise(() => {})
    }
    const put = target.put('object', stuck())
    put.catch(() => {})
    await asked.promise
    await target.close()
    assert.equal(server.uploads.size, 0)
    await assert.rejects(put, { code: 'ERR_CLOSED' })
  })

  it('fails for what failed, where its parts could not be removed either', async (t) => {
    const server = await startServer(t)
    const refused: Fault = { kind: 'answer', status: 403, code: 'AccessDenied' }
    server.fault = ({ kind }) => (/part|DELETE/.test(kind) ? refused : undefined)
    const put = targetOf(t, server).put('object', inPieces(PARTS))
    await assert.rejects(put, { code: 'ERR_TARGET', message: /could not put object: AccessDenied/ })
  })

  it('is ended again where 200 turned out to be none', async (t) => {
    const server = await startServer(t)
    const text = '<?xml version="1.0"?>\n<Error><Code>InternalError</Code></Error>'
    failFirst(server, 'POST uploadId', { kind: 'answer', status: 200, text })
    await targetOf(t, server).put('object', inPieces(PARTS))
    assert.ok(server.objects.get('object')?.bytes.equals(PARTS))
  })

  it('fails where its parts were taken away', async (t) => {
    const server = await startServer(t)
    server.fault = ({ kind }) => {
      if (kind === 'POST uploadId') server.uploads.clear()
      return undefined
    }
    const put = targetOf(t, server).put('object', inPieces(PARTS))
    await assert.rejects(put, { code: 'ERR_TARGET', message: /NoSuchUpload.*somebody else/ })
  })
})

describe('a get', () => {
  it('goes on where it was cut off', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    await target.put('object', BIG)
    const cuts = [1_000_000, 5, 700_000].map((bytes): Fault => ({ kind: 'cut-body', bytes }))
    failFirst(server, 'GET', ...cuts)
    assert.ok((await readAll(target, 'object')).equals(BIG))
    const gets = server.seen.filter(({ kind }) => kind === 'GET')
    const { etag } = server.objects.get('object') ?? {}
    assert.ok(gets.slice(1).every(({ headers }) => headers['if-match'] === etag))
    const began = gets.map(({ headers }) => Number(/\d+/.exec(headers.range ?? '0')))
    assert.ok(
      began.every((at, turn) => at > (began[turn - 1] ?? -1)),
      `it began at ${began}`,
    )
  })

  it('goes on where nothing came any more', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server, { stallMs: 200 })
    await target.put('object', BIG)
    failFirst(server, 'GET', { kind: 'stall-body', bytes: 1_000_000 })
    assert.ok((await readAll(target, 'object')).equals(BIG))
  })

  it('does not end early where it is cut off again and again', async (t) => {
    hurry(t)
    const server = await startServer(t)
    const target = targetOf(t, server)
    await target.put('object', BIG)
    server.fault = ({ kind }) => (kind === 'GET' ? { kind: 'cut-body', bytes: 1_000 } : undefined)
    await assert.rejects(readAll(target, 'object'), { code: 'ERR_TARGET', retryable: true })
    assert.equal(server.count('GET'), 8)
    server.fault = ({ kind }) => (kind === 'GET' ? { kind: 'cut-body', bytes: 290_000 } : undefined)
    assert.ok((await readAll(target, 'object')).equals(BIG), 'as long as it comes on')
  })

  it('does not put two objects together', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    await target.put('object', BIG)
    failFirst(server, 'GET', { kind: 'cut-body', bytes: 1_000_000 })
    const reading = (async () => {
      for await (const _ of target.get('object')) {
        if (server.count('PUT') === 1) await target.put('object', randomBytes(BIG.length))
      }
    })()
    const replaced = {
      code: 'ERR_TARGET',
      retryable: true,
      message: /was replaced while it was read/,
    }
    await assert.rejects(reading, replaced)
  })

  it('leaves no connection where it is given up', async (t) => {
    const server = await startServer(t)
    const target = targetOf(t, server)
    await target.put('object', PARTS)
    for (let turn = 0; turn < 5; turn += 1) {
      for await (const _ of target.get('object')) break
    }
    await until('all but what is kept are over', () => server.connections <= 1, 5_000)
    assert.ok((await readAll(target, 'object')).equals(PARTS))
  })

  it('waits for who reads it, however long that takes', async (t) => {
    const server = await startServer(t)
    await targetOf(t, server).put('object', PARTS)
    const target = targetOf(t, server, { stallMs: 1_000 })
    const pieces: Uint8Array[] = []
    for await (const piece of target.get('object')) {
      pieces.push(piece)
      const long = AbortSignal.timeout(2_500)
      if (pieces.length === 3) await until('it took its time', () => long.aborted)
    }
    assert.ok(Buffer.concat(pieces).equals(PARTS))
    assert.equal(server.count('GET'), 1)
  })
})
