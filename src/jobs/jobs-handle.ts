import { randomBytes } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import {
  ColmenaError,
  type ColmenaNode,
  type InputStatement,
  isColmenaError,
  type ResultSet,
  type Transaction,
} from '../index.ts'
import type { Handled } from './attempt.ts'
import { TYPES_MAX } from './claim.ts'
import type { LostRow } from './end.ts'
import type { EnqueueOptions } from './enqueue-options.ts'
import { Finishes } from './finishes.ts'
import type { JobHandler } from './handler.ts'
import { Housekeeping } from './housekeeping.ts'
import { asOptions, checkSignal, invalid, show } from './invalid.ts'
import { type Job, type JobStatement, toInsert, toInsertAll } from './job.ts'
import {
  checkJob,
  type EnqueueArgs,
  type EnqueueCallOptions,
  type Enqueued,
  JobBoard,
  type JobCallOptions,
  type JobsEvents,
  type JobsMetrics,
  toSignal,
} from './job-board.ts'
import { KNOWN } from './limits.ts'
import type { JobsConfig } from './options.ts'
import { NO_JOB_MESSAGE, setUp, setUpIn } from './schema.ts'
import { Wake } from './wake.ts'
import { type Ended, Workers } from './workers.ts'

/** Handles of one open node share a name: what was claimed under another one here is free. */
const opens = new WeakMap<ColmenaNode, string>()

function nameOpen(node: ColmenaNode): string {
  const name = opens.get(node) ?? randomBytes(12).toString('hex')
  opens.set(node, name)
  return name
}

/** The jobs of a cluster, from one of its nodes. */
export class Jobs extends JobBoard implements AsyncDisposable {
  readonly #config: JobsConfig
  readonly #handled = new Map<string, Handled>()
  readonly #finishes: Finishes
  readonly #workers: Workers
  readonly #wake: Wake
  readonly #housekeeping: Housekeeping
  readonly #ending = new AbortController()
  readonly #counts = { executed: 0, succeeded: 0, failed: 0, retried: 0, dead: 0 }
  #setUp: Promise<void> | undefined
  #starting: Promise<void> | undefined
  #closing: Promise<void> | undefined

  readonly #node: ColmenaNode
  readonly #nodeClosed = (): void => void this.close()

