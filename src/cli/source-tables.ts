import type { ForeignDatabase } from './foreign-database.ts'

/** A table of an SQLite file, as it is made and filled elsewhere. */
export interface SourceTable {
  readonly name: string
  readonly sql: string
  /** The module of a virtual table. */
  readonly module: string | null
  readonly hasRowid: boolean
  /** Those that a row is inserted with. */
  readonly columns: readonly string[]
}

export interface SourceTables {
  readonly tables: readonly SourceTable[]
  /** Names of those that can't come, with a sentence each. */
  readonly leftOut: ReadonlyMap<string, string>
}

/** Modules whose tables hold rows, which are put in anew. */
const FILLED = /^(fts3|fts4|fts5|rtree|rtree_i32|geopoly)$/
/** Modules that show what is in other tables. */
const SHOWING = /^(fts3tokenize|fts4aux|fts5vocab)$/

/** Reads what a file has; tables of SQLite's, of Colmena's own and an import's notes are none. */
export function readTables(db: ForeignDatabase): SourceTables {
  const listed = all(db, "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'")
  const tables: SourceTable[] = []
  const leftOut = new Map<string, string>()
  for (const { name: given, type, wr } of listed) {
    const name = String(given)
    if (
      !/^(table|virtual)$/.test(String(type)) ||
      /^(sqlite_|_colmena_|colmena_import$)/i.test(name)
    )
      continue
    const [row] = all(db, "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", name)
    const sql = String(row?.['sql'])
    const module = type === 'virtual' ? moduleOf(sql) : null
    const reason = module === null ? null : whyNot(db, name, module, sql)
    if (reason === null) tables.push(readTable(db, { name, sql, module, hasRowid: wr === 0n }))
    else leftOut.set(name, reason)
  }
  return { tables, leftOut }
}

export function isFilled({ module }: SourceTable): boolean {
  return module === null || FILLED.test(module)
}

/** What was set of a full-text table, such as how it ranks. */
export function ftsSettings(db: ForeignDatabase, { name, module }: SourceTable): readonly string[] {
  if (module !== 'fts5') return []
  const table = quoteName(name)
  const sql = `SELECT quote(k) AS k, quote(v) AS v FROM ${quoteName(`${name}_config`)}
    WHERE k <> 'version' ORDER BY k`
  return all(db, sql).map(({ k, v }) => `INSERT INTO ${table} (${table}, rank) VALUES (${k}, ${v})`)
}

function moduleOf(sql: string): string {
  return /\busing\s+["'`[]?(\w+)/i.exec(sql)?.[1]?.toLowerCase() ?? ''
}

function whyNot(db: ForeignDatabase, name: string, module: string, sql: string): string | null {
  if (!FILLED.test(module) && !SHOWING.test(module)) {
    return (
      `the virtual table ${name}: nodes have no module ${module}; ` +
      `tables named ${name}_… that it keeps come as ordinary ones`
    )
  }
  if (/\bcontent\s*=\s*(''|""|,|\))/i.test(sql)) {
    return `the virtual table ${name} keeps no rows of its own: make it anew, and fill it`
  }
  try {
    db.prepare(`SELECT * FROM ${quoteName(name)} LIMIT 1`).get()
    return null
  } catch (error) {
    return `the virtual table ${name} can't be read: ${(error as Error).message}`
  }
}

function readTable(db: ForeignDatabase, table: Omit<SourceTable, 'columns'>): SourceTable {
  const { name, module, hasRowid } = table
  const info = all(db, 'SELECT name, type, pk, hidden FROM pragma_table_xinfo(?)', name)
  // 2 and 3 are generated; 1 is what a virtual table hides.
  const columns = info.filter(({ hidden }) => hidden === 0n).map((column) => String(column['name']))
  const keys = info.filter(({ pk }) => pk !== 0n)
  // One with an index of its own is none, as INTEGER PRIMARY KEY DESC.
  const isIndexed = all(db, "SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'", name)
  const isInteger = String(keys[0]?.['type']).toUpperCase() === 'INTEGER'
  const isAlias = keys.length === 1 && isInteger && isIndexed.length === 0
  const isNamed = isAlias || module?.startsWith('rtree') === true
  const rowid = hasRowid && !isNamed ? rowidName(columns) : null
  return { ...table, columns: rowid === null ? columns : [rowid, ...columns] }
}

/** A name by which the rowid can be told, null if columns have taken all of them. */
export function rowidName(columns: readonly string[]): string | null {
  const taken = new Set(columns.map((column) => column.toLowerCase()))
  return ['rowid', '_rowid_', 'oid'].find((name) => !taken.has(name)) ?? null
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function all(
  db: ForeignDatabase,
  sql: string,
  ...args: readonly string[]
): Record<string, unknown>[] {
  const statement = db.prepare(sql)
  statement.setReadBigInts(true)
  return statement.all(...args) as Record<string, unknown>[]
}
