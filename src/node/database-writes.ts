import { ColmenaError } from '../base/errors.ts'
import type { Statement, Unit } from '../command/command.ts'
import type { StatementPlace } from './failures.ts'
import type { Fence } from './lease-options.ts'
import type { NodeCore } from './node-core.ts'
import { createResultSet, type IntMode, type ResultSet } from './result-set.ts'
import { refuseNested } from './transaction-scope.ts'
import type { AskedSettings, Written } from './write-call.ts'

/** How a write runs, and how its answer is read. */
export interface WriteOptions {
  readonly signal: AbortSignal | undefined
  /** Without that lock it may not apply. */
  readonly fence: Fence | undefined
  readonly intMode: IntMode
}

/** Writes to one database, through the log and answered by this node's own apply. */
export class DatabaseWrites {
  readonly #core: NodeCore
  readonly #asked: AskedSettings & { readonly database: string }

  constructor(core: NodeCore, asked: AskedSettings & { readonly database: string }) {
    this.#core = core
    this.#asked = asked
  }

  /** One statement. */
  async one<TRow>(
    statement: Statement,
    place: StatementPlace,
    options: WriteOptions,
  ): Promise<ResultSet<TRow>> {
    const [result] = await this.all<TRow>({ statements: [statement] }, place, options)
    if (result === undefined) throw new ColmenaError('ERR_FAILED', 'a statement without an answer')
    return result
  }

  /** Several as one unit: all or nothing. */
  async all<TRow>(
    unit: Unit,
    place: StatementPlace,
    { signal, fence, intMode }: WriteOptions,
  ): Promise<ResultSet<TRow>[]> {
    const written = await this.#submit(unit, place, signal, fence)
    return written.statements.map((result) => createResultSet<TRow>(result, written.place, intMode))
  }

  #submit(
    unit: Unit,
    place: StatementPlace,
    signal: AbortSignal | undefined,
    fence: Fence | undefined,
  ): Promise<Written> {
    refuseNested(this.#core, this.#asked.database)
    return this.#core.writes.submit({ ...this.#asked, fence: fence?.token, unit, place, signal })
  }
}