  /** By `createJobs`. */
  constructor(node: ColmenaNode, config: JobsConfig) {
    super(node.database(config.database))
    this.#node = node
    this.#config = config
    this.#finishes = new Finishes(this.database)
    const { workers, leaseMs, pollMs, graceMs } = config
    const trouble = (message: string, cause: unknown): void => this.#warn(message, cause)
    const shared = { node, database: this.database, trouble }
    const ended = (end: Ended): void => this.#ended(end)
    const run = nameOpen(node)
    const holder = `${run}/${randomBytes(6).toString('hex')}`
    const own = { workers, leaseMs, pollMs, graceMs, holder, handled: this.#handled, ended }
    this.#workers = new Workers({ ...shared, ...own })
    const lost = (row: LostRow): void => this.#lost(row)
    this.#housekeeping = new Housekeeping({ ...shared, config, run, lost })
    this.#wake = new Wake(() => this.#woken(), pollMs)
  }

  override async ready(): Promise<void> {
    this.checkOpen()
    this.#setUp ??= setUp(this.database, this.#ending.signal).catch((error: unknown) => {
      this.#setUp = undefined
      throw error
    })
    await this.#setUp
  }

  /**
   * Runs jobs of this type here, from now on. @returns what takes the handler away again
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where the type has a handler here
   */
  handle<Args, Result>(key: Job<Args, Result>, handler: JobHandler<Args, Result>): () => void {
    this.checkOpen()
    checkJob(key)
    if (typeof handler !== 'function')
      throw invalid(`a handler is a function, not ${show(handler)}`)
    if (this.#handled.has(key.type)) throw invalid(`'${key.type}' has a handler here already`)
    if (this.#handled.size >= TYPES_MAX) throw invalid(`a node handles ${TYPES_MAX} types at most`)
    const handled = { key, handler } as unknown as Handled
    void this.#handle(key.type, handled)
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
  async enqueue<Args>(key: Job<Args, never>, ...given: EnqueueArgs<Args>): Promise<Enqueued> {
    const [args, options] = given
    const { tx, signal: asked, ...rest } = asOptions(options, 'enqueue')
    const signal = checkSignal(asked)
    checkJob(key)
    const statement = await toInsert(key, args as Args, rest)
    if (tx !== undefined) return this.#enqueueIn(tx, statement).catch(rethrow(rest))
    await this.ready()
    const sent = withFound(statement)
    const answers = await this.database.batch(sent, { mode: 'write', signal }).catch(rethrow(rest))
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
    options?: EnqueueCallOptions,
  ): Promise<readonly Enqueued[]> {
    const { tx, signal: asked, ...rest } = asOptions(options, 'enqueueAll')
    const signal = checkSignal(asked)
    checkJob(key)
    if (!Array.isArray(all)) throw invalid(`enqueueAll takes an array, not ${show(all)}`)
    const { ids, statement } = await toInsertAll(key, all, rest)
    if (tx !== undefined) await this.#readyIn(tx)
    else await this.ready()
    if (ids.length === 0) return []
    const sent =
      tx === undefined
        ? this.database.batch([statement], { mode: 'write', signal })
        : tx.execute(statement)
    await sent.then(() => {}, rethrow(rest))
    return ids.map((id) => ({ id, created: true }))
  }

  async #readyIn(tx: Transaction): Promise<void> {
    this.checkOpen()
    const { name } = this.database
    if (tx?.database !== name) {
      const what = tx?.database === undefined ? show(tx) : `one of '${tx.database}'`
      throw invalid(`tx is an open transaction of the database '${name}', not ${what}`)
    }
    await setUpIn(tx, this.database)
  }

  async #enqueueIn(tx: Transaction, statement: JobStatement): Promise<Enqueued> {
    await this.#readyIn(tx)
    const answers = await tx.batch([...withFound(statement)])
    return toEnqueued(statement, answers)
  }

  /**
   * The result of a job, once it has succeeded, on whichever node.
   *
   * @throws ColmenaError ERR_JOB_FAILED where it ended without success, ERR_NOT_FOUND where there
   * is none of that id (any more), ERR_ABORTED, ERR_CLOSED
   */
  async waitFor<Result = unknown>(id: string, options?: JobCallOptions): Promise<Result> {
    const signal = toSignal(options, 'waitFor')
    await this.begin()
    if ((await this.find(id, { signal })) === null) {
      throw new ColmenaError('ERR_NOT_FOUND', `there is no job ${show(id)}, or no more`)
    }
    return (await this.#finishes.wait(id, signal)) as Result
  }

  metrics(): JobsMetrics {
    const { reaped, swept } = this.#housekeeping
    return { ...this.#counts, reaped, swept, running: this.#workers.runningCount }
  }

  /**
   * Claims no more, lets what runs here end for `drainMs`, or until `signal` is aborted, then tells
   * the handlers to end; what does not is freed for other nodes. The node stays open.
   */
  close(options?: JobCallOptions): Promise<void> {
    try {
      const signal = toSignal(options, 'close')
      this.#closing ??= this.#close(signal)
    } catch (error) {
      return Promise.reject(error)
    }
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
    this.#node.off('closed', this.#nodeClosed)
    const patience = signal === undefined ? drained : AbortSignal.any([drained, signal])
    if (this.database.closed) await this.#workers.abandon()
    else await this.#workers.drain(patience)
    await Promise.all([this.#wake.close(), this.#housekeeping.close()])
    this.#finishes.close()
  }

  protected override checkOpen(): void {
    if (this.#closing === undefined) return
    throw new ColmenaError('ERR_CLOSED', 'the jobs of this node are closed')
  }

  /** What watches, claims and keeps house, from the first call on that needs it. */
  protected override async begin(): Promise<void> {
    await this.ready()
    this.#starting ??= this.#startAll().catch((error: unknown) => {
      this.#starting = undefined
      throw error
    })
    await this.#starting
  }

  async #startAll(): Promise<void> {
    await this.#housekeeping.takeOver()
    // Whoever closes the node without a word to its jobs has them end with it.
    this.#node.once('closed', this.#nodeClosed)
    this.#wake.start(this.database, (error) => {
      if (this.database.closed) this.#finishes.close()
      else this.#warn('jobs are polled for, not told of', error)
    })
    this.#workers.start()
    this.#housekeeping.start()
  }

  /** Something was applied, or its time has come. */
  #woken(): void {
    if (this.database.closed) return
    try {
      this.#finishes.look()
      this.#workers.look()
    } catch (error) {
      if (!this.database.closed) this.#warn('what became of jobs could not be read', error)
    }
    this.#workers.woken()
    this.#housekeeping.woken()
  }

  /** Tried until it is there: a node may open before there is a leader. */
  async #handle(type: string, handled: Handled): Promise<void> {
    this.#handled.set(type, handled)
    while (!this.#ending.signal.aborted && this.#handled.get(type) === handled) {
      try {
        await this.begin()
        await this.database.execute(KNOWN, [type])
        this.#workers.woken()
        return
      } catch (error) {
        if (this.#ending.signal.aborted || this.database.closed) return
        this.#warn(`'${type}' is not handled yet`, error)
        await this.#housekeeping.pause()
      }
    }
  }

  #ended({ row, end, isHeld, state, tookMs }: Ended): void {
    const { id, type, attempt } = row
    if (end.outcome !== 'released') this.#counts.executed += 1
    if (!isHeld || state === 'cancelled') return
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

  /** Nobody else can tell of it: whoever ran it is gone. */
  #lost({ id, type, attempt, state, error, took_ms: tookMs }: LostRow): void {
    const event = { id, type, attempt, tookMs, error }
    this.#counts.failed += 1
    if (state === 'pending') this.#counts.retried += 1
    this.#tell('failed', { ...event, isLast: state !== 'pending' })
    if (state !== 'dead') return
    this.#counts.dead += 1
    this.#tell('dead', event)
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

/** Only a trigger sees, at its place in the log, what is not there. */
function rethrow({ after }: EnqueueOptions): (error: unknown) => never {
  return (error) => {
    if (!isColmenaError(error) || !error.message.includes(NO_JOB_MESSAGE)) throw error
    const message = `a job that it is to run after is not there, or no more: ${after?.join(', ')}`
    throw new ColmenaError('ERR_NOT_FOUND', message, { cause: error })
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
