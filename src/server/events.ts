import type { Backup } from '../backup/backup.ts'
import { ColmenaError, type ColmenaNode, type NodeEvents } from '../index.ts'
import type { Call, Route } from './routes.ts'

export interface EventsConfig {
  /** Shown with the status; null where this server has none. */
  readonly backup: Backup | null
  readonly eventClientsMax: number
  readonly eventQueueBytesMax: number
  readonly eventHeartbeatMs: number
}

/** What is passed on as it happens; how far the node is comes with its status. */
const PASSED_ON = ['leader', 'membership', 'slow', 'warning', 'divergence'] as const
const STATUS_MS = 1_000
const HEARTBEAT = Buffer.from(':\n\n')

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>
  readonly breakOff: Call['breakOff']
}

/**
 * Tells any number of clients what happens on a node. Each event is written out once for all of
 * them; each client may be so many bytes behind and is then cut off, since nothing that is kept for
 * it would ever be worth the memory. While nobody listens, this does nothing.
 */
export class Events {
  readonly #node: ColmenaNode
  readonly #config: EventsConfig
  readonly #clients = new Set<Client>()
  #isClosed = false
  /** Ends what is done while there are clients; undefined while there are none. */
  #rest: (() => void) | undefined
  /** So that nobody waits a second for his first look. */
  #lastStatus: Uint8Array | undefined

  constructor(node: ColmenaNode, config: EventsConfig) {
    this.#node = node
    this.#config = config
  }

  get routes(): Route[] {
    return [{ method: 'GET', path: '/events', right: 'read', answer: (call) => this.#follow(call) }]
  }

  /** Ends all streams; their clients get what is on its way. */
  close(): void {
    this.#isClosed = true
    for (const client of this.#clients) {
      this.#remove(client)
      client.controller.close()
    }
  }

  #follow({ breakOff }: Call): Response {
    if (this.#isClosed) throw new ColmenaError('ERR_CLOSED', 'this server is closed')
    const { eventClientsMax, eventQueueBytesMax } = this.#config
    if (this.#clients.size >= eventClientsMax) {
      throw new ColmenaError(
        'ERR_BUSY',
        `${eventClientsMax} clients follow the events already (eventClientsMax): try again later`,
        { retryable: true },
      )
    }
    let client: Client | undefined
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          client = { controller, breakOff }
          this.#add(client)
        },
        cancel: () => {
          if (client !== undefined) this.#remove(client)
        },
      },
      { highWaterMark: eventQueueBytesMax, size: (bytes) => bytes?.length ?? 0 },
    )
    const headers = { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' }
    return new Response(stream, { headers })
  }

  #add(client: Client): void {
    this.#clients.add(client)
    this.#send(client, HEARTBEAT)
    if (this.#lastStatus !== undefined) this.#send(client, this.#lastStatus)
    this.#rest ??= this.#work()
  }

  #remove(client: Client): void {
    this.#clients.delete(client)
    if (this.#clients.size > 0) return
    this.#rest?.()
    this.#rest = undefined
    this.#lastStatus = undefined
  }

  #work(): () => void {
    const node: Pick<ColmenaNode, 'on' | 'off'> = this.#node
    const passing = PASSED_ON.map((name) => {
      const pass = (event: unknown): void => this.#tell(toFrame(name, event))
      node.on(name as keyof NodeEvents, pass)
      return () => node.off(name as keyof NodeEvents, pass)
    })
    const end = (event: unknown): void => {
      this.#tell(toFrame('closed', event))
      this.close()
    }
    node.on('closed', end)
    const heartbeat = setInterval(() => this.#tell(HEARTBEAT), this.#config.eventHeartbeatMs)
    const looking = new AbortController()
    void this.#look(looking.signal)
    return () => {
      for (const stop of passing) stop()
      node.off('closed', end)
      clearInterval(heartbeat)
      looking.abort()
    }
  }

  /** One look at a time: a node that answers late is not asked more often for it. */
  async #look(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const [status, members] = await Promise.all([
          this.#node.status({ signal }),
          this.#node.members({ signal }),
        ])
        if (signal.aborted) return
        const backup = this.#config.backup?.status() ?? null
        this.#lastStatus = toFrame('status', { status, members, backup })
        this.#tell(this.#lastStatus)
      } catch {
        // The node is closed or slow to answer. What there is to say of that are its own events.
      }
      await pause(STATUS_MS, signal)
    }
  }

  #tell(frame: Uint8Array): void {
    for (const client of this.#clients) this.#send(client, frame)
  }

  #send(client: Client, frame: Uint8Array): void {
    const { controller, breakOff } = client
    if ((controller.desiredSize ?? 0) >= frame.length) {
      controller.enqueue(frame)
      return
    }
    this.#remove(client)
    breakOff(controller, new ColmenaError('ERR_BUSY', 'the client of /events does not read'))
  }
}

function toFrame(name: string, data: unknown): Uint8Array {
  return Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
}

function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, durationMs)
    signal.addEventListener('abort', end)
  })
}
