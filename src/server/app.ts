import { type Context, Hono } from 'hono'
import { getPath } from 'hono/utils/url'
import { ColmenaError } from '../index.ts'
import type { HandlerConfig } from './config.ts'
import { isPreflight, letPageRead } from './cors.ts'
import { toFailureResponse } from './failures.ts'
import { isForeignOrigin, isLoopbackHost } from './hosts.ts'
import type { Right } from './options.ts'
import { includesRight } from './rights.ts'
import type { Call, Route } from './routes.ts'

type StreamController = ReadableStreamDefaultController

/** What is known of a request beside itself. */
export interface Surroundings {
  /** Ends its connection; undefined where only the host application could. */
  readonly cut?: (() => void) | undefined
  /** The bytes of its body as they come; undefined where the request alone has them. */
  readonly body?: AsyncIterable<Uint8Array> | undefined
}

export interface AppConfig extends HandlerConfig {
  /** Of the node that answers. */
  readonly nodeId: string
}

/** What clients make of `/db/<database>`: their own paths take the place of its last part. */
const WITHOUT_SLASH = /^\/db\/v[23](\/|$)/

/** Answers a request, always: what fails is an answer too. */
export type Fetch = (request: Request, surroundings: Surroundings) => Promise<Response>

/** Puts the routes below the base path, each behind its right. */
export function createFetch(routes: readonly Route[], config: AppConfig): Fetch {
  const { basePath, logger } = config
  const app = new Hono<{ Bindings: Surroundings }>({
    getPath: (request) => getPath(request).slice(basePath.length),
  })
  app.onError((error) => toFailureResponse(error, logger))
  app.notFound(({ req }) => {
    const { pathname } = new URL(req.url)
    const what = WITHOUT_SLASH.test(req.path)
      ? 'the address of a database ends in a slash: /db/<database>/'
      : 'docs/server.md lists the routes'
    throw notFound(`there is no ${req.method} ${pathname}; ${what}`)
  })
  for (const route of routes) {
    app.on(route.method, route.path, (context) => answer(route, context, config))
  }
  for (const [path, methods] of methodsByPath(routes)) {
    app.all(path, ({ req }) => refuseMethod(req.method, methods, config))
  }
  const fetch: Fetch = async (request, surroundings) => {
    try {
      checkSender(request, config)
      if (isPreflight(request, config)) return new Response(null, { status: 204 })
      const path = getPath(request)
      // The pages link to what lies beside them, so they need the slash.
      if (path === basePath && basePath !== '') return redirect(`${basePath}/`)
      if (path.startsWith(`${basePath}/`)) return await app.fetch(request, surroundings)
      throw notFound(`${path} is not below ${basePath}, where this is mounted`)
    } catch (error) {
      return toFailureResponse(error, logger)
    }
  }
  return async (request, surroundings) =>
    letPageRead(request, await fetch(request, surroundings), config)
}

async function answer(
  route: Route,
  context: Context<{ Bindings: Surroundings }>,
  { authorize, nodeId }: AppConfig,
): Promise<Response> {
  const { req, env } = context
  const right = route.right === null ? null : checkRight(await authorize(req.raw), route.right)
  const call: Call = {
    request: req.raw,
    body: env.body ?? readChunks(req.raw),
    right: right ?? 'read',
    mayRead: async () => (right ?? (await authorize(req.raw))) !== null,
    signal: req.raw.signal,
    param: (name) => req.param(name) ?? '',
    query: (name) => req.query(name),
    breakOff: (body, error) => breakOff(env, body, error),
  }
  const response = await route.answer(call)
  // Nobody will read it, and what it is made from must be let go.
  if (req.method === 'HEAD') await response.body?.cancel()
  response.headers.set('x-content-type-options', 'nosniff')
  if (right === null) return response
  response.headers.set('x-colmena-right', right)
  response.headers.set('x-colmena-node', encodeURIComponent(nodeId))
  response.headers.set('cache-control', 'no-store')
  return response
}

/** Not cancelled at a failure: that would end the connection before the answer. */
async function* readChunks({ body }: Request): AsyncGenerator<Uint8Array> {
  if (body !== null) yield* body.values({ preventCancel: true })
}

/** The end of a connection cancels its body. An error in a body would be printed by the adapter. */
function breakOff({ cut }: Surroundings, body: StreamController, error: unknown): void {
  if (cut === undefined) body.error(error)
  else cut()
}

/** What needs no token must come from this machine, and not by way of a page of elsewhere. */
function checkSender(request: Request, config: HandlerConfig): void {
  const { isLocalOnly, refusesForeignPages, origins } = config
  const { hostname } = new URL(request.url)
  if (isLocalOnly && !isLoopbackHost(hostname)) {
    throw new ColmenaError(
      'ERR_FORBIDDEN',
      `without tokens this server answers only to names of this machine, not to '${hostname}'`,
    )
  }
  if (!refusesForeignPages || !isForeignOrigin(request, origins)) return
  throw new ColmenaError(
    'ERR_FORBIDDEN',
    `a page of ${request.headers.get('origin')} may not call this server: add it to 'origins' if ` +
      'it may',
  )
}

function checkRight(right: Right | null, needed: Right): Right {
  if (right === null) {
    throw new ColmenaError(
      'ERR_UNAUTHORIZED',
      'a token that this server knows is needed: send authorization: Bearer <token>',
    )
  }
  if (includesRight(right, needed)) return right
  throw new ColmenaError(
    'ERR_FORBIDDEN',
    `this needs the right '${needed}', and the token has '${right}'`,
  )
}

function methodsByPath(routes: readonly Route[]): Map<string, string[]> {
  const methods = new Map<string, string[]>()
  for (const { path, method } of routes) methods.set(path, [...(methods.get(path) ?? []), method])
  return methods
}

function refuseMethod(method: string, allowed: string[], { logger }: HandlerConfig): Response {
  const list = allowed.join(', ')
  const error = new ColmenaError('ERR_INVALID_ARGUMENT', `${method} is not ${list}, as this takes`)
  const response = toFailureResponse(error, logger)
  return new Response(response.body, {
    status: 405,
    headers: { ...Object.fromEntries(response.headers), allow: list },
  })
}

function redirect(location: string): Response {
  return new Response(null, { status: 308, headers: { location } })
}

function notFound(message: string): ColmenaError {
  return new ColmenaError('ERR_NOT_FOUND', message)
}
