import type { DatabaseSync } from 'node:sqlite'
import { WRITE_FUNCTIONS } from './allowed.ts'
import { readTimeColumns } from './stored-time.ts'
import { tokenize } from './token.ts'

type TableKind = 'table' | 'view' | 'virtual' | 'shadow'

interface TableEntry {
  readonly kind: TableKind
  readonly hasRowid: boolean
  readonly isAutoincrement: boolean
}

/** Words of an expression that may stand before a parenthesis without being called. */
const OPERATORS: ReadonlySet<string> = new Set(
  'and between case cast collate else exists in is isnull not notnull or then when'.split(' '),
)

/** What the guard must know of a schema; a picture of one `schema_version`. */
export class Schema {
  readonly #db: DatabaseSync
  #defaults: ReadonlyMap<string, ReadonlySet<string>> | undefined
  #timeColumns: ReadonlyMap<string, ReadonlySet<string>> | undefined
  readonly #tables: ReadonlyMap<string, TableEntry>
  /** Whether any SQL of the schema speaks of deferrable foreign keys. */
  readonly hasDeferredForeignKeys: boolean

  /** Reads the schema of `db`, whose statements must return arrays and bigint integers. */
  constructor(db: DatabaseSync) {
    this.#db = db
    const autoincrement = new Set(
      column(db, "SELECT lower(name) FROM sqlite_schema WHERE sql LIKE '%autoincrement%'"),
    )
    const listed = db.prepare("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'")
    const rows = listed.all() as unknown as [string, TableKind, bigint][]
    this.#tables = new Map(
      rows.map(([name, kind, isWithoutRowid]) => {
        const key = name.toLowerCase()
        const isTable = kind === 'table' || kind === 'shadow'
        const hasRowid = isTable && isWithoutRowid === 0n
        return [key, { kind, hasRowid, isAutoincrement: autoincrement.has(key) }]
      }),
    )
    this.hasDeferredForeignKeys =
      column(db, "SELECT 1 FROM sqlite_schema WHERE sql LIKE '%deferr%' LIMIT 1").length > 0
  }

  /**
   * Functions that DEFAULTs of a table call: the authorizer is told of those of triggers, views and
   * CHECKs, but not of these.
   */
  defaultFunctions(table: string): ReadonlySet<string> {
    this.#defaults ??= readDefaults(this.#db)
    return this.#defaults.get(table) ?? NONE
  }

  /** Columns whose stored text decides an index or a generated column through a date function. */
  timeColumns(): ReadonlyMap<string, ReadonlySet<string>> {
    this.#timeColumns ??= readTimeColumns(this.#db)
    return this.#timeColumns
  }

  has(table: string): boolean {
    return this.#tables.has(table)
  }

  isVirtual(table: string): boolean {
    return this.#tables.get(table)?.kind === 'virtual'
  }

  /** A table in which a virtual one keeps its content. */
  isShadow(table: string): boolean {
    return this.#tables.get(table)?.kind === 'shadow'
  }

  /** An ordinary table with rowids of its own. */
  hasRowid(table: string): boolean {
    return this.#tables.get(table)?.hasRowid ?? false
  }

  isAutoincrement(table: string): boolean {
    return this.#tables.get(table)?.isAutoincrement ?? false
  }
}

const NONE: ReadonlySet<string> = new Set()

function readDefaults(db: DatabaseSync): ReadonlyMap<string, ReadonlySet<string>> {
  // Most tables have none, which their SQL tells without a look at each column.
  const statement = db.prepare(
    'SELECT lower(s.name), c.dflt_value FROM main.sqlite_schema AS s, ' +
      "pragma_table_xinfo(s.name) AS c WHERE s.type = 'table' AND s.rootpage > 0 " +
      "AND s.sql LIKE '%default%' AND (c.dflt_value LIKE '%(%' OR c.dflt_value LIKE '%current_%')",
  )
  const defaults = new Map<string, Set<string>>()
  for (const [table, expression] of statement.all() as unknown as [string, string][]) {
    const names = defaults.get(table) ?? new Set()
    for (const name of calledFunctions(expression)) names.add(name)
    defaults.set(table, names)
  }
  return defaults
}

function calledFunctions(expression: string): string[] {
  const tokens = tokenize(expression)
  const called = tokens.filter(({ kind, text }, at) => {
    if (kind !== 'word' && kind !== 'quoted') return false
    if (kind === 'word' && /^current_(date|time|timestamp)$/.test(text)) return true
    if (tokens[at + 1]?.text !== '(') return false
    return WRITE_FUNCTIONS.has(text.toLowerCase()) || kind === 'quoted' || !OPERATORS.has(text)
  })
  return called.map(({ text }) => text.toLowerCase())
}

function column(db: DatabaseSync, sql: string): string[] {
  return (db.prepare(sql).all() as unknown as [string][]).map(([value]) => value)
}
