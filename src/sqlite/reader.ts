import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { SqlValue, StatementArgs } from '../command/command.ts'
import {
  BoundedCache,
  type ConnectionSettings,
  OwnStatements,
  openDatabase,
  type RowBudget,
  readRows,
  readRowsWithin,
  refreshSchema,
} from './connection.ts'
import type { StatementFacts } from './facts.ts'
import { refusal, StatementFailure } from './failure.ts'
import { Guard } from './guard.ts'
import { requireSqlite } from './runtime.ts'
import { Schema } from './schema.ts'
import { asFailure, type GuardedStatement, prepareGuarded } from './statement.ts'

export interface ReaderOptions extends ConnectionSettings {
  /** True by default; false is for ':memory:', which stands for a database not yet made. */
  readonly readOnly?: boolean | undefined
  /**
   * Counts the commits to the file: odd while one may be under way. While it is even and the same,
   * the schema is. Without it every query looks.
   */
  readonly commits?: (() => number) | undefined
}

export interface QueryResult {
  readonly columns: readonly string[]
  /** Declared types, '' where there is none. */
  readonly columnTypes: readonly string[]
  readonly rows: readonly (readonly SqlValue[])[]
}

export interface PrepareOptions {
  /** 'object' by default. */
  readonly rowMode?: 'array' | 'object' | undefined
  /** Integers as bigint; false by default, when reading one beyond 2^53 throws. */
  readonly bigints?: boolean | undefined
}

/** A prepared read at native speed. */
export interface PreparedRead {
  /** @throws StatementFailure */
  all(args: StatementArgs): unknown[]
  /** The first row; undefined where there is none. @throws StatementFailure */
  get(args: StatementArgs): unknown
  /** Holds the connection's snapshot until it is read to the end or returned. */
  iterate(args: StatementArgs): IterableIterator<unknown>
  columns(): readonly string[]
}

/** What a statement takes and answers, found without running it. */
export interface StatementDescription {
  readonly columns: readonly string[]
  /** Declared types, '' for expressions. */
  readonly columnTypes: readonly string[]
  /** By position: the name with its `:`, `@`, `$` or `?`, null for a plain `?`. */
  readonly parameters: readonly (string | null)[]
  /** EXPLAIN, or EXPLAIN QUERY PLAN. */
  readonly isExplain: boolean
  readonly isReadOnly: boolean
}

/** What a reader can say of a statement; `unknown` where it can't be prepared here. */
export type Classification =
  | { readonly kind: StatementFacts['kind'] }
  | { readonly kind: 'unknown'; readonly error: StatementFailure }

interface ReaderStatement extends GuardedStatement {
  columns: readonly string[]
  columnTypes: readonly string[]
  /** The schema that the columns were taken from. */
  schemaVersion: number
  /** The count of commits at which that was the schema, outside any snapshot. */
  commits: number
}

/** No schema and no count of commits has it. */
const UNKNOWN = -1

const STATEMENTS_MAX = 1000

/**
 * One read-only connection. `query` reads to the end, so that the next one sees what was committed
 * in between; `iterate` and `pin` hold their snapshot, and the caller gives them connections of
 * their own.
 */
export class Reader {
  readonly path: string
  readonly doubleQuotedStrings: boolean
  readonly #db: DatabaseSync
  readonly #own: OwnStatements
  readonly #guard: Guard
  readonly #commits: () => number
  readonly #statements = new BoundedCache<ReaderStatement>(STATEMENTS_MAX)
  readonly #settled = new BoundedCache<Classification>(STATEMENTS_MAX)
  readonly #classes = new BoundedCache<Classification>(STATEMENTS_MAX)
  #schema: Schema | undefined
  #schemaVersion = -1

  constructor(path: string, options: ReaderOptions = {}) {
    this.path = path
    const { db, added } = openDatabase(path, options.readOnly ?? true, options)
    this.#db = db
    try {
      this.#own = new OwnStatements(db)
      this.#guard = new Guard(db, added)
    } catch (error) {
      db.close()
      throw error
    }
    this.doubleQuotedStrings = options.doubleQuotedStrings ?? false
    // Never the same twice.
    this.#commits = options.commits ?? (() => Number.NaN)
  }

