import { isOwnName } from './allowed.ts'
import { refusal } from './failure.ts'
import { quoteName, tokenize } from './token.ts'

/** A savepoint of a user's transaction: set, given up with what is inside it, or gone back to. */
export interface SavepointStatement {
  readonly kind: 'savepoint' | 'release' | 'rollbackTo'
  readonly name: string
}

const BEGINS = /^\s*(savepoint|release|rollback)\b/i

/**
 * The savepoint that a statement's text names; null for every other statement, ROLLBACK of the
 * whole transaction included.
 *
 * @throws StatementFailure ERR_REFUSED_SQL for a name of ours.
 */
export function parseSavepoint(sql: string): SavepointStatement | null {
  if (!BEGINS.test(sql)) return null
  const tokens = tokenize(sql).filter(({ text }) => text !== ';')
  const words = tokens.map(({ text }) => text)
  const kind = words[0] === 'rollback' ? 'rollbackTo' : words[0]
  let at = 1
  if (kind === 'rollbackTo') {
    if (words[at] === 'transaction') at += 1
    if (words[at] !== 'to') return null
    at += 1
  }
  // SAVEPOINT may also be the name of one.
  if (kind !== 'savepoint' && words[at] === 'savepoint' && words.length > at + 1) at += 1
  const name = words[at]
  if (name === undefined || words.length > at + 1) return null
  if (isOwnName(name)) throw refusal(`savepoint ${name} is refused: that name is Colmena's own`)
  return { kind: kind as SavepointStatement['kind'], name }
}

export function savepointSql(kind: SavepointStatement['kind'], name: string): string {
  const quoted = quoteName(name)
  if (kind === 'savepoint') return `SAVEPOINT ${quoted}`
  return kind === 'release' ? `RELEASE ${quoted}` : `ROLLBACK TO ${quoted}`
}
