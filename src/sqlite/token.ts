/** What a piece of SQL text is. */
export type TokenKind = 'word' | 'quoted' | 'string' | 'blob' | 'number' | 'parameter' | 'sign'

export interface Token {
  readonly kind: TokenKind
  /** A word in lower case, a name or string without its quotes, everything else as written. */
  readonly text: string
  /** Where it begins in the SQL, in UTF-16 units. */
  readonly start: number
  readonly end: number
}

const SPACE = /[ \t\n\f\r\uFEFF]/
const NAME_START = /[A-Za-z_\u0080-\uFFFF]/
const NAME = /[\w$\u0080-\uFFFF]/
const DIGIT = /[0-9]/

/**
 * Cuts SQL into tokens as SQLite's own tokenizer does, without space and comments. It never fails:
 * what is no SQL becomes signs, and SQLite says what is wrong with it.
 */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while ((at = skipSpace(sql, at)) < sql.length) {
    const token = readToken(sql, at)
    tokens.push(token)
    at = token.end
  }
  return tokens
}

function skipSpace(sql: string, from: number): number {
  let at = from
  for (;;) {
    const char = sql.charAt(at)
    if (char !== '' && SPACE.test(char)) at += 1
    else if (char === '-' && sql[at + 1] === '-') at = endOf(sql, '\n', at)
    // At the very end of the text SQLite takes it for two signs.
    else if (char === '/' && sql[at + 1] === '*' && at + 2 < sql.length) {
      at = endOf(sql, '*/', at + 2)
    } else return at
  }
}

/** Past the next `close`, or the end of the text where there is none. */
function endOf(sql: string, close: string, from: number): number {
  const found = sql.indexOf(close, from)
  return found < 0 ? sql.length : found + close.length
}

function readToken(sql: string, start: number): Token {
  const char = sql.charAt(start)
  if (char === "'") return quotedToken('string', sql, start, "'")
  if (char === '"' || char === '`') return quotedToken('quoted', sql, start, char)
  if (char === '[') {
    const end = endOf(sql, ']', start)
    return { kind: 'quoted', text: sql.slice(start + 1, end - 1), start, end }
  }
  if ((char === 'x' || char === 'X') && sql[start + 1] === "'") {
    const end = endOf(sql, "'", start + 2)
    return { kind: 'blob', text: sql.slice(start, end), start, end }
  }
  if (NAME_START.test(char)) {
    const end = endOfName(sql, start)
    return { kind: 'word', text: sql.slice(start, end).toLowerCase(), start, end }
  }
  if (DIGIT.test(char)) {
    const end = endOfName(sql, start)
    return { kind: 'number', text: sql.slice(start, end), start, end }
  }
  if (/[?:@$#]/.test(char)) return parameterToken(sql, start)
  return { kind: 'sign', text: char, start, end: start + 1 }
}

function endOfName(sql: string, start: number): number {
  let end = start + 1
  while (end < sql.length && NAME.test(sql.charAt(end))) end += 1
  return end
}

/** A doubled quote inside stands for itself. */
function quotedToken(kind: TokenKind, sql: string, start: number, quote: string): Token {
  let end = start + 1
  for (;;) {
    end = endOf(sql, quote, end)
    if (sql[end] !== quote) break
    end += 1
  }
  const isClosed = end > start + 1 && sql[end - 1] === quote
  const inner = sql.slice(start + 1, isClosed ? end - 1 : end)
  return { kind, text: inner.replaceAll(quote + quote, quote), start, end }
}

/** `?`, `?5`, `:name`, `@name`, `$name`, and `$name::part(anything without a space)`. */
function parameterToken(sql: string, start: number): Token {
  let end = start + 1
  let nameLength = 0
  for (; end < sql.length; end += 1) {
    const char = sql.charAt(end)
    if (NAME.test(char)) nameLength += 1
    else if (char === ':' && sql[end + 1] === ':') end += 1
    else break
  }
  if (nameLength > 0 && sql[end] === '(' && sql[start] !== '?') {
    const suffix = /^\([^\s)]*\)/.exec(sql.slice(end))
    if (suffix !== null) end += suffix[0].length
  }
  return { kind: 'parameter', text: sql.slice(start, end), start, end }
}

/** A name as SQL, whatever is in it. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
