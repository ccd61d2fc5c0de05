import { AsyncLocalStorage } from 'node:async_hooks'
import { ColmenaError, isColmenaError } from '../base/errors.ts'
import type { Environment, Statement } from '../command/command.ts'
import { splitStatements } from '../sqlite/sqlite.ts'
import { invalid } from './arguments.ts'
import { beginTrial } from './begin-trial.ts'
import { ALONE, abortedError, errorFromUnit, type StatementPlace } from './failures.ts'
import {
  createResultSet,
  type ResultOrigin,
  type ResultSet,
  type ResultSource,
  type Row,
} from './result-set.ts'
import {
  type BatchStatement,
  type InputArgs,
  type InputStatement,
  keepStatement,
  statementSizeBytes,
  toStatement,
  toStatements,
  transactionWord,
} from './statement.ts'
import {
  type TransactionMode,
  type TransactionOptions,
  type TransactionPlace,
  TransactionReads,
} from './transaction-reads.ts'
import type { TransactionName } from './transactions.ts'
import { WRITE_LIMITS } from './writes.ts'

/** A trial that is under way on the leader. */
interface OpenTrial {
  readonly base: number
  readonly environment: Environment
}

/** The savepoint that the present work runs in. */
const savepoint = new AsyncLocalStorage<{ readonly of: Transaction; readonly depth: number }>()

const NESTED_ASIDE =
  'another nested transaction of this one is under way: await its end, or begin this one in it'

/**
 * An interactive transaction: its statements see what those before them did, and nobody else sees
 * anything until {@link commit} resolves. Statements run in the order of their calls.
 *
 * It has the shape of libsql's `Transaction`.
 */
export class Transaction {
  readonly mode: TransactionMode
  /** The name of the database that it is open on. */
  readonly database: string
  readonly #place: TransactionPlace
  readonly #options: TransactionOptions
  readonly #name: TransactionName
  readonly #recorded: Statement[] = []
  readonly #outcomes: (number | null)[] = []
  #recordedBytes = 0
  #trial: OpenTrial | null = null
  readonly #reads: TransactionReads
  #state: 'open' | 'ending' | 'over' = 'open'
  /** Why it was over before its owner ended it. */
  #endedBy: unknown
  #last: Promise<unknown> = Promise.resolve()
  /** Those that were made and are not answered yet. */
  readonly #calls = new Set<{ promise?: Promise<unknown> }>()
  #savepoints = 0
  /** How many of them are open, one in the other. */
  #depth = 0
  /** The log index of the commit; undefined before, and where nothing was written. */
  index: number | undefined

  constructor(place: TransactionPlace, options: TransactionOptions) {
    this.mode = options.mode
    this.database = place.database
    this.#place = place
    this.#options = options
    const { core, database } = place
    this.#name = { database, number: core.transactions.nextNumber() }
    this.#reads = new TransactionReads(place, options)
  }

  /** Whether it was committed, rolled back or ended. */
  get closed(): boolean {
    return this.#state === 'over'
  }

