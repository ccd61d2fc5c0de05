import { type ClusterNode, type FlyOptions, startFly } from '../fly/fly.ts'
import { Audience } from './audience.ts'
import { type App, createApp } from './http.ts'
import { BEAT_MS, deriveKey } from './machine-link.ts'
import { MachinePort } from './machine-port.ts'
import { Machines } from './machines.ts'
import { type Fetch, PageServer, startingResponse } from './page-server.ts'
import { Supervisor } from './supervisor.ts'

export interface MachineOptions {
  /** As `fromEnv()` of `colmena/fly` reads them. */
  readonly fly: FlyOptions
  /**
   * Of the page, on every machine; 0 lets the system choose.
   *
   * @defaultValue 8080
   */
  readonly port?: number | undefined
  /**
   * What the page is served on.
   *
   * @defaultValue '0.0.0.0'
   */
  readonly host?: string | undefined
  /** Domains that lead to the page, beside `<app>.fly.dev`. */
  readonly names?: readonly string[] | undefined
  /**
   * Of what stands beside the node and obeys the machine that has the page; the same on all.
   *
   * @defaultValue 9001
   */
  readonly agentPort?: number | undefined
  /**
   * A machine that is not heard for so long is taken for gone.
   *
   * @defaultValue 5000
   */
  readonly silenceMsMax?: number | undefined
  /** Gets a line for each step of the start. */
  readonly progress?: ((line: string) => void) | undefined
}

export interface RunningMachine {
  /** Where this machine serves the page, or says who has it. */
  readonly url: string
  /** Resolves with the cause where the node ends by itself. */
  readonly failed: Promise<unknown>
  /** Ends the node, its agent and the server; every caller gets the same promise. */
  close(): Promise<void>
}

/** `GET`: 200 while the node is a member that could write now, 503 else. */
const HEALTH_PATH = '/health'
/** Fly.io hands it on, in `fly-replay-src`. */
const SENT_TO_HOST = 'state=host'
/** Who writes does not wait for long. */
const REQUEST_TIMEOUT_MS = 5_000

/**
 * Runs one machine of the demo: a node, an agent for the others, and the page, which one machine
 * has at a time. Resolves once the node is open, for which others have to be there.
 *
 * @throws ColmenaError as `startFly`; ERR_INVALID_OPTION without a secret, ERR_ADDRESS_IN_USE
 */
export async function runMachine(options: MachineOptions): Promise<RunningMachine> {
  const { fly, port = 8080, host = '0.0.0.0', agentPort = 9001, progress = () => {} } = options
  const { names = [], silenceMsMax = 5_000 } = options
  const key = await deriveKey(fly.secret)
  let page: PageOfMachines | null = null
  const pageSince = (): number | null => page?.since ?? null
  const fetch: Fetch = (request, env) => page?.fetch(request, env) ?? sendOn(request, null)
  const server = await PageServer.open(port, host, fetch)
  const open: { close(): unknown }[] = [server]
  try {
    const agent = await MachinePort.open({ host: fly.privateIp, port: agentPort, key, pageSince })
    open.push(agent)
    progress(`the page is at ${server.url}; waiting for the other machines`)
    const cluster = await startFly({ requestTimeoutMs: REQUEST_TIMEOUT_MS, ...fly })
    open.push(cluster)
    const { node } = cluster
    const failed = new Promise<unknown>((resolve) => {
      node.once('closed', ({ reason, cause }) => {
        if (reason === 'failed') resolve(cause)
      })
    })
    agent.serve(node)
    const machines = new Machines({ node, key, agentPort, silenceMsMax })
    const ownNames = [host, `${fly.app}.fly.dev`, ...names]
    page = new PageOfMachines({ cluster, machines, names: ownNames, progress })
    open.push(page)
    let closing: Promise<void> | null = null
    return { url: server.url, failed, close: () => (closing ??= closeAll(open)) }
  } catch (error) {
    await closeAll(open)
    throw error
  }
}

