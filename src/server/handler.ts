import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { ColmenaError, type ColmenaNode } from '../index.ts'
import { createFetch, type Fetch } from './app.ts'
import { createBackupRoutes } from './backup-routes.ts'
import { Bodies } from './bodies.ts'
import { checkHandlerOptions, type HandlerConfig } from './config.ts'
import { Events } from './events.ts'
import { Exports } from './exports.ts'
import { toFailureResponse } from './failures.ts'
import { createJobRoutes } from './job-routes.ts'
import { createMemberRoutes } from './member-routes.ts'
import { createMetricsRoute } from './metrics.ts'
import { createNodeRoutes } from './node-routes.ts'
import type { HandlerOptions } from './options.ts'
import { createPageRoutes } from './pages.ts'
import { Pipeline } from './pipeline.ts'
import type { Route } from './routes.ts'

/** Everything that the server answers, for an application that listens by itself. */
export interface Handler extends Disposable {
  /** For Hono and whatever else speaks `Request` and `Response`; it never rejects. */
  fetch(request: Request): Promise<Response>
  /** For Express, Fastify and `node:http`. */
  listener(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** Ends the streams of `/events`, which else would keep the application's server from closing. */
  close(): void
}

/**
 * Everything that `createServer` serves, below a prefix of the application's own server. The
 * application says by `authorize` who may do what.
 *
 * @throws ColmenaError ERR_INVALID_OPTION
 * @example
 * const handler = createHandler(node, { basePath: '/db', authorize: () => 'read' })
 * app.all('/db/*', (context) => handler.fetch(context.req.raw))
 */
export function createHandler(node: ColmenaNode, options: HandlerOptions): Handler {
  return handle(node, checkHandlerOptions(options))
}

export function handle(node: ColmenaNode, config: HandlerConfig): Handler {
  const bodies = new Bodies(config)
  const events = new Events(node, config)
  const routes: Route[] = [
    ...createNodeRoutes(node),
    ...createMemberRoutes(node, bodies),
    ...createJobRoutes(config.jobs),
    ...createBackupRoutes(config),
    createMetricsRoute(node, config),
    ...events.routes,
    ...new Pipeline(node, bodies, config).routes,
    ...new Exports(node, config).routes,
    ...createPageRoutes(),
  ]
  const fetch = createFetch(routes, { ...config, nodeId: node.nodeId })
  const close = (): void => events.close()
  return {
    fetch: (request) => fetch(request, {}),
    listener: createListener(fetch, config),
    close,
    [Symbol.dispose]: close,
  }
}

function createListener(fetch: Fetch, { logger }: HandlerConfig): Handler['listener'] {
  const listen = getRequestListener(
    (request, { incoming, outgoing }) =>
      fetch(request, {
        cut: () => outgoing.destroy(),
        // Left open at a failure: the answer goes the same way. A stream of the request's own costs
        // a tenth of a write.
        body: incoming.iterator({ destroyOnReturn: false }),
      }),
    {
      // The global Request and Response belong to the application.
      overrideGlobalObjects: false,
      errorHandler: (cause) => {
        const message = `the request can't be read: ${(cause as Error).message}`
        return toFailureResponse(new ColmenaError('ERR_INVALID_ARGUMENT', message), logger)
      },
    },
  )
  return (request, response) => {
    // Express takes the prefix away from `url`.
    const { originalUrl } = request as { readonly originalUrl?: unknown }
    if (typeof originalUrl === 'string') request.url = originalUrl
    return listen(request, response)
  }
}