  /**
   * Says whether a statement reads or writes. 'unknown' where it can't be prepared here: this
   * node's schema may lag, so the write path decides; a refusal (ERR_REFUSED_SQL) is final.
   */
  classify(sql: string): Classification {
    // What could be prepared once reads or writes by its words, whatever the schema becomes.
    const settled = this.#settled.get(sql)
    if (settled !== undefined) return settled
    this.#dropStale()
    let known = this.#classes.get(sql)
    if (known === undefined) {
      try {
        const { kind } = this.#prepared(sql).facts
        known = { kind }
        this.#settled.set(sql, known)
      } catch (error) {
        if (!(error instanceof StatementFailure)) throw error
        known = { kind: 'unknown', error }
      }
      this.#classes.set(sql, known)
    }
    return known
  }

  /**
   * Reads all rows, integers as bigint.
   *
   * @throws StatementFailure, ERR_REFUSED_SQL for a statement that would write, ERR_TOO_LARGE for
   * rows beyond the budget.
   */
  query(sql: string, args: StatementArgs, budget?: RowBudget | undefined): QueryResult {
    const prepared = this.#prepared(sql)
    refuseWrite(prepared.facts)
    const bindings = prepared.shape.parameters.bind(args)
    const commits = this.#commits()
    const rows = this.#run(prepared, () =>
      budget === undefined
        ? readRows(prepared.statement, bindings)
        : readRowsWithin(prepared.statement, bindings, budget),
    )
    if (prepared.commits !== commits || this.#commits() !== commits) {
      this.#checkColumns(prepared, commits)
    }
    return { columns: prepared.columns, columnTypes: prepared.columnTypes, rows }
  }

  /** @throws StatementFailure for SQL that can't be prepared. */
  describe(sql: string): StatementDescription {
    this.#dropStale()
    const { statement, shape, facts } = this.#prepareNew(sql)
    const columns = statement.columns()
    return {
      columns: columns.map(({ name }) => name),
      columnTypes: columns.map(({ type }) => type ?? ''),
      parameters: shape.parameters.names,
      isExplain: shape.isExplain,
      isReadOnly: facts.kind === 'read',
    }
  }

  /**
   * Tables that a read reads, those behind its views too, in lower case; null where a virtual one
   * is among them, which may show what is in any other.
   *
   * @throws StatementFailure
   */
  tablesOf(sql: string): readonly string[] | null {
    this.#dropStale()
    const { facts, record } = this.#prepareNew(sql)
    refuseWrite(facts)
    return facts.touchesVirtualTable ? null : [...record.readTables]
  }

  /** A statement of its own for repeated reads. @throws StatementFailure */
  prepare(sql: string, options: PrepareOptions = {}): PreparedRead {
    const prepared = this.#prepareNew(sql)
    const { statement, facts, shape } = prepared
    refuseWrite(facts)
    statement.setReturnArrays(options.rowMode === 'array')
    statement.setReadBigInts(options.bigints ?? false)
    const run = <T>(work: () => T): T => this.#run(prepared, work)
    const bind = (args: StatementArgs): readonly SqlValue[] => shape.parameters.bind(args)
    const check = options.bigints === true ? () => {} : refuseLeastInteger
    return {
      all: (args) => {
        const bindings = bind(args)
        const rows = run(() => statement.all(...bindings))
        for (const row of rows) check(row)
        return rows
      },
      get: (args) => {
        const bindings = bind(args)
        const row = run(() => statement.get(...bindings))
        check(row)
        return row
      },
      iterate: (args) => this.#iterate(prepared, bind(args), check),
      // Asked anew: a statement learns of a changed schema only when it runs.
      columns: () => {
        this.#dropStale()
        const { statement: present } = this.#prepareNew(sql)
        return present.columns().map(({ name }) => name)
      },
    }
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction
  }

  /** Holds one snapshot until {@link unpin}. */
  pin(): void {
    this.#own.get('BEGIN').run()
    // BEGIN alone takes no snapshot: the first read does.
    this.#own.get('SELECT count(*) FROM sqlite_schema').get()
  }

  unpin(): void {
    if (this.inTransaction) this.#own.get('COMMIT').run()
  }

  /**
   * Copies the database while others go on. From a pinned connection the copy is the pinned
   * snapshot; from another it starts again with every commit in between, and may never end. Told
   * of each step that is not the last.
   */
  async backup(toPath: string, onCopied: (bytes: number) => void = () => {}): Promise<void> {
    const stepBytes = BACKUP_PAGES * this.#own.number('PRAGMA page_size')
    const progress = (): void => onCopied(stepBytes)
    await requireSqlite().backup(this.#db, toPath, { rate: BACKUP_PAGES, progress })
  }

  /** A statement of our own, prepared once and not guarded: arrays of rows, bigint integers. */
  own(sql: string): StatementSync {
    return this.#own.get(sql)
  }

  /** Runs statements of our own; the guard watches over users' statements only. */
  internal<T>(work: () => T): T {
    this.#guard.disarm()
    return work()
  }

  schemaVersion(): number {
    return this.#own.number('PRAGMA schema_version')
  }

  /** Moves when another connection has committed to the file. */
  dataVersion(): number {
    return this.#own.number('PRAGMA data_version')
  }

  /** The tables as they are now. */
  schema(): Schema {
    this.#dropStale()
    this.#schema ??= new Schema(this.#db)
    return this.#schema
  }

  close(): void {
    this.#db.close()
  }

  #prepared(sql: string): ReaderStatement {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const prepared = this.#prepareNew(sql)
    if (prepared.shape.pragma === undefined) this.#statements.set(sql, prepared)
    return prepared
  }

  #prepareNew(sql: string): ReaderStatement {
    const schema = (): Schema => this.schema()
    const guarded = prepareGuarded(this.#db, this.#guard, schema, sql, this.doubleQuotedStrings)
    return { ...guarded, columns: [], columnTypes: [], schemaVersion: UNKNOWN, commits: UNKNOWN }
  }

  /**
   * Columns may have moved since the statement was prepared, and are right once it has run: the
   * schema after it, if it is that of the columns, was the schema throughout. Columns that may be
   * older than the schema now are good for this one answer.
   */
  #checkColumns(prepared: ReaderStatement, commits: number): void {
    const version = this.schemaVersion()
    const isCalm = commits % 2 === 0 && this.#commits() === commits
    if (version !== prepared.schemaVersion) {
      takeColumns(prepared)
      prepared.schemaVersion = isCalm || this.inTransaction ? version : UNKNOWN
    }
    // What holds in a snapshot may long be past outside.
    prepared.commits = isCalm && !this.inTransaction ? commits : UNKNOWN
  }

  /** Each step is run, since the first one is where a read begins, and any may fail. */
  *#iterate(
    prepared: GuardedStatement,
    bindings: readonly SqlValue[],
    check: (row: unknown) => void,
  ): Generator<unknown, void, void> {
    const { statement } = prepared
    const rows = this.#run(prepared, () => statement.iterate(...bindings))
    try {
      for (;;) {
        const { done, value } = this.#run(prepared, () => rows.next())
        if (done === true) return
        check(value)
        yield value
      }
    } finally {
      rows.return?.()
    }
  }

  #run<T>({ shape }: GuardedStatement, work: () => T): T {
    this.#guard.arm(shape.keyword, false)
    let result: T
    try {
      result = work()
    } catch (error) {
      throw this.#guard.takeRefusal() ?? asReadFailure(error)
    } finally {
      this.#guard.disarm()
    }
    const refused = this.#guard.takeRefusal()
    if (refused !== undefined) throw refused
    return result
  }

  #dropStale(): void {
    const version = this.schemaVersion()
    if (version === this.#schemaVersion) return
    this.#schemaVersion = version
    refreshSchema(this.#own)
    this.#schema = undefined
    this.#statements.clear()
    this.#classes.clear()
  }
}

