import type { DatabaseSync } from 'node:sqlite'
import { type Token, tokenize } from './token.ts'

/**
 * Tools that drop the tables they don't know must not find ours, and a statement must not copy
 * their names into a user's table. SQLite has no filter for its own list of tables, so each
 * connection has temporary views of it that leave ours out, and users' statements read those.
 */
const SCHEMA_VIEW = '_colmena_schema'
const TEMP_SCHEMA_VIEW = '_colmena_temp_schema'
const TABLE_LIST_VIEW = '_colmena_table_list'

const VIEWS: ReadonlyMap<string, string> = new Map([
  ['sqlite_master', SCHEMA_VIEW],
  ['sqlite_schema', SCHEMA_VIEW],
  ['sqlite_temp_master', TEMP_SCHEMA_VIEW],
  ['sqlite_temp_schema', TEMP_SCHEMA_VIEW],
  ['pragma_table_list', TABLE_LIST_VIEW],
])

const NAMES_LIST = /sqlite_(temp_)?(master|schema)|table_list/i
const OTHERS = "name NOT GLOB '_colmena_*'"
const OTHERS_OF_SCHEMA = `${OTHERS} AND tbl_name NOT GLOB '_colmena_*'`
const COLUMNS = 'type, name, tbl_name, rootpage, sql'
const CREATE_VIEWS =
  `CREATE TEMP VIEW ${SCHEMA_VIEW} AS ` +
  `SELECT ${COLUMNS} FROM main.sqlite_schema WHERE ${OTHERS_OF_SCHEMA};` +
  `CREATE TEMP VIEW ${TEMP_SCHEMA_VIEW} AS ` +
  `SELECT ${COLUMNS} FROM temp.sqlite_schema WHERE ${OTHERS_OF_SCHEMA};` +
  `CREATE TEMP VIEW ${TABLE_LIST_VIEW} AS SELECT * FROM pragma_table_list WHERE ${OTHERS}`

/** Words that may follow a table in FROM, and are then no other name for it. */
const CLAUSES: ReadonlySet<string> = new Set(
  (
    'cross except full group having indexed inner intersect join left limit natural not on order ' +
    'outer returning right union using where window'
  ).split(' '),
)

/** To be called once for a connection, before its guard is armed. */
export function createHidingViews(db: DatabaseSync): void {
  db.exec(CREATE_VIEWS)
}

/** Whether a name is that of a view that hides our tables, and not of one of our tables. */
export function isHidingView(name: string | null): boolean {
  return name === SCHEMA_VIEW || name === TEMP_SCHEMA_VIEW || name === TABLE_LIST_VIEW
}

/** Whether a table is SQLite's own list of tables, which our views stand for. */
export function isSchemaTable(name: string): boolean {
  return VIEWS.get(name) === SCHEMA_VIEW || VIEWS.get(name) === TEMP_SCHEMA_VIEW
}

/**
 * A user's statement with our views where it reads SQLite's lists of tables, under the names it
 * gave them: what it calls its columns, and what SQLite says of it, stay its own. What a schema
 * keeps (views and triggers) is left as it is.
 */
export function hideOwnTables(sql: string): string {
  if (!NAMES_LIST.test(sql)) return sql
  const tokens = tokenize(sql).filter(({ kind, text }) => kind !== 'sign' || text !== ';')
  const [first, second, third] = tokens
  if (first?.text === 'create' && second?.text !== 'table') return sql
  if (first?.text === 'pragma') {
    const name = third?.text === '.' ? tokens[3] : second
    const isWhole = name === tokens.at(-1) && name?.text.toLowerCase() === 'table_list'
    return isWhole ? `SELECT * FROM ${TABLE_LIST_VIEW}` : sql
  }
  let hidden = ''
  let at = 0
  for (let i = 0; i < tokens.length; i += 1) {
    const change = changeAt(sql, tokens, i)
    if (change === null) continue
    hidden += sql.slice(at, change.start) + change.text
    at = change.end
  }
  return hidden + sql.slice(at)
}

interface Change {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** What becomes of the token at `i`, and of a `main.` before it; null where it stays. */
function changeAt(sql: string, tokens: readonly Token[], i: number): Change | null {
  const token = tokens[i] as Token
  const view = VIEWS.get(token.text.toLowerCase())
  if (view === undefined || token.kind === 'blob' || token.kind === 'number') return null
  const isQualified = tokens[i - 1]?.text === '.'
  const schema = isQualified ? tokens[i - 2]?.text.toLowerCase() : undefined
  if (isQualified && schema !== 'main' && schema !== 'temp') return null
  const start = (isQualified ? tokens[i - 2] : token)?.start ?? token.start
  const name = sql.slice(token.start, token.end)
  // Before a column: the table has this name still, but in no schema.
  if (tokens[i + 1]?.text === '.') return { start, end: token.end, text: name }
  if (!isTable(tokens, isQualified ? i - 2 : i)) return null
  // As a function it takes a table's name, and without one it is the whole list.
  const isCall = tokens[i + 1]?.text === '('
  if (isCall && tokens[i + 2]?.text !== ')') return null
  const last = isCall ? i + 2 : i
  const end = tokens[last]?.end ?? token.end
  const shown = schema === 'temp' && view === SCHEMA_VIEW ? TEMP_SCHEMA_VIEW : view
  return { start, end, text: hasOtherName(tokens[last + 1]) ? shown : `${shown} AS ${name}` }
}

/** Whether the token at `i` begins the name of a table that is read. */
function isTable(tokens: readonly Token[], i: number): boolean {
  const before = tokens[i - 1]
  if (before?.kind === 'word') {
    if (before.text === 'join') return true
    return before.text === 'from' && tokens[i - 2]?.text !== 'delete'
  }
  return tokens[i]?.kind !== 'string' && (before?.text === ',' || before?.text === '(')
}

/** Whether what follows a table gives it another name, with or without AS. */
function hasOtherName(next: Token | undefined): boolean {
  if (next === undefined || next.kind === 'sign') return false
  return next.kind !== 'word' || !CLAUSES.has(next.text)
}
