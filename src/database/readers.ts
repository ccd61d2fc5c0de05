import { ColmenaError } from '../base/errors.ts'
import type { StatementArgs } from '../command/command.ts'
import {
  type Classification,
  exportTo,
  type PreparedRead,
  type PrepareOptions,
  type QueryResult,
  type RowBudget,
  type StatementDescription,
} from '../sqlite/sqlite.ts'
import { readLastWrite, SELECT_APPLIED } from './database-file.ts'
import { type FeedRead, readFeed, readTellable } from './feed-reader.ts'
import { type RunMigration, readMigration } from './migrations.ts'
import {
  isStale,
  openConnection,
  type ReadConnection,
  type ReadSource,
  readSteadily,
} from './read-connection.ts'
import { type Borrowed, ReadPool } from './read-pool.ts'
import type { AskedDatabase } from './settings.ts'
import { WAL_BOUNDS } from './wal-bounds.ts'

export interface ReadersOptions extends ReadSource {
  /**
   * Milliseconds that an iterator or read transaction may stay open.
   *
   * @defaultValue 30000. More lets long reads finish, at the cost of a larger write-ahead file.
   */
  readonly maxReadMs?: number | undefined
  /** Iterators and read transactions open at the same time, in all databases; 8 by default. */
  readonly borrowedMax?: number | undefined
  /** Bytes of a write-ahead file from which the oldest open read ends; 256 MiB by default. */
  readonly walBytesMax?: number | undefined
}

/** A prepared read that goes on to work when the files under it are replaced. */
export interface ReadStatement {
  all(args: StatementArgs): unknown[]
  /** The first row; undefined where there is none. */
  get(args: StatementArgs): unknown
  /**
   * Rows as they are read, on a snapshot and a connection of their own until the end.
   *
   * @throws ColmenaError ERR_READ_EXPIRED from `next`; ERR_BUSY where too many are open.
   */
  iterate(args: StatementArgs): IterableIterator<unknown> & Disposable
  columns(): readonly string[]
}

/** Several reads on one snapshot. */
export interface ReadSnapshot extends Disposable {
  /** @throws ColmenaError ERR_READ_EXPIRED */
  query(sql: string, args: StatementArgs, budget?: RowBudget | undefined): QueryResult
  /** The index of the last write to the database that is in it, null where there is none yet. */
  lastWrite(): number | null
  close(): void
}

/**
 * The user thread's reads of one database, at native speed. What must be applied before a read is
 * its caller's business.
 */
export class DatabaseReader {
  readonly #asked: AskedDatabase
  readonly #source: ReadSource
  readonly #pool: ReadPool
  #main: ReadConnection | null = null
  #isClosed = false

  constructor(asked: AskedDatabase, source: ReadSource, pool: ReadPool) {
    this.#asked = asked
    this.#source = source
    this.#pool = pool
  }

  /** Whether a statement reads or writes; 'unknown' where it can't be prepared here and now. */
  classify(sql: string): Classification {
    return this.#read(({ reader }) => reader.classify(sql))
  }

  /** @throws StatementFailure for SQL that can't be prepared. */
  describe(sql: string): StatementDescription {
    return this.#read(({ reader }) => reader.describe(sql))
  }

