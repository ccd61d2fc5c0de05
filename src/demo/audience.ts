import type { DemoEvents } from './protocol.ts'

const CLIENTS_MAX = 64
/** What waits for a client that reads slowly. Beyond it the client is let go, and comes again. */
const QUEUE_BYTES_MAX = 1_048_576
const RECONNECT_MS = 1_000

type Controller = ReadableStreamDefaultController<Uint8Array>

/** The pages that listen: each gets everything, or is let go and begins anew. */
export class Audience {
  readonly #clients = new Set<Controller>()
  readonly #encoder = new TextEncoder()

  get isFull(): boolean {
    return this.#clients.size >= CLIENTS_MAX
  }

  /** A stream of events that begins with `hello`. */
  open(hello: DemoEvents['hello']): ReadableStream<Uint8Array> {
    let client: Controller | null = null
    const start = (controller: Controller): void => {
      client = controller
      this.#clients.add(controller)
      controller.enqueue(this.#encoder.encode(`retry: ${RECONNECT_MS}\n\n`))
      controller.enqueue(this.#encode('hello', hello))
    }
    const cancel = (): void => {
      if (client !== null) this.#clients.delete(client)
    }
    const strategy = new ByteLengthQueuingStrategy({ highWaterMark: QUEUE_BYTES_MAX })
    return new ReadableStream({ start, cancel }, strategy)
  }

  send<Name extends keyof DemoEvents>(name: Name, data: DemoEvents[Name]): void {
    if (this.#clients.size === 0) return
    const bytes = this.#encode(name, data)
    for (const client of this.#clients) {
      if ((client.desiredSize ?? 0) > 0) client.enqueue(bytes)
      else this.#drop(client)
    }
  }

  close(): void {
    for (const client of this.#clients) this.#drop(client)
  }

  #drop(client: Controller): void {
    this.#clients.delete(client)
    client.close()
  }

  #encode<Name extends keyof DemoEvents>(name: Name, data: DemoEvents[Name]): Uint8Array {
    return this.#encoder.encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
  }
}
