import { ColmenaError } from '../base/errors.ts'
import type { DatabaseReader as Files, ReadStatement } from '../database/database.ts'
import { invalid } from './arguments.ts'
import { scopedConsistency } from './consistency.ts'
import { ALONE, readFailure } from './failures.ts'
import type { NodeCore } from './node-core.ts'
import { type InputArgs, toArgs } from './statement.ts'

/** A value as a prepared read gives it. */
export type ReaderValue = null | string | number | bigint | Uint8Array

/** A row of a prepared read, where its type is not given. */
export type ReaderRow = Record<string, ReaderValue>

export interface PrepareOptions {
  /**
   * Integers as bigint. Without it they are numbers, and one beyond 2^53 is ERR_TOO_LARGE.
   *
   * @defaultValue false
   */
  readonly bigints?: boolean | undefined
}

/** Prepared reads of one database: `db.reader`. */
export class DatabaseReader {
  readonly #core: NodeCore
  readonly #files: () => Files

  constructor(core: NodeCore, files: () => Files) {
    this.#core = core
    this.#files = files
  }

  /**
   * Prepares a read. It answers at level `none`, this node's applied state, and goes on to work
   * when a snapshot replaces the files.
   *
   * @throws SqlError for SQL that can't be prepared, ERR_REFUSED_SQL for a write,
   * ERR_INVALID_ARGUMENT for an option that is none.
   */
  prepare<TRow = ReaderRow>(sql: string, options: PrepareOptions = {}): ReaderStatement<TRow> {
    checkScope()
    const bigints = checkPrepare(sql, options)
    const statement = run(() => this.#files().prepare(sql, { bigints }))
    return new ReaderStatement<TRow>(this.#core, statement)
  }
}

/**
 * A prepared read. Every method throws inside `withConsistency` of a stronger level, rather than
 * answer weaker than asked.
 */
export class ReaderStatement<TRow = ReaderRow> {
  readonly #core: NodeCore
  readonly #statement: ReadStatement

  constructor(core: NodeCore, statement: ReadStatement) {
    this.#core = core
    this.#statement = statement
  }

  /** The names of the columns. */
  columns(): readonly string[] {
    return run(() => this.#statement.columns())
  }

  /** The first row; undefined where there is none. */
  get(args?: InputArgs | undefined): TRow | undefined {
    this.#enter()
    return run(() => this.#statement.get(toArgs(args))) as TRow | undefined
  }

  all(args?: InputArgs | undefined): TRow[] {
    this.#enter()
    return run(() => this.#statement.all(toArgs(args))) as TRow[]
  }

  /**
   * Rows as they are read, all of one snapshot. It must be read on: one that stays open for long
   * ends with ERR_READ_EXPIRED.
   */
  *iterate(args?: InputArgs | undefined): Generator<TRow, void, void> {
    this.#enter()
    const rows = run(() => this.#statement.iterate(toArgs(args)))
    try {
      for (;;) {
        const { done, value } = run(() => rows.next())
        if (done === true) return
        yield value as TRow
      }
    } finally {
      rows.return?.()
    }
  }

  #enter(): void {
    checkScope()
    this.#core.checkOpen()
    this.#core.calls.readBegan('none')
  }
}

function checkPrepare(sql: unknown, options: unknown): boolean {
  if (typeof sql !== 'string') throw invalid(`the SQL is of type ${typeof sql}; pass text`)
  if (typeof options !== 'object' || options === null) {
    throw invalid('the options of prepare are an object, such as { bigints: true }')
  }
  const { bigints = false, ...others } = options as PrepareOptions
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) {
    throw invalid(`unknown option '${unknown}' of prepare; 'bigints' is the only one`)
  }
  if (typeof bigints !== 'boolean') throw invalid('bigints must be true or false')
  return bigints
}

function checkScope(): void {
  const level = scopedConsistency()
  if (level === undefined || level === 'none') return
  throw new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    `db.reader answers at level 'none', and this runs inside withConsistency('${level}'): use ` +
      'db.execute there',
  )
}

function run<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw readFailure(error, ALONE)
  }
}
