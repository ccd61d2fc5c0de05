import { type Token, tokenize } from './token.ts'

/**
 * Splits a script into its statements, without their semicolons and without empty ones. A trigger's
 * body stays whole: as in SQLite's own shell, CREATE TRIGGER ends at the `;` after an END that
 * itself follows a `;`, so that the END of a CASE is not taken for it.
 */
export function splitStatements(sql: string): string[] {
  const statements: string[] = []
  let from = 0
  const tokens = tokenize(sql)
  for (const [first, end] of statementSpans(tokens)) {
    const last = tokens[end - 1]
    if (last !== undefined && end > first) {
      from = tokens[first]?.start ?? from
      statements.push(sql.slice(from, last.end))
    }
  }
  return statements
}

/** The number of statements in a text, up to `max`. */
export function countStatements(tokens: readonly Token[]): number {
  return statementSpans(tokens).length
}

/** The token ranges [first, end) of the statements, empty ones left out. */
function statementSpans(tokens: readonly Token[]): [first: number, end: number][] {
  const spans: [number, number][] = []
  let first = 0
  for (let at = 0; at < tokens.length; at += 1) {
    if (!isSemicolon(tokens[at])) continue
    if (isTrigger(tokens, first) && !endsTrigger(tokens, first, at)) continue
    if (at > first) spans.push([first, at])
    first = at + 1
  }
  if (tokens.length > first) spans.push([first, tokens.length])
  return spans
}

function isSemicolon(token: Token | undefined): boolean {
  return token?.kind === 'sign' && token.text === ';'
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text === word
}

function isTrigger(tokens: readonly Token[], first: number): boolean {
  let at = skipExplain(tokens, first)
  if (!isWord(tokens[at], 'create')) return false
  at += 1
  if (isWord(tokens[at], 'temp') || isWord(tokens[at], 'temporary')) at += 1
  return isWord(tokens[at], 'trigger')
}

function endsTrigger(tokens: readonly Token[], first: number, at: number): boolean {
  return at - 2 > first && isWord(tokens[at - 1], 'end') && isSemicolon(tokens[at - 2])
}

/** The position after EXPLAIN or EXPLAIN QUERY PLAN. */
export function skipExplain(tokens: readonly Token[], first: number): number {
  if (!isWord(tokens[first], 'explain')) return first
  return isWord(tokens[first + 1], 'query') ? first + 3 : first + 1
}
