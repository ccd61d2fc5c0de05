import { setTimeout as pause } from 'node:timers/promises'
import { ColmenaError, type Database, type InputStatement, isColmenaError } from '../index.ts'
import type { ClaimedRow } from './claim.ts'
import type { End } from './end.ts'
import type { BackoffConfig } from './enqueue-options.ts'
import { DELAY_MS_MAX, Discard, type JobContext, type JobHandler, RetryLater } from './handler.ts'
import { checkText, invalid, show } from './invalid.ts'
import { type Job, optionsOf } from './job.ts'
import { argsFromJson, toJson } from './json.ts'
import { FENCE_MESSAGE } from './schema.ts'
import { validate } from './standard-schema.ts'

const LOG_CHARS_MAX = 16_384
const ERROR_CHARS_MAX = 8_192
/** It goes with each renewal of a lease, beside that of all others. */
const PROGRESS_CHARS_MAX = 16_384
const STEP_NAME_MAX = 128

export interface Handled {
  readonly key: Job<never, unknown>
  readonly handler: JobHandler<never, unknown>
}

export interface AttemptPlace {
  readonly row: ClaimedRow
  readonly handled: Handled
  readonly database: Database
  readonly nodeId: string
  /** A handler that does not heed its signal is given up then: nothing can end a function. */
  readonly graceMs: number
}

/** Why an attempt was told to end. */
export type Stop = 'timed out' | 'cancelled' | 'lost' | 'closing'

/** One attempt at a job, on this node. */
export class Attempt {
  readonly row: ClaimedRow
  /** By this node's clock its lease may be over from then on. */
  heldUntilMs: number
  /** JSON that nobody was told yet. */
  progress: string | null = null
  stopped: Stop | null = null
  /** Its handler went on though it was told to end. */
  isLeftBehind = false
  readonly #place: AttemptPlace
  readonly #end = new AbortController()
  #log = ''
  #timer: NodeJS.Timeout | undefined

  constructor(place: AttemptPlace, heldUntilMs: number) {
    this.#place = place
    this.row = place.row
    this.heldUntilMs = heldUntilMs
  }

  /** Never rejects. */
  async run(): Promise<End> {
    this.heartbeat()
    try {
      const work = this.#work()
      work.catch(() => {})
      return await Promise.race([work, this.#whenGivenUp()])
    } catch (error) {
      return this.#failedSafely(error)
    } finally {
      clearTimeout(this.#timer)
      // Ends what waits for it: the race above is over.
      this.#end.abort(new ColmenaError('ERR_ABORTED', 'the attempt is over'))
    }
  }

  /** Tells its handler to end. */
  stop(why: Stop): void {
    if (this.stopped !== null || this.#end.signal.aborted) return
    this.stopped = why
    this.#end.abort(STOPS[why](this.row))
  }

  heartbeat(): void {
    clearTimeout(this.#timer)
    if (this.#end.signal.aborted) return
    this.#timer = setTimeout(() => this.stop('timed out'), this.row.timeout_ms)
    this.#timer.unref()
  }

  async #work(): Promise<End> {
    const { row, handled } = this.#place
    const { key, handler } = handled
    const args = await this.#args(key)
    const result = await handler(args as never, await this.#context())
    const of = `the result of '${row.type}'`
    return this.#ended({ state: 'succeeded', outcome: 'succeeded', result: toJson(result, of) })
  }

  /** What was valid when it was enqueued may not be for the version that runs it. */
  async #args(key: Job<never, unknown>): Promise<unknown> {
    const { schema } = optionsOf(key as Job<never, never>)
    const args = argsFromJson(this.row.args)
    try {
      return await validate(this.row.type, schema, args)
    } catch (error) {
      if (isColmenaError(error)) throw new Discard(error.message)
      throw error
    }
  }

  async #whenGivenUp(): Promise<End> {
    const { signal } = this.#end
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    if (this.stopped === null) return new Promise(() => {})
    await pause(this.#place.graceMs, undefined, { ref: false })
    this.isLeftBehind = true
    throw signal.reason
  }

  /** What is thrown may be anything, and throw where it is looked at. */
  #failedSafely(error: unknown): End {
    try {
      return this.#failed(error)
    } catch {
      return this.#failed(new Error('the handler threw what nobody can look at'))
    }
  }

  #failed(error: unknown): End {
    const { row } = this.#place
    const text = describe(error).slice(0, ERROR_CHARS_MAX).toWellFormed()
    if (this.stopped === 'closing') {
      return this.#ended({ state: 'pending', outcome: 'released', error: text, counts: false })
    }
    if (error instanceof RetryLater || isNamed(error, 'RetryLater')) {
      const { delayMs } = error as RetryLater
      const isDelay = delayMs >= 0 && delayMs <= DELAY_MS_MAX
      const later = { outcome: 'later', error: text, counts: false } as const
      if (isDelay) return this.#ended({ state: 'pending', ...later, delayMs: Math.ceil(delayMs) })
    }
    if (error instanceof Discard || isNamed(error, 'Discard')) {
      return this.#ended({ state: 'failed', outcome: 'discarded', error: text })
    }
    const outcome = this.stopped === 'timed out' ? 'timed out' : 'failed'
    if (row.attempt >= row.max_attempts) return this.#ended({ state: 'dead', outcome, error: text })
    const backoff: BackoffConfig = JSON.parse(row.backoff)
    const delayMs = restMs(backoff, row.failures + 1)
    return this.#ended({ state: 'pending', outcome, error: text, delayMs })
  }

  #ended(end: Pick<End, 'state' | 'outcome'> & Partial<End>): End {
    const { id, attempt } = this.row
    const log = this.#log === '' ? null : this.#log
    const rest = { result: null, error: null, delayMs: 0, counts: true, ...end }
    return { id, attempt, log, ...rest }
  }

  async #context(): Promise<JobContext> {
    const { row, nodeId } = this.#place
    const { id, type, attempt } = row
    return {
      id,
      type,
      attempt,
      nodeId,
      enqueuedAt: new Date(row.enqueued_at),
      signal: this.#end.signal,
      results: await this.#results(),
      progress: (value) => {
        this.progress = toProgress(value, type)
      },
      heartbeat: () => this.heartbeat(),
      log: (line) => {
        this.#log = `${this.#log}${line}\n`.slice(-LOG_CHARS_MAX).toWellFormed()
      },
      step: (name, work) => this.#stepOnce(name, work),
      fence: () => this.#fence(),
    }
  }

  /** They were there before this one could be claimed, and so are in this node's file. */
  async #results(): Promise<ReadonlyMap<string, unknown>> {
    const { row, database } = this.#place
    if (row.after === null) return new Map()
    const sql = `SELECT id, result FROM colmena_jobs
      WHERE state = 'succeeded' AND id IN (SELECT value FROM json_each(?))`
    const asked = await database.execute<{ id: string; result: string }>(sql, [row.after], HERE)
    return new Map(asked.rows.map(({ id, result }) => [id, JSON.parse(result)]))
  }

