import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import {
  type CallOptions,
  ColmenaError,
  type ColmenaNode,
  type Database,
  type InputStatement,
  type ResultSet,
  type Transaction,
} from '../index.ts'
import type { Handled } from './attempt.ts'
import { cancelStatement, retryStatement, runNowStatement } from './change.ts'
import { TYPES_MAX } from './claim.ts'
import type { EnqueueOptions } from './enqueue-options.ts'
import { Finishes } from './finishes.ts'
import type { JobHandler } from './handler.ts'
import { Housekeeping } from './housekeeping.ts'
import { invalid, show } from './invalid.ts'
import { checkType, type Job, type JobStatement, toInsert, toInsertAll } from './job.ts'
import { toJson } from './json.ts'
import { KNOWN, type Limits, limitStatements, pauseStatements } from './limits.ts'
import type { JobsConfig } from './options.ts'
import {
  type AttemptInfo,
  findJob,
  type JobInfo,
  type JobPage,
  type ListOptions,
  listAttempts,
  listJobs,
  readStats,
  type TypeStats,
} from './queries.ts'
import {
  checkScheduleOptions,
  listSchedules,
  type ScheduleInfo,
  type ScheduleOptions,
  scheduleStatement,
  unscheduleStatement,
} from './schedules.ts'
import { setUp } from './schema.ts'
import { Wake } from './wake.ts'
import type { Ended } from './workers.ts'
import { Workers } from './workers.ts'

export interface Enqueued {
  readonly id: string
  /** False where one with its unique key is there: `id` is that one's. */
  readonly created: boolean
}

/** What happened on this node; nothing depends on a listener. */
export interface JobsEvents {
  completed: [event: JobEnd & { readonly result: unknown }]
  /** An attempt failed; `isLast` where it was the last one. */
  failed: [event: JobEnd & { readonly error: string; readonly isLast: boolean }]
  /** All attempts are used up, or its handler discarded it. */
  dead: [event: JobEnd & { readonly error: string }]
  warning: [event: { readonly message: string; readonly cause: unknown }]
}

interface JobEnd {
  readonly id: string
  readonly type: string
  readonly attempt: number
  readonly tookMs: number
}

/** Counts of this node since `createJobs`. */
export interface JobsMetrics {
  readonly executed: number
  readonly succeeded: number
  readonly failed: number
  readonly retried: number
  readonly dead: number
  readonly reaped: number
  readonly swept: number
  readonly running: number
}

export interface JobCallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface EnqueueCallOptions extends EnqueueOptions, JobCallOptions {
  /** An open transaction of the same database: the job is there if that commits. */
  readonly tx?: Transaction | undefined
}

