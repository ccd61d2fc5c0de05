/** The queues of the peers, each as its own pages say that it is used where it is to be fast. */
import { type JobQueue, type Payload, WORKERS } from './job-queue.ts'
import type { QueuePlace } from './protocol.ts'

type PeerPlace = Exclude<QueuePlace, { readonly kind: 'colmena' }>

/** What is called of BullMQ. */
interface BullModule {
  readonly Queue: new (
    type: string,
    options: object,
  ) => {
    add(name: string, payload: Payload, options: object): Promise<unknown>
    addBulk(jobs: readonly object[]): Promise<unknown>
  }
  readonly Worker: new (
    type: string,
    handler: (job: { readonly data: Payload }) => Promise<void>,
    options: object,
  ) => { waitUntilReady(): Promise<unknown>; close(): Promise<void> }
}

/** What is called of pg-boss. */
interface Boss {
  on(name: 'error', listener: (error: unknown) => void): void
  start(): Promise<unknown>
  createQueue(type: string, options: object): Promise<void>
  send(type: string, payload: Payload, options: object): Promise<unknown>
  insert(type: string, jobs: readonly object[]): Promise<unknown>
  work(
    type: string,
    options: object,
    handler: (jobs: readonly { readonly data: Payload }[]) => Promise<void>,
  ): Promise<string>
  offWork(type: string): Promise<void>
}

const ATTEMPTS = 5

export async function openPeerQueue({ kind, port }: PeerPlace): Promise<JobQueue> {
  return kind === 'bullmq' ? BullQueue.open(port) : BossQueue.open(port)
}

/** Not there where nobody installed it, so no type of it is known here. */
async function importPeer<T>(name: string): Promise<T> {
  return (await import(name)) as T
}

class BullQueue implements JobQueue {
  readonly #module: BullModule
  readonly #connection: object
  readonly #queues = new Map<string, InstanceType<BullModule['Queue']>>()

  private constructor(module: BullModule, port: number) {
    this.#module = module
    this.#connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null }
  }

  static async open(port: number): Promise<BullQueue> {
    return new BullQueue(await importPeer<BullModule>('bullmq'), port)
  }

  async prepare(): Promise<void> {}

  enqueue(type: string, payload: Payload): Promise<unknown> {
    return this.#queueOf(type).add('job', payload, { attempts: ATTEMPTS })
  }

  enqueueAll(type: string, payloads: readonly Payload[]): Promise<unknown> {
    const opts = { attempts: ATTEMPTS }
    return this.#queueOf(type).addBulk(payloads.map((data) => ({ name: 'job', data, opts })))
  }

  async work(type: string, started: (payload: Payload) => void): Promise<() => Promise<void>> {
    const options = { connection: this.#connection, concurrency: WORKERS }
    const worker = new this.#module.Worker(type, async ({ data }) => started(data), options)
    await worker.waitUntilReady()
    return () => worker.close()
  }

  #queueOf(type: string): InstanceType<BullModule['Queue']> {
    const options = { connection: this.#connection }
    const queue = this.#queues.get(type) ?? new this.#module.Queue(type, options)
    this.#queues.set(type, queue)
    return queue
  }
}

/** Woken by NOTIFY, and fetching as many as it runs at a time: else it polls twice a second. */
class BossQueue implements JobQueue {
  readonly #boss: Boss

  private constructor(boss: Boss) {
    this.#boss = boss
  }

  static async open(port: number): Promise<BossQueue> {
    const { PgBoss } = await importPeer<{ PgBoss: new (options: object) => Boss }>('pg-boss')
    const server = { host: '127.0.0.1', port, user: 'bench', database: 'postgres' }
    const boss = new PgBoss({ ...server, useListenNotify: true })
    boss.on('error', (error) => process.stderr.write(`${String(error)}\n`))
    await boss.start()
    return new BossQueue(boss)
  }

  prepare(type: string): Promise<void> {
    return this.#boss.createQueue(type, { notify: true, retryLimit: ATTEMPTS - 1 })
  }

  enqueue(type: string, payload: Payload): Promise<unknown> {
    return this.#boss.send(type, payload, {})
  }

  enqueueAll(type: string, payloads: readonly Payload[]): Promise<unknown> {
    return this.#boss.insert(
      type,
      payloads.map((data) => ({ data })),
    )
  }

  async work(type: string, started: (payload: Payload) => void): Promise<() => Promise<void>> {
    const options = { batchSize: WORKERS, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
    await this.#boss.work(type, options, async (jobs) => {
      for (const { data } of jobs) started(data)
    })
    return () => this.#boss.offWork(type)
  }
}
