/**
 * The live demo: real nodes, a supervisor that breaks and heals them, and the page that shows it;
 * four processes of this machine, or machines of Fly.io. Promises that of the processes nothing is
 * left behind: neither one of them nor, unless a data directory was given, a file.
 *
 * What the page looks like is in `web/`; what it and this server say to each other in
 * `protocol.ts`.
 */
import { Audience } from './audience.ts'
import { type App, createApp } from './http.ts'
import { PageServer, startingResponse } from './page-server.ts'
import { inProcesses } from './processes.ts'
import { Supervisor } from './supervisor.ts'

export { type MachineOptions, type RunningMachine, runMachine } from './machine.ts'

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
  // First, as it is what fails most often: another program has the port.
  const server = await PageServer.open(port, host, (request, env) => {
    return app?.fetch(request, env) ?? startingResponse()
  })
  let supervisor: Supervisor
  try {
    supervisor = await Supervisor.start({
      open: inProcesses({ dataDir, progress }),
      publish: (name, data) => audience.send(name, data),
    })
  } catch (error) {
    await server.close()
    throw error
  }
  app = createApp({ supervisor, audience, names: [host] })
  let closing: Promise<void> | null = null
  const close = async (): Promise<void> => {
    audience.close()
    await Promise.all([server.close(), supervisor.close()])
  }
  return { url: server.url, close: () => (closing ??= close()) }
}
