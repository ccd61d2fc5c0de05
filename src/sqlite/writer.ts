import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { assert } from '../base/assert.ts'
import type { Environment, SqlValue, StatementArgs, StatementResult } from '../command/command.ts'
import { ChangeRecorder, type RecordedUnit } from './changes.ts'
import {
  BoundedCache,
  type ConnectionSettings,
  OwnStatements,
  openDatabase,
  type RowBudget,
  readRows,
  readRowsWithin,
  refreshSchema,
  runBound,
} from './connection.ts'
import { type CountedStatement, Counters } from './counters.ts'
import { ExhaustedTables } from './exhausted.ts'
import { frozenCalls, type StatementFacts } from './facts.ts'
import { ForeignKeys } from './foreign-keys.ts'
import { FrozenFunctions, nonDeterministic } from './frozen.ts'
import { Guard } from './guard.ts'
import { bindsLargestRowid, LARGEST_ROWID, refuseLargestRowid, rowidRule } from './rowid.ts'
import { type SavepointStatement, savepointSql } from './savepoint.ts'
import { Schema } from './schema.ts'
import {
  asFailure,
  type GuardedStatement,
  prepareGuarded,
  refuseIntegrityCheck,
} from './statement.ts'
import { StoredTimeTriggers } from './stored-time.ts'

export interface CheckpointResult {
  /** A reader or a writer was in the way. */
  readonly busy: boolean
  /** Pages in the WAL. */
  readonly log: number
  /** Pages of it that are in the database file. */
  readonly checkpointed: number
}

interface WriterStatement extends GuardedStatement, CountedStatement {
  readonly columns: readonly string[]
  readonly columnTypes: readonly string[]
  /** A call in its own text that is non-deterministic whatever its arguments. */
  readonly frozenCall: string | undefined
}

/** Prepared statements kept per connection. */
const STATEMENTS_MAX = 1000
/** Where the ordinals of statements that only look begin: no unit has as many statements. */
const LOOKS_FROM = 2 ** 31
const UNRECORDED = { changesSchema: false }
const NO_ROWS: readonly (readonly SqlValue[])[] = []

/**
 * The one writing connection to a database file, in WAL mode with `synchronous=NORMAL`: the log has
 * every write durably before it comes here. It checkpoints only when told to. All methods are
 * synchronous and throw what SQLite throws; `classifyFailure` judges it.
 */
export class Writer {
  readonly path: string
  readonly walPath: string
  readonly settings: ConnectionSettings
  readonly doubleQuotedStrings: boolean
  readonly foreignKeys: ForeignKeys
  readonly #db: DatabaseSync
  readonly #own: OwnStatements
  readonly #guard: Guard
  readonly #frozen: FrozenFunctions
  readonly #storedTime: StoredTimeTriggers
  readonly #exhausted: ExhaustedTables
  readonly #changes: ChangeRecorder
  readonly #cache = new BoundedCache<WriterStatement>(STATEMENTS_MAX)
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #savepoint: StatementSync
  readonly #release: StatementSync
  readonly #rollbackTo: StatementSync
  readonly #counters: Counters
  /** Told of the tables, in lower case, that a statement wrote to, or of a changed schema. */
  onTouched: ((tables: readonly string[], isSchemaChanged: boolean) => void) | null = null
  #schema: Schema | undefined
  #schemaVersion = -1
  /** Whether schema or statistics were changed in the open transaction. */
  #isSchemaTouched = false
  #statementOrdinal = 0
  #lookOrdinal = LOOKS_FROM
  /** Whether the unit's calls of `random()` and its like fail instead of being frozen. */
  #rejects = false

