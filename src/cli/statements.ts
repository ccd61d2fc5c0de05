/**
 * Cuts text into SQL statements as `sqlite3_complete` sees their ends: at a semicolon outside of
 * strings, names and comments, and in a CREATE TRIGGER only at the one behind its END.
 */
export class StatementSplitter {
  #text = ''
  /** Up to here the text was looked at, always at the start of a token. */
  #at = 0
  #phase: Phase = 'start'

  /** Takes more text; answers the statements that are complete by now, without their semicolons. */
  push(text: string): string[] {
    this.#text += text
    const statements: string[] = []
    let from = 0
    for (;;) {
      const end = endOfToken(this.#text, this.#at)
      if (end === null) break
      const token = this.#text.slice(this.#at, end)
      this.#at = end
      this.#phase = nextPhase(this.#phase, token)
      if (token !== ';' || this.#phase !== 'start') continue
      const statement = this.#text.slice(from, end - 1).trim()
      if (!isBlank(statement)) statements.push(statement)
      from = end
    }
    this.#text = this.#text.slice(from)
    this.#at -= from
    return statements
  }

  /** What no semicolon has ended yet; '' if that is blank. */
  get rest(): string {
    const rest = this.#text.trim()
    return isBlank(rest) ? '' : rest
  }
}

type Phase = 'start' | 'explain' | 'create' | 'normal' | 'trigger' | 'body' | 'end'

function nextPhase(phase: Phase, token: string): Phase {
  if (isSpace(token)) return phase
  if (token === ';') {
    if (phase === 'trigger' || phase === 'body') return 'body'
    return 'start'
  }
  const word = token.toUpperCase()
  switch (phase) {
    case 'start':
      if (word === 'EXPLAIN') return 'explain'
      return word === 'CREATE' ? 'create' : 'normal'
    case 'explain':
      if (word === 'CREATE') return 'create'
      return word === 'QUERY' || word === 'PLAN' ? 'explain' : 'normal'
    case 'create':
      if (word === 'TRIGGER') return 'trigger'
      return word === 'TEMP' || word === 'TEMPORARY' ? 'create' : 'normal'
    case 'body':
      return word === 'END' ? 'end' : 'trigger'
    case 'end':
      return 'trigger'
    default:
      return phase
  }
}

/** Where the token that begins at `at` ends; null if more text may belong to it. */
function endOfToken(text: string, at: number): number | null {
  const first = text[at]
  if (first === undefined) return null
  if (first === ';') return at + 1
  const closing = { "'": "'", '"': '"', '`': '`', '[': ']' }[first]
  if (closing !== undefined) return endBehind(text, closing, at + 1)
  const next = text[at + 1]
  if (first === '-' || first === '/') {
    if (next === undefined) return null
    if (first === '-' && next === '-') return endBehind(text, '\n', at + 2)
    if (first === '/' && next === '*') return endBehind(text, '*/', at + 2)
  }
  const run = (/\s/.test(first) ? SPACES : WORD) as RegExp
  run.lastIndex = at
  const found = run.exec(text)
  if (found === null) return at + 1
  // A word may go on in the next piece of text; space need not be told from more space.
  return run === WORD && run.lastIndex === text.length ? null : run.lastIndex
}

const SPACES = /\s+/y
const WORD = /[\p{L}\p{N}_$]+/uy

function endBehind(text: string, closing: string, from: number): number | null {
  const found = text.indexOf(closing, from)
  return found < 0 ? null : found + closing.length
}

function isSpace(token: string): boolean {
  return /^(\s|--|\/\*)/.test(token)
}

/** Nothing but space and comments. */
function isBlank(text: string): boolean {
  let at = 0
  while (at < text.length) {
    const end = endOfToken(`${text}\n`, at)
    const token = text.slice(at, end ?? text.length)
    if (!isSpace(token)) return false
    if (end === null) return true
    at = end
  }
  return true
}
