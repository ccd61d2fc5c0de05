/** Who may come in, and what for. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { shareNode } from '../node/shared-node.ts'
import {
  ADMIN_TOKEN,
  ask,
  assertFailure,
  openNode,
  pipelineOf,
  READ_TOKEN,
  serve,
  TOKENS,
  WRITE_TOKEN,
} from './rig.ts'

/** With any head at all; `fetch` sets its own Host. */
async function askAs(
  port: number,
  headers: Readonly<Record<string, string>>,
  method = 'GET',
  path = '/status',
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  const sent = request({ port, host: '127.0.0.1', path, method, headers }).end()
  const [response] = await once(sent, 'response')
  return { status: response.statusCode, body: await text(response) }
}

describe('with tokens', () => {
  it('without one, or with a wrong one, nobody hears more than whether all is well', async (t) => {
    const { url } = await serve(t, (await shareNode()).node, { tokens: TOKENS })
    const paths = [
      '/status',
      '/members',
      '/databases',
      '/events',
      '/metrics',
      '/export/main',
      '/v2',
    ]
    for (const path of paths) {
      assertFailure(await ask(url, path), 401, 'ERR_UNAUTHORIZED')
      assertFailure(await ask(url, path, { token: `${READ_TOKEN}x` }), 401, 'ERR_UNAUTHORIZED')
    }
    const body = pipelineOf('SELECT 1')
    const refused = await ask(url, '/v2/pipeline', { body, token: 'another-token-of-16-bytes' })
    assertFailure(refused, 401, 'ERR_UNAUTHORIZED')
    assert.equal(refused.headers.get('www-authenticate'), 'Bearer')
    assert.equal((await ask(url, '/healthz')).status, 200)
    assert.notEqual((await ask(url, '/readyz')).status, 401)
  })

  it('each does what its right holds, and no more', async (t) => {
    const node = await openNode(t, { nodeId: 'knoten-ä' })
    const { url } = await serve(t, node, { tokens: TOKENS })
    for (const [token, right] of Object.entries(TOKENS)) {
      const { status, headers } = await ask(url, '/status', { token })
      assert.deepEqual([status, headers.get('x-colmena-right')], [200, right])
      assert.equal(decodeURIComponent(headers.get('x-colmena-node') ?? ''), 'knoten-ä')
    }
    for (const token of [READ_TOKEN, WRITE_TOKEN]) {
      for (const path of ['/leadership', '/entries/1/skip']) {
        assertFailure(await ask(url, path, { token, body: {} }), 403, 'ERR_FORBIDDEN')
      }
    }
    // It leads alone: nobody can take over, which only the admin gets to hear.
    const answer = await ask(url, '/leadership', { token: ADMIN_TOKEN, body: { nodeId: 'nobody' } })
    assertFailure(answer, 400, 'ERR_INVALID_ARGUMENT')
  })

  it('one that may only read writes nothing', async (t) => {
    const node = (await shareNode()).node
    const { url } = await serve(t, node, { tokens: TOKENS })
    const body = pipelineOf('CREATE TABLE t (a)', 'SELECT 1')
    const answer = await ask(url, '/v2/pipeline', { token: READ_TOKEN, body })
    assert.equal(answer.status, 200)
    const [refused, read] = answer.body.results
    assert.equal(refused.type, 'error')
    assert.equal(refused.error.code, 'ERR_FORBIDDEN')
    assert.equal(read.type, 'ok')
    assert.deepEqual(await node.databases(), [])
    const written = await ask(url, '/v2/pipeline', { token: WRITE_TOKEN, body })
    assert.equal(written.body.results[0].type, 'ok')
    assert.deepEqual(await node.databases(), ['main'])
  })

  it('a page of anywhere may call, as it must know a token', async (t) => {
    const { port } = await serve(t, (await shareNode()).node, { tokens: TOKENS })
    const headers = {
      host: 'db.example',
      origin: 'https://app.example',
      authorization: `bearer ${READ_TOKEN}`,
    }
    assert.equal((await askAs(port, headers)).status, 200)
  })
})

describe('without tokens', () => {
  it('the server can not be reached from other machines', async (t) => {
    const node = (await shareNode()).node
    await assert.rejects(serve(t, node, { host: '0.0.0.0' }), {
      code: 'ERR_INVALID_OPTION',
      message: /no tokens/,
    })
  })

  it('it answers to names of this machine only', async (t) => {
    const { port } = await serve(t, (await shareNode()).node)
    for (const host of ['localhost', `localhost:${port}`, '127.0.0.1', '127.5.5.5:1', '[::1]:80']) {
      assert.equal((await askAs(port, { host })).status, 200, host)
    }
    for (const host of ['app.example', '127.0.0.1.app.example', '10.0.0.1', 'localhost.example']) {
      const { status, body } = await askAs(port, { host }, 'GET', '/healthz')
      assert.equal(status, 403, host)
      assert.equal(JSON.parse(body).error.code, 'ERR_FORBIDDEN')
    }
  })

  it('with tokens, pages of the origins that the options name may read the answers', async (t) => {
    const node = (await shareNode()).node
    const token = 'r'.repeat(32)
    const options = { tokens: { [token]: 'read' }, origins: ['https://app.example'] } as const
    const { port } = await serve(t, node, options)
    for (const [origin, allowed] of [
      ['https://app.example', 'https://app.example'],
      ['https://other.example', null],
    ] as const) {
      const headers = { origin, authorization: `Bearer ${token}` }
      const answer = await fetch(`http://localhost:${port}/status`, { headers })
      assert.equal(answer.status, 200, origin)
      assert.equal(answer.headers.get('access-control-allow-origin'), allowed, origin)
    }
  })

  it('pages of other origins are refused, and those that the options name are not', async (t) => {
    const node = (await shareNode()).node
    const { port } = await serve(t, node, { origins: ['https://app.example'] })
    const host = `localhost:${port}`
    const askFrom = (origin: string): ReturnType<typeof askAs> =>
      askAs(port, { host, origin }, 'POST', '/leadership')
    for (const origin of [`http://localhost:${port}`, 'https://app.example']) {
      assert.notEqual((await askFrom(origin)).status, 403, origin)
    }
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
    const asked = { ...headers, 'access-control-request-headers': 'authorization,content-type' }
    const url = `http://localhost:${port}/v2/pipeline`
    const preflight = await fetch(url, { method: 'OPTIONS', headers: asked })
    assert.equal(preflight.status, 204)
    assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example')
    assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /POST/)
    assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /authorization/)
    const answer = await fetch(`http://localhost:${port}/healthz`, { headers })
    assert.equal(answer.headers.get('access-control-allow-origin'), 'https://app.example')
    const own = await fetch(`http://localhost:${port}/healthz`)
    assert.equal(own.headers.get('access-control-allow-origin'), null)
    assert.equal(own.headers.get('vary'), 'origin')
    const foreign = ['https://other.example', 'http://localhost:1', 'null', '', `http://127.0.0.1`]
    for (const origin of foreign) assert.equal((await askFrom(origin)).status, 403, origin)
  })
})
