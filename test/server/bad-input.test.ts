/** What no client should send, and how little it does. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import type { Server } from '../../src/server/server.ts'
import { shareNode } from '../node/shared-node.ts'
import { ask, assertFailure, dial, pipelineOf, readAll, serve, waitFor } from './rig.ts'

const HEAD = 'POST /v2/pipeline HTTP/1.1\r\nhost: localhost\r\n'

async function assertUnharmed({ url }: Pick<Server, 'url'>): Promise<void> {
  const { body } = await ask(url, '/v2/pipeline', { body: pipelineOf('SELECT 1') })
  assert.equal(body.results[0].type, 'ok')
}

/** The status and the JSON of an answer as it came. */
function parseAnswer(text: string): { readonly status: number; readonly code: string } {
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), code: JSON.parse(body).error.code }
}

describe('a body', () => {
  it('over the limit is refused, whether its length was said or not', async (t) => {
    const server = await serve(t, (await shareNode()).node, { bodyBytesMax: 1_000 })
    const body = JSON.stringify(pipelineOf('SELECT 1')).padEnd(1_001)
    assertFailure(await ask(server.url, '/v2/pipeline', { body }), 413, 'ERR_TOO_LARGE')
    assert.equal((await ask(server.url, '/v2/pipeline', { body: body.slice(1) })).status, 400)
    assert.equal((await ask(server.url, '/v2/pipeline', { body: body.slice(0, -1) })).status, 200)

    for (const body of ['{"without":', '{"without":"a"}', '{"without":[1]}', '{"with":[]}', '[]']) {
      const answer = await ask(server.url, '/entries/1/skip', { body, method: 'POST' })
      assertFailure(answer, 400, 'ERR_INVALID_ARGUMENT')
    }
    const socket = await dial(t, server.port)
    const answer = readAll(socket)
    socket.write(`${HEAD}transfer-encoding: chunked\r\n\r\n3e9\r\n${body}\r\n`)
    assert.deepEqual(parseAnswer(await answer), { status: 413, code: 'ERR_TOO_LARGE' })
    await assertUnharmed(server)
  })

  it('that finds no room among those under way is told to come back', async (t) => {
    const limits = { bodyBytesMax: 1_000, bodiesBytesMax: 1_500 }
    const server = await serve(t, (await shareNode()).node, limits)
    const body = JSON.stringify(pipelineOf('SELECT 1')).padEnd(1_000)
    const slow = await dial(t, server.port)
    slow.write(`${HEAD}content-length: 1000\r\n\r\n${body.slice(0, 999)}`)
    await waitFor('the bound', async () => {
      const answer = await ask(server.url, '/v2/pipeline', { body })
      if (answer.status === 200) return false
      assertFailure(answer, 503, 'ERR_BUSY')
      assert.equal(answer.headers.get('retry-after'), '1')
      return true
    })
    slow.destroy()
    await waitFor('room', async () => {
      const { status } = await ask(server.url, '/v2/pipeline', { body })
      return status === 200
    })
  })

  it('that is no JSON, no text or no pipeline is refused with what is wrong', async (t) => {
    const server = await serve(t, (await shareNode()).node)
    for (const body of ['{"requests":', '', 'null', '[]', '{}', '{"requests":[1]}', '"x"']) {
      for (const path of ['/v2/pipeline', '/v3/pipeline', '/v3/cursor']) {
        const answer = await ask(server.url, path, { body, method: 'POST' })
        assertFailure(answer, 400, 'ERR_INVALID_ARGUMENT')
      }
    }
    for (const body of ['{"nodeId":', '{"nodeID":"a"}', '{"nodeId":1}', '[]']) {
      const answer = await ask(server.url, '/leadership', { body })
      assertFailure(answer, 400, 'ERR_INVALID_ARGUMENT')
    }
    const socket = await dial(t, server.port)
    const answer = readAll(socket)
    socket.write(
      Buffer.from(`${HEAD}connection: close\r\ncontent-length: 2\r\n\r\n\xff\xfe`, 'latin1'),
    )
    assert.deepEqual(parseAnswer(await answer), { status: 400, code: 'ERR_INVALID_ARGUMENT' })
    await assertUnharmed(server)
  })

  it('that asks for what there is not fails by itself', async (t) => {
    const server = await serve(t, (await shareNode()).node)
    const requests = [{ type: 'transmogrify' }, { type: 'execute', stmt: { sql: 'SELECT 1' } }]
    const answer = await ask(server.url, '/v2/pipeline', { body: { requests } })
    assert.ok(answer.status === 400 || answer.body.results[0].type === 'error', answer.text)
    await assertUnharmed(server)
  })
})

