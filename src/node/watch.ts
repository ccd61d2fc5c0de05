import type { DatabaseReader as Files, TouchedDatabase } from '../database/database.ts'
import { ALONE, checkNotAborted, readFailure } from './failures.ts'
import { Iteration } from './iteration.ts'
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
 *
 * `next` throws as `Database.execute` does for a read; ERR_REFUSED_SQL for a statement that writes.
 */
export class Watch<TRow = Row> extends Iteration<ResultSet<TRow>> {
  readonly #place: WatchPlace<TRow>
  /** Null where a write to any table may change the answer. */
  #tables: ReadonlySet<string> | null = null

  constructor(place: WatchPlace<TRow>) {
    super(place.signal)
    this.#place = place
  }

  protected override async *tell(): AsyncGenerator<ResultSet<TRow>, undefined, undefined> {
    const { core, database, read } = this.#place
    const isConcerned = (touched: TouchedDatabase): boolean => this.#isConcerned(touched)
    const listener = await core.hooks.listen({ database, keepsChanges: false, isConcerned })
    this.listener = listener
    for (let isFirst = true; ; isFirst = false) {
      checkNotAborted(this.signal)
      if (this.isClosed) return undefined
      // Before the read: a table that joins the answer after it is told as a changed schema.
      this.#findTables()
      yield await read(isFirst)
      await listener.wait()
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
