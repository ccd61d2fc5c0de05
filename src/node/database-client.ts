import { ColmenaError } from '../base/errors.ts'
import type { Statement } from '../command/command.ts'
import type { DatabaseReader as Files } from '../database/database.ts'
import type { StatementDescription } from '../sqlite/sqlite.ts'
import { invalid } from './arguments.ts'
import { type BatchMode, type BatchOptions, toBatchOptions } from './batch-options.ts'
import { type CallOptions, checkCallOptions } from './call-options.ts'
import { Changes, type ChangesOptions } from './changes.ts'
import { type Consistency, checkConsistency, scopedConsistency } from './consistency.ts'
import type { DatabaseCopy } from './copying.ts'
import type { DatabaseConfig } from './database-options.ts'
import { DatabaseReader } from './database-reader.ts'
import { DatabaseReads, type ReadOptions } from './database-reads.ts'
import { DatabaseWrites, type WriteOptions } from './database-writes.ts'
import { ALONE, checkNotAborted, type StatementPlace } from './failures.ts'
import { checkTarget } from './isolated-reads.ts'
import { type MigrateOptions, toMigration } from './migration.ts'
import type { NodeCore } from './node-core.ts'
import { catchUp } from './read-pass.ts'
import type { IntMode, Replicated, ResultSet, Row } from './result-set.ts'
import { readsHere } from './route.ts'
import { runScript } from './script.ts'
import {
  type BatchStatement,
  type InputArgs,
  type InputStatement,
  keepStatement,
  toStatement,
  toStatements,
} from './statement.ts'
import { traced, tracingApi } from './tracing.ts'
import { Transaction } from './transaction.ts'
import type { TransactionMode, TransactionPlace } from './transaction-reads.ts'
import { checkMode, refuseNested, runTransaction } from './transaction-scope.ts'
import { Watch } from './watch.ts'

const ANY_AGE = { after: undefined, maxStalenessMs: undefined }

/** A call's options for a transaction that runs to its end by itself. */
export interface TransactionCallOptions extends CallOptions {
  readonly mode?: TransactionMode | undefined
}

/**
 * One database of a node. Writes go through the log and are answered by this node's own apply, so
 * a write that resolved is seen by every later read here. Reads run on this node's own file.
 *
 * It has the shape of libsql's `Client` where the two do the same thing.
 */
export class Database {
  readonly name: string
  readonly protocol: 'file' = 'file'
  readonly #core: NodeCore
  readonly #consistency: Consistency
  readonly #pinned: Consistency | undefined
  readonly #place: TransactionPlace
  readonly #intMode: IntMode
  readonly #reads: DatabaseReads
  readonly #writes: DatabaseWrites
  #reader: DatabaseReader | undefined
  #isClosed = false

  constructor(core: NodeCore, name: string, config: DatabaseConfig) {
    this.#core = core
    this.name = name
    this.#consistency = config.consistency
    this.#pinned = config.pinned
    this.#intMode = config.intMode
    const { doubleQuotedStrings, changes } = config
    const asked = { database: name, doubleQuotedStrings, changes }
    this.#place = { core, ...asked, files: () => this.#files() }
    this.#reads = new DatabaseReads(core, asked)
    this.#writes = new DatabaseWrites(core, asked)
  }

  /** Whether this handle or its node was closed. */
  get closed(): boolean {
    return this.#isClosed || !this.#core.isOpen
  }

  /** Prepared reads without a promise, at SQLite's own speed and always at level `none`. */
  get reader(): DatabaseReader {
    this.#reader ??= new DatabaseReader(this.#core, () => this.#files())
    return this.#reader
  }