  constructor(path: string, options: ConnectionSettings = {}) {
    this.path = path
    this.walPath = `${path}-wal`
    this.settings = options
    this.doubleQuotedStrings = options.doubleQuotedStrings ?? false
    const { db, added } = openDatabase(path, false, options)
    this.#db = db
    try {
      this.#db.exec(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;' +
          'CREATE TEMP TABLE _colmena_rowid (id INTEGER PRIMARY KEY)',
      )
      this.#own = new OwnStatements(this.#db)
      this.foreignKeys = new ForeignKeys(this.#own)
      this.#frozen = new FrozenFunctions(this.#db)
      this.#storedTime = new StoredTimeTriggers(this.#db)
      this.#guard = new Guard(db, added)
      this.#exhausted = new ExhaustedTables(this.#own)
      this.#changes = new ChangeRecorder(this.#db, this.#own, () => this.#currentSchema())
      this.#begin = this.#own.get('BEGIN IMMEDIATE')
      this.#commit = this.#own.get('COMMIT')
      this.#savepoint = this.#own.get('SAVEPOINT _colmena_unit')
      this.#release = this.#own.get('RELEASE _colmena_unit')
      this.#rollbackTo = this.#own.get('ROLLBACK TO _colmena_unit')
      this.#counters = new Counters(this.#own)
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  get inTransaction(): boolean {
    return this.#db.isTransaction
  }

  /** Takes the file's write lock. Only here can foreign keys be left out, up to the next one. */
  begin(foreignKeysOff = false): void {
    assert(!this.inTransaction, 'transactions of one writer do not nest')
    if (this.#isSchemaTouched) this.#forgetRolledBack()
    if (this.foreignKeys.enforce(!foreignKeysOff)) this.#cache.clear()
    this.#begin.run()
    this.#exhausted.clear()
    const version = this.schemaVersion()
    if (version === this.#schemaVersion) return
    this.#schemaVersion = version
    refreshSchema(this.#own)
    this.#forgetSchema()
  }

  /** May fail with a constraint (deferred foreign keys): the transaction then stays open. */
  commit(): void {
    this.#commit.run()
    this.#isSchemaTouched = false
    this.#exhausted.clear()
  }

  /** Ends the transaction, if one is open, and leaves nothing of it in the connection. */
  rollback(): void {
    if (this.inTransaction) this.#own.get('ROLLBACK').run()
    this.#changes.drop()
    this.#forgetRolledBack()
  }

  savepoint(): void {
    this.#savepoint.run()
  }

  releaseSavepoint(): void {
    this.#release.run()
  }

  /** Undoes all since {@link savepoint} and releases it. */
  rollbackToSavepoint(): void {
    this.#rollbackTo.run()
    this.#release.run()
    this.#forgetRolledBack()
  }

  /**
   * Begins a unit: `last_insert_rowid()` and `changes()` are 0, whatever this connection did
   * before, and clock and randomness are those of the entry. `environment.wallMs` must be the
   * effective frozen time, which never goes back. With `rejects` what would be frozen fails with
   * ERR_NON_DETERMINISTIC_SQL instead.
   */
  resetUnit(environment: Environment, unitOrdinal: number, rejects = false): void {
    this.#rejects = rejects
    this.#counters.reset()
    this.#frozen.startUnit(environment, unitOrdinal)
    this.#statementOrdinal = 0
    this.#lookOrdinal = LOOKS_FROM
  }

  /** Whether units are recorded from here on, for {@link recorded}. */
  recordChanges(isOn: boolean): void {
    if (isOn === this.#changes.isOn) return
    this.#cache.clear()
    this.#guard.isRecorded = isOn
    if (isOn) this.#changes.start()
    else this.#changes.stop()
  }

  /** Records the unit that begins here, if changes are recorded; with its rows or their hash. */
  startRecording(keepsRows: boolean): void {
    if (this.#changes.isOn) this.#changes.begin(keepsRows)
  }

  /** What the unit did that succeeded, null where it was not recorded; ends the recording. */
  recorded(): RecordedUnit | null {
    return this.#changes.isOn ? this.#changes.end() : null
  }

  /** The unit failed: nothing of it is recorded. */
  dropRecording(): void {
    this.#changes.drop()
  }

  /**
   * Runs one statement of a user under the guard, to its end. A transaction must be open.
   *
   * @throws StatementFailure for SQLite's errors and for refusals, anything else as it came: let
   * `classifyFailure` judge it before anything else runs here.
   */
  run(sql: string, args: StatementArgs): StatementResult {
    const ordinal = this.#statementOrdinal
    this.#statementOrdinal += 1
    const { changesSchema } = this.#changes.isOpen ? this.facts(sql) : UNRECORDED
    if (!changesSchema) return this.#run(sql, args, ordinal)
    return this.#changes.acrossSchema(sql, () => this.#run(sql, args, ordinal))
  }

  /**
   * Runs a statement that only reads, amid a unit that is tried first: what comes after it draws
   * the random numbers that it will draw where this one does not run.
   *
   * @throws StatementFailure ERR_TOO_LARGE for rows beyond the budget; else as {@link run}.
   */
  look(sql: string, args: StatementArgs, budget?: RowBudget): StatementResult {
    assert(this.facts(sql).kind === 'read', 'what is only looked at is a read')
    this.#lookOrdinal += 1
    return this.#run(sql, args, this.#lookOrdinal, budget)
  }

  /** A savepoint of the user's, inside a unit. @throws StatementFailure */
  markSavepoint({ kind, name }: SavepointStatement): void {
    try {
      this.#db.exec(savepointSql(kind, name))
    } catch (error) {
      throw asFailure(error)
    }
    if (kind !== 'rollbackTo') return
    this.#changes.rolledBack()
    this.#forgetRolledBack()
  }

  /** Facts of a statement against the present schema. @throws StatementFailure */
  facts(sql: string): StatementFacts {
    return (this.#cache.get(sql) ?? this.#prepare(sql)).facts
  }

  /** Runs statements of our own; the guard watches over users' statements only. */
  internal<T>(work: () => T): T {
    this.#guard.disarm()
    return work()
  }

  /** A statement of our own, prepared once: rows are arrays, integers bigint, nothing guarded. */
  own(sql: string): StatementSync {
    return this.#own.get(sql)
  }

  /** Moves when another connection, of whatever process, has committed to the file. */
  dataVersion(): number {
    return this.#own.number('PRAGMA data_version')
  }

  schemaVersion(): number {
    return this.#own.number('PRAGMA schema_version')
  }

  /** Whether foreign keys of this schema may be checked as late as COMMIT. */
  hasDeferredForeignKeys(): boolean {
    return this.#currentSchema().hasDeferredForeignKeys
  }

  /** Outside a transaction only. PASSIVE never waits and never syncs what it could not finish. */
  checkpoint(mode: 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE'): CheckpointResult {
    const statement = this.#own.get(`PRAGMA wal_checkpoint(${mode})`)
    const [busy, log, checkpointed] = statement.get() as unknown as [bigint, bigint, bigint]
    return { busy: busy !== 0n, log: Number(log), checkpointed: Number(checkpointed) }
  }

  close(): void {
    this.#frozen.close()
    this.#changes.stop()
    this.#db.close()
  }

  #run(sql: string, args: StatementArgs, ordinal: number, budget?: RowBudget): StatementResult {
    const cached = this.#cache.get(sql) ?? this.#prepare(sql)
    if (this.#storedTime.isStale && !cached.shape.isSchemaStatement) {
      this.#storedTime.install(this.#currentSchema().timeColumns())
    }
    const { shape, facts, columns, columnTypes } = cached
    const bindings = shape.parameters.bind(args)
    const writes = facts.kind === 'write'
    const rejects = writes && this.#rejects
    // A DEFAULT's call is refused only when it is made.
    if (rejects && cached.frozenCall !== undefined) throw nonDeterministic(cached.frozenCall)
    if (facts.touchesVirtualTable && facts.inserts) refuseIntegrityCheck(cached, args)
    this.#counters.arrange(cached, ordinal)
    this.#frozen.startStatement(ordinal, shape.buildsIndex, rejects)
    this.#guard.arm(shape.keyword, writes)
    let rows = NO_ROWS
    let changes = 0n
    let rowid = 0n
    try {
      if (columns.length > 0 && budget) rows = readRowsWithin(cached.statement, bindings, budget)
      else if (columns.length > 0) rows = readRows(cached.statement, bindings)
      else ({ changes, rowid } = runBound(cached.statement, bindings))
    } catch (error) {
      this.#guard.disarm()
      if (!this.inTransaction) this.#storedTime.markStale()
      throw this.#exhausted.explain(this.#guard.takeRefusal() ?? asFailure(error), cached.record)
    }
    this.#guard.disarm()
    const refused = this.#guard.takeRefusal()
    if (refused !== undefined) throw refused
    if (!writes) return { columns, columnTypes, rows, rowsAffected: 0, lastInsertRowid: null }
    if (columns.length > 0) [changes, rowid] = this.#counters.read()
    this.#settle(cached, args, rowid)
    const lastInsertRowid = this.#counters.insertedRowid(cached, changes, rowid)
    const rowsAffected = facts.modifies ? Number(changes) : 0
    return { columns, columnTypes, rows, rowsAffected, lastInsertRowid }
  }

  #prepare(sql: string): WriterStatement {
    this.#storedTime.drop()
    const schema = (): Schema => this.#currentSchema()
    const prepared = prepareGuarded(this.#db, this.#guard, schema, sql, this.doubleQuotedStrings)
    const { facts, record, shape, statement } = prepared
    const columns = statement.columns()
    const cached: WriterStatement = {
      ...prepared,
      columns: columns.map(({ name }) => name),
      columnTypes: columns.map(({ type }) => type ?? ''),
      frozenCall: frozenCalls(record.functions)[0],
      rowidRule: facts.modifies ? rowidRule(prepared, this.#currentSchema()) : 'none',
      readsCounters: [...record.functions, ...record.defaultFunctions].some(isCounter),
    }
    // A schema statement runs once, and forgets every other.
    if (!shape.isSchemaStatement && shape.pragma === undefined) this.#cache.set(sql, cached)
    return cached
  }

  #currentSchema(): Schema {
    this.#schema ??= new Schema(this.#db)
    return this.#schema
  }

  #forgetSchema(): void {
    this.#schema = undefined
    this.#cache.clear()
    this.#storedTime.markStale()
  }

  /**
   * ROLLBACK undoes pages, not the connection: statistics that a rolled-back ANALYZE loaded would
   * stay, and give this node other plans, and other orders of rows, than its peers.
   */
  #forgetRolledBack(): void {
    this.#exhausted.clear()
    // Triggers that were made since were undone too.
    this.#storedTime.markStale()
    if (!this.#isSchemaTouched) return
    this.#forgetSchema()
    if (!this.inTransaction) this.#isSchemaTouched = false
    // Where the table of statistics is gone, its creation was undone and SQLite forgot by itself.
    const statistics = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'"
    if (this.#own.number(statistics) > 0) this.#own.get('ANALYZE sqlite_schema').run()
  }

  /** What a write that succeeded leaves to be checked and remembered. */
  #settle(cached: WriterStatement, args: StatementArgs, rowid: bigint): void {
    const { facts, shape } = cached
    this.onTouched?.(facts.writtenTables, facts.changesSchema)
    if (facts.changesSchema || facts.analyzes) {
      this.#isSchemaTouched = true
      this.#forgetSchema()
    }
    if (!facts.modifies) return
    const mayBeLargest =
      rowid === LARGEST_ROWID || shape.namesLargestRowid || bindsLargestRowid(args)
    if (!mayBeLargest) return
    const schema = this.#currentSchema()
    this.#exhausted.note()
    refuseLargestRowid(facts.writtenTables, schema, this.#own, rowid)
  }
}

function isCounter(functionName: string): boolean {
  return functionName === 'last_insert_rowid' || functionName === 'changes'
}
