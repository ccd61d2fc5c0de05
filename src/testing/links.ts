import { Worker } from 'node:worker_threads'
import { ColmenaError } from '../index.ts'

export type LinksRequest =
  /** A proxy for the node of this name; answers with its address. */
  | { readonly kind: 'open'; readonly id: string }
  /** From now on the node listens there. */
  | { readonly kind: 'direct'; readonly id: string; readonly port: number }
  /** Its connections end, as when a process dies, and nothing passes until links are cut anew. */
  | { readonly kind: 'end'; readonly id: string }
  /** What goes from the first to the second of these gets lost; all else passes. */
  | { readonly kind: 'cut'; readonly pairs: readonly (readonly [from: string, to: string])[] }

export interface LinksMessage {
  readonly key: number
  readonly request: LinksRequest
}

export interface LinksAnswer {
  readonly key: number
  readonly address: string
  readonly error: unknown
}

type Asked = PromiseWithResolvers<string>

/**
 * All connections between the nodes of one cluster: each node advertises a proxy, so that what
 * passes can be cut. Proxies have a thread of their own, as a test that computes for a second must
 * not look like a network that is down.
 */
export class Links {
  readonly #worker: Worker
  readonly #asked = new Map<number, Asked>()
  #lastKey = 0
  #failure: unknown = null

  constructor() {
    // The sources run as they are and as they are built: an entry ends as this very file does.
    const entry = import.meta.url.endsWith('.ts')
      ? '../testing/links-thread.ts'
      : '../testing/links-thread.js'
    // The host's own flags are not meant for our threads.
    this.#worker = new Worker(new URL(entry, import.meta.url), {
      name: 'colmena-links',
      execArgv: [],
    })
    this.#worker.on('message', (answer: LinksAnswer) => this.#answered(answer))
    this.#worker.on('error', (error) => this.#ended(error))
    this.#worker.on('exit', () => this.#ended(null))
    this.#worker.unref()
  }

  async open(id: string): Promise<string> {
    return this.#ask({ kind: 'open', id })
  }

  async direct(id: string, port: number): Promise<void> {
    await this.#ask({ kind: 'direct', id, port })
  }

  async end(id: string): Promise<void> {
    await this.#ask({ kind: 'end', id })
  }

  async cut(pairs: readonly (readonly [from: string, to: string])[]): Promise<void> {
    await this.#ask({ kind: 'cut', pairs })
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  #ask(request: LinksRequest): Promise<string> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    const asked = Promise.withResolvers<string>()
    this.#lastKey += 1
    this.#asked.set(this.#lastKey, asked)
    // It holds the process for as long as it is waited for.
    this.#worker.ref()
    this.#worker.postMessage({ key: this.#lastKey, request } satisfies LinksMessage)
    return asked.promise
  }

  #answered({ key, address, error }: LinksAnswer): void {
    const asked = this.#asked.get(key)
    this.#asked.delete(key)
    if (this.#asked.size === 0) this.#worker.unref()
    if (error === null) asked?.resolve(address)
    else asked?.reject(failed(error))
  }

  #ended(error: unknown): void {
    this.#failure ??= failed(error)
    for (const { reject } of this.#asked.values()) reject(this.#failure)
    this.#asked.clear()
  }
}

function failed(cause: unknown): ColmenaError {
  const why = cause instanceof Error ? cause.message : 'it has ended'
  return new ColmenaError('ERR_FAILED', `the connections between the test's nodes failed: ${why}`, {
    cause,
  })
}
