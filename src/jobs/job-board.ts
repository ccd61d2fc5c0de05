import { EventEmitter } from 'node:events'
import type { CallOptions, Database, InputStatement, ResultSet, Transaction } from '../index.ts'
import { cancelStatement, retryStatement, runNowStatement } from './change.ts'
import { type EnqueueOptions, JOB_ID_LENGTH_MAX, mergeOptions } from './enqueue-options.ts'
import { asOptions, checkKeys, checkSignal, checkText, invalid, show } from './invalid.ts'
import { checkType, type Job, optionsOf } from './job.ts'
import { argsToJson } from './json.ts'
import { type Limits, limitStatements, pauseStatements } from './limits.ts'
import {
  type AttemptInfo,
  checkListOptions,
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
import { isSetUp } from './schema.ts'
import { validate } from './standard-schema.ts'

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

/** As those of a read of the database. */
export type JobReadOptions = Pick<CallOptions, 'signal' | 'consistency' | 'isolated'>

export interface EnqueueCallOptions extends EnqueueOptions, JobCallOptions {
  /** An open transaction of the same database: the job is there if that commits. */
  readonly tx?: Transaction | undefined
}

/** A job without arguments is made without naming them. */
export type EnqueueArgs<Args> = undefined extends Args
  ? [args?: Args, options?: EnqueueCallOptions]
  : [args: Args, options?: EnqueueCallOptions]

/**
 * What is asked of the tables of jobs, and changed in them, whoever runs any. Asking makes no
 * tables: where there are none yet, there are no jobs.
 */
export abstract class JobBoard extends EventEmitter<JobsEvents> {
  protected readonly database: Database
  #isSetUp = false

  constructor(database: Database) {
    super()
    this.database = database
  }

  /** Resolves once the tables are there: for who inserts by `statement` before any other call. */
  abstract ready(): Promise<void>

  /** @throws ColmenaError ERR_CLOSED */
  protected abstract checkOpen(): void

  /** Lets this node fire schedules, and look after what others lost. */
  protected abstract begin(): Promise<void>

  /** A job as it is; null where there is none of that id, or no more. */
  async find(id: string, options: JobReadOptions = {}): Promise<JobInfo | null> {
    const checked = checkText('id', id, JOB_ID_LENGTH_MAX)
    return this.#read(null, options, (call) => findJob(this.database, checked, call))
  }

  /** Jobs, the newest first. */
  async list(options: ListOptions & JobReadOptions = {}): Promise<JobPage> {
    const { signal, consistency, isolated, ...filter } = asOptions(options, 'list')
    const query = checkListOptions(filter)
    const none: JobPage = { jobs: [], next: null }
    const reading = { signal, consistency, isolated }
    return this.#read(none, reading, (call) => listJobs(this.database, query, call))
  }

  /** The attempts of a job that failed, or that left a log. */
  async attempts(id: string, options: JobReadOptions = {}): Promise<readonly AttemptInfo[]> {
    const checked = checkText('id', id, JOB_ID_LENGTH_MAX)
    return this.#read([], options, (call) => listAttempts(this.database, checked, call))
  }

  /** How many there are of each type and state, and what limits them. */
  async stats(options: JobReadOptions = {}): Promise<readonly TypeStats[]> {
    return this.#read([], options, (call) => readStats(this.database, call))
  }

  /** Runs a job that is over without success again. @returns false where it is no such one */
  async retry(id: string, options: JobCallOptions = {}): Promise<boolean> {
    return this.#change(retryStatement(checkId(id)), options)
  }

  /** @returns false where it is over, or not there. One that runs is told, and ends by itself. */
  async cancel(id: string, options: JobCallOptions = {}): Promise<boolean> {
    return this.#change(cancelStatement(checkId(id)), options)
  }

  /** Lets one that waits for its time run now. @returns false where it does not */
  async runNow(id: string, options: JobCallOptions = {}): Promise<boolean> {
    return this.#change(runNowStatement(checkId(id)), options)
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
    const name = checkText('the id of a schedule', id, 128)
    const ofType = toType(type)
    const { schema, defaults } = typeof type === 'string' ? {} : optionsOf(type)
    await validate(ofType, schema, args)
    const json = argsToJson(args, `the arguments of schedule '${name}'`)
    // Its ticks say when, and nothing is before them.
    const { delayMs: _, afterFailure: __, ...shared } = mergeOptions(undefined, defaults)
    const checked = checkScheduleOptions({ ...shared, ...withoutUndefined(options) })
    const statement = scheduleStatement(name, pattern, ofType, json, checked)
    await this.begin()
    await this.database.batch([statement], 'write')
  }

  /** No more jobs of it; its row stays. @returns false where there was none that went on */
  async unschedule(id: string, options: JobCallOptions = {}): Promise<boolean> {
    return this.#change(unscheduleStatement(id), options)
  }

  async schedules(options: JobReadOptions = {}): Promise<readonly ScheduleInfo[]> {
    return this.#read([], options, (call) => listSchedules(this.database, call))
  }

  async #read<T>(
    none: T,
    options: JobReadOptions,
    read: (call: CallOptions) => Promise<T>,
  ): Promise<T> {
    this.checkOpen()
    checkKeys(options, ['signal', 'consistency', 'isolated'], 'a call')
    const { signal, consistency, isolated } = options
    const call = { signal, consistency, isolated }
    this.#isSetUp ||= await isSetUp(this.database, call)
    return this.#isSetUp ? read(call) : none
  }

  async #change(statement: InputStatement, options: JobCallOptions): Promise<boolean> {
    const [answer] = await this.#write([statement], options)
    return (answer?.rows.length ?? 0) > 0
  }

  async #write(
    statements: readonly InputStatement[],
    options: JobCallOptions,
  ): Promise<readonly ResultSet[]> {
    const signal = toSignal(options, 'a call')
    await this.ready()
    return this.database.batch([...statements], { mode: 'write', signal })
  }
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function toSignal(options: JobCallOptions | undefined, of: string): AbortSignal | undefined {
  if (options === undefined) return undefined
  checkKeys(options, ['signal'], of)
  return checkSignal(options.signal)
}

function checkId(id: unknown): string {
  return checkText('id', id, JOB_ID_LENGTH_MAX)
}

function withoutUndefined<T extends object>(options: T): Partial<T> {
  const given = Object.entries(asOptions(options, 'a schedule'))
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as Partial<T>
}

function toType(type: unknown): string {
  if (typeof type === 'object' && type !== null && 'type' in type) {
    checkJob(type)
    return type.type
  }
  checkType(type)
  return type
}

export function checkJob(key: unknown): asserts key is Job<never, never> {
  if (typeof key === 'object' && key !== null && 'type' in key && 'statement' in key) return
  throw invalid(`a job is what job('…') gave, not ${show(key)}`)
}
