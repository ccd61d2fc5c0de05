import type { Statement } from '../command/command.ts'
import type { AskedDatabase, DatabaseReader as Files } from '../database/database.ts'
import type { QueryResult } from '../sqlite/sqlite.ts'
import type { Consistency } from './consistency.ts'
import { readFailure, type StatementPlace } from './failures.ts'
import { readIsolated } from './isolated-reads.ts'
import type { NodeCore } from './node-core.ts'
import { createResultSet, type IntMode, type ResultSet } from './result-set.ts'
import { keepStatement } from './statement.ts'

/** How a read runs, its level settled. */
export interface ReadOptions {
  readonly level: Consistency
  readonly signal: AbortSignal | undefined
  readonly intMode: IntMode | undefined
}

/** Reads of one database on this node's own file, once their level is satisfied. */
export class DatabaseReads {
  readonly #core: NodeCore
  readonly #asked: AskedDatabase

  constructor(core: NodeCore, asked: AskedDatabase) {
    this.#core = core
    this.#asked = asked
  }

  /** One statement. */
  async one<TRow>(
    files: Files,
    statement: Statement,
    place: StatementPlace,
    { level, signal, intMode }: ReadOptions,
  ): Promise<ResultSet<TRow>> {
    const { calls, shared } = this.#core
    const sinceMs = performance.now()
    try {
      const gate = this.#core.enterRead(level, signal)
      const { sql, args } = gate === null ? statement : keepStatement(statement)
      if (gate !== null) await gate
      const origin = { index: shared.applied(), level }
      const rows = this.#core.slow.read(this.#asked.database, sql, () => files.query(sql, args))
      const result = createResultSet<TRow>(rows, origin, intMode)
      calls.readAnswered(level, sinceMs)
      return result
    } catch (error) {
      throw calls.readFailed(readFailure(error, place))
    }
  }

  /** Several on one snapshot. */
  async all<TRow>(
    files: Files,
    statements: readonly Statement[],
    { level, signal, intMode }: ReadOptions,
  ): Promise<ResultSet<TRow>[]> {
    const { calls, shared } = this.#core
    const sinceMs = performance.now()
    const place = { index: 0, count: statements.length }
    try {
      const gate = this.#core.enterRead(level, signal)
      const kept = gate === null ? statements : statements.map(keepStatement)
      if (gate !== null) await gate
      const origin = { index: shared.applied(), level }
      using snapshot = files.snapshot()
      const results = kept.map(({ sql, args }, index) => {
        place.index = index
        const query = (): QueryResult => snapshot.query(sql, args)
        const result = this.#core.slow.read(this.#asked.database, sql, query)
        return createResultSet<TRow>(result, origin, intMode)
      })
      calls.readAnswered(level, sinceMs)
      return results
    } catch (error) {
      throw calls.readFailed(readFailure(error, place))
    }
  }

  /** In a process of their own, on one snapshot. */
  async isolated<TRow>(
    statements: readonly Statement[],
    place: StatementPlace,
    { level, signal, intMode }: ReadOptions,
  ): Promise<ResultSet<TRow>[]> {
    const { calls, shared } = this.#core
    const kept = statements.map(keepStatement)
    const sinceMs = performance.now()
    try {
      await this.#core.enterRead(level, signal)
      const index = shared.applied()
      const { results } = await readIsolated(this.#core, kept, place, {
        asked: this.#asked,
        signal,
      })
      calls.readAnswered(level, sinceMs)
      return results.map((result) => createResultSet<TRow>(result, { index, level }, intMode))
    } catch (error) {
      throw calls.readFailed(error)
    }
  }
}