/** The jobs of a cluster, from one of its nodes. */
export class Jobs extends EventEmitter<JobsEvents> implements AsyncDisposable {
  readonly #config: JobsConfig
  readonly #database: Database
  readonly #handled = new Map<string, Handled>()
  readonly #finishes: Finishes
  readonly #workers: Workers
  readonly #wake: Wake
  readonly #housekeeping: Housekeeping
  readonly #run = randomBytes(12).toString('hex')
  readonly #ending = new AbortController()
  readonly #counts = { executed: 0, succeeded: 0, failed: 0, retried: 0, dead: 0 }
  #setUp: Promise<void> | undefined
  #starting: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** By `createJobs`. */
  constructor(node: ColmenaNode, config: JobsConfig) {
    super()
    this.#config = config
    this.#database = node.database(config.database)
    this.#finishes = new Finishes(this.#database)
    const { workers, leaseMs, pollMs } = config
    const trouble = (message: string, cause: unknown): void => this.#warn(message, cause)
    const shared = { node, database: this.#database, trouble }
    const ended = (end: Ended): void => this.#ended(end)
    const handled = this.#handled
    this.#workers = new Workers({ ...shared, workers, leaseMs, pollMs, handled, ended }, this.#run)
    this.#housekeeping = new Housekeeping({ ...shared, config, run: this.#run })
    this.#wake = new Wake(() => {
      this.#finishes.look()
      this.#workers.look()
      this.#workers.woken()
      this.#housekeeping.woken()
    })
  }

  /** Resolves once the tables are there: for who inserts by `statement` before any other call. */
  ready(): Promise<void> {
    return this.#ready()
  }

  /**
   * Runs jobs of this type here, from now on. @returns what takes the handler away again
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where the type has a handler here
   */
  handle<Args, Result>(key: Job<Args, Result>, handler: JobHandler<Args, Result>): () => void {
    this.#checkOpen()
    checkJob(key)
    if (typeof handler !== 'function')
      throw invalid(`a handler is a function, not ${show(handler)}`)
    if (this.#handled.has(key.type)) throw invalid(`'${key.type}' has a handler here already`)
    if (this.#handled.size >= TYPES_MAX) throw invalid(`a node handles ${TYPES_MAX} types at most`)
    const handled = { key, handler } as unknown as Handled
    void this.#begin(key.type, handled)
    return () => {
      if (this.#handled.get(key.type) === handled) this.#handled.delete(key.type)
    }
  }

  /**
   * Makes a job: durable on a majority once this resolves, or there with the commit of `tx`.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT for what is no JSON, does not fit the schema or is no
   * option; ERR_TOO_LARGE for more than a MiB; ERR_CLOSED. Else as `Database.execute`.
   */
  async enqueue<Args>(
    key: Job<Args, never>,
    args: Args,
    options: EnqueueCallOptions = {},
  ): Promise<Enqueued> {
    const { tx, signal, ...rest } = options
    checkJob(key)
    const statement = await toInsert(key, args, rest)
    await this.#ready()
    if (tx !== undefined) return this.#enqueueIn(tx, statement)
    const answers = await this.#database.batch(withFound(statement), { mode: 'write', signal })
    return toEnqueued(statement, answers)
  }

  /**
   * Makes many jobs of a type at once, which differ in their arguments alone: all or none.
   *
   * @throws as {@link enqueue}; ERR_INVALID_ARGUMENT for a `uniqueKey`, ERR_TOO_LARGE for more than
   * 4 MiB of them
   */
  async enqueueAll<Args>(
    key: Job<Args, never>,
    all: readonly Args[],
    options: EnqueueCallOptions = {},
  ): Promise<readonly Enqueued[]> {
    const { tx, signal, ...rest } = options
    checkJob(key)
    if (!Array.isArray(all)) throw invalid(`enqueueAll takes an array, not ${show(all)}`)
    const { ids, statement } = await toInsertAll(key, all, rest)
    await this.#ready()
    if (ids.length === 0) return []
    if (tx !== undefined) await tx.execute(statement)
    else await this.#database.batch([statement], { mode: 'write', signal })
    return ids.map((id) => ({ id, created: true }))
  }

  async #enqueueIn(tx: Transaction, statement: JobStatement): Promise<Enqueued> {
    const answers = await tx.batch([...withFound(statement)])
    return toEnqueued(statement, answers)
  }

  /**
   * The result of a job, once it has succeeded, on whichever node.
   *
   * @throws ColmenaError ERR_JOB_FAILED where it ended without success, ERR_NOT_FOUND where there is
   * none of that id (any more), ERR_ABORTED, ERR_CLOSED
   */
  async waitFor<Result = unknown>(id: string, { signal }: JobCallOptions = {}): Promise<Result> {
    await this.#start()
    if ((await this.find(id, { signal })) === null) {
      throw new ColmenaError('ERR_NOT_FOUND', `there is no job ${show(id)}, or no more`)
    }
    return (await this.#finishes.wait(id, signal)) as Result
  }

  /** A job as it is; null where there is none of that id, or no more. */
  async find(id: string, options: JobCallOptions = {}): Promise<JobInfo | null> {
    await this.#ready()
    return findJob(this.#database, id, toCall(options))
  }

  /** Jobs, the newest first. */
  async list(options: ListOptions & JobCallOptions = {}): Promise<JobPage> {
    await this.#ready()
    const { signal, ...filter } = options
    return listJobs(this.#database, filter, { signal })
  }

  /** The attempts of a job that failed, or that left a log. */
  async attempts(id: string, options: JobCallOptions = {}): Promise<readonly AttemptInfo[]> {
    await this.#ready()
    return listAttempts(this.#database, id, toCall(options))
  }

  /** How many there are of each type and state, and what limits them. */
  async stats(options: JobCallOptions = {}): Promise<readonly TypeStats[]> {
    await this.#ready()
    return readStats(this.#database, toCall(options))
  }

  metrics(): JobsMetrics {
    const { reaped, swept } = this.#housekeeping
    return { ...this.#counts, reaped, swept, running: this.#workers.runningCount }
  }

  /** Runs a job that is over without success again. @returns false where it is no such one */
  retry(id: string, options: JobCallOptions = {}): Promise<boolean> {
    return this.#change(retryStatement(id), options)
  }

  /** @returns false where it is over, or not there. One that runs is told, and ends by itself. */
  cancel(id: string, options: JobCallOptions = {}): Promise<boolean> {
    return this.#change(cancelStatement(id), options)
  }

  /** Lets one that waits for its time run now. @returns false where it does not */
  runNow(id: string, options: JobCallOptions = {}): Promise<boolean> {
    return this.#change(runNowStatement(id), options)
  }

  /** None of the type begins any more, on any node; those that run go on. */
  async pause(type: string | Job<never, never>, options: JobCallOptions = {}): Promise<void> {
    await this.#write(pauseStatements(toType(type), true), options)
  }

  async resume(type: string | Job<never, never>, options: JobCallOptions = {}): Promise<void> {
    await this.#write(pauseStatements(toType(type), false), options)
  }

  /** Sets limits of a type for the whole cluster, and leaves those that are not named. */
  async limit(
    type: string | Job<never, never>,
    limits: Limits,
    options: JobCallOptions = {},
  ): Promise<void> {
    await this.#write(limitStatements(toType(type), limits), options)
  }

  /**
   * Makes a job at each time of a cron pattern: once in the cluster, whoever leads. A schedule of
   * that id is changed.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT for a pattern, a zone or an option that is none
   */
  async schedule<Args>(
    id: string,
    pattern: string,
    type: string | Job<Args, never>,
    args?: Args | undefined,
    options: ScheduleOptions = {},
  ): Promise<void> {
    const json = toJson(args, `the arguments of schedule '${id}'`)
    const checked = checkScheduleOptions(options)
    const statement = scheduleStatement(id, pattern, toType(type), json, checked)
    await this.#start()
    await this.#database.batch([statement], 'write')
  }

  /** No more jobs of it; its row stays. @returns false where there was none that went on */
  unschedule(id: string, options: JobCallOptions = {}): Promise<boolean> {
    return this.#change(unscheduleStatement(id), options)
  }

  async schedules(options: JobCallOptions = {}): Promise<readonly ScheduleInfo[]> {
    await this.#ready()
    return listSchedules(this.#database, toCall(options))
  }

  /**
   * Claims no more, lets what runs here end for `drainMs`, or until `signal` is aborted, then tells
   * the handlers to end; what does not is freed for other nodes. The node stays open.
   */
  close({ signal }: JobCallOptions = {}): Promise<void> {
    this.#closing ??= this.#close(signal)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    const drained = AbortSignal.timeout(this.#config.drainMs)
    this.#ending.abort(new ColmenaError('ERR_CLOSED', 'the jobs of this node are closed'))
    this.#handled.clear()
    await this.#starting?.catch(() => {})
    const patience = signal === undefined ? drained : AbortSignal.any([drained, signal])
    if (this.#database.closed) await this.#workers.abandon()
    else await this.#workers.drain(patience)
    await Promise.all([this.#wake.close(), this.#housekeeping.close()])
    this.#finishes.close()
  }

  #checkOpen(): void {
    if (this.#closing === undefined) return
    throw new ColmenaError('ERR_CLOSED', 'the jobs of this node are closed')
  }

  async #ready(): Promise<void> {
    this.#checkOpen()
    this.#setUp ??= setUp(this.#database, this.#ending.signal).catch((error: unknown) => {
      this.#setUp = undefined
      throw error
    })
    await this.#setUp
  }

  /** What watches, claims and keeps house, from the first call on that needs it. */
  async #start(): Promise<void> {
    await this.#ready()
    this.#starting ??= this.#startAll().catch((error: unknown) => {
      this.#starting = undefined
      throw error
    })
    await this.#starting
  }

  async #startAll(): Promise<void> {
    await this.#housekeeping.takeOver()
    this.#wake.start(this.#database, (error) =>
      this.#warn('jobs are polled for, not told of', error),
    )
    this.#workers.start()
    this.#housekeeping.start()
  }

  /** Tried until it is there: a node may open before there is a leader. */
  async #begin(type: string, handled: Handled): Promise<void> {
    this.#handled.set(type, handled)
    while (!this.#ending.signal.aborted && this.#handled.get(type) === handled) {
      try {
        await this.#start()
        await this.#database.execute(KNOWN, [type])
        this.#workers.woken()
        return
      } catch (error) {
        if (this.#ending.signal.aborted || this.#database.closed) return
        this.#warn(`'${type}' is not handled yet`, error)
        await this.#housekeeping.pause()
      }
    }
  }

  async #change(statement: InputStatement, options: JobCallOptions): Promise<boolean> {
    const [answer] = await this.#write([statement], options)
    return (answer?.rows.length ?? 0) > 0
  }

  async #write(
    statements: readonly InputStatement[],
    { signal }: JobCallOptions,
  ): Promise<readonly ResultSet[]> {
    await this.#ready()
    return this.#database.batch([...statements], { mode: 'write', signal })
  }

  #ended({ row, end, isHeld, tookMs }: Ended): void {
    const { id, type, attempt } = row
    this.#counts.executed += 1
    if (!isHeld) return
    const event = { id, type, attempt, tookMs }
    if (end.state === 'succeeded') {
      this.#counts.succeeded += 1
      this.#tell('completed', { ...event, result: JSON.parse(end.result ?? 'null') })
      return
    }
    if (end.outcome === 'later' || end.outcome === 'released') return
    const error = end.error ?? ''
    const isLast = end.state !== 'pending'
    this.#counts.failed += 1
    if (!isLast) this.#counts.retried += 1
    this.#tell('failed', { ...event, error, isLast })
    if (!isLast) return
    this.#counts.dead += 1
    this.#tell('dead', { ...event, error })
  }

  #warn(message: string, cause: unknown): void {
    if (!this.#ending.signal.aborted) this.#tell('warning', { message, cause })
  }

  /** In a microtask, so that a listener that throws breaks nothing of ours. */
  #tell<Name extends keyof JobsEvents>(name: Name, event: JobsEvents[Name][0]): void {
    const emitter = this as unknown as EventEmitter
    queueMicrotask(() => emitter.emit(name, event))
  }
}