  /**
   * Runs one statement. A statement that fails leaves the transaction open, without its effects.
   *
   * @throws SqlError; ColmenaError ERR_TX_ABORTED where the transaction is over and nothing of it
   * stays; ERR_CLOSED after its end; ERR_REFUSED_SQL, ERR_TOO_LARGE, ERR_TIMEOUT, ERR_NO_LEADER.
   */
  execute<TRow = Row>(
    input: string | InputStatement,
    args?: InputArgs | undefined,
  ): Promise<ResultSet<TRow>> {
    return this.#call(async () => {
      const isText = typeof input === 'string' || input === null || typeof input !== 'object'
      const [sql, values] = isText ? [input, args] : [input.sql, input.args]
      const statement = toStatement(sql, values, this.#options.exactNumbers)
      const [result] = await this.#enqueue([statement], ALONE)
      return result as ResultSet<TRow>
    })
  }

  /** Runs statements one after the other, up to the first that fails. @throws as `execute` */
  batch<TRow = Row>(statements: readonly BatchStatement[]): Promise<ResultSet<TRow>[]> {
    return this.#call(async () => {
      const converted = toStatements(statements, 'batch', this.#options.exactNumbers)
      const place = { index: 0, count: converted.length }
      return (await this.#enqueue(converted, place)) as ResultSet<TRow>[]
    })
  }

  /** Runs a script, up to the first statement that fails. @throws as `execute` */
  executeMultiple(sql: string): Promise<void> {
    return this.#call(async () => {
      if (typeof sql !== 'string') throw invalid('executeMultiple takes SQL text')
      const statements = splitStatements(sql).map((text) => ({ sql: text, args: [] }))
      await this.#enqueue(statements, { index: 0, count: statements.length })
    })
  }

  /**
   * Runs `work` in a savepoint: what it did is taken back if it rejects, and the transaction goes
   * on. Two at once are refused: either would take back what the other did.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    if (typeof work !== 'function') {
      return Promise.reject(invalid('transaction of a transaction takes a function'))
    }
    const outer = savepoint.getStore()
    const depth = outer?.of === this ? outer.depth : 0
    if (depth !== this.#depth) return Promise.reject(invalid(NESTED_ASIDE))
    this.#depth = depth + 1
    this.#savepoints += 1
    const name = `savepoint_${this.#savepoints}`
    return this.#call(async () => {
      try {
        await this.execute(`SAVEPOINT ${name}`)
        return await this.#inSavepoint(name, { of: this, depth: depth + 1 }, work)
      } finally {
        this.#depth = Math.min(this.#depth, depth)
      }
    })
  }

  /**
   * Makes what it wrote stay: as one entry of the log, on all nodes or on none. It resolves once
   * this node has applied it.
   *
   * @throws ColmenaError ERR_TX_ABORTED where another write came first: nothing was applied. After
   * ERR_TIMEOUT or ERR_ABORTED `outcome` may be 'unknown'. SqlError for what only the end finds,
   * such as deferred foreign keys. ERR_CLOSED where it is over.
   */
  async commit(): Promise<void> {
    this.#checkOpen()
    if (this.#calls.size > 0) {
      const were = this.#calls.size === 1 ? '1 call' : `${this.#calls.size} calls`
      this.#end('it was rolled back')
      throw invalid(
        `${were} of the transaction not awaited before its commit: nothing of it was applied. ` +
          'Await every call',
      )
    }
    this.#state = 'ending'
    const trial = this.#trial
    if (trial === null || this.#recorded.length === 0) {
      this.#end('it was committed')
      return
    }
    const { core, doubleQuotedStrings, changes } = this.#place
    const { environment, base } = trial
    const statements = this.#recorded
    try {
      const { index } = await core.transactions.commit(
        {
          ...this.#name,
          asked: { doubleQuotedStrings, changes },
          environment,
          statements,
          trial: { base, outcomes: this.#outcomes },
          fence: this.#options.fence?.token,
        },
        this.#options.signal,
      )
      this.index = index
    } finally {
      // The entry itself has ended the trial, if it got there.
      this.#end('its commit was asked for')
    }
  }

  /** Takes back what it did. One that is over already is left as it is. */
  async rollback(): Promise<void> {
    if (this.#state === 'open') this.#end('it was rolled back')
  }

  /** As {@link rollback}. */
  close(): void {
    if (this.#state === 'open') this.#end('it was rolled back')
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #inSavepoint<T>(
    name: string,
    own: { readonly of: Transaction; readonly depth: number },
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    try {
      const value = await savepoint.run(own, () => work(this))
      if (this.#depth !== own.depth) throw this.#forgotten()
      await this.execute(`RELEASE ${name}`)
      return value
    } catch (error) {
      if (this.#depth !== own.depth) this.#forgotten()
      if (this.#state === 'open') await this.batch([`ROLLBACK TO ${name}`, `RELEASE ${name}`])
      throw error
    }
  }

  /** What it does from here on would be outside of the savepoint that it was begun in. */
  #forgotten(): ColmenaError {
    const error = invalid(
      'a nested transaction was not awaited before the end of the one that it is in: nothing of ' +
        'the whole was applied. Await every call',
    )
    this.#end(error)
    return error
  }

  #call<T>(run: () => Promise<T>): Promise<T> {
    const call: { promise?: Promise<unknown> } = {}
    this.#calls.add(call)
    const answer = async (): Promise<T> => {
      try {
        return await run()
      } finally {
        this.#calls.delete(call)
      }
    }
    const promise = answer()
    call.promise = promise
    return promise
  }

  async #enqueue(
    statements: readonly Statement[],
    place: StatementPlace,
  ): Promise<ResultSet<unknown>[]> {
    this.#checkOpen()
    for (const { sql } of statements) refuseEnding(sql)
    const kept = statements.map(keepStatement)
    const answer = this.#last.then(() => this.#step(kept, place))
    this.#last = answer.catch(() => {})
    return await answer
  }

  async #step(
    statements: readonly Statement[],
    place: StatementPlace,
  ): Promise<ResultSet<unknown>[]> {
    this.#checkOpen()
    const { signal } = this.#options
    if (signal?.aborted) {
      this.#end('its signal ended it')
      throw abortedError(signal)
    }
    if (this.mode === 'write' || this.#trial !== null) return this.#try(statements, place, null)
    const files = this.#place.files()
    const isRead = statements.every(({ sql }) => files.classify(sql).kind === 'read')
    if (isRead) return this.#read(statements, place)
    if (this.mode === 'read') throw invalid("a transaction of mode 'read' writes nothing")
    const results = await this.#try(statements, place, this.#reads.base)
    this.#reads.close()
    return results
  }

  /** On this node's file, always in the state that the first read found. */
  async #read(
    statements: readonly Statement[],
    place: StatementPlace,
  ): Promise<ResultSet<unknown>[]> {
    try {
      return await this.#reads.run(statements, place)
    } catch (error) {
      if (isColmenaError(error) && error.code === 'ERR_TX_ABORTED') this.#end(error)
      throw error
    }
  }

  /** On the leader, which begins the trial with the first step. */
  async #try(
    statements: readonly Statement[],
    place: StatementPlace,
    base: number | null,
  ): Promise<ResultSet<unknown>[]> {
    this.#refuseTooLarge(statements)
    const { core } = this.#place
    const { signal, intMode } = this.#options
    const isFirst = this.#trial === null
    let answer: Awaited<ReturnType<typeof core.transactions.step>>
    try {
      answer = isFirst
        ? await beginTrial(this.#place, this.#name, statements, base, signal, () =>
            this.#checkOpen(),
          )
        : await core.transactions.step(this.#name, statements, null, signal)
    } catch (error) {
      // Whether the leader ran it is not known, so nothing may follow.
      this.#end(error)
      // Where this node closes, that is why; to begin anew is of no use.
      core.checkOpen()
      throw error
    }
    // An answer that comes after the end is of something that will never be.
    this.#checkOpen()
    this.#trial ??= { base: answer.base, environment: answer.environment }
    const sources: [ResultSource, ResultOrigin][] = []
    for (const [at, { isLook, result }] of answer.tried.entries()) {
      const changed = result.ok ? (result.statements[0]?.rowsAffected ?? 0) : null
      if (!isLook) this.#record(statements[at] as Statement, changed)
      if (!result.ok) throw errorFromUnit(result.error, { ...place, index: place.index + at })
      const [source] = result.statements
      if (source === undefined)
        throw new ColmenaError('ERR_FAILED', 'a statement without an answer')
      const level = isLook ? ('strong' as const) : undefined
      sources.push([source, { index: answer.base, level }])
    }
    // Last, because it may throw: what was tried is recorded by then.
    return sources.map(([source, origin]) => createResultSet(source, origin, intMode))
  }

  /** Failed statements too: some keep a part of what they did. */
  #record(statement: Statement, changed: number | null): void {
    this.#recorded.push(statement)
    this.#outcomes.push(changed)
    this.#recordedBytes += statementSizeBytes(statement)
  }

  #refuseTooLarge(statements: readonly Statement[]): void {
    let sizeBytes = this.#recordedBytes
    for (const statement of statements) sizeBytes += statementSizeBytes(statement)
    const { unitBytesMax } = WRITE_LIMITS
    if (sizeBytes <= unitBytesMax) return
    const error = new ColmenaError(
      'ERR_TOO_LARGE',
      `the transaction's statements take ${sizeBytes} bytes with their arguments, at most ` +
        `${unitBytesMax} go through the log at once: nothing of it was applied. Split it`,
    )
    this.#end(error)
    throw error
  }

  #end(endedBy: unknown): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#endedBy = endedBy
    this.#reads.close()
    // Whoever forgot to await them learns of the end by the next call, and need not by a rejection
    // that nobody handles: that would end the process.
    for (const { promise } of this.#calls) promise?.catch(() => {})
    if (this.#place.core.isOpen) this.#place.core.transactions.end(this.#name)
  }

  #checkOpen(): void {
    this.#place.core.checkOpen()
    if (this.#state === 'open') return
    const by = this.#endedBy
    const why = isColmenaError(by) ? by.message : typeof by === 'string' ? by : 'it was ended'
    throw new ColmenaError('ERR_CLOSED', `the transaction is over: ${why}`)
  }
}

function refuseEnding(sql: string): void {
  const word = transactionWord(sql)
  if (word === null) return
  const instead =
    word === 'begin'
      ? 'transactions do not nest; use tx.transaction(fn), or SAVEPOINT'
      : 'call commit() or rollback() of the transaction'
  throw new ColmenaError('ERR_REFUSED_SQL', `${word.toUpperCase()} is refused: ${instead}`)
}
