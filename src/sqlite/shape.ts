import { isOwnName } from './allowed.ts'
import { refusal } from './failure.ts'
import { dependsOnPresent, TIME_FUNCTIONS } from './frozen.ts'
import { Parameters } from './parameters.ts'
import { judgePragma, type PragmaCall, type PragmaKind, parsePragma } from './pragma.ts'
import { countStatements, skipExplain } from './script.ts'
import { type Token, tokenize } from './token.ts'

/** What the text of one statement says, before SQLite looks at it. */
export interface StatementShape {
  /** The first word, in lower case, EXPLAIN aside. */
  readonly keyword: string
  readonly isExplain: boolean
  readonly pragma: { readonly call: PragmaCall; readonly kind: PragmaKind } | undefined
  /** CREATE, ALTER, DROP, ANALYZE or REINDEX. */
  readonly isSchemaStatement: boolean
  /** Builds an index or a column from rows that are there already. */
  readonly buildsIndex: boolean
  /** Names the largest rowid in its text. */
  readonly namesLargestRowid: boolean
  readonly namesDeferral: boolean
  readonly parameters: Parameters
  /** Holds the string 'integrity-check', a command to full-text tables. */
  readonly namesIntegrityCheck: boolean
}

const SCHEMA_KEYWORDS: ReadonlySet<string> = new Set([
  'alter',
  'analyze',
  'create',
  'drop',
  'reindex',
])

const REFUSED_KEYWORDS: ReadonlyMap<string, string> = new Map([
  ['attach', 'ATTACH is refused: a database is made by node.database(name)'],
  ['detach', 'DETACH is refused: a database is removed by node.dropDatabase(name)'],
  ['vacuum', 'VACUUM is refused: it renumbers rows on one node alone; use node.compact()'],
  ['begin', 'BEGIN is refused: use db.transaction(), or pass the statements to batch()'],
  ['commit', 'COMMIT is refused: use db.transaction(), or pass the statements to batch()'],
  ['end', 'END is refused: use db.transaction(), or pass the statements to batch()'],
  ['rollback', 'ROLLBACK is refused: use db.transaction(), or pass the statements to batch()'],
  ['savepoint', 'SAVEPOINT is refused: use db.transaction(), or pass the statements to batch()'],
  ['release', 'RELEASE is refused: use db.transaction(), or pass the statements to batch()'],
])

const LARGEST_ROWID = '9223372036854775807'
const LARGEST_ROWID_HEX = /^0x0*7fffffffffffffff$/i

/**
 * Reads the shape of a statement's text and refuses what the text alone shows to be refused. The
 * authorizer is the authority on what a statement does; this says it in better words, and sees the
 * few things that it is not told of (VACUUM, several statements, new names, expressions in
 * indexes). With `doubleQuotedStrings` a quoted name may be a string as well.
 *
 * @throws StatementFailure ERR_REFUSED_SQL or ERR_NON_DETERMINISTIC_SQL with the reason.
 */
export function readShape(sql: string, doubleQuotedStrings: boolean): StatementShape {
  if (sql.includes('\0')) throw refusal('the SQL holds a NUL character, where SQLite stops reading')
  const tokens = tokenize(sql)
  const isString = ({ kind }: Token): boolean =>
    kind === 'string' || (doubleQuotedStrings && kind === 'quoted')
  const count = countStatements(tokens)
  if (count === 0) throw refusal('the SQL holds no statement')
  if (count > 1) {
    throw refusal('the SQL holds several statements: use executeMultiple() or batch()')
  }
  const leading = tokens.findIndex((token) => token.text !== ';')
  const first = skipExplain(tokens, leading)
  const keyword = tokens[first]?.text.toLowerCase() ?? ''
  const refused = REFUSED_KEYWORDS.get(keyword)
  if (refused !== undefined) throw refusal(refused)
  refuseOwnNames(tokens, SCHEMA_KEYWORDS.has(keyword))
  if (keyword === 'create' || keyword === 'alter') {
    refuseUnstableExpressions(tokens, first, isString)
  }
  const pragma = parsePragma(tokens, first)
  const has = (test: (token: Token) => boolean) => tokens.some(test)
  return {
    keyword,
    isExplain: first > leading,
    pragma: pragma && { call: pragma, kind: judgePragma(pragma) },
    isSchemaStatement: SCHEMA_KEYWORDS.has(keyword),
    buildsIndex: keyword === 'reindex' || keyword === 'alter' || createsIndex(tokens, first),
    namesLargestRowid: has(
      ({ text }) => text.includes(LARGEST_ROWID) || LARGEST_ROWID_HEX.test(text),
    ),
    parameters: new Parameters(tokens),
    namesDeferral: has(({ kind, text }) => kind === 'word' && text.startsWith('deferr')),
    namesIntegrityCheck: has(
      (token) => isString(token) && token.text.toLowerCase() === 'integrity-check',
    ),
  }
}

