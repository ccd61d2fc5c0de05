import { ColmenaError } from '../base/errors.ts'
import type { EntryChanges, DatabaseReader as Files } from '../database/database.ts'
import { checkSignal, show } from './arguments.ts'
import { checkNotAborted } from './failures.ts'
import type { Listener } from './hooks.ts'
import { Iteration } from './iteration.ts'
import { checkKeys } from './nearest.ts'
import type { NodeCore } from './node-core.ts'
import { type Row, toRow } from './result-set.ts'

/** What {@link Database.changes} takes. */
export interface ChangesOptions {
  /** Tables to tell of; all by default. */
  readonly tables?: readonly string[] | undefined
  /**
   * Tells what came after this log index, such as the `index` of the last change that was dealt
   * with, on this node or another; 0 is the database's beginning.
   *
   * @defaultValue what is applied here when the iteration begins
   */
  readonly from?: number | undefined
  /** Ends the iteration with ERR_ABORTED. */
  readonly signal?: AbortSignal | undefined
}

interface ChangePlace {
  readonly database: string
  /** Of the log entry that changed it. */
  readonly index: number
  /** Whether no change of this index follows: only then is `index` one to go on from. */
  readonly isLast: boolean
}

/** A row that was inserted, updated or deleted; what an entry did to it is told once, in sum. */
export interface RowChangeEvent<TRow = Row> extends ChangePlace {
  readonly kind: 'insert' | 'update' | 'delete'
  readonly table: string
  /** All stored columns; null for an insert. */
  readonly before: TRow | null
  /** All stored columns; null for a delete. */
  readonly after: TRow | null
}

/** The schema changed; what the statement did to rows by itself is not told. */
export interface SchemaChangeEvent extends ChangePlace {
  readonly kind: 'schema'
  readonly sql: string
}

/** What {@link Database.changes} tells. */
export type Change<TRow = Row> = RowChangeEvent<TRow> | SchemaChangeEvent

/** Where changes are read. */
export interface ChangesPlace {
  readonly core: NodeCore
  readonly database: string
  readonly files: () => Files
}

type Told<TRow> = Omit<RowChangeEvent<TRow>, 'isLast'> | Omit<SchemaChangeEvent, 'isLast'>

const OPTIONS = ['tables', 'from', 'signal']

/**
 * The changed rows of a database, in the order of the log and without a gap: they are read from the
 * file that keeps them whenever somebody asks for the next one, so a slow reader delays nobody and
 * takes no memory. One that is slower than the file can keep is told so.
 *
 * `next` throws ColmenaError ERR_NO_PRIMARY_KEY for a table whose changes can't be had whole;
 * ERR_FELL_BEHIND where some of what came after `from` is not kept any more: read the tables
 * again, and go on from the error's `index`; ERR_NOT_FOUND, ERR_DATABASE_DROPPED, ERR_ABORTED,
 * ERR_CLOSED.
 */
export class Changes<TRow = Row> extends Iteration<Change<TRow>> {
  readonly #place: ChangesPlace
  readonly #tables: ReadonlySet<string> | null
  readonly #asked: number | undefined
  readonly #started: PromiseWithResolvers<number> = Promise.withResolvers()
  #position = 0
  #isThere = false

  /** @throws ColmenaError ERR_INVALID_OPTION */
  constructor(place: ChangesPlace, options: ChangesOptions = {}) {
    checkKeys(options, OPTIONS, invalid, ' of changes')
    const { tables, from, signal } = options
    super(checkSignal(signal, invalid))
    this.#place = place
    this.#tables = checkTables(tables)
    this.#asked = checkFrom(from)
    // Nobody need ask when it begins.
    this.#started.promise.catch(() => {})
  }

  /**
   * Begins to listen, if the iteration has not yet, and resolves with the index after which changes
   * are told: what is read here from then on shows all that came before it.
   *
   * @throws as the iteration does
   */
  async start(): Promise<number> {
    await this.#listen()
    return this.#started.promise
  }

  #listening: Promise<Listener> | undefined