/** The last that was opened first; one that fails to close keeps none of the others open. */
async function closeAll(open: { close(): unknown }[]): Promise<void> {
  const errors: unknown[] = []
  for (const part of open.reverse()) {
    try {
      await part.close()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}

interface PageParts {
  readonly cluster: ClusterNode
  readonly machines: Machines
  readonly names: readonly string[]
  readonly progress: (line: string) => void
}

/** The page where this machine has it. */
interface Hosting {
  readonly end: AbortController
  readonly audience: Audience
  /** Null while there is no table yet. */
  supervisor: Supervisor | null
  app: App | null
}

/** The page as one of the machines serves it, which has it or tells Fly.io which one has. */
class PageOfMachines {
  readonly #parts: PageParts
  readonly #id: string
  readonly #looks: NodeJS.Timeout
  #hosting: Hosting | null = null
  /** The other machine that had it last. */
  #formerHost: string | null = null

  constructor(parts: PageParts) {
    this.#parts = parts
    this.#id = parts.cluster.node.nodeId
    this.#looks = setInterval(() => this.#look(), BEAT_MS)
  }

  get since(): number | null {
    return this.#parts.machines.pageSince
  }

  async fetch(...[request, env]: Parameters<Fetch>): Promise<Response> {
    if (new URL(request.url).pathname === HEALTH_PATH) return this.#health()
    if (this.#hosting !== null) return this.#hosting.app?.fetch(request, env) ?? startingResponse()
    const { hostId } = this.#parts.machines
    return hostId === this.#id ? startingResponse() : sendOn(request, hostId)
  }

  async close(): Promise<void> {
    clearInterval(this.#looks)
    await this.#end()
    await this.#parts.machines.disconnect()
  }

  async #health(): Promise<Response> {
    const isHealthy = await this.#parts.cluster.healthy()
    return isHealthy
      ? new Response('This node could write now.\n')
      : new Response('This node could not write now.\n', { status: 503 })
  }

  #look(): void {
    const { hostId } = this.#parts.machines
    // Nobody knows yet: all stays as it is.
    if (hostId === null) return
    if (hostId !== this.#id) {
      this.#formerHost = hostId
      void this.#end()
    } else if (this.#hosting === null) {
      this.#hosting = { end: new AbortController(), audience: new Audience(), ...NOT_YET }
      void this.#begin(this.#hosting)
    }
  }

  async #begin(hosting: Hosting): Promise<void> {
    const { machines, names, progress } = this.#parts
    const { audience, end } = hosting
    machines.takePage()
    try {
      const supervisor = await Supervisor.start({
        open: (listener) => machines.open(listener, end.signal),
        publish: (name, data) => audience.send(name, data),
      })
      hosting.supervisor = supervisor
      if (end.signal.aborted) return await supervisor.close()
      const words = describe(this.#id, this.#formerHost)
      supervisor.tell(words)
      progress(words)
      hosting.app = createApp({ supervisor, audience, names })
    } catch (error) {
      if (end.signal.aborted) return
      progress(`the page could not begin: ${String(error)}`)
      await this.#end()
    }
  }

  async #end(): Promise<void> {
    const hosting = this.#hosting
    if (hosting === null) return
    this.#hosting = null
    this.#parts.machines.leavePage()
    hosting.end.abort()
    hosting.audience.close()
    await hosting.supervisor?.close()
  }
}

/** Has Fly.io ask the machine that has the page, or any other one where it is not known. */
function sendOn(request: Request, hostId: string | null): Response {
  // Two machines that take each other for the host would send it to and fro.
  const from = request.headers.get('fly-replay-src')
  const isSentTooOften = hostId === null ? from !== null : from?.includes(SENT_TO_HOST)
  if (isSentTooOften || new URL(request.url).pathname === HEALTH_PATH) return startingResponse()
  const where = hostId === null ? 'elsewhere=true' : `instance=${hostId};${SENT_TO_HOST}`
  const headers = { 'fly-replay': where }
  return new Response('Another machine has the page.\n', { status: 409, headers })
}

const NOT_YET = { supervisor: null, app: null } as const

function describe(id: string, formerId: string | null): string {
  return formerId === null
    ? `${id} has the page: the tally begins`
    : `${id} has the page now, in place of ${formerId}: the tally begins anew`
}