/** Pages per step of a backup: half a MiB, so that writes wait little behind one. */
const BACKUP_PAGES = 128

function refuseWrite(facts: StatementFacts): void {
  if (facts.kind === 'write') throw refusal('a statement that writes is refused in a read')
}

/** Node.js throws for an integer that a number can't hold, where none are asked for as bigint. */
function asReadFailure(error: unknown): unknown {
  const isTooLarge = error instanceof RangeError && /too large to be/.test(error.message)
  return isTooLarge ? tooLargeForNumber(error.message, error) : asFailure(error)
}

const LEAST_INTEGER = -(2 ** 63)

/**
 * Node.js misses this one, as its negation overflows. A REAL of that very value is refused as well,
 * for a number does not tell; with bigints it does.
 */
function refuseLeastInteger(row: unknown): void {
  for (const column in row as Record<string, unknown> | undefined) {
    if ((row as Record<string, unknown>)[column] !== LEAST_INTEGER) continue
    throw tooLargeForNumber(`${column} may be the integer -2^63, which a number can't tell`)
  }
}

function tooLargeForNumber(message: string, cause?: unknown): StatementFailure {
  const hint = `${message}; prepare the statement with { bigints: true }`
  return new StatementFailure('ERR_TOO_LARGE', hint, { cause })
}

function takeColumns(prepared: ReaderStatement): void {
  const columns = prepared.statement.columns()
  prepared.columns = columns.map(({ name }) => name)
  prepared.columnTypes = columns.map(({ type }) => type ?? '')
}