/** And the id of the one that has its unique key, where there is one. */
function withFound(statement: JobStatement): readonly InputStatement[] {
  const [id, type] = statement.args
  const uniqueKey = statement.args[9] ?? null
  const found = `SELECT id FROM colmena_jobs
    WHERE (?1 IS NULL AND id = ?2)
      OR (type = ?3 AND unique_key = ?1 AND finished_at IS NULL)`
  return [toSent(statement), { sql: found, args: [uniqueKey, id ?? null, type ?? null] }]
}

function toSent({ sql, args }: JobStatement): InputStatement {
  return { sql, args }
}

function toEnqueued(statement: JobStatement, answers: readonly ResultSet[]): Enqueued {
  const [made, found] = answers
  const created = (made?.rowsAffected ?? 0) > 0
  const id = found?.rows[0]?.['id']
  return { id: typeof id === 'string' ? id : statement.id, created }
}

function toCall({ signal }: JobCallOptions): CallOptions {
  return { signal }
}

function toType(type: unknown): string {
  if (typeof type === 'object' && type !== null && 'type' in type) {
    checkJob(type)
    return type.type
  }
  checkType(type)
  return type
}

function checkJob(key: unknown): asserts key is Job<never, never> {
  if (typeof key === 'object' && key !== null && 'type' in key && 'statement' in key) return
  throw invalid(`a job is what job('…') gave, not ${show(key)}`)
}