  #listen(): Promise<Listener> {
    this.#listening ??= this.#begin().catch((error: unknown) => {
      this.listener?.close()
      this.#started.reject(error)
      throw error
    })
    return this.#listening
  }

  async #begin(): Promise<Listener> {
    checkNotAborted(this.signal)
    const { core, database, files } = this.#place
    const listener = await core.hooks.listen({
      database,
      keepsChanges: true,
      isConcerned: () => true,
    })
    this.listener = listener
    if (this.isClosed) listener.close()
    // Entries up to here are in the file already, whether they concern the database or not.
    const applied = core.shared.applied()
    const read = files().feed(this.#asked ?? applied)
    this.#isThere = read !== null
    this.#position = this.#asked ?? (read === null ? 0 : Math.max(applied, read.state.appliedIndex))
    this.#checkTables(true)
    this.#started.resolve(Math.max(this.#position, this.#asked ?? applied))
    return listener
  }

  protected override async *tell(): AsyncGenerator<Change<TRow>, undefined, undefined> {
    const listener = await this.#listen()
    for (;;) {
      checkNotAborted(this.signal)
      if (listener.isClosed) await listener.wait()
      if (this.isClosed) return undefined
      const { entries, isLast } = this.#read()
      for (const entry of entries) yield* this.#tellEntry(entry)
      if (isLast) await listener.wait()
    }
  }

  *#tellEntry({ index, changes }: EntryChanges): Generator<Change<TRow>, void, undefined> {
    const { database } = this.#place
    const told = changes.flatMap((change): Told<TRow>[] => {
      if (change.kind === 'schema') return [{ database, index, kind: 'schema', sql: change.sql }]
      const { table, columns } = change
      if (this.#tables !== null && !this.#tables.has(table.toLowerCase())) return []
      const shown = (row: Parameters<typeof toRow>[1] | null): TRow | null =>
        row === null ? null : (toRow(columns, row, 'auto') as TRow)
      return change.rows.map(({ kind, before, after }) => {
        const rows = { before: shown(before), after: shown(after) }
        return { database, index, kind, table, ...rows }
      })
    })
    const last = told.at(-1)
    for (const one of told) yield { ...one, isLast: one === last }
    if (changes.some(({ kind }) => kind === 'schema')) this.#checkTables(false)
  }

  #read(): { readonly entries: readonly EntryChanges[]; readonly isLast: boolean } {
    const { core, database, files } = this.#place
    const read = files().feed(this.#position)
    if (read === null) {
      if (!this.#isThere) return { entries: [], isLast: true }
      const message = `database '${database}' was dropped: no change of it will follow`
      throw new ColmenaError('ERR_DATABASE_DROPPED', message)
    }
    this.#isThere = true
    const { page, state } = read
    if (page === null) {
      const index = Math.max(state.appliedIndex, core.shared.applied())
      throw new ColmenaError(
        'ERR_FELL_BEHIND',
        `the changes of database '${database}' after index ${this.#position} are not all kept on ` +
          `this node any more, those after ${state.since} are: read the tables again, and go on ` +
          `from index ${index}`,
        { index },
      )
    }
    this.#position = Math.max(this.#position, page.upTo)
    return page
  }

  /** @throws ColmenaError ERR_NO_PRIMARY_KEY, and ERR_NOT_FOUND where all tables must exist. */
  #checkTables(mustExist: boolean): void {
    const { database, files } = this.#place
    const tellable = files().tellableTables()
    for (const table of this.#tables ?? tellable.keys()) {
      const isTellable = tellable.get(table)
      if (isTellable === true || (isTellable === undefined && !mustExist)) continue
      if (isTellable === undefined) {
        throw new ColmenaError('ERR_NOT_FOUND', `database '${database}' has no table '${table}'`)
      }
      throw new ColmenaError(
        'ERR_NO_PRIMARY_KEY',
        `not every change of table '${table}' of database '${database}' can be told: it has no ` +
          'primary key of which every column is NOT NULL. Give it one, or name other tables',
      )
    }
  }
}

function checkTables(tables: unknown): ReadonlySet<string> | null {
  if (tables === undefined) return null
  if (Array.isArray(tables) && tables.length > 0) {
    const names = tables.filter((name) => typeof name === 'string' && name !== '')
    if (names.length === tables.length) return new Set(names.map((name) => name.toLowerCase()))
  }
  throw invalid(`tables is ${show(tables)}; it must be a list of names of tables`)
}

function checkFrom(from: unknown): number | undefined {
  if (from === undefined) return undefined
  if (typeof from === 'number' && Number.isSafeInteger(from) && from >= 0) return from
  throw invalid(`from is ${show(from)}; it must be a log index, 0 or more`)
}

function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
}
