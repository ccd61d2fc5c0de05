import { ColmenaError } from '../base/errors.ts'
import type { Statement } from '../command/command.ts'
import type { DatabaseReader as Files, ReadSnapshot } from '../database/database.ts'
import type { QueryResult } from '../sqlite/sqlite.ts'
import type { Consistency } from './consistency.ts'
import { readFailure, type StatementPlace } from './failures.ts'
import { readIsolated } from './isolated-reads.ts'
import type { NodeCore } from './node-core.ts'
import { createResultSet, type ResultSet } from './result-set.ts'

/**
 * What a transaction may do. `write`: read and write, on the leader, while the other writes of the
 * database wait. `read`: reads alone, on one snapshot of this node's file. `deferred`: begins as
 * `read`, and goes over to `write` with its first write, if nobody wrote in between.
 */
export type TransactionMode = 'write' | 'read' | 'deferred'

export interface TransactionOptions {
  readonly mode: TransactionMode
  readonly signal?: AbortSignal | undefined
  readonly exactNumbers?: boolean | undefined
  /** Of what it reads before it writes. */
  readonly consistency: Consistency
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
  /** The last write in the state that was read; null before the first read. */
  #base: number | null = null
  #index = 0
  #hasRead = false

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
    const { core } = this.#place
    const { consistency: level, signal, isolated, exactNumbers } = this.#options
    if (!this.#hasRead) {
      await core.enterRead(level, signal)
      this.#index = core.shared.applied()
      this.#hasRead = true
    }
    const origin = { index: this.#index, level }
    const results = isolated
      ? await this.#isolated(statements, place)
      : this.#local(statements, place)
    return results.map((rows) => createResultSet(rows, origin, exactNumbers))
  }

  close(): void {
    this.#snapshot?.close()
    this.#snapshot = null
  }

  #local(statements: readonly Statement[], place: StatementPlace): QueryResult[] {
    const { core, database, files } = this.#place
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
