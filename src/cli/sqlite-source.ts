import { CliError } from './failure.ts'
import { type ForeignDatabase, unreadable } from './foreign-database.ts'
import { type ImportSource, InsertGatherer, type Unit } from './import-source.ts'
import { RawRows } from './raw-rows.ts'
import {
  all,
  ftsSettings,
  isFilled,
  quoteName,
  readTables,
  rowidName,
  type SourceTable,
} from './source-tables.ts'

/**
 * An SQLite file, as it is at one moment. Tables come first, then their rows in the order of the
 * file, then what would only slow them down or change them: sequences, indexes, views, triggers.
 */
export class SqliteSource implements ImportSource {
  readonly makes: readonly string[]
  readonly rows: number
  readonly leftOut: string[]
  readonly #absent: readonly string[]
  readonly #path: string
  readonly #db: ForeignDatabase
  readonly #tables: readonly SourceTable[]
  /** What stands on the tables and comes when they are filled. */
  readonly #others: readonly string[]

  /** @throws CliError where it can't be read; `db` is closed then. */
  constructor(path: string, db: ForeignDatabase) {
    this.#path = path
    this.#db = db
    try {
      // Until the end, so that who writes into the file meanwhile changes nothing here.
      db.exec('BEGIN')
      const { tables, leftOut } = readTables(db)
      this.#tables = tables
      this.#absent = [...leftOut.keys()]
      this.leftOut = [...leftOut.values()]
      this.#check()
      this.rows = tables.filter(isFilled).reduce((sum, table) => sum + this.#count(table), 0)
      const others = this.#readOthers()
      this.#others = others.map(({ sql }) => sql)
      this.makes = [...tables, ...others].map(({ name }) => name)
    } catch (error) {
      db.close()
      throw error instanceof CliError ? error : unreadable(path, error)
    }
  }

  *units(): Iterable<Unit> {
    yield { statements: this.#tables.map(({ sql }) => ({ sql })), rows: 0, what: 'the tables' }
    for (const table of this.#tables) if (isFilled(table)) yield* this.#rowsOf(table)
    const settings = this.#tables.flatMap((table) => ftsSettings(this.#db, table))
    const rest = [...this.#sequences(), ...settings, ...this.#others, ...this.#pragmas()]
    const what = 'indexes, views and triggers'
    if (rest.length > 0) yield { statements: rest.map((sql) => ({ sql })), rows: 0, what }
  }

  close(): void {
    this.#db.close()
  }

  *#rowsOf({ name, hasRowid, columns }: SourceTable): Iterable<Unit> {
    const gatherer = new InsertGatherer(name, columns)
    const order = hasRowid ? ` ORDER BY ${quoteName(rowidName(columns) ?? 'rowid')}` : ''
    const from = `FROM ${quoteName(name)}${order}`
    try {
      for (const row of new RawRows(this.#db, columns.map(quoteName), from)) {
        yield* gatherer.add(row)
      }
      yield* gatherer.take()
    } catch (error) {
      throw error instanceof CliError ? error : unreadable(this.#path, error)
    }
  }

  /** Where AUTOINCREMENT goes on, which may be beyond the highest row. */
  #sequences(): readonly string[] {
    if (all(this.#db, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").length === 0)
      return []
    const sql = 'SELECT quote(name) AS name, quote(seq) AS seq FROM sqlite_sequence'
    return all(this.#db, sql).flatMap(({ name, seq }) => [
      `DELETE FROM sqlite_sequence WHERE name = ${name}`,
      `INSERT INTO sqlite_sequence (name, seq) VALUES (${name}, ${seq})`,
    ])
  }

  /** Numbers that applications keep with a file. */
  #pragmas(): readonly string[] {
    return ['user_version', 'application_id'].flatMap((name) => {
      const value = all(this.#db, `PRAGMA ${name}`)[0]?.[name]
      return value === 0n ? [] : [`PRAGMA ${name} = ${value}`]
    })
  }

  #readOthers(): readonly { readonly name: string; readonly sql: string }[] {
    return all(
      this.#db,
      `SELECT name, sql FROM sqlite_schema
       WHERE type IN ('index', 'view', 'trigger') AND sql IS NOT NULL
       ORDER BY CASE type WHEN 'index' THEN 0 WHEN 'view' THEN 1 ELSE 2 END, rowid`,
    )
      .map(({ name, sql }) => ({ name: String(name), sql: String(sql) }))
      .filter(({ sql }) => !this.#namesLeftOut(sql))
  }

  /** A view or trigger on what is left out would fail each write that meets it. */
  #namesLeftOut(sql: string): boolean {
    const missing = this.#absent.find((name) => sql.toLowerCase().includes(name.toLowerCase()))
    if (missing !== undefined) this.leftOut.push(`what needs ${missing}: ${sql.slice(0, 60)}…`)
    return missing !== undefined
  }

  /** A file that is damaged is refused as a whole, and not when half of it is there. */
  #check(): void {
    for (const { name } of this.#tables) {
      const [found] = all(this.#db, `PRAGMA quick_check(${quoteName(name)})`)
      const answer = String(Object.values(found ?? {})[0] ?? 'ok')
      if (answer === 'ok') continue
      throw new CliError(
        `${this.#path} is damaged (${answer}): sqlite3 ${this.#path} .recover saves what can be`,
      )
    }
  }

  #count({ name }: SourceTable): number {
    return Number(all(this.#db, `SELECT count(*) AS n FROM ${quoteName(name)}`)[0]?.['n'])
  }
}
