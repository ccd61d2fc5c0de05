import type { DatabaseSync } from 'node:sqlite'

type TableKind = 'table' | 'view' | 'virtual' | 'shadow'

interface TableEntry {
  readonly kind: TableKind
  readonly hasRowid: boolean
  readonly isAutoincrement: boolean
}

/** What the guard must know of a schema; a picture of one `schema_version`. */
export class Schema {
  readonly #tables: ReadonlyMap<string, TableEntry>
  /** Whether any SQL of the schema speaks of deferrable foreign keys. */
  readonly hasDeferredForeignKeys: boolean

  /** Reads the schema of `db`, whose statements must return arrays and bigint integers. */
  constructor(db: DatabaseSync) {
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

function column(db: DatabaseSync, sql: string): string[] {
  return (db.prepare(sql).all() as unknown as [string][]).map(([value]) => value)
}

/** A name as SQL, whatever is in it. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