  /**
   * Runs one statement: a write through the log, or a read at its level.
   *
   * @throws SqlError what SQLite answers, the same on every node.
   * @throws ColmenaError ERR_NO_LEADER, ERR_TIMEOUT, ERR_ABORTED, ERR_BUSY, ERR_LAGGING,
   * ERR_TOO_LARGE, ERR_REFUSED_SQL, ERR_INVALID_ARGUMENT, ERR_CLOSED; `outcome` says what became of
   * a write.
   * @example
   * const { rows } = await db.execute<{ id: number }>('SELECT id FROM t WHERE name = ?', ['a'])
   */
  execute<TRow = Row>(statement: string | InputStatement): Promise<ResultSet<TRow>>
  execute<TRow = Row>(
    sql: string,
    args?: InputArgs | undefined,
    options?: CallOptions | undefined,
  ): Promise<ResultSet<TRow>>
  execute<TRow = Row>(
    statement: InputStatement,
    options?: CallOptions | undefined,
  ): Promise<ResultSet<TRow>>
  async execute<TRow = Row>(
    input: string | InputStatement,
    second?: InputArgs | CallOptions | undefined,
    third?: CallOptions | undefined,
  ): Promise<ResultSet<TRow>> {
    if (typeof input === 'string' || input === null || typeof input !== 'object') {
      const options = checkCallOptions(third)
      return this.#run(toStatement(input, second, options.exactNumbers), ALONE, options)
    }
    const options = checkCallOptions(second ?? third)
    const statement = toStatement(input.sql, input.args, options.exactNumbers)
    return this.#run(statement, ALONE, options)
  }

  /**
   * Runs statements that succeed or fail together: as one command through the log, or, if all of
   * them read, on one snapshot of this node's file. Mode `read` refuses writes; `deferred` is
   * `write` where one of them writes.
   *
   * @throws SqlError of the first statement that fails, with its `statementIndex`; nothing of the
   * batch is applied then. Else as {@link execute}.
   */
  async batch<TRow = Row>(
    statements: readonly BatchStatement[],
    modeOrOptions?: BatchMode | BatchOptions | undefined,
  ): Promise<ResultSet<TRow>[]> {
    const { mode, ...options } = toBatchOptions(modeOrOptions)
    const converted = toStatements(statements, 'batch', options.exactNumbers)
    return traced(tracingApi(), this.name, () => this.#batch<TRow>(converted, mode, options))
  }

  async #batch<TRow>(
    converted: readonly Statement[],
    mode: BatchMode | undefined,
    options: CallOptions,
  ): Promise<ResultSet<TRow>[]> {
    const files = this.#enter(options)
    const place = { index: 0, count: converted.length }
    const writing = converted.findIndex(
      ({ sql }, index) => !readsHere(files.classify(sql), sql, { ...place, index }),
    )
    if (writing < 0) {
      return options.isolated
        ? this.#reads.isolated<TRow>(converted, place, this.#reading(options))
        : this.#reads.all<TRow>(files, converted, this.#reading(options))
    }
    if (mode === 'read') {
      throw invalid(`statement ${writing + 1} of a batch of mode 'read' is no read`)
    }
    return this.#writes.all<TRow>({ statements: converted }, place, this.#writing(options))
  }

  /**
   * Runs statements that succeed or fail together, with foreign keys off while they run: for
   * changes to the schema that make tables anew. At the end every foreign key of the database must
   * hold, or all fails, unless `foreignKeyCheck` is false. PRAGMA foreign_keys among the statements
   * sets nothing: it answers what is so.
   *
   * @throws as {@link batch}.
   */
  async migrate<TRow = Row>(
    statements: readonly BatchStatement[],
    options?: MigrateOptions | undefined,
  ): Promise<ResultSet<TRow>[]> {
    const { unit, options: checked } = toMigration(statements, options)
    this.#enter(checked)
    const place = { index: 0, count: unit.statements.length }
    return traced(tracingApi(), this.name, () =>
      this.#writes.all<TRow>(unit, place, this.#writing(checked)),
    )
  }

  /**
   * What a statement takes and answers, found without running it, on this node's schema.
   *
   * @throws SqlError for SQL that can't be prepared, ERR_REFUSED_SQL. Else as {@link execute}.
   */
  async describe(sql: string, options?: CallOptions | undefined): Promise<StatementDescription> {
    const checked = checkCallOptions(options)
    const statement = toStatement(sql, undefined)
    const files = this.#enter(checked)
    return this.#reads.describe(files, statement.sql, this.#reading(checked))
  }