/** Schema statements are let off nothing: SQLite takes strings for names in them. */
function refuseOwnNames(tokens: readonly Token[], isSchemaStatement: boolean): void {
  for (const { kind, text } of tokens) {
    const isName = kind === 'word' || kind === 'quoted' || (isSchemaStatement && kind === 'string')
    if (isName && isOwnName(text)) throw refusal(ownNameMessage(text))
  }
}

export function ownNameMessage(name: string): string {
  return `${name} is refused: names that begin with _colmena_ are Colmena's own`
}

function createsIndex(tokens: readonly Token[], first: number): boolean {
  const word = tokens[first + 1]?.text
  return word === 'index' || (word === 'unique' && tokens[first + 2]?.text === 'index')
}

/**
 * SQLite refuses the present in indexes and generated columns itself, but not where it has been
 * overridden by a function that counts as deterministic: the index would be corrupt on every node.
 */
function refuseUnstableExpressions(
  tokens: readonly Token[],
  first: number,
  isString: (token: Token) => boolean,
): void {
  if (createsIndex(tokens, first)) {
    refuseUnstableCalls(tokens, first, tokens.length, isString)
    return
  }
  const isAlter = tokens[first]?.text === 'alter'
  if (!isAlter && !createsTable(tokens, first)) return
  for (let at = first, depth = 0; at < tokens.length; at += 1) {
    const token = tokens[at]
    if (token?.kind === 'sign' && token.text === '(') depth += 1
    else if (token?.kind === 'sign' && token.text === ')') depth -= 1
    else if (token?.kind === 'word' && token.text === 'as' && tokens[at + 1]?.text === '(') {
      // Outside the parentheses it is CREATE TABLE … AS (SELECT …), which runs once.
      if (!isAlter && depth === 0) continue
      refuseUnstableCalls(tokens, at + 2, closingOf(tokens, at + 1), isString)
    }
  }
}

/** CREATE TABLE with columns of its own, not AS SELECT. */
function createsTable(tokens: readonly Token[], first: number): boolean {
  const opening = tokens.findIndex(({ kind, text }) => kind === 'sign' && text === '(')
  const select = tokens.findIndex(({ kind, text }) => kind === 'word' && text === 'as')
  return tokens[first + 1]?.text === 'table' && opening >= 0 && (select < 0 || opening < select)
}

function closingOf(tokens: readonly Token[], opening: number): number {
  let depth = 0
  for (let at = opening; at < tokens.length; at += 1) {
    const { kind, text } = tokens[at]!
    if (kind !== 'sign') continue
    if (text === '(') depth += 1
    else if (text === ')' && (depth -= 1) === 0) return at
  }
  return tokens.length
}

const PRESENT: ReadonlySet<string> = new Set(['now', 'subsec', 'subsecond', 'localtime', 'utc'])

function refuseUnstableCalls(
  tokens: readonly Token[],
  from: number,
  to: number,
  isString: (token: Token) => boolean,
): void {
  for (let at = from; at < to; at += 1) {
    const name = tokens[at]!
    const isName = name.kind === 'word' || name.kind === 'quoted'
    const called = name.text.toLowerCase()
    if (!isName || !TIME_FUNCTIONS.has(called) || tokens[at + 1]?.text !== '(') continue
    const inside = tokens.slice(at + 2, closingOf(tokens, at + 1))
    const namesPresent = inside.some(
      (token) => isString(token) && PRESENT.has(token.text.toLowerCase()),
    )
    // strftime of a format alone is the present.
    const isBareFormat = called === 'strftime' && !inside.some(({ text }) => text === ',')
    if (namesPresent || isBareFormat) throw dependsOnPresent(`${called}()`)
  }
}
