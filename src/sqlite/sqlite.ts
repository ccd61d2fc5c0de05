/**
 * SQLite connections, and the only importer of node:sqlite. Promises that a user's statement runs
 * the same on every node: an allow-list guards what it may name, clock and randomness come from the
 * command, and nothing of the connection's past shows. Promises to tell an answer (every node gets
 * it) from this machine's trouble. Leaves to `database/`: transactions of groups, bookkeeping
 * tables, applied indexes, retries and halting.
 */
import type { StatementSync } from 'node:sqlite'
import type { ErrorCode } from '../base/errors.ts'
import type {
  Environment,
  SqlValue,
  StatementArgs,
  StatementResult,
  UnitError,
} from '../command/command.ts'

/**
 * Loads node:sqlite after checking that this Node.js has what is needed.
 *
 * @throws ColmenaError ERR_UNSUPPORTED_RUNTIME with what to do about it.
 */
export declare function requireSqlite(): typeof import('node:sqlite')

/** SQLite's source id and compile options, our own options, platform, arch and libc, in one line. */
export declare function engineFingerprint(): string

/** What can be said of a statement before it runs, from the authorizer's record at prepare. */
export interface StatementFacts {
  readonly kind: 'read' | 'write'
  /** Inserts into some table, directly or through a trigger. */
  readonly inserts: boolean
  /** Inserts, updates or deletes rows. */
  readonly modifies: boolean
  /** Creates, alters or drops something of the schema. */
  readonly changesSchema: boolean
  /** ANALYZE or REINDEX. */
  readonly analyzes: boolean
  readonly touchesVirtualTable: boolean
  /** Calls whose answer is frozen per command, such as `random()`; [] for none. */
  readonly nonDeterministic: readonly string[]
  /** Creates deferred foreign keys, or sets PRAGMA defer_foreign_keys. */
  readonly defersForeignKeys: boolean
  /** Tables that the statement writes to, lower case. */
  readonly writtenTables: readonly string[]
}

/** A user's statement that failed: SQLite's error, or a refusal of ours with `sqliteCode` 0. */
export declare class StatementFailure extends Error {
  readonly code: ErrorCode
  /** SQLite's extended result code; 0 for a refusal. */
  readonly sqliteCode: number
  /** SQLITE_FULL because an AUTOINCREMENT table has used its last rowid: the same everywhere. */
  readonly isAutoincrementExhausted: boolean
}

/**
 * How a failure is to be taken. `answer`: every node gets it. `vanished`: an answer too, but the
 * whole SQLite transaction was rolled back under us. `busy`: retry for ever. `machine`: this node's
 * own trouble: roll back, publish nothing, halt.
 */
export type FailureKind = 'answer' | 'vanished' | 'busy' | 'machine'

export interface ClassifiedFailure {
  readonly kind: FailureKind
  readonly error: UnitError
}

/** Judges what `run`, `commit` or any own statement of `writer` threw, before anything else runs. */
export declare function classifyFailure(
  error: unknown,
  writer: Writer,
  statementIndex?: number,
): ClassifiedFailure

export interface WriterOptions {
  /** SQLite's run-time limits; see DatabaseSync's `limits`. */
  readonly limits?: Readonly<Record<string, number>> | undefined
  /** 'freeze' by default. */
  readonly nonDeterminism?: 'freeze' | 'reject' | undefined
}

export interface CheckpointResult {
  readonly busy: boolean
  /** Pages in the WAL. */
  readonly log: number
  /** Pages of it that are in the database file. */
  readonly checkpointed: number
}

/** The one writing connection to a database file. Every method is synchronous. */
export declare class Writer {
  readonly path: string
  readonly walPath: string
  constructor(path: string, options?: WriterOptions)
  get inTransaction(): boolean
  begin(): void
  /** May fail with a constraint (deferred foreign keys): the transaction then stays open. */
  commit(): void
  /** Does nothing where no transaction is open. Also forgets what a rolled-back ANALYZE loaded. */
  rollback(): void
  savepoint(): void
  releaseSavepoint(): void
  /** Rolls back to the savepoint and releases it. */
  rollbackToSavepoint(): void
  /** Forgets rowid and change count, and freezes clock and randomness for the unit to come. */
  resetUnit(environment: Environment, unitOrdinal: number): void
  /** Runs one guarded statement of a user. @throws StatementFailure */
  run(sql: string, args: StatementArgs): StatementResult
  /** Facts of a statement against the present schema. @throws StatementFailure */
  facts(sql: string): StatementFacts
  /** Runs `work` with the guard off; `own` statements are the way to SQL. */
  internal<T>(work: () => T): T
  /** A cached statement of our own (arrays of rows, bigint integers); run it inside `internal`. */
  own(sql: string): StatementSync
  dataVersion(): number
  schemaVersion(): number
  hasDeferredForeignKeys(): boolean
  checkpoint(mode: 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE'): CheckpointResult
  close(): void
}

export interface ReaderOptions {
  /** True by default; `false` is for ':memory:', which stands for a database not yet made. */
  readonly readOnly?: boolean | undefined
}

export interface QueryResult {
  readonly columns: readonly string[]
  readonly columnTypes: readonly string[]
  readonly rows: readonly (readonly SqlValue[])[]
}

/** What `prepare` takes. */
export interface PrepareOptions {
  /** 'object' by default. */
  readonly rowMode?: 'array' | 'object' | undefined
  /** Integers as bigint; false by default, when those beyond 2^53 throw. */
  readonly bigints?: boolean | undefined
}

/** A prepared read at native speed. */
export interface PreparedRead {
  all(args: StatementArgs): unknown[]
  get(args: StatementArgs): unknown
  iterate(args: StatementArgs): IterableIterator<unknown>
  columns(): readonly string[]
}

export type Classification =
  | StatementFacts
  | { readonly kind: 'unknown'; readonly error: StatementFailure }

/** One read-only connection. */
export declare class Reader {
  readonly path: string
  constructor(path: string, options?: ReaderOptions)
  /** 'unknown' where it can't be prepared here: the schema may lag, so the write path decides. */
  classify(sql: string): Classification
  /** Reads to the end, so that no snapshot stays open. @throws StatementFailure */
  query(sql: string, args: StatementArgs): QueryResult
  prepare(sql: string, options?: PrepareOptions): PreparedRead
  get inTransaction(): boolean
  /** Holds one snapshot until `unpin`. */
  pin(): void
  unpin(): void
  /** Copies the database as this connection sees it; pin first for an exact cut. */
  backup(toPath: string, onProgress?: (remaining: number, total: number) => void): Promise<void>
  /** Rows of a statement of our own, with the guard off: `_colmena_*` tables included. */
  own(sql: string): StatementSync
  internal<T>(work: () => T): T
  schemaVersion(): number
  dataVersion(): number
  close(): void
}

/** Splits a script into its statements, without the empty ones; bodies of triggers stay whole. */
export declare function splitStatements(sql: string): string[]

/** 'ok', or what SQLite's integrity_check and foreign_key_check found. */
export declare function checkIntegrity(reader: Reader): string

/** SHA-256 over schema and rows of every user table, independent of how they were written. */
export declare function hashContent(reader: Reader): string
