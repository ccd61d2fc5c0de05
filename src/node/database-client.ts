import { ColmenaError } from '../base/errors.ts'
import type { Statement, Unit } from '../command/command.ts'
import type { DatabaseReader as Files } from '../database/database.ts'
import {
  type Classification,
  type QueryResult,
  type StatementDescription,
  splitStatements,
} from '../sqlite/sqlite.ts'
import { type BatchMode, type BatchOptions, toBatchOptions } from './batch-options.ts'
import { type CallOptions, checkCallOptions } from './call-options.ts'
import { type Consistency, checkConsistency, scopedConsistency } from './consistency.ts'
import { DatabaseReader } from './database-reader.ts'
import { checkNotAborted, readFailure, type StatementPlace } from './failures.ts'
import {
  checkTarget,
  copyIsolated,
  type DatabaseCopy,
  type IsolatedOptions,
  readIsolated,
} from './isolated-reads.ts'
import { type MigrateOptions, toMigration } from './migration.ts'
import type { NodeCore } from './node-core.ts'
import { createResultSet, type ResultSet, type Row } from './result-set.ts'
import {
  type BatchStatement,
  type InputArgs,
  type InputStatement,
  keepStatement,
  refuseTransaction,
  toStatement,
  toStatements,
} from './statement.ts'
import { traced, tracingApi } from './tracing.ts'
import type { Written } from './write-call.ts'

/** What a handle is made with, checked and complete. */
export interface DatabaseConfig {
  readonly consistency: Consistency
  readonly doubleQuotedStrings: boolean | undefined
}

