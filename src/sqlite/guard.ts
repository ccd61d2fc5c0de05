import type { DatabaseSync } from 'node:sqlite'
import {
  ALTER_FUNCTIONS,
  isEngineTable,
  isOwnName,
  isStatisticsTable,
  MODULE_PRAGMAS,
  MODULES,
  READ_FUNCTIONS,
  REFUSED_FUNCTIONS,
  WRITE_FUNCTIONS,
} from './allowed.ts'
import type { AddedNames } from './extensions.ts'
import { refusal, type StatementFailure } from './failure.ts'
import { createHidingViews, isHidingView, isSchemaTable } from './own-tables.ts'
import { isAskingPragma, type PragmaCall } from './pragma.ts'
import { requireSqlite } from './runtime.ts'
import { ownNameMessage } from './shape.ts'
import { STORED_TIME_FUNCTION } from './stored-time.ts'

/** What the authorizer was told while one statement was prepared. */
export class PreparedRecord {
  readonly functions: Set<string> = new Set()
  /** Called by DEFAULTs of tables that are written, if a row leaves the column out. */
  readonly defaultFunctions: Set<string> = new Set()
  /** Tables read, in lower case. */
  readonly readTables: Set<string> = new Set()
  readonly insertedTables: Set<string> = new Set()
  /** Inserted into by the statement itself, not by a trigger. */
  readonly directInserts: Set<string> = new Set()
  readonly writtenTables: Set<string> = new Set()
  updatesDirectly = false
  readsRootPages = false
  /** Makes or drops a virtual table. */
  touchesModule = false
}

/** Whose statement the authorizer is asked about. */
type GuardMode = 'off' | 'prepare' | 'run'

const OK = 0
const DENY = 1
const IGNORE = 2

/**
 * SQLite's authorizer on one connection: installed once, switched by a variable, and armed while a
 * statement runs as well as when it is prepared, since virtual tables prepare statements of their
 * own when they run. It records what a statement does and refuses what is on no list.
 */
export class Guard {
  readonly #actions: ReadonlyMap<number, string> = actionNames()
  readonly #added: AddedNames
  #mode: GuardMode = 'off'
  #record: PreparedRecord = new PreparedRecord()
  #keyword = ''
  #writes = false
  #refusal: string | undefined
  /** Sessions record what statements change: they ask for a table's columns as these run. */
  isRecorded = false

  /** `added`: what the extensions of this connection brought, which a write may use as well. */
  constructor(db: DatabaseSync, added: AddedNames) {
    this.#added = added
    createHidingViews(db)
    db.setAuthorizer((action, first, second, database, source) =>
      this.#mode === 'off' ? OK : this.#authorize(action, first, second, database, source),
    )
  }

  /** Runs `prepare` with the guard armed; answers with what it recorded. */
  prepare<T>(keyword: string, prepare: () => T): [T, PreparedRecord] {
    const record = new PreparedRecord()
    this.#record = record
    this.#keyword = keyword
    this.#refusal = undefined
    this.#mode = 'prepare'
    try {
      return [prepare(), record]
    } finally {
      this.#mode = 'off'
    }
  }

  /** Arms the guard for a statement that runs; {@link disarm} ends it. */
  arm(keyword: string, writes: boolean): void {
    this.#keyword = keyword
    this.#writes = writes
    this.#refusal = undefined
    this.#mode = 'run'
  }

  disarm(): void {
    this.#mode = 'off'
  }

  /** The refusal since the guard was last armed, if there was one. */
  takeRefusal(): StatementFailure | undefined {
    const message = this.#refusal
    this.#refusal = undefined
    return message === undefined ? undefined : refusal(message)
  }