  readonly #steps = new Map<string, Promise<unknown>>()

  /** Who asks for a step that is under way here waits for it. */
  async #stepOnce<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    checkText('the name of a step', name, STEP_NAME_MAX)
    if (typeof work !== 'function') throw invalid(`a step is a function, not ${show(work)}`)
    const begun = this.#steps.get(name)
    if (begun !== undefined) return (await begun) as T
    const step = this.#step(name, work)
    this.#steps.set(name, step)
    try {
      return await step
    } finally {
      this.#steps.delete(name)
    }
  }

  async #step<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    const { database } = this.#place
    const { id } = this.row
    const sql = 'SELECT result FROM colmena_job_steps WHERE job = ? AND name = ?'
    const known = await database.execute<{ result: string }>(sql, [id, name], HERE)
    const [first] = known.rows
    if (first !== undefined) return JSON.parse(first.result) as T
    this.#end.signal.throwIfAborted()
    const result = await work()
    const json = toJson(result, `the result of step '${name}'`)
    const keep = 'INSERT INTO colmena_job_steps (job, name, result) VALUES (?, ?, ?)'
    try {
      await database.batch([this.#fence(), { sql: keep, args: [id, name, json] }], 'write')
    } catch (error) {
      if (!isFenced(error)) throw error
      throw new ColmenaError('ERR_FENCED', `step '${name}' of job ${id} came too late`, {
        cause: error,
      })
    }
    return JSON.parse(json) as T
  }

  #fence(): InputStatement {
    const { id, attempt } = this.row
    return {
      sql: 'INSERT INTO colmena_job_fence (job, attempt) VALUES (?, ?)',
      args: [id, attempt],
    }
  }
}

function toProgress(value: unknown, type: string): string {
  const json = toJson(value, `the progress of '${type}'`)
  if (json.length <= PROGRESS_CHARS_MAX) return json
  const length = `${json.length} characters of JSON, where ${PROGRESS_CHARS_MAX} are the most`
  throw new ColmenaError('ERR_TOO_LARGE', `the progress of '${type}': ${length}`)
}

/** An attempt that never began: its job is as free as before. */
export function released({ id, attempt }: ClaimedRow): End {
  const error = 'its node closes, or has no handler for it any more'
  const rest = { result: null, log: null, delayMs: 0, counts: false }
  return { id, attempt, state: 'pending', outcome: 'released', error, ...rest }
}

const HERE = { consistency: 'none' } as const

const STOPS: Readonly<Record<Stop, (row: ClaimedRow) => Error>> = {
  'timed out': ({ id, timeout_ms: ms }) =>
    new ColmenaError('ERR_TIMEOUT', `job ${id} took longer than its ${ms} ms`),
  cancelled: ({ id }) => new ColmenaError('ERR_ABORTED', `job ${id} was cancelled`),
  lost: ({ id }) => new ColmenaError('ERR_FENCED', `job ${id} is no longer this node's to run`),
  closing: ({ id }) => new ColmenaError('ERR_CLOSED', `job ${id} ends here: its node closes`),
}

/** Whether it is what the fence says where an attempt is over. */
function isFenced(error: unknown): boolean {
  return isColmenaError(error) && error.message.includes(FENCE_MESSAGE)
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name
}

/** Also of what is thrown and is no error. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return `the handler threw ${show(error)}`
  return typeof error.stack === 'string' ? error.stack : `${error.name}: ${error.message}`
}

/** Exponential from the first one on, to a most; with jitter anything from 0 to that. */
export function restMs({ baseMs, maxMs, jitter }: BackoffConfig, attempt: number): number {
  const wholeMs = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 40))
  return Math.round(jitter ? wholeMs * Math.random() : wholeMs)
}