const ALONE: StatementPlace = Object.freeze({ index: 0, count: 1 })
/** What begins so can only read, whatever tables there are. */
const READING_WORD = /^\s*(select|values|explain)\b/i

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
  readonly #doubleQuotedStrings: boolean | undefined
  readonly #tracing = tracingApi()
  #reader: DatabaseReader | undefined
  #isClosed = false

  constructor(core: NodeCore, name: string, config: DatabaseConfig) {
    this.#core = core
    this.name = name
    this.#consistency = config.consistency
    this.#doubleQuotedStrings = config.doubleQuotedStrings
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
    return traced(this.#tracing, this.name, () => this.#batch<TRow>(converted, mode, options))
  }

  async #batch<TRow>(
    converted: readonly Statement[],
    mode: BatchMode | undefined,
    options: CallOptions,
  ): Promise<ResultSet<TRow>[]> {
    const files = this.#enter(options)
    const place = { index: 0, count: converted.length }
    const writing = converted.findIndex(
      ({ sql }, index) => !reads(files.classify(sql), sql, { ...place, index }),
    )
    if (writing < 0) {
      return options.isolated
        ? this.#readIsolated<TRow>(converted, place, options)
        : this.#readAll<TRow>(files, converted, options)
    }
    if (mode === 'read') {
      throw invalid(`statement ${writing + 1} of a batch of mode 'read' is no read`)
    }
    return this.#writeAll<TRow>({ statements: converted }, options)
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
    const migration = toMigration(statements, options)
    this.#enter(migration.options)
    return traced(this.#tracing, this.name, () =>
      this.#writeAll<TRow>(migration.unit, migration.options),
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
    const gate = this.#core.enterRead(this.#level(checked), checked.signal)
    if (gate !== null) await gate
    try {
      return files.describe(statement.sql)
    } catch (error) {
      throw readFailure(error, ALONE)
    }
  }

  /**
   * Runs a script statement by statement, each on its own, up to the first that fails; the ones
   * before it stay applied. Transactions in it are refused: `batch` is the way to all or nothing.
   *
   * @throws as {@link execute}, with the failing statement's `statementIndex`.
   */
  async executeMultiple(sql: string, options?: CallOptions | undefined): Promise<void> {
    const checked = checkCallOptions(options)
    if (typeof sql !== 'string') throw invalid('executeMultiple takes SQL text')
    this.#enter(checked)
    const statements = splitStatements(sql)
    statements.forEach(refuseTransaction)
    for (const [index, statement] of statements.entries()) {
      const place = { index, count: statements.length }
      await this.#run({ sql: statement, args: [] }, place, checked)
    }
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
    await this.#core.enterRead(this.#level(checked), checked.signal)
    return copyIsolated(this.#core, path, this.#isolated(checked))
  }

  /** The same database with another level for reads that name none. */
  withConsistency(level: Consistency): Database {
    const consistency = checkConsistency(level, 'the level of withConsistency')
    const doubleQuotedStrings = this.#doubleQuotedStrings
    return new Database(this.#core, this.name, { consistency, doubleQuotedStrings })
  }

  /** Closes this handle alone; the node and other handles go on. */
  close(): void {
    this.#isClosed = true
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #run<TRow>(
    statement: Statement,
    place: StatementPlace,
    options: CallOptions,
  ): Promise<ResultSet<TRow>> {
    const work = (): Promise<ResultSet<TRow>> => this.#runOne(statement, place, options)
    return traced(this.#tracing, this.name, work)
  }

  async #runOne<TRow>(
    statement: Statement,
    place: StatementPlace,
    options: CallOptions,
  ): Promise<ResultSet<TRow>> {
    const files = this.#enter(options)
    if (reads(files.classify(statement.sql), statement.sql, place)) {
      if (!options.isolated) return this.#read<TRow>(files, statement, place, options)
      const [result] = await this.#readIsolated<TRow>([statement], place, options)
      return result as ResultSet<TRow>
    }
    const unit = { statements: [statement] }
    const { place: written, statements } = await this.#write(unit, place, options)
    const [result] = statements
    if (result === undefined) throw new ColmenaError('ERR_FAILED', 'a statement without an answer')
    return createResultSet<TRow>(result, written, options.exactNumbers)
  }

  async #writeAll<TRow>(unit: Unit, options: CallOptions): Promise<ResultSet<TRow>[]> {
    const place = { index: 0, count: unit.statements.length }
    const { place: written, statements } = await this.#write(unit, place, options)
    return statements.map((result) => createResultSet<TRow>(result, written, options.exactNumbers))
  }

  /** As one unit: all or nothing. */
  #write(unit: Unit, place: StatementPlace, { signal }: CallOptions): Promise<Written> {
    return this.#core.writes.submit({
      database: this.name,
      doubleQuotedStrings: this.#doubleQuotedStrings,
      unit,
      place,
      signal,
    })
  }

  async #read<TRow>(
    files: Files,
    statement: Statement,
    place: StatementPlace,
    options: CallOptions,
  ): Promise<ResultSet<TRow>> {
    const { calls, shared } = this.#core
    const level = this.#level(options)
    const sinceMs = performance.now()
    try {
      const gate = this.#core.enterRead(level, options.signal)
      const { sql, args } = gate === null ? statement : keepStatement(statement)
      if (gate !== null) await gate
      const origin = { index: shared.applied(), level }
      const rows = this.#core.slow.read(this.name, sql, () => files.query(sql, args))
      const result = createResultSet<TRow>(rows, origin, options.exactNumbers)
      calls.readAnswered(level, sinceMs)
      return result
    } catch (error) {
      throw calls.readFailed(readFailure(error, place))
    }
  }

  async #readAll<TRow>(
    files: Files,
    statements: readonly Statement[],
    options: CallOptions,
  ): Promise<ResultSet<TRow>[]> {
    const { calls, shared } = this.#core
    const level = this.#level(options)
    const sinceMs = performance.now()
    const place = { index: 0, count: statements.length }
    try {
      const gate = this.#core.enterRead(level, options.signal)
      const kept = gate === null ? statements : statements.map(keepStatement)
      if (gate !== null) await gate
      const origin = { index: shared.applied(), level }
      using snapshot = files.snapshot()
      const results = kept.map(({ sql, args }, index) => {
        place.index = index
        const query = (): QueryResult => snapshot.query(sql, args)
        const result = this.#core.slow.read(this.name, sql, query)
        return createResultSet<TRow>(result, origin, options.exactNumbers)
      })
      calls.readAnswered(level, sinceMs)
      return results
    } catch (error) {
      throw calls.readFailed(readFailure(error, place))
    }
  }

  async #readIsolated<TRow>(
    statements: readonly Statement[],
    place: StatementPlace,
    options: CallOptions,
  ): Promise<ResultSet<TRow>[]> {
    const { calls, shared } = this.#core
    const level = this.#level(options)
    const kept = statements.map(keepStatement)
    const sinceMs = performance.now()
    try {
      await this.#core.enterRead(level, options.signal)
      const index = shared.applied()
      const results = await readIsolated(this.#core, kept, place, this.#isolated(options))
      calls.readAnswered(level, sinceMs)
      return results.map((result) =>
        createResultSet<TRow>(result, { index, level }, options.exactNumbers),
      )
    } catch (error) {
      throw calls.readFailed(error)
    }
  }

  #isolated({ signal }: CallOptions): IsolatedOptions {
    const asked = { database: this.name, doubleQuotedStrings: this.#doubleQuotedStrings }
    return { asked, signal }
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
    return this.#core.readers.database(this.name, this.#doubleQuotedStrings)
  }

  /** Bound when the call is made: later, other contexts are at work. */
  #level({ consistency }: CallOptions): Consistency {
    return consistency ?? scopedConsistency() ?? this.#consistency
  }
}

/**
 * Whether a statement is for this node's file. One that can't be prepared here may be right on the
 * leader, whose schema may be newer, so it goes into the log, unless it can be nothing but a read.
 */
function reads(facts: Classification, sql: string, place: StatementPlace): boolean {
  if (facts.kind !== 'unknown') return facts.kind === 'read'
  if (facts.error.code === 'ERR_REFUSED_SQL') throw readFailure(facts.error, place)
  return READING_WORD.test(sql)
}

function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}
