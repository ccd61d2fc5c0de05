import type { Statement } from '../command/command.ts'
import type { AskedDatabase, DatabaseReader as Files } from '../database/database.ts'
import type { QueryResult, StatementDescription } from '../sqlite/sqlite.ts'
import type { DatabaseCopy } from './copying.ts'
import { ALONE, readFailure, type StatementPlace } from './failures.ts'
import { copyIsolated, readIsolated } from './isolated-reads.ts'
import type { NodeCore } from './node-core.ts'
import { enterRead, passRead } from './read-pass.ts'
import type { AskedRead } from './reads.ts'
import { createResultSet, type IntMode, type ResultSet } from './result-set.ts'
import { keepStatement } from './statement.ts'

/** How a read runs, its level settled. */
export interface ReadOptions extends AskedRead {
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
    options: ReadOptions,
  ): Promise<ResultSet<TRow>> {
    const { calls, slow } = this.#core
    const sinceMs = performance.now()
    let { sql, args } = statement
    try {
      const passed = passRead<ResultSet<TRow>>(this.#core, options, {
        keep: () => {
          ;({ sql, args } = keepStatement({ sql, args }))
        },
        read: (origin) => {
          const rows = slow.read(this.#asked.database, sql, () => files.query(sql, args))
          return createResultSet(rows, origin, options.intMode)
        },
      })
      const result = passed instanceof Promise ? await passed : passed
      calls.readAnswered(options.level, sinceMs)
      return result
    } catch (error) {
      throw calls.readFailed(readFailure(error, place))
    }
  }

  /** Several on one snapshot. */
  async all<TRow>(
    files: Files,
    statements: readonly Statement[],
    options: ReadOptions,
  ): Promise<ResultSet<TRow>[]> {
    const { calls, slow } = this.#core
    const sinceMs = performance.now()
    const place = { index: 0, count: statements.length }
    let kept = statements
    try {
      const results = await passRead<ResultSet<TRow>[]>(this.#core, options, {
        keep: () => {
          kept = kept.map(keepStatement)
        },
        read: (origin) => {
          using snapshot = files.snapshot()
          return kept.map(({ sql, args }, index) => {
            place.index = index
            const query = (): QueryResult => snapshot.query(sql, args)
            const result = slow.read(this.#asked.database, sql, query)
            return createResultSet<TRow>(result, origin, options.intMode)
          })
        },
      })
      calls.readAnswered(options.level, sinceMs)
      return results
    } catch (error) {
      throw calls.readFailed(readFailure(error, place))
    }
  }

  /** In a process of their own, on one snapshot. */
  async isolated<TRow>(
    statements: readonly Statement[],
    place: StatementPlace,
    options: ReadOptions,
  ): Promise<ResultSet<TRow>[]> {
    const { calls } = this.#core
    const kept = statements.map(keepStatement)
    const sinceMs = performance.now()
    const asked = { asked: this.#asked, signal: options.signal }
    try {
      const results = await passRead<ResultSet<TRow>[]>(this.#core, options, {
        keep: () => {},
        read: async (origin) => {
          const { results } = await readIsolated(this.#core, kept, place, asked)
          return results.map((rows) => createResultSet(rows, origin, options.intMode))
        },
      })
      calls.readAnswered(options.level, sinceMs)
      return results
    } catch (error) {
      throw calls.readFailed(error)
    }
  }

  /** What a statement takes and answers, on the schema that a read of this level sees. */
  async describe(files: Files, sql: string, options: ReadOptions): Promise<StatementDescription> {
    await enterRead(this.#core, options)
    try {
      return files.describe(sql)
    } catch (error) {
      throw readFailure(error, ALONE)
    }
  }

  /** All that a read of this level sees, into a file. */
  async copyTo(path: string, options: ReadOptions): Promise<DatabaseCopy> {
    await enterRead(this.#core, options)
    return copyIsolated(this.#core, path, { asked: this.#asked, signal: options.signal })
  }
}
