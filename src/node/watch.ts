import type { DatabaseReader as Files, TouchedDatabase } from '../database/database.ts'
import { ALONE, abortedError, checkNotAborted, readFailure } from './failures.ts'
import type { Listener } from './hooks.ts'
import type { NodeCore } from './node-core.ts'
import type { ResultSet, Row } from './result-set.ts'

/** What is watched, and how it is read. */
export interface WatchPlace<TRow> {
  readonly core: NodeCore
  readonly database: string
  readonly files: () => Files
  readonly sql: string
  readonly signal: AbortSignal | undefined
  /** The first read is at the level of the call; later ones answer to what was applied here. */
  readonly read: (isFirst: boolean) => Promise<ResultSet<TRow>>
}

/**
 * The answers of a query, anew whenever a table that it reads was written to on this node. Writes
 * that come while an answer is dealt with are answered together, so a slow reader delays nobody.
 */
export class Watch<TRow = Row> implements AsyncIterableIterator<ResultSet<TRow>>, AsyncDisposable {
  readonly #place: WatchPlace<TRow>
  readonly #told: AsyncGenerator<ResultSet<TRow>, undefined, undefined>
  #listener: Listener | null = null
  /** Null where a write to any table may change the answer. */
  #tables: ReadonlySet<string> | null = null
  #isClosed = false

  constructor(place: WatchPlace<TRow>) {
    this.#place = place
    this.#told = this.#tell()
  }

  /** @throws as `Database.execute` for a read; ERR_REFUSED_SQL for a statement that writes. */
  next(): Promise<IteratorResult<ResultSet<TRow>, undefined>> {
    return this.#told.next()
  }

  /** Ends it; what waits for the next answer is done. */
  async return(): Promise<IteratorResult<ResultSet<TRow>, undefined>> {
    this.#isClosed = true
    this.#listener?.close()
    return this.#told.return(undefined)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  async *#tell(): AsyncGenerator<ResultSet<TRow>, undefined, undefined> {
    const { core, database, signal, read } = this.#place
    checkNotAborted(signal)
    const abort = (): void => this.#listener?.close(abortedError(signal as AbortSignal))
    signal?.addEventListener('abort', abort, { once: true })
    try {
      const isConcerned = (touched: TouchedDatabase): boolean => this.#isConcerned(touched)
      this.#listener = await core.hooks.listen({ database, keepsChanges: false, isConcerned })
      for (let isFirst = true; ; isFirst = false) {
        checkNotAborted(signal)
        if (this.#isClosed) return undefined
        // Before the read: a table that joins the answer after it is told as a changed schema.
        this.#findTables()
        yield await read(isFirst)
        await this.#listener.wait()
      }
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#listener?.close()
    }
  }

  #isConcerned({ tables, isSchemaChanged }: TouchedDatabase): boolean {
    const own = this.#tables
    return isSchemaChanged || own === null || tables.some((table) => own.has(table))
  }

  #findTables(): void {
    const { files, sql } = this.#place
    try {
      const tables = files().tablesOf(sql)
      this.#tables = tables === null ? null : new Set(tables)
    } catch (error) {
      throw readFailure(error, ALONE)
    }
  }
}
