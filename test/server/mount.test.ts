/** The same, below a prefix of an application's own server, behind its login; and over TLS. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
} from 'node:http'
import { request } from 'node:https'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { serve as serveHono } from '@hono/node-server'
import { type FastifyInstance, fastify } from 'fastify'
import { Hono } from 'hono'
import { createHandler, type Handler, type Right } from '../../src/server/server.ts'
import { CERTIFICATE, KEY } from './certificate.ts'
import { ask, assertFailure, dial, openNode, pipelineOf, readAll, serve, waitFor } from './rig.ts'

/** An application's login: a cookie says who it is. */
function authorize({ headers }: Request): Right | null {
  const who = /^user=(\w+)$/.exec(headers.get('cookie') ?? '')?.[1]
  return who === 'root' ? 'admin' : who === undefined ? null : 'read'
}

type Mount = (handler: Handler) => ReturnType<typeof createHttpServer> | Promise<FastifyServer>
type FastifyServer = FastifyInstance['server']

/** What is used of Express, which comes without types. */
type ExpressRequest = IncomingMessage & { readonly body?: unknown }
type ExpressHandler = (
  request: ExpressRequest,
  response: Parameters<RequestListener>[1],
  next: () => void,
) => unknown
interface Express extends RequestListener {
  use(path: string, ...handlers: readonly ExpressHandler[]): void
  use(...handlers: readonly ExpressHandler[]): void
}
const express = createRequire(import.meta.url)('express') as {
  (): Express
  json(): ExpressHandler
}

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
    return serveHono({ ...options, hostname: '127.0.0.1' }) as FastifyServer
  },
  Express: (handler) => {
    const app = express()
    app.use('/colmena', (request, response) => handler.listener(request, response))
    app.use(express.json())
    app.use((_, response) => response.end('the application'))
    return createHttpServer(app)
  },
  Fastify: async (handler) => {
    const app = fastify()
    app.register(mountInFastify(handler))
    app.get('/*', () => 'the application')
    await app.ready()
    return app.server
  },
}

/** As docs/server.md shows it. */
function mountInFastify(handler: Handler): (scope: FastifyInstance) => Promise<void> {
  return async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
    scope.all('/colmena*', (request, reply) => {
      reply.hijack()
      return handler.listener(request.raw, reply.raw)
    })
  }
}

async function listen(t: TestContext, mounted: ReturnType<Mount>): Promise<string> {
  const server = await mounted
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
      assert.match((await ask(url, '/colmena/metrics', as('ada'))).text, /colmena_raft_state \d/)
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

/** Applications whose pages nobody sees who is not logged in, and which parse JSON themselves. */
const applications: Readonly<Record<string, Mount>> = {
  Express: (handler) => {
    const app = express()
    app.use('/colmena', (sent, response, next) => {
      if (sent.headers.cookie === 'user=ada') next()
      else response.writeHead(401).end('log in first')
    })
    app.use('/colmena', (sent, response) => handler.listener(sent, response))
    app.use(express.json())
    app.use('/echo', (sent, response) => response.end(JSON.stringify(sent.body)))
    app.use('/late', (sent, response) => handler.listener(sent, response))
    return createHttpServer(app)
  },
  Fastify: async (handler) => {
    const app = fastify()
    app.register(async (scope) => {
      scope.addHook('onRequest', async ({ headers }, reply) => {
        if (headers.cookie !== 'user=ada') await reply.code(401).send('log in first')
      })
      await scope.register(mountInFastify(handler))
    })
    app.post('/echo', ({ body }) => body)
    app.post('/late/v2/pipeline', (sent, reply) => {
      reply.hijack()
      return handler.listener(sent.raw, reply.raw)
    })
    await app.ready()
    return app.server
  },
}

describe("behind the application's own login in", () => {
  for (const [name, mount] of Object.entries(applications)) {
    it(name, async (t) => {
      const node = await openNode(t)
      using handler = createHandler(node, { basePath: '/colmena', authorize: () => 'write' })
      const url = await listen(t, mount(handler))
      await waitFor('its readiness', async () => (await node.status()).ready)
      const headers = { cookie: 'user=ada' }
      const paths = ['/metrics', '/healthz', '/readyz', '/README.md', '/docs/server.md', '/events']
      for (const path of paths) {
        const refused = await ask(url, `/colmena${path}`)
        assert.deepEqual([refused.status, refused.text], [401, 'log in first'], path)
        const answer = await fetch(`${url}/colmena${path}`, { headers })
        assert.equal(answer.status, 200, path)
        await answer.body?.cancel()
      }
      const page = await ask(url, '/colmena/', { headers })
      if (page.status === 200) assert.match(page.text, /<script [^>]*src="\.\/assets\//)
      else assert.match(page.body.message, /npm run build/)

      const body = pipelineOf('CREATE TABLE t (a)')
      const typed = { 'content-type': 'application/json' }
      const json = { ...headers, ...typed }
      const written = await ask(url, '/colmena/v2/pipeline', { body, headers: json })
      assert.equal(written.body.results[0].type, 'ok')
      assert.deepEqual(JSON.parse((await ask(url, '/echo', { body, headers: typed })).text), body)
    })
  }
})

describe('behind a parser that took the body away', () => {
  for (const [name, mount] of Object.entries(applications)) {
    it(`says so in ${name}`, async (t) => {
      const node = await openNode(t)
      using handler = createHandler(node, { basePath: '/late', authorize: () => 'write' })
      const url = await listen(t, mount(handler))
      const headers = { 'content-type': 'application/json' }
      const body = pipelineOf('SELECT 1')
      const refused = await ask(url, '/late/v2/pipeline', { body, headers })
      assertFailure(refused, 400, 'ERR_INVALID_ARGUMENT')
      assert.match(refused.body.message, /body parser, mount this before it/)
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

  it('who never comes through it is cut off in time', async (t) => {
    const tls = { key: KEY, cert: CERTIFICATE }
    const server = await serve(t, await openNode(t), { tls, headersTimeoutMs: 50 })
    const silent = await dial(t, server.port)
    const slow = await dial(t, server.port)
    slow.write(Buffer.from([22, 3, 1]))
    assert.deepEqual(await Promise.all([readAll(silent), readAll(slow)]), ['', ''])
  })
})