  /**
   * Runs a script statement by statement, each on its own, up to the first that fails; the ones
   * before it stay applied. BEGIN … COMMIT in it is one transaction, which a failure takes back, as
   * does the script's end. PRAGMA foreign_keys=OFF … =ON, or to the end, is one {@link migrate}.
   *
   * @throws as {@link execute}, with the failing statement's `statementIndex`.
   */
  async executeMultiple(sql: string, options?: CallOptions | undefined): Promise<void> {
    const checked = checkCallOptions(options)
    this.#enter(checked)
    await runScript(sql, {
      run: (statement, place) => this.#run(statement, place, checked),
      begin: () => this.transaction('write', { signal: checked.signal, fence: checked.fence }),
      migrate: (unit, place) =>
        traced(tracingApi(), this.name, () =>
          this.#writes.all(unit, place, this.#writing(checked)),
        ),
    })
  }

  /**
   * Copies this database, at one index that holds what a read of this level sees, into a file that
   * any SQLite opens: without Colmena's own tables, and nothing beside it. It is made in a process
   * of its own and stops nobody; writes made meanwhile are not in it. It is there when this
   * resolves, and after a failure nothing is.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where there is a file already, no folder for it, or
   * no such database; ERR_ABORTED, ERR_FAILED. Else as {@link execute} for a read.
   */
  async copyTo(path: string, options?: CallOptions | undefined): Promise<DatabaseCopy> {
    const checked = checkCallOptions(options)
    this.#enter(checked)
    checkTarget(this.#core, path)
    return this.#reads.copyTo(path, this.#reading(checked))
  }

  /**
   * Begins an interactive transaction, `write` by default, which its owner must end: by `commit`,
   * `rollback` or `close`. With `work` it is committed once that resolves, and rolled back if it
   * rejects. Nothing waits for it before its first statement; from there the writes of this
   * database wait, at most `transactionMs` and while it is idle `transactionIdleMs`.
   *
   * @throws what `work` throws; else as {@link Transaction.execute} and {@link Transaction.commit}.
   * @example
   * await db.transaction(async (tx) => {
   *   const { rowsAffected } = await tx.execute('UPDATE seats SET owner = 1 WHERE owner IS NULL')
   *   if (rowsAffected === 0) throw new Error('sold out')
   * })
   */
  transaction(
    mode?: TransactionMode | undefined,
    options?: CallOptions | undefined,
  ): Promise<Transaction>
  transaction<T>(
    work: (tx: Transaction) => Promise<T>,
    options?: TransactionCallOptions | undefined,
  ): Promise<T>
  async transaction<T>(
    modeOrWork?: TransactionMode | ((tx: Transaction) => Promise<T>) | undefined,
    options?: TransactionCallOptions | undefined,
  ): Promise<Transaction | T> {
    const work = typeof modeOrWork === 'function' ? modeOrWork : null
    const { mode: asked, ...rest } = options ?? {}
    const mode = checkMode(work === null ? (modeOrWork ?? asked) : asked)
    const checked = checkCallOptions(rest)
    this.#enter(checked)
    refuseNested(this.#core, this.name)
    const opened = { mode, ...checked, ...this.#reading(checked) }
    const transaction = new Transaction(this.#place, opened)
    if (work === null) return transaction
    return runTransaction(this.#core, this.name, transaction, work)
  }

  /**
   * The rows that change, before and after, and changes of the schema, in the order of the log.
   * With `from` it goes on behind what was dealt with, and misses nothing. A database that was
   * made with `changes: true` keeps them on all nodes, others here while somebody iterates.
   *
   * @throws ColmenaError ERR_INVALID_OPTION at once, else as {@link Changes.next}.
   * @example
   * for await (const change of db.changes({ tables: ['notes'], from: 0 })) {
   *   if (change.kind !== 'schema') console.log(change.table, change.before, change.after)
   * }
   */
  changes<TRow = Row>(options?: ChangesOptions | undefined): Changes<TRow> {
    this.#files()
    return new Changes<TRow>(this.#place, options)
  }

  /**
   * A query's answer, and its answer anew whenever a table that it reads was written to.
   *
   * @throws as {@link Watch.next}
   * @example
   * for await (const { rows } of db.watch('SELECT * FROM notes')) show(rows)
   */
  watch<TRow = Row>(
    sql: string,
    args?: InputArgs | undefined,
    options?: CallOptions | undefined,
  ): Watch<TRow> {
    const checked = checkCallOptions(options)
    const statement = keepStatement(toStatement(sql, args, checked.exactNumbers))
    this.#enter(checked)
    const first = { ...checked, consistency: this.#level(checked) }
    // What was applied here is what the others answer to.
    const later = { ...checked, consistency: 'none', ...ANY_AGE } as const
    const read = (isFirst: boolean): Promise<ResultSet<TRow>> =>
      this.#run(statement, ALONE, isFirst ? first : later)
    return new Watch({ ...this.#place, sql: statement.sql, signal: checked.signal, read })
  }

  /**
   * The same database with this level for reads that name none, wherever they are called: it wins
   * over a scope, which may be somebody else's.
   */
  withConsistency(level: Consistency): Database {
    const pinned = checkConsistency(level, 'the level of withConsistency')
    const config = { ...this.#place, consistency: pinned, pinned, intMode: this.#intMode }
    return new Database(this.#core, this.name, config)
  }

  /**
   * Resolves once this node has applied all that the leader had committed when asked; at level
   * `strong` once a majority confirmed the leader as well. A read at `none` then sees all of it.
   *
   * @returns the log index that this node is at, and how many entries of the log it came on by.
   * @throws as {@link execute} for a read.
   */
  async sync(options?: CallOptions | undefined): Promise<Replicated> {
    const checked = checkCallOptions(options)
    this.#enter(checked)
    return catchUp(this.#core, this.#reading(checked))
  }

  /** Closes this handle alone; the node and other handles go on. */
  close(): void {
    this.#isClosed = true
  }

  /** Opens this handle again. @throws ColmenaError ERR_CLOSED where the node itself is closed. */
  reconnect(): void {
    this.#core.checkOpen()
    this.#isClosed = false
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #run<TRow>(
    statement: Statement,
    place: StatementPlace,
    options: CallOptions,
  ): Promise<ResultSet<TRow>> {
    return traced(tracingApi(), this.name, () => this.#runOne<TRow>(statement, place, options))
  }

  async #runOne<TRow>(
    statement: Statement,
    place: StatementPlace,
    options: CallOptions,
  ): Promise<ResultSet<TRow>> {
    const files = this.#enter(options)
    if (readsHere(files.classify(statement.sql), statement.sql, place)) {
      const reading = this.#reading(options)
      if (!options.isolated) return this.#reads.one<TRow>(files, statement, place, reading)
      const [result] = await this.#reads.isolated<TRow>([statement], place, reading)
      return result as ResultSet<TRow>
    }
    return this.#writes.one<TRow>(statement, place, this.#writing(options))
  }

  #reading(options: CallOptions): ReadOptions {
    const { after, maxStalenessMs, signal } = options
    const intMode = this.#integers(options)
    return { level: this.#level(options), after, maxStalenessMs, signal, intMode }
  }

  #writing(options: CallOptions): WriteOptions {
    const { signal, fence } = options
    return { signal, fence, intMode: this.#integers(options) }
  }

  /** Every call begins here: nothing is done for a caller that can't have an answer. */
  #enter({ signal }: CallOptions): Files {
    checkNotAborted(signal)
    return this.#files()
  }

  #files(): Files {
    if (this.#isClosed) {
      throw new ColmenaError('ERR_CLOSED', `this handle of database '${this.name}' is closed`)
    }
    return this.#core.readers.database(this.name, this.#place.doubleQuotedStrings)
  }

  #integers({ exactNumbers }: CallOptions): IntMode {
    return exactNumbers ? 'bigint' : this.#intMode
  }

  /** Bound when the call is made: later, other contexts are at work. */
  #level({ consistency, maxStalenessMs: bound }: CallOptions): Consistency {
    const own = bound === undefined ? consistency : 'none'
    return own ?? this.#pinned ?? scopedConsistency() ?? this.#consistency
  }
}