  /** A migration that this file's database has run, null where there is none of that number. */
  migration(version: number): RunMigration | null {
    return this.#read(({ reader }) =>
      reader.path === ':memory:' ? null : readMigration(reader, version),
    )
  }

  /** All rows, integers as bigint. @throws StatementFailure */
  query(sql: string, args: StatementArgs): QueryResult {
    return this.#read(({ reader }) => reader.query(sql, args))
  }

  /** @throws StatementFailure for SQL that can't be prepared, or that writes. */
  prepare(sql: string, options: PrepareOptions = {}): ReadStatement {
    let prepared: { readonly connection: ReadConnection; readonly read: PreparedRead } | null = null
    const current = (connection: ReadConnection): PreparedRead => {
      if (prepared?.connection !== connection) {
        prepared = { connection, read: connection.reader.prepare(sql, options) }
      }
      return prepared.read
    }
    this.#read(current)
    return {
      all: (args) => this.#read((connection) => current(connection).all(args)),
      get: (args) => this.#read((connection) => current(connection).get(args)),
      iterate: (args) => this.#iterate(sql, args, options),
      columns: () => this.#read((connection) => current(connection).columns()),
    }
  }

  /** The changed rows that are kept after an index; null where there is no such database. */
  feed(after: number): FeedRead | null {
    return this.#read(({ reader }) => readFeed(reader, after))
  }

  /** Tables in lower case, and whether every change of their rows can be told. */
  tellableTables(): ReadonlyMap<string, boolean> {
    return this.#read(({ reader }) => readTellable(reader))
  }

  /** As `Reader.tablesOf`. @throws StatementFailure */
  tablesOf(sql: string): readonly string[] | null {
    return this.#read(({ reader }) => reader.tablesOf(sql))
  }

  /**
   * Copies the database as it is at one moment; see `exportTo`. Its own applied index is told.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where there is none.
   */
  copyTo(path: string): number {
    const { reader } = this.#connection()
    if (reader.path === ':memory:') {
      throw new ColmenaError(
        'ERR_INVALID_ARGUMENT',
        `there is no database '${this.#asked.database}' on this node: its first write makes it`,
      )
    }
    return exportTo(reader, path, SELECT_APPLIED)
  }

  /** A snapshot for several reads: close it soon. @throws ColmenaError ERR_BUSY */
  snapshot(): ReadSnapshot {
    const borrowed = this.#borrow()
    const { reader } = borrowed.connection
    reader.pin()
    const close = (): void => {
      let isReusable = true
      try {
        if (reader.inTransaction) reader.unpin()
      } catch {
        // What was read was read, or has failed with its own error; nobody needs this connection.
        isReusable = false
      }
      borrowed.return(isReusable)
    }
    let isOpen = true
    const closeOnce = (): void => {
      if (isOpen && !borrowed.isExpired) close()
      isOpen = false
    }
    const check = (): void => {
      borrowed.refuseExpired()
      if (!isOpen) throw new ColmenaError('ERR_CLOSED', 'the read snapshot was closed')
    }
    return {
      query: (sql, args, budget) => {
        check()
        return reader.query(sql, args, budget)
      },
      lastWrite: () => {
        check()
        return reader.path === ':memory:' ? null : readLastWrite(reader)
      },
      close: closeOnce,
      [Symbol.dispose]: closeOnce,
    }
  }

  close(): void {
    this.#isClosed = true
    this.#main?.reader.close()
    this.#main = null
  }

  #iterate(
    sql: string,
    args: StatementArgs,
    options: PrepareOptions,
  ): IterableIterator<unknown> & Disposable {
    const borrowed = this.#borrow()
    try {
      const rows = borrowed.connection.reader.prepare(sql, options).iterate(args)
      return new BorrowedRows(borrowed, rows)
    } catch (error) {
      borrowed.return()
      throw error
    }
  }

  #borrow(): Borrowed {
    if (this.#isClosed) throw closedError()
    return this.#pool.borrow(this.#asked)
  }

  #read<T>(read: (connection: ReadConnection) => T): T {
    return readSteadily(this.#source, () => this.#connection(), read)
  }

  /** The connection for reads that run to their end at once. */
  #connection(): ReadConnection {
    if (this.#isClosed) throw closedError()
    if (this.#main !== null) {
      if (!isStale(this.#source, this.#main)) return this.#main
      this.#main.reader.close()
      this.#main = null
    }
    this.#main = openConnection(this.#source, this.#asked)
    return this.#main
  }
}

/** Rows of a borrowed connection, which goes back at the end. */
class BorrowedRows implements IterableIterator<unknown>, Disposable {
  readonly #borrowed: Borrowed
  readonly #rows: IterableIterator<unknown>
  #isDone = false

  constructor(borrowed: Borrowed, rows: IterableIterator<unknown>) {
    this.#borrowed = borrowed
    this.#rows = rows
  }

  next(): IteratorResult<unknown> {
    if (this.#isDone) return { done: true, value: undefined }
    this.#borrowed.refuseExpired()
    let result: IteratorResult<unknown>
    try {
      result = this.#rows.next()
    } catch (error) {
      this.#isDone = true
      this.#borrowed.return(false)
      throw error
    }
    if (result.done !== true) return result
    this.#finish()
    return { done: true, value: undefined }
  }

  return(value?: unknown): IteratorResult<unknown> {
    if (!this.#isDone && !this.#borrowed.isExpired) this.#rows.return?.()
    this.#finish()
    return { done: true, value }
  }

  [Symbol.iterator](): this {
    return this
  }

  [Symbol.dispose](): void {
    this.return()
  }

  #finish(): void {
    this.#isDone = true
    this.#borrowed.return()
  }
}

/** All databases of a node, for reading from its user thread. */
export class Readers {
  readonly #source: ReadSource
  readonly #pool: ReadPool
  readonly #databases = new Map<string, DatabaseReader>()
  #isClosed = false

  constructor(options: ReadersOptions) {
    this.#source = options
    this.#pool = new ReadPool(this.#source, {
      borrowedMax: options.borrowedMax ?? 8,
      maxReadMs: options.maxReadMs ?? 30_000,
      walBytesMax: options.walBytesMax ?? WAL_BOUNDS.bytesMax,
    })
  }

  /** The same object where the same is asked for; the database need not exist. */
  database(database: string, doubleQuotedStrings?: boolean | undefined): DatabaseReader {
    if (this.#isClosed) throw closedError()
    const key = `${database} ${doubleQuotedStrings}`
    let reader = this.#databases.get(key)
    if (reader === undefined) {
      const asked = { database, doubleQuotedStrings }
      reader = new DatabaseReader(asked, this.#source, this.#pool)
      this.#databases.set(key, reader)
    }
    return reader
  }

  /** Ends open reads with ERR_CLOSED. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const database of this.#databases.values()) database.close()
    this.#pool.close()
  }
}

function closedError(): ColmenaError {
  return new ColmenaError('ERR_CLOSED', 'the node was closed')
}

/** Reads for a user thread, beside a storage thread that publishes in `shared`. */
export function createReaders(options: ReadersOptions): Readers {
  return new Readers(options)
}
