/** What a member does with a queue of jobs: makes some, and notes when those that it runs start. */
import type { ColmenaNode } from '../src/index.ts'
import { monotonicMs, pause } from './clock.ts'
import { ColmenaQueue, type JobQueue, type Payload } from './job-queue.ts'
import { NOTE, type Write } from './load.ts'
import { openPeerQueue } from './peer-queues.ts'
import type { QueuePlace, Recording, Written } from './protocol.ts'

export const BATCH = 100
const MANY_BATCH = 500
/** Until a queue is idle again, and not always the same. */
const APART_MS = 40
const APART_SPREAD_MS = 40

/** The columns of a job's row that its insert fills, in a table with a key and nothing else. */
const ROW_SCHEMA = `CREATE TABLE IF NOT EXISTS job_rows (
  seq INTEGER PRIMARY KEY, id TEXT, type TEXT, args TEXT, state TEXT, ready INTEGER,
  priority INTEGER, run_at INTEGER, max_attempts INTEGER, timeout_ms INTEGER, backoff TEXT,
  tags TEXT, after_failure TEXT, enqueued_at INTEGER)`
const ROW_INSERT = `INSERT INTO job_rows (id, type, args, state, ready, priority, run_at,
  max_attempts, timeout_ms, backoff, tags, after_failure, enqueued_at)
  VALUES (?, ?, ?, 'pending', 1, 0, ?, 5, 300000, ?, '[]', 'fail', ?)`
const BACKOFF = JSON.stringify({ baseMs: 5_000, maxMs: 3_600_000, jitter: true })

export class JobWork {
  readonly queue: JobQueue
  readonly #node: ColmenaNode | null
  #stop: (() => Promise<void>) | null = null
  #startsMs: number[] = []
  #latenciesMs: number[] = []

  private constructor(queue: JobQueue, node: ColmenaNode | null) {
    this.queue = queue
    this.#node = node
  }

  static async open(place: QueuePlace, node: ColmenaNode | null): Promise<JobWork> {
    if (place.kind !== 'colmena') return new JobWork(await openPeerQueue(place), null)
    if (node === null) throw new Error('open first')
    await node.database().execute(ROW_SCHEMA)
    return new JobWork(await ColmenaQueue.open(node), node)
  }

  get startedCount(): number {
    return this.#startsMs.length
  }

  writeOf(what: Exclude<Written, 'item'>): Write {
    if (what === 'job') return () => this.queue.enqueue('made', payloadOf())
    if (what === 'jobs') return () => this.queue.enqueueAll('made', payloadsOf(BATCH))
    const db = this.#node?.database()
    if (db === undefined) throw new Error('a peer has no rows of ours')
    return () => {
      const nowMs = Date.now()
      const row = [crypto.randomUUID(), 'made', JSON.stringify(payloadOf()), nowMs, BACKOFF, nowMs]
      return db.execute(ROW_INSERT, row)
    }
  }

  async enqueueMany(type: string, count: number): Promise<void> {
    for (let left = count; left > 0; left -= MANY_BATCH) {
      await this.queue.enqueueAll(type, payloadsOf(Math.min(left, MANY_BATCH)))
    }
  }

  async enqueueApart(type: string, count: number): Promise<void> {
    for (let made = 0; made < count; made += 1) {
      await pause(APART_MS + Math.random() * APART_SPREAD_MS)
      await this.queue.enqueue(type, payloadOf())
    }
  }

  async start(type: string): Promise<void> {
    this.#stop = await this.queue.work(type, ({ sentMs }) => {
      const startMs = monotonicMs()
      this.#startsMs.push(startMs)
      this.#latenciesMs.push(startMs - sentMs)
    })
  }

  async stop(): Promise<void> {
    await this.#stop?.()
    this.#stop = null
  }

  takeStarts(): Recording {
    const endsMs = Float64Array.from(this.#startsMs)
    const latenciesMs = Float64Array.from(this.#latenciesMs)
    this.#startsMs = []
    this.#latenciesMs = []
    return { endsMs, latenciesMs }
  }
}

function payloadOf(): Payload {
  return { sentMs: monotonicMs(), note: NOTE }
}

function payloadsOf(count: number): Payload[] {
  return Array.from({ length: count }, payloadOf)
}