  /**
   * Judges a whole record of a statement that writes: what only a read may ask.
   *
   * @param isReal whether a table of that name is in the schema, so that a built-in one is hidden.
   * @throws StatementFailure ERR_REFUSED_SQL
   */
  judgeWrite(record: PreparedRecord, isReal: (table: string) => boolean): void {
    for (const name of [...record.functions, ...record.defaultFunctions]) {
      if (WRITE_FUNCTIONS.has(name) || ALTER_FUNCTIONS.has(name)) continue
      if (this.#added.functions.has(name)) continue
      const why = READ_FUNCTIONS.get(name) ?? 'it is on no list of functions that a write may call'
      throw refusal(`${name}() in a write is refused: ${why}`)
    }
    for (const table of record.readTables) {
      if (!isEngineTable(table) || isReal(table)) continue
      throw refusal(
        `reading ${table} in a write is refused: each node answers for itself; ` +
          'read first and pass what you read as arguments',
      )
    }
    if (record.readsRootPages) {
      throw refusal('reading rootpage in a write is refused: it says where one node keeps a table')
    }
  }

  #authorize(
    action: number,
    first: string | null,
    second: string | null,
    database: string | null,
    source: string | null,
  ): number {
    const name = this.#actions.get(action)
    if (name === undefined) return this.#deny(`action ${action} of SQLite's authorizer`, 'unknown')
    if (second === STORED_TIME_FUNCTION && isOwnName(source)) return OK
    if (name === 'READ' && isHidingView(first)) return this.#readSchema(second ?? '')
    if (isOwnName(first) || isOwnName(second)) return this.#denyOwn(name, first, second)
    switch (name) {
      case 'SELECT':
      case 'RECURSIVE':
        return OK
      case 'READ':
        return this.#read((first ?? '').toLowerCase(), second ?? '', source)
      case 'FUNCTION':
        return this.#function((second ?? '').toLowerCase())
      case 'INSERT':
      case 'UPDATE':
      case 'DELETE':
        return this.#modify(name, first ?? '', database, source)
      case 'PRAGMA':
        return this.#pragma({ name: (first ?? '').toLowerCase(), value: second ?? undefined })
      case 'CREATE_VTABLE':
        this.#record.touchesModule = true
        return this.#module((second ?? '').toLowerCase())
      case 'DROP_VTABLE':
        this.#record.touchesModule = true
        return OK
      default:
        return this.#other(name)
    }
  }

