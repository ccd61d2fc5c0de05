/** A queue of jobs as a member sees it: Colmena's own; those of the peers are in a file beside. */
import type { ColmenaNode } from '../src/index.ts'
import type { Job, Jobs } from '../src/jobs/jobs.ts'

export const WORKERS = 8

/** What a job carries: when it was made, on the clock that all processes share, and some text. */
export interface Payload {
  readonly sentMs: number
  readonly note: string
}

export interface JobQueue {
  prepare(type: string): Promise<void>
  enqueue(type: string, payload: Payload): Promise<unknown>
  enqueueAll(type: string, payloads: readonly Payload[]): Promise<unknown>
  /** Runs jobs of a type, so many at a time; resolves with what ends that. */
  work(type: string, started: (payload: Payload) => void): Promise<() => Promise<void>>
}

/** The package as it is built; it lies beside this file's folder. */
type Room = typeof import('../src/jobs/jobs.ts')

export class ColmenaQueue implements JobQueue {
  readonly #room: Room
  readonly #jobs: Jobs
  readonly #keys = new Map<string, Job<Payload>>()

  private constructor(room: Room, node: ColmenaNode) {
    this.#room = room
    this.#jobs = room.createJobs(node, { workers: WORKERS })
    this.#jobs.on('warning', ({ message, cause }) => {
      process.stderr.write(`${message}: ${String(cause)}\n`)
    })
  }

  static async open(node: ColmenaNode): Promise<ColmenaQueue> {
    const room = (await import(new URL('../dist/jobs/jobs.js', import.meta.url).href)) as Room
    const queue = new ColmenaQueue(room, node)
    await queue.#jobs.ready()
    return queue
  }

  async prepare(): Promise<void> {}

  enqueue(type: string, payload: Payload): Promise<unknown> {
    return this.#jobs.enqueue(this.#keyOf(type) as Job<Payload, never>, payload)
  }

  enqueueAll(type: string, payloads: readonly Payload[]): Promise<unknown> {
    return this.#jobs.enqueueAll(this.#keyOf(type) as Job<Payload, never>, payloads)
  }

  async work(type: string, started: (payload: Payload) => void): Promise<() => Promise<void>> {
    const stop = this.#jobs.handle(this.#keyOf(type), (payload) => started(payload))
    return async () => stop()
  }

  #keyOf(type: string): Job<Payload> {
    const key = this.#keys.get(type) ?? this.#room.job<Payload, unknown>(type)
    this.#keys.set(type, key)
    return key
  }
}
