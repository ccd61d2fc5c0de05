/**
 * The live demo: four real node processes, a supervisor that breaks and heals them, and the page
 * that shows it. Promises that nothing is left behind: neither a process nor, unless a data
 * directory was given, a file.
 *
 * What the page looks like is in `web/`; what it and this server say to each other in
 * `protocol.ts`.
 */
import type { AddressInfo } from 'node:net'
import { createAdaptorServer, type ServerType } from '@hono/node-server'
import { ColmenaError } from '../index.ts'
import { Audience } from './audience.ts'
import { type App, createApp } from './http.ts'
import { inProcesses } from './processes.ts'
import { Supervisor } from './supervisor.ts'

export interface DemoOptions {
  /**
   * Of the page; 0 lets the system choose.
   *
   * @defaultValue 8080
   */
  readonly port?: number | undefined
  /**
   * What the page is served on. Beyond loopback whoever reaches it can break the nodes.
   *
   * @defaultValue '127.0.0.1'
   */
  readonly host?: string | undefined
  /** Where the nodes keep their data; a temporary folder, removed in the end, without it. */
  readonly dataDir?: string | undefined
  /** Gets a line for each step of the start. */
  readonly progress?: ((line: string) => void) | undefined
}

export interface RunningDemo {
  /** The page's address. */
  readonly url: string
  /** Ends the nodes and the server; every caller gets the same promise. */
  close(): Promise<void>
}

/**
 * Resolves once the nodes take writes and the page is served.
 *
 * @throws ColmenaError ERR_ADDRESS_IN_USE, ERR_DATA_DIR, ERR_JOIN_FAILED
 */
export async function runDemo(options: DemoOptions = {}): Promise<RunningDemo> {
  const { port = 8080, host = '127.0.0.1', dataDir = null, progress = () => {} } = options
  const audience = new Audience()
  let app: App | null = null
  const server = createAdaptorServer({
    fetch: (request, env) => app?.fetch(request, env) ?? startingResponse(),
  })
  // First, as it is what fails most often: another program has the port.
  const url = await listen(server, port, host)
  let supervisor: Supervisor
  try {
    supervisor = await Supervisor.start({
      open: inProcesses({ dataDir, progress }),
      publish: (name, data) => audience.send(name, data),
    })
  } catch (error) {
    await end(server)
    throw error
  }
  app = createApp({ supervisor, audience, names: [host] })
  let closing: Promise<void> | null = null
  const close = async (): Promise<void> => {
    audience.close()
    await Promise.all([end(server), supervisor.close()])
  }
  return { url, close: () => (closing ??= close()) }
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

function startingResponse(): Response {
  const headers = { 'retry-after': '1' }
  return new Response('The nodes are starting: try again in a second.\n', { status: 503, headers })
}

/** Streams of events never end by themselves. */
function end(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    if ('closeAllConnections' in server) server.closeAllConnections()
  })
}
