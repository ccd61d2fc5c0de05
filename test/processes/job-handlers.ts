/** Jobs inside a node's process: what each type does, and what it leaves in the tables. */
import { setTimeout as pause } from 'node:timers/promises'
import type { ColmenaNode, Database, Transaction } from '../../src/index.ts'
import {
  createJobs,
  type Enqueued,
  type EnqueueOptions,
  type Job,
  type JobContext,
  type Jobs,
  type JobsOptions,
  job,
  RetryLater,
} from '../../src/jobs/jobs.ts'
import type { Asked, JobArgs, JobChunk, JobType, UniqueEnqueues } from './protocol.ts'

/** What handlers say of themselves. No uniqueness: a success that counts twice shows. */
export const RUNS_SCHEMA: readonly string[] = [
  'CREATE TABLE begins (job TEXT NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL)',
  'CREATE TABLE ends (job TEXT NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL)',
  'CREATE TABLE successes (job TEXT NOT NULL, attempt INTEGER NOT NULL, n INTEGER)',
]

/**
 * What became of each job, in the order of the log: triggers note it in the entry that did it, so
 * that nothing is between what happened and what is known. And what handlers say of themselves.
 */
export const JOBS_SCHEMA: readonly string[] = [
  `CREATE TABLE history (seq INTEGER PRIMARY KEY, job TEXT NOT NULL, type TEXT NOT NULL, lane TEXT,
     unique_key TEXT, attempt INTEGER NOT NULL, was TEXT, state TEXT NOT NULL, started_at INTEGER)`,
  `CREATE TRIGGER history_of_new AFTER INSERT ON colmena_jobs BEGIN
     INSERT INTO history (job, type, lane, unique_key, attempt, was, state) VALUES
       (NEW.id, NEW.type, NEW.lane, NEW.unique_key, NEW.attempt, NULL, NEW.state);
   END`,
  `CREATE TRIGGER history_of_old AFTER UPDATE ON colmena_jobs
   WHEN NEW.state <> OLD.state OR NEW.attempt <> OLD.attempt BEGIN
     INSERT INTO history (job, type, lane, unique_key, attempt, was, state, started_at) VALUES
       (NEW.id, NEW.type, NEW.lane, NEW.unique_key, NEW.attempt, OLD.state, NEW.state,
        NEW.started_at);
   END`,
  'CREATE TABLE chunks (id TEXT PRIMARY KEY)',
  ...RUNS_SCHEMA,
  'CREATE TABLE effects (job TEXT NOT NULL, step INTEGER NOT NULL, attempt INTEGER NOT NULL)',
  'CREATE TABLE own (id TEXT PRIMARY KEY)',
]

const HERE = { consistency: 'none' } as const
export const STEPS = 5
/** After so many attempts a job does what it should. */
const FAILURES_MAX = 3
const POLL_MS = 20

const TYPES: readonly JobType[] = [
  ...(['free', 'capped', 'keyed', 'rated', 'unique', 'tick'] as const),
  ...(['stubborn', 'flow', 'link', 'short'] as const),
]
const KEYS = Object.fromEntries(TYPES.map((type) => [type, job<JobArgs, unknown>(type)])) as Record<
  JobType,
  Job<JobArgs, unknown>
>

export class JobsHere {
  readonly jobs: Jobs
  readonly #database: Database

  constructor(node: ColmenaNode, options: JobsOptions) {
    this.jobs = createJobs(node, options)
    this.#database = node.database()
  }

