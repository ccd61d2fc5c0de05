import type { DatabaseSync } from 'node:sqlite'
import type { CliValue } from './client.ts'
import { CliError } from './failure.ts'
import { type ImportSource, InsertGatherer, quoteName, type Unit } from './import-source.ts'

interface TableInfo {
  readonly name: string
  readonly sql: string
  readonly isVirtual: boolean
  readonly hasRowid: boolean
  /** Those that a row is inserted with. */
  readonly columns: readonly string[]
  /** Tables that its foreign keys name. */
  readonly parents: readonly string[]
}

/**
 * An SQLite file. Tables come first, parents before those that refer to them, then their rows in
 * the order of the file, then what would only slow them down or change them: sequences, indexes,
 * views, triggers.
 */
export class SqliteSource implements ImportSource {
  readonly makes: readonly string[]
  readonly rows: number
  readonly leftOut: string[] = []
  readonly #absent = new Set<string>()
  readonly #db: DatabaseSync
  readonly #infos: readonly TableInfo[]

  /** @throws CliError where it can't be read. */
  constructor(path: string) {
    try {
      const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
      this.#db = new DatabaseSync(path, { readOnly: true, allowExtension: false })
      this.#infos = this.#readTables()
      this.rows = this.#infos.reduce((sum, info) => sum + this.#count(info), 0)
    } catch (error) {
      throw new CliError(`${path} can't be read as an SQLite file: ${(error as Error).message}`)
    }
    const views = this.#all("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid")
    this.makes = [...this.#infos, ...views].map(({ name }) => String(name))
  }

  *units(): Iterable<Unit> {
    yield { statements: this.#infos.map(({ sql }) => ({ sql })), rows: 0 }
    for (const info of this.#infos) yield* this.#rowsOf(info)
    const rest = [...this.#sequences(), ...this.#others()].map((sql) => ({ sql }))
    if (rest.length > 0) yield { statements: rest, rows: 0 }
  }

  close(): void {
    this.#db.close()
  }

  *#rowsOf(info: TableInfo): Iterable<Unit> {
    const { name, columns } = info
    const names = columns.map(quoteName).join(', ')
    const gatherer = new InsertGatherer(name, columns)
    const order = info.hasRowid ? ` ORDER BY ${quoteName(rowidName(columns) ?? 'rowid')}` : ''
    const statement = this.#db.prepare(`SELECT ${names} FROM ${quoteName(name)}${order}`)
    statement.setReadBigInts(true)
    statement.setReturnArrays(true)
    for (const row of statement.iterate()) {
      gatherer.add(row as unknown as CliValue[])
      if (gatherer.isFull) yield gatherer.take()
    }
    if (!gatherer.isEmpty) yield gatherer.take()
  }

  /** Where AUTOINCREMENT goes on, which may be beyond the highest row. */
  #sequences(): readonly string[] {
    if (this.#all("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").length === 0)
      return []
    return this.#all('SELECT name, seq FROM sqlite_sequence').flatMap(({ name, seq }) => {
      const table = `'${String(name).replaceAll("'", "''")}'`
      return [
        `DELETE FROM sqlite_sequence WHERE name = ${table}`,
        `INSERT INTO sqlite_sequence (name, seq) VALUES (${table}, ${seq})`,
      ]
    })
  }

  #others(): readonly string[] {
    return this.#all(
      `SELECT sql FROM sqlite_schema WHERE type IN ('index', 'view', 'trigger') AND sql IS NOT NULL
       ORDER BY CASE type WHEN 'index' THEN 0 WHEN 'view' THEN 1 ELSE 2 END, rowid`,
    )
      .map(({ sql }) => String(sql))
      .filter((sql) => !this.#namesLeftOut(sql))
  }

  /** A view or trigger on what is left out would fail each write that meets it. */
  #namesLeftOut(sql: string): boolean {
    const missing = [...this.#absent].find((name) => sql.toLowerCase().includes(name.toLowerCase()))
    if (missing !== undefined) this.leftOut.push(`what needs ${missing}: ${sql.slice(0, 60)}…`)
    return missing !== undefined
  }

  #readTables(): readonly TableInfo[] {
    const listed = this.#all("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'")
    const found = listed
      .filter(({ name, type }) => /^(table|virtual)$/.test(String(type)) && !isOwn(String(name)))
      .map(({ name, type, wr }) => this.#readTable(String(name), type === 'virtual', wr === 0n))
    return parentsFirst(found.filter((info) => info !== null))
  }

  #readTable(name: string, isVirtual: boolean, hasRowid: boolean): TableInfo | null {
    const [row] = this.#all('SELECT sql FROM sqlite_schema WHERE name = ?', name)
    const sql = String(row?.['sql'])
    if (isVirtual && /\bcontent\s*=/i.test(sql)) {
      this.leftOut.push(
        `the virtual table ${name} keeps no rows of its own: make it anew, and 'rebuild' it`,
      )
      this.#absent.add(name)
      return null
    }
    const info = this.#all('SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)', name)
    // 2 and 3 are generated; 1 is what a virtual table hides.
    const columns = info
      .filter(({ hidden }) => hidden === 0n)
      .map((column) => String(column['name']))
    const keys = info.filter(({ pk }) => pk !== 0n)
    // One with an index of its own is none, as INTEGER PRIMARY KEY DESC.
    const isIndexed = this.#all("SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'", name)
    const isInteger = String(keys[0]?.['type']).toUpperCase() === 'INTEGER'
    const isAlias = keys.length === 1 && isInteger && isIndexed.length === 0
    const rowid = hasRowid && !isAlias && !isRtree(sql) ? rowidName(columns) : null
    const parents = this.#all('SELECT "table" FROM pragma_foreign_key_list(?)', name)
    return {
      name,
      sql,
      isVirtual,
      hasRowid,
      columns: rowid === null ? columns : [rowid, ...columns],
      parents: parents.map((parent) => String(parent['table'])),
    }
  }

  #count({ name }: TableInfo): number {
    return Number(this.#all(`SELECT count(*) AS n FROM ${quoteName(name)}`)[0]?.['n'])
  }

  #all(sql: string, ...args: string[]): Record<string, unknown>[] {
    const statement = this.#db.prepare(sql)
    statement.setReadBigInts(true)
    return statement.all(...args) as Record<string, unknown>[]
  }
}

/** A name by which the rowid can be told, null if columns have taken all of them. */
function rowidName(columns: readonly string[]): string | null {
  const taken = new Set(columns.map((column) => column.toLowerCase()))
  return ['rowid', '_rowid_', 'oid'].find((name) => !taken.has(name)) ?? null
}

function isOwn(name: string): boolean {
  return /^(sqlite_|_colmena_)/i.test(name)
}

function isRtree(sql: string): boolean {
  return /\busing\s+(rtree|geopoly)/i.test(sql)
}

/** Rows are checked against their parents as they come. */
function parentsFirst(infos: readonly TableInfo[]): readonly TableInfo[] {
  const sorted: TableInfo[] = []
  const seen = new Set<string>()
  const byName = new Map(infos.map((info) => [info.name.toLowerCase(), info]))
  const visit = (info: TableInfo): void => {
    if (seen.has(info.name)) return
    seen.add(info.name)
    for (const parent of info.parents) {
      const found = byName.get(parent.toLowerCase())
      if (found !== undefined) visit(found)
    }
    sorted.push(info)
  }
  for (const info of infos) visit(info)
  return sorted
}
