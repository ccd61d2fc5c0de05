import type { DatabaseSync } from 'node:sqlite'
import type { SqlValue } from '../command/command.ts'
import { dependsOnPresent, TIME_FUNCTIONS, timeWordOf } from './frozen.ts'
import { quoteName, type Token, tokenize } from './token.ts'

/** Called by the triggers below, and by nothing else. */
export const STORED_TIME_FUNCTION = '_colmena_check_stored_time'

/**
 * Plain SQLite refuses a row whose text 'now' reaches a date function of an index, a partial
 * index's WHERE or a generated column. An override can't know who calls it, so that the index would
 * keep a value that is another one later, and be corrupt. Triggers of this connection alone look at
 * the columns that such expressions name. Databases without them, nearly all, have no trigger.
 */
export class StoredTimeTriggers {
  readonly #db: DatabaseSync
  /** The most triggers there ever were: a rollback can bring back any of them. */
  #countMax = 0
  /** Whether schema, or the transaction that made the triggers, may have moved since. */
  #isStale = true

  constructor(db: DatabaseSync) {
    this.#db = db
    db.function(STORED_TIME_FUNCTION, { varargs: true, useBigIntArguments: true }, (...values) => {
      for (const value of values) {
        if (timeWordOf(value as SqlValue) !== undefined) throw dependsOnPresent('a date function')
      }
      return null
    })
  }

  get isStale(): boolean {
    return this.#isStale
  }

  markStale(): void {
    this.#isStale = true
  }

  /** ALTER and DROP would look into the triggers: they are away while a statement is prepared. */
  drop(): void {
    for (let number = 0; number < this.#countMax; number += 1) {
      this.#db.exec(`DROP TRIGGER IF EXISTS temp.${triggerName(number)}`)
      this.#isStale = true
    }
  }

  /** Makes the triggers that `tables` needs. */
  install(tables: ReadonlyMap<string, ReadonlySet<string>>): void {
    this.drop()
    let count = 0
    for (const [table, columns] of tables) {
      const values = [...columns].map((column) => `new.${quoteName(column)}`).join(', ')
      for (const event of ['INSERT', 'UPDATE']) {
        this.#db.exec(
          `CREATE TEMP TRIGGER ${triggerName(count)} AFTER ${event} ON ` +
            `main.${quoteName(table)} BEGIN SELECT ${STORED_TIME_FUNCTION}(${values}); END`,
        )
        count += 1
      }
    }
    this.#countMax = Math.max(this.#countMax, count)
    this.#isStale = false
  }
}

function triggerName(number: number): string {
  return `_colmena_stored_time_${number}`
}

/** The columns that date functions of indexes and generated columns name, by table. */
export function readTimeColumns(db: DatabaseSync): ReadonlyMap<string, ReadonlySet<string>> {
  const statement = db.prepare(
    'SELECT type, tbl_name, sql FROM sqlite_schema ' +
      "WHERE type IN ('table', 'index') AND sql LIKE '%(%' AND (sql LIKE '%date%' OR " +
      "sql LIKE '%time%' OR sql LIKE '%julianday%' OR sql LIKE '%unixepoch%')",
  )
  const columnsOf = db.prepare('SELECT lower(name), name FROM pragma_table_xinfo(?)')
  const found = new Map<string, Set<string>>()
  for (const [type, table, sql] of statement.all() as unknown as [string, string, string][]) {
    const named = timeArguments(tokenize(sql), type === 'index')
    if (named.size === 0) continue
    const columns = found.get(table) ?? new Set()
    for (const [key, name] of columnsOf.all(table) as unknown as [string, string][]) {
      if (named.has(key)) columns.add(name)
    }
    if (columns.size > 0) found.set(table, columns)
  }
  return found
}

/** Names inside the calls of date functions, of generated columns or of a whole index. */
function timeArguments(tokens: readonly Token[], isIndex: boolean): ReadonlySet<string> {
  const names = new Set<string>()
  let depth = 0
  /** Depths at which a generated column's expression, or a date function's call, began. */
  let generatedAt = isIndex ? 0 : -1
  let calledAt = -1
  for (const [at, { kind, text }] of tokens.entries()) {
    const isName = kind === 'word' || kind === 'quoted'
    if (calledAt >= 0 && isName) names.add(text.toLowerCase())
    if (kind !== 'sign') continue
    const before = tokens[at - 1]
    if (text === '(') {
      if (generatedAt < 0 && before?.kind === 'word' && before.text === 'as') generatedAt = depth
      const isCall = TIME_FUNCTIONS.has(before?.text.toLowerCase() ?? '')
      if (generatedAt >= 0 && calledAt < 0 && isCall) calledAt = depth
      depth += 1
    } else if (text === ')') {
      depth -= 1
      if (depth === calledAt) calledAt = -1
      if (depth === generatedAt && !isIndex) generatedAt = -1
    }
  }
  return names
}