  handleAll(): void {
    for (const type of ['free', 'capped', 'keyed', 'rated', 'unique', 'tick'] as const) {
      this.jobs.handle(KEYS[type], (args, context) => this.#work(args, context))
    }
    this.jobs.handle(KEYS.stubborn, (_, context) => this.#stubborn(context))
    this.jobs.handle(KEYS.flow, (_, context) => this.#flow(context))
    this.jobs.handle(KEYS.link, (args, context) => this.#link(args, context))
    this.jobs.handle(KEYS.short, (args, context) => this.#short(args, context))
  }

  enqueue(type: JobType, args: JobArgs, options: EnqueueOptions = {}): Promise<Enqueued> {
    return this.jobs.enqueue(KEYS[type], args, options)
  }

  /** Made once, however often it is asked for. */
  async enqueueChunk({ id, type, ns, ...options }: JobChunk): Promise<void> {
    await this.jobs.ready()
    await this.#database.transaction(async (tx) => {
      const sql = 'INSERT INTO chunks (id) VALUES (?) ON CONFLICT DO NOTHING'
      const { rowsAffected } = await tx.execute(sql, [id])
      if (rowsAffected === 0) return
      const all = ns.map((n) => ({ n }))
      await this.jobs.enqueueAll(KEYS[type], all, { ...options, tx })
    })
  }

  async enqueueIn(tx: Transaction, type: JobType, tag: string): Promise<string> {
    return (await this.jobs.enqueue(KEYS[type], { n: 0 }, { tx, tags: [tag] })).id
  }

  /** A row of its own and a job, by one batch. */
  async enqueueBeside(id: string, type: JobType): Promise<void> {
    await this.jobs.ready()
    const { sql, args } = KEYS[type].statement({ n: 0 }, { tags: [id] })
    await this.#database.batch([['INSERT INTO own (id) VALUES (?)', [id]], { sql, args }], 'write')
  }

  /** What the history had before each was asked for, and when it was answered. */
  async enqueueUnique({ count, keys, callers }: UniqueEnqueues): Promise<readonly Asked[]> {
    const asked: Asked[] = []
    let next = 0
    const call = async (): Promise<void> => {
      while (next < count) {
        const key = `key-${next++ % keys}`
        const from = await this.#seq()
        const { id, created } = await this.enqueue('unique', { n: next }, { uniqueKey: key })
        asked.push({ key, id, created, from, to: await this.#seq() })
      }
    }
    await Promise.all(Array.from({ length: callers }, call))
    return asked
  }

  /** How far this node's own file knows the history: an acknowledged write is in it. */
  async #seq(): Promise<number> {
    const sql = 'SELECT coalesce(max(seq), 0) AS seq FROM history'
    const { rows } = await this.#database.execute<{ seq: number }>(sql, [], HERE)
    return rows[0]?.seq ?? 0
  }

  /** Sometimes throws, asks to be called later, or takes too long; the same in each run. */
  async #work({ n = 0 }: JobArgs, context: JobContext): Promise<unknown> {
    const { id, attempt, signal } = context
    if (await this.#hasSucceeded(id)) return n
    const args = [id, attempt, Date.now()]
    await this.#database.execute('INSERT INTO begins (job, attempt, at) VALUES (?, ?, ?)', args)
    const roll = context.type === 'unique' ? 1 : rollOf(n, attempt)
    try {
      await act(roll, signal)
    } catch (error) {
      await this.#database.execute(...endOf(context))
      throw error
    }
    await this.#succeed(context, n, endOf(context))
    return n
  }

  /**
   * Asked of this node's own file: what an earlier attempt wrote, fenced, came before its end, and
   * so before the claim of this one.
   */
  async #hasSucceeded(id: string): Promise<boolean> {
    const sql = 'SELECT 1 FROM successes WHERE job = ?'
    return (await this.#database.execute(sql, [id], HERE)).rows.length > 0
  }

  async #succeed(
    context: JobContext,
    n: number,
    ...others: [string, (string | number)[]][]
  ): Promise<void> {
    const sql = 'INSERT INTO successes (job, attempt, n) VALUES (?, ?, ?)'
    const success = { sql, args: [context.id, context.attempt, n] }
    await this.#database.batch([context.fence(), success, ...others], 'write')
  }

  /** Its first attempt heeds nothing, and says that it succeeded long after it was given up. */
  async #stubborn(context: JobContext): Promise<void> {
    const { id, attempt } = context
    if (await this.#hasSucceeded(id)) return
    if (attempt > 1) return this.#succeed(context, 0)
    const sql = "SELECT 1 FROM colmena_jobs WHERE id = ? AND state = 'succeeded'"
    while ((await this.#database.execute(sql, [id], HERE)).rows.length === 0) await pause(POLL_MS)
    await this.#succeed(context, 0).catch(() => {})
    await this.#database.execute(...endOf(context))
  }

  /** One step more with each attempt, which then hangs until its process is gone. */
  async #flow(context: JobContext): Promise<void> {
    const { id, attempt, signal } = context
    for (let step = 1; step <= STEPS; step += 1) {
      await context.step(`step ${step}`, async () => {
        const sql = 'INSERT INTO effects (job, step, attempt) VALUES (?, ?, ?)'
        await this.#database.execute(sql, [id, step, attempt])
        return step
      })
      if (attempt <= step) await hang(signal)
    }
    await this.#succeed(context, STEPS)
  }

  /** Its first attempt hangs; the second one comes to one more than what it ran after. */
  async #link({ n = 0 }: JobArgs, context: JobContext): Promise<number> {
    const { attempt, signal, results } = context
    if (attempt === 1) await hang(signal)
    if (!(await this.#hasSucceeded(context.id))) await this.#succeed(context, n)
    const [before = 0] = results.values()
    return Number(before) + 1
  }

  /** Each third one fails once; all keep a step and a line. */
  async #short({ n = 0 }: JobArgs, context: JobContext): Promise<string> {
    context.log(`job ${n}`)
    await context.step('one', () => 'x'.repeat(200))
    if (n % 3 === 0 && context.attempt === 1) throw new Error('as it should')
    return 'x'.repeat(200)
  }
}

function endOf({ id, attempt }: JobContext): [string, (string | number)[]] {
  return ['INSERT INTO ends (job, attempt, at) VALUES (?, ?, ?)', [id, attempt, Date.now()]]
}

async function act(roll: number, signal: AbortSignal): Promise<void> {
  if (roll < 0.1) throw new Error('as it should')
  if (roll < 0.18) throw new RetryLater(50)
  if (roll < 0.19) await hang(signal)
  await pause(5 + roll * 50, undefined, { signal })
}

function hang(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  if (signal.aborted) reject(signal.reason)
  else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  return promise
}

/** From 0 up to 1, the same for the same job and attempt. */
function rollOf(n: number, attempt: number): number {
  if (attempt > FAILURES_MAX) return 1
  let mixed = Math.imul(n * 8 + attempt, 0x9e3779b1)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32
}
