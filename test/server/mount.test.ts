/** The same, below a prefix of an application's own server, behind its login; and over TLS. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { serve as serveHono } from '@hono/node-server'
import { Hono } from 'hono'
import { createHandler, type Handler, type Right } from '../../src/server/server.ts'
import { CERTIFICATE, KEY } from './certificate.ts'
import { ask, assertFailure, openNode, pipelineOf, serve } from './rig.ts'

/** An application's login: a cookie says who it is. */
function authorize({ headers }: Request): Right | null {
  const who = /^user=(\w+)$/.exec(headers.get('cookie') ?? '')?.[1]
  return who === 'root' ? 'admin' : who === undefined ? null : 'read'
}

type Mount = (handler: Handler) => ReturnType<typeof createHttpServer>

const mounts: Readonly<Record<string, Mount>> = {
  'a plain node:http server': (handler) =>
    createHttpServer((request, response) => {
      if (request.url?.startsWith('/colmena')) void handler.listener(request, response)
      else response.end('the application')
    }),
  // As Express does: the prefix is gone from `url`.
  'a server that takes the prefix away': (handler) =>
    createHttpServer((request, response) => {
      const originalUrl = request.url ?? ''
      if (!originalUrl.startsWith('/colmena')) {
        response.end('the application')
        return
      }
      const url = originalUrl.slice('/colmena'.length) || '/'
      void handler.listener(Object.assign(request, { originalUrl, url }), response)
    }),
  Hono: (handler) => {
    const app = new Hono()
    app.all('/colmena/*', (context) => handler.fetch(context.req.raw))
    app.all('/colmena', (context) => handler.fetch(context.req.raw))
    app.get('*', (context) => context.text('the application'))
    const options = { fetch: app.fetch, overrideGlobalObjects: false, port: 0 }
    return serveHono({ ...options, hostname: '127.0.0.1' }) as ReturnType<Mount>
  },
}

async function listen(t: TestContext, server: ReturnType<Mount>): Promise<string> {
  if (!server.listening) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  t.after(() => server.closeAllConnections())
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('mounted in', () => {
  for (const [name, mount] of Object.entries(mounts)) {
    it(name, async (t) => {
      const { Request: RequestBefore, Response: ResponseBefore } = globalThis
      const node = await openNode(t)
      using handler = createHandler(node, { basePath: '/colmena', authorize })
      const url = await listen(t, mount(handler))
      const as = (who: string) => ({ headers: { cookie: `user=${who}` } })

      assert.equal((await ask(url, '/status')).text, 'the application')
      assertFailure(await ask(url, '/colmena/status'), 401, 'ERR_UNAUTHORIZED')
      const status = await ask(url, '/colmena/status', as('ada'))
      assert.equal(status.body.nodeId, node.nodeId)
      assert.equal(status.headers.get('x-colmena-right'), 'read')
      assert.match((await ask(url, '/colmena/metrics', as('ada'))).text, /colmena_raft_state 2/)
      assert.equal((await ask(url, '/colmena/healthz')).status, 200)
      assertFailure(await ask(url, '/colmena/nothing', as('ada')), 404, 'ERR_NOT_FOUND')

      const slash = await ask(url, '/colmena')
      assert.deepEqual([slash.status, slash.headers.get('location')], [308, '/colmena/'])

      const body = pipelineOf('CREATE TABLE t (a)')
      const path = '/colmena/db/books/v2/pipeline'
      const refused = await ask(url, path, { body, ...as('ada') })
      assert.equal(refused.body.results[0].error.code, 'ERR_FORBIDDEN')
      const written = await ask(url, path, { body, ...as('root') })
      assert.equal(written.body.results[0].type, 'ok')
      assert.deepEqual(await node.databases(), ['books'])

      // A cookie comes along whoever's page asks: the page must be the application's own.
      const headers = { cookie: 'user=root', origin: 'https://other.example' }
      assertFailure(await ask(url, path, { body, headers }), 403, 'ERR_FORBIDDEN')

      const events = await fetch(`${url}/colmena/events`, as('ada'))
      handler.close()
      assert.match(await events.text(), /^:\n\n/)
      assertFailure(await ask(url, '/colmena/events', as('ada')), 503, 'ERR_CLOSED')
      assert.deepEqual([globalThis.Request, globalThis.Response], [RequestBefore, ResponseBefore])
    })
  }
})

describe('over TLS', () => {
  it('it answers as without, and to nobody who speaks plaintext', async (t) => {
    const node = await openNode(t)
    const server = await serve(t, node, { tls: { key: KEY, cert: Buffer.from(CERTIFICATE) } })
    assert.equal(server.url, `https://127.0.0.1:${server.port}`)
    const sent = request(`${server.url}/status`, { ca: CERTIFICATE, agent: false }).end()
    const [response] = await once(sent, 'response')
    assert.equal(response.statusCode, 200)
    const status = (await json(response)) as { nodeId: string }
    assert.equal(status.nodeId, node.nodeId)
    await assert.rejects(ask(`http://127.0.0.1:${server.port}`, '/status'))
  })
})
