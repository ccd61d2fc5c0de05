import { setTimeout as pause } from 'node:timers/promises'
import type { ApiClient, CliValue, WireStatement } from './client.ts'
import { CliError, sentenceOf } from './failure.ts'
import type { Unit } from './import-source.ts'
import { quoteName } from './source-tables.ts'

/** A row for each unit that is applied: none can be applied twice, whoever sends it again. */
const NOTES = 'colmena_import'
const TRY_AGAIN_MS = 300
/** Without a single unit applied. */
const PATIENCE_MS = 60_000
/** A view stands on tables, and an index may have the name of one that comes. */
const DROP_ORDER = ['trigger', 'index', 'view', 'table']

/** What is in the database under a name that the file brings. */
export interface Existing {
  readonly name: string
  readonly type: string
}

/** A database that an import goes into, and its notes in there. */
export class ImportTarget {
  readonly #client: ApiClient
  readonly #database: string
  readonly #source: string

  /** `source` is what an import is told by: what goes where. */
  constructor(client: ApiClient, database: string, source: string) {
    this.#client = client
    this.#database = database
    this.#source = source
  }

  /** How many units an earlier try brought; null where there was none. */
  async unitsDone(replaces = false): Promise<number | null> {
    const notes = await this.#readNotes()
    if (notes === null || notes.source === this.#source) return notes?.unit ?? null
    // One that brought nothing is in nobody's way.
    if (replaces || notes.unit === 0) return null
    throw new CliError(
      'the import of another file, or of this one as it was before, is unfinished here: ' +
        'go on with that, or give --replace',
    )
  }

  /** Which of these names are taken. */
  async existing(names: readonly string[]): Promise<readonly Existing[]> {
    const wanted = new Set(names.map(foldCase))
    const rows = await this.#rows('SELECT name, type FROM sqlite_schema')
    return rows
      .map(([name, type]) => ({ name: String(name), type: String(type) }))
      .filter(({ name }) => wanted.has(foldCase(name)))
  }

  /** Drops these and makes the notes, unless another import has begun meanwhile. */
  async begin(replaced: readonly Existing[]): Promise<void> {
    const drops = DROP_ORDER.flatMap((type) => replaced.filter((each) => each.type === type))
    const hasNotes = (await this.#readNotes()) !== null
    const statements = [
      // An index goes with its table.
      ...drops.map(({ type, name }) => `DROP ${type} IF EXISTS ${quoteName(name)}`),
      ...(hasNotes ? [`DROP TABLE ${NOTES}`] : []),
      `CREATE TABLE ${NOTES} (unit INTEGER NOT NULL UNIQUE, source TEXT NOT NULL)`,
    ].map((sql) => ({ sql }))
    await this.#once(
      () => this.#client.batchUnchecked(this.#database, [...statements, this.#note(0)]),
      () => this.#has(0),
      '',
    )
  }

  async apply(number: number, unit: Unit): Promise<void> {
    const statements = [...unit.statements, this.#note(number)]
    await this.#once(
      () => this.#client.batchUnchecked(this.#database, statements),
      () => this.#has(number),
      unit.what,
    )
  }

  /** Sentences on foreign keys that lead nowhere, of all tables there. */
  async looseEnds(): Promise<readonly string[]> {
    const sql = `SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2`
    try {
      const rows = await this.#patiently(() => this.#rows(sql))
      return rows.map(([table, parent, count]) => {
        return `rows of ${table} that refer to none of ${parent}: ${count}`
      })
    } catch (error) {
      return [`whether foreign keys hold could not be told: ${sentenceOf(error)}`]
    }
  }

  async end(): Promise<void> {
    await this.#once(
      () => this.#client.batchUnchecked(this.#database, [{ sql: `DROP TABLE ${NOTES}` }]),
      async () => (await this.#readNotes()) === null,
      'the end',
    )
  }

  /** Tries until it is certain that it is done, and once. */
  async #once(
    action: () => Promise<void>,
    isDone: () => Promise<boolean>,
    what: string,
  ): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS
    for (;;) {
      try {
        await action()
        return
      } catch (error) {
        if (await this.#patiently(isDone, deadlineMs)) return
        if (!isPassing(error)) {
          if (sentenceOf(error).includes(NOTES)) {
            throw new CliError('another import has begun here meanwhile: only one can be under way')
          }
          throw new CliError(what === '' ? sentenceOf(error) : `${what}: ${sentenceOf(error)}`)
        }
        if (performance.now() > deadlineMs) throw toBeGoneOn(error)
      }
      await pause(TRY_AGAIN_MS)
    }
  }

  async #patiently<T>(
    ask: () => Promise<T>,
    deadlineMs = performance.now() + PATIENCE_MS,
  ): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (!isPassing(error)) throw error
        if (performance.now() > deadlineMs) throw toBeGoneOn(error)
      }
      await pause(TRY_AGAIN_MS)
    }
  }

  async #has(number: number): Promise<boolean> {
    const notes = await this.#readNotes()
    return notes?.source === this.#source && notes.unit >= number
  }

  async #readNotes(): Promise<{ readonly unit: number; readonly source: string } | null> {
    if ((await this.existing([NOTES])).length === 0) return null
    const sql = `SELECT max(unit), source FROM ${NOTES}`
    const [row] = await this.#rows(sql)
    return { unit: Number(row?.[0]), source: String(row?.[1]) }
  }

  /** It fails unless the unit before it is there, and from the same import: units never mix. */
  #note(number: number): WireStatement {
    const source = { type: 'text', value: this.#source } as const
    if (number === 0) return { sql: `INSERT INTO ${NOTES} VALUES (0, ?)`, args: [source] }
    const before = `SELECT unit + 1 FROM ${NOTES} WHERE unit = ${number - 1} AND source = ?`
    return { sql: `INSERT INTO ${NOTES} VALUES ((${before}), ?)`, args: [source, source] }
  }

  async #rows(sql: string): Promise<readonly (readonly CliValue[])[]> {
    return (await this.#client.execute(this.#database, { sql })).rows
  }
}

/** As SQLite compares names. */
function foldCase(name: string): string {
  return name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

function toBeGoneOn(error: unknown): CliError {
  return new CliError(`${sentenceOf(error)} (started again, the import goes on from here)`)
}

/** A statement that was refused will be refused again. */
function isPassing(error: unknown): boolean {
  return !(error instanceof CliError) || error.isPassing
}
