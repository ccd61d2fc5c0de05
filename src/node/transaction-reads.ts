import { ColmenaError } from '../base/errors.ts'
import type { Statement } from '../command/command.ts'
import type { DatabaseReader as Files, ReadSnapshot } from '../database/database.ts'
import type { QueryResult } from '../sqlite/sqlite.ts'
import type { ReadOptions } from './database-reads.ts'
import { readFailure, type StatementPlace } from './failures.ts'
import { readIsolated } from './isolated-reads.ts'
import type { Fence } from './lease-options.ts'
import type { NodeCore } from './node-core.ts'
import { passRead, type ReadOrigin } from './read-pass.ts'
import { createResultSet, type ResultSet } from './result-set.ts'

/**
 * What a transaction may do. `write`: read and write, on the leader, while the other writes of the
 * database wait. `read`: reads alone, on one snapshot of this node's file. `deferred`: begins as
 * `read`, and goes over to `write` with its first write, if nobody wrote in between.
 */
export type TransactionMode = 'write' | 'read' | 'deferred'

/** Its level is that of what it reads before it writes. */
export interface TransactionOptions extends ReadOptions {
  readonly mode: TransactionMode
  /** Of arguments, as for every call. */
  readonly exactNumbers?: boolean | undefined
  /** Without that lock its commit may not apply. */
  readonly fence?: Fence | undefined
  /**
   * Whether what it reads before it writes is read in a process of its own. No snapshot is held
   * there from one call to the next: a write in between ends the transaction.
   */
  readonly isolated?: boolean | undefined
}

/** What a transaction is opened on. */
export interface TransactionPlace {
  readonly core: NodeCore
  readonly database: string
  readonly doubleQuotedStrings: boolean | undefined
  readonly changes: boolean | undefined
  /** This node's files, for what only reads. */
  readonly files: () => Files
}

/** A transaction's reads before it writes: all of them see the state that the first one found. */
export class TransactionReads {
  readonly #place: TransactionPlace
  readonly #options: TransactionOptions
  #snapshot: ReadSnapshot | null = null
  #isClosed = false
  /** The last write in the state that was read; null before the first read. */
  #base: number | null = null
  /** Where that state comes from; null before the first read. */
  #origin: ReadOrigin | null = null

  constructor(place: TransactionPlace, options: TransactionOptions) {
    this.#place = place
    this.#options = options
  }

  /** What a write must find as the last one; null where nothing was read yet. */
  get base(): number | null {
    return this.#base
  }

  /** @throws ColmenaError ERR_TX_ABORTED where that state is gone */
  async run(
    statements: readonly Statement[],
    place: StatementPlace,
  ): Promise<ResultSet<unknown>[]> {
    const results = await (this.#origin === null
      ? this.#first(statements, place)
      : this.#query(statements, place))
    const origin = this.#origin as unknown as ReadOrigin
    return results.map((rows) => createResultSet(rows, origin, this.#options.intMode))
  }

  /** The state is found once these are read, and not before: else nobody has seen any. */
  async #first(
    statements: readonly Statement[],
    place: StatementPlace,
  ): Promise<readonly QueryResult[]> {
    try {
      return await passRead(this.#place.core, this.#options, {
        keep: () => {},
        read: (origin) => {
          this.#forget()
          this.#origin = origin
          return this.#query(statements, place)
        },
      })
    } catch (error) {
      this.#forget()
      throw error
    }
  }

  #query(
    statements: readonly Statement[],
    place: StatementPlace,
  ): readonly QueryResult[] | Promise<readonly QueryResult[]> {
    return this.#options.isolated
      ? this.#isolated(statements, place)
      : this.#local(statements, place)
  }

  #forget(): void {
    this.#release()
    this.#base = null
    this.#origin = null
  }

  /** A read that waits for its turn finds no snapshot then, and opens none. */
  close(): void {
    this.#isClosed = true
    this.#release()
  }

  #release(): void {
    this.#snapshot?.close()
    this.#snapshot = null
  }

  #local(statements: readonly Statement[], place: StatementPlace): QueryResult[] {
    const { core, database, files } = this.#place
    if (this.#isClosed) throw new ColmenaError('ERR_CLOSED', 'the transaction is over')
    this.#snapshot ??= files().snapshot()
    const snapshot = this.#snapshot
    this.#base ??= snapshot.lastWrite()
    return statements.map(({ sql, args }, at) => {
      try {
        return core.slow.read(database, sql, () => snapshot.query(sql, args))
      } catch (error) {
        throw readFailure(error, { ...place, index: place.index + at })
      }
    })
  }

  async #isolated(
    statements: readonly Statement[],
    place: StatementPlace,
  ): Promise<readonly QueryResult[]> {
    const { core, database, doubleQuotedStrings } = this.#place
    const asked = { database, doubleQuotedStrings }
    const { signal } = this.#options
    const { results, lastWrite } = await readIsolated(core, statements, place, { asked, signal })
    this.#base ??= lastWrite
    if (lastWrite === this.#base) return results
    throw new ColmenaError(
      'ERR_TX_ABORTED',
      'the transaction was ended: the database was written to since it first read from it, and ' +
        'nobody keeps that state for it. Begin it again',
      { retryable: true },
    )
  }
}
