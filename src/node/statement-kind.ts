import type { Classification } from '../sqlite/sqlite.ts'
import { readFailure, type StatementPlace } from './failures.ts'

/** What begins so can only read, whatever tables there are. */
const READING_WORD = /^\s*(select|values|explain)\b/i

/**
 * Whether a statement is for this node's file. One that can't be prepared here may be right on the
 * leader, whose schema may be newer, so it goes into the log, unless it can be nothing but a read.
 */
export function reads(facts: Classification, sql: string, place: StatementPlace): boolean {
  if (facts.kind !== 'unknown') return facts.kind === 'read'
  if (facts.error.code === 'ERR_REFUSED_SQL') throw readFailure(facts.error, place)
  return READING_WORD.test(sql)
}