describe('a slow client', () => {
  it('that never finishes its head, or its body, is cut off with a word why', async (t) => {
    const timeouts = { headersTimeoutMs: 100, requestTimeoutMs: 200 }
    const server = await serve(t, (await shareNode()).node, timeouts)
    const beginnings = ['', 'GET /status HT', `${HEAD}content-length: 100\r\n\r\n{"requests"`]
    await Promise.all(
      beginnings.map(async (beginning) => {
        const socket = await dial(t, server.port)
        const answer = readAll(socket)
        socket.write(beginning)
        assert.equal(parseAnswer(await answer).status, 408, beginning)
      }),
    )
    await assertUnharmed(server)
  })

  it('that rests amid its body for as long as a client may is told so too', async (t) => {
    const server = await serve(t, (await shareNode()).node, { idleTimeoutMs: 1_000 })
    const socket = await dial(t, server.port)
    const answer = readAll(socket)
    socket.write(`${HEAD}content-length: 100\r\n\r\n{"requests"`)
    // What it would answer now, within so short a time, depends on how busy the machine is.
    assert.equal(parseAnswer(await answer).status, 408)
  })

  it('that does not take its answer is cut off', async (t) => {
    const node = (await shareNode()).node
    const server = await serve(t, node, { idleTimeoutMs: 1_000, connectionsMax: 1 })
    const socket = await dial(t, server.port)
    const closed = once(socket, 'close')
    socket.pause()
    // More than both kernels keep: the answers wait in the server.
    const body = JSON.stringify(pipelineOf('SELECT hex(zeroblob(2000000))'))
    for (let i = 0; i < 10; i += 1) {
      socket.write(`${HEAD}content-length: ${body.length}\r\n\r\n${body}`)
    }
    // Nobody else gets in while it is there.
    await waitFor('its end', () =>
      assertUnharmed(server).then(
        () => true,
        () => false,
      ),
    )
    let heardBytes = 0
    socket.on('data', ({ length }) => {
      heardBytes += length
    })
    socket.resume()
    await closed
    assert.ok(heardBytes < 10 * 4_000_000, `${heardBytes} bytes`)
  })

  it('that says nothing HTTP knows is told so', async (t) => {
    const server = await serve(t, (await shareNode()).node)
    const requests = [
      ['\x16\x03\x01\x02\x00 no TLS here\r\n\r\n', 400],
      [`GET /status HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
      ['GET /status HTTP/1.1\r\nhost: local host\r\nconnection: close\r\n\r\n', 400],
      ['GET /status HTTP/1.1\r\nconnection: close\r\n\r\n', 400],
      ['CONNECT other.example:443 HTTP/1.1\r\nhost: other.example:443\r\n\r\n', 405],
      [`${HEAD}expect: a wonder\r\ncontent-length: 2\r\n\r\n{}`, 417],
    ] as const
    for (const [text, status] of requests) {
      const socket = await dial(t, server.port)
      const answer = readAll(socket)
      socket.write(text)
      const parsed = parseAnswer(await answer)
      assert.deepEqual(parsed, { status, code: 'ERR_INVALID_ARGUMENT' })
    }
    const socket = await dial(t, server.port)
    socket.write('GET http://other.example/status HTTP/1.1\r\nhost: localhost\r\n\r\n')
    const [bytes] = await once(socket, 'data')
    assert.match(String(bytes), /^HTTP\/1\.1 403 /)
    await assertUnharmed(server)
  })
})
