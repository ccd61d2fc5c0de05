import type { AddressInfo } from 'node:net'
import { createAdaptorServer, type HttpBindings, type ServerType } from '@hono/node-server'
import { ColmenaError } from '../index.ts'

export type Fetch = (request: Request, env: HttpBindings) => Response | Promise<Response>

/** What the page is served by. */
export class PageServer {
  readonly url: string
  readonly #server: ServerType

  private constructor(server: ServerType, url: string) {
    this.#server = server
    this.url = url
  }

  /** @throws ColmenaError ERR_ADDRESS_IN_USE, ERR_INVALID_OPTION */
  static async open(port: number, host: string, fetch: Fetch): Promise<PageServer> {
    const server = createAdaptorServer({ fetch: (request, env) => fetch(request, env as never) })
    return new PageServer(server, await listen(server, port, host))
  }

  /** Streams of events never end by themselves. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      if ('closeAllConnections' in this.#server) this.#server.closeAllConnections()
    })
  }
}

function listen(server: ServerType, port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const [code, why] =
        cause.code === 'EADDRINUSE'
          ? (['ERR_ADDRESS_IN_USE', 'another program listens there: choose another port'] as const)
          : (['ERR_INVALID_OPTION', cause.message] as const)
      reject(
        new ColmenaError(code, `the page can't be served on ${host}:${port}: ${why}`, { cause }),
      )
    })
    server.listen(port, host, () => {
      const name = host.includes(':') ? `[${host}]` : host
      resolve(`http://${name}:${(server.address() as AddressInfo).port}/`)
    })
  })
}

export function startingResponse(): Response {
  const headers = { 'retry-after': '1' }
  return new Response('The nodes are starting: try again in a second.\n', { status: 503, headers })
}