  /** ANALYZE and REINDEX of everything pass our tables by; all else that names them is refused. */
  #denyOwn(name: string, first: string | null, second: string | null): number {
    if (name === 'ANALYZE') return IGNORE
    if (name === 'REINDEX') return OK
    this.#refusal = ownNameMessage((isOwnName(first) ? first : second) ?? '')
    return DENY
  }

  /** A column of a view that stands for a table of SQLite's own. */
  #readSchema(column: string): number {
    if (this.#mode === 'prepare' && column === 'rootpage') this.#record.readsRootPages = true
    return OK
  }

  #read(table: string, column: string, source: string | null): number {
    if (isSchemaTable(table)) {
      if (isHidingView(source) || isReadBySqlite(this.#keyword, column)) return OK
      return this.#deny(
        `reading ${table} here`,
        "it would show Colmena's own tables: name it unquoted in the FROM of the statement itself",
      )
    }
    if (this.#mode === 'prepare') this.#record.readTables.add(table)
    return OK
  }

  #function(name: string): number {
    if (this.#mode === 'prepare') this.#record.functions.add(name)
    if (WRITE_FUNCTIONS.has(name)) return OK
    const reason = REFUSED_FUNCTIONS.get(name)
    if (reason !== undefined) return this.#deny(`${name}()`, reason)
    if (this.#added.functions.has(name)) return OK
    if (this.#keyword === 'alter' && ALTER_FUNCTIONS.has(name)) return OK
    // At prepare the verdict waits until it is known whether the statement writes.
    if (this.#mode === 'prepare' || !this.#writes) return OK
    return this.#deny(`${name}() in a write`, READ_FUNCTIONS.get(name) ?? 'it is on no list')
  }

  #modify(action: string, table: string, database: string | null, source: string | null): number {
    const name = table.toLowerCase()
    if (database === 'temp') {
      // ALTER TABLE looks through the temporary schema too; there is nothing of the user's in it.
      if (this.#keyword === 'alter' && action === 'UPDATE') return OK
      return this.#deny('a TEMP object', 'it would exist on one connection only')
    }
    if (isStatisticsTable(name)) return this.#modifyStatistics(name)
    if (this.#mode === 'run') return OK
    this.#record.writtenTables.add(name)
    if (action === 'INSERT') {
      this.#record.insertedTables.add(name)
      if (source === null) this.#record.directInserts.add(name)
    } else if (action === 'UPDATE' && source === null) {
      this.#record.updatesDirectly = true
    }
    return OK
  }

  #modifyStatistics(name: string): number {
    const isBySqlite = ['alter', 'analyze', 'create', 'drop'].includes(this.#keyword)
    if (isBySqlite) return OK
    return this.#deny(`writing to ${name}`, 'it changes the plans of one node; run ANALYZE')
  }

  #pragma(call: PragmaCall): number {
    // A statement that is a PRAGMA itself was judged by its text. SQLite prepares it anew as it
    // runs, where the schema has moved since.
    if (this.#keyword === 'pragma') return OK
    if (MODULE_PRAGMAS.has(call.name)) return OK
    if (this.isRecorded && call.name === 'table_xinfo' && this.#mode === 'run') return OK
    if (!this.#writes && isAskingPragma(call)) return OK
    return this.#deny(`PRAGMA ${call.name} inside a statement`, 'each node answers for itself')
  }

  #module(name: string): number {
    if (MODULES.has(name) || this.#added.modules.has(name)) return OK
    return this.#deny(`a virtual table of module ${name}`, 'each node answers for itself')
  }

  #other(name: string): number {
    if (name.includes('_TEMP_')) {
      return this.#deny('a TEMP object', 'it would exist on one connection only')
    }
    if (name === 'ATTACH' || name === 'DETACH') {
      return this.#deny(name, 'a database is made by node.database(name)')
    }
    if (name === 'TRANSACTION' || name === 'SAVEPOINT') {
      return this.#deny(name, 'use db.transaction(), or pass the statements to batch()')
    }
    return OK
  }

  #deny(what: string, why: string): number {
    this.#refusal ??= `${what} is refused: ${why}`
    return DENY
  }
}

/** Schema statements look through the list of tables on their own behalf. */
function isReadBySqlite(keyword: string, column: string): boolean {
  if (keyword === 'create') return column === 'ROWID'
  return ['alter', 'analyze', 'drop', 'reindex'].includes(keyword)
}

/** The action codes that the guard knows; any other is refused. */
const ACTIONS: readonly string[] = [
  'CREATE_INDEX',
  'CREATE_TABLE',
  'CREATE_TEMP_INDEX',
  'CREATE_TEMP_TABLE',
  'CREATE_TEMP_TRIGGER',
  'CREATE_TEMP_VIEW',
  'CREATE_TRIGGER',
  'CREATE_VIEW',
  'DELETE',
  'DROP_INDEX',
  'DROP_TABLE',
  'DROP_TEMP_INDEX',
  'DROP_TEMP_TABLE',
  'DROP_TEMP_TRIGGER',
  'DROP_TEMP_VIEW',
  'DROP_TRIGGER',
  'DROP_VIEW',
  'INSERT',
  'PRAGMA',
  'READ',
  'SELECT',
  'TRANSACTION',
  'UPDATE',
  'ATTACH',
  'DETACH',
  'ALTER_TABLE',
  'REINDEX',
  'ANALYZE',
  'CREATE_VTABLE',
  'DROP_VTABLE',
  'FUNCTION',
  'SAVEPOINT',
  'RECURSIVE',
]

function actionNames(): ReadonlyMap<number, string> {
  const codes = requireSqlite().constants as unknown as Record<string, number>
  return new Map(ACTIONS.map((name) => [codes[`SQLITE_${name}`] ?? -1, name]))
}
