import { refusal } from './failure.ts'
import type { Token } from './token.ts'

/** A PRAGMA statement, taken apart. */
export interface PragmaCall {
  /** In lower case. */
  readonly name: string
  /** What stands after `=` or in parentheses, without quotes; undefined where nothing does. */
  readonly value: string | undefined
}

/**
 * What becomes of a PRAGMA: a `read` runs anywhere, a `write` goes through the log, and `fixed` is
 * a setting that is Colmena's own: asking and setting both answer what is so and change nothing.
 */
export type PragmaKind = 'read' | 'write' | 'fixed'

/** Ask about the database or the engine; a value is refused. */
const ASKING: ReadonlySet<string> = new Set([
  'auto_vacuum',
  'collation_list',
  'compile_options',
  'data_version',
  'database_list',
  'encoding',
  'freelist_count',
  'function_list',
  'module_list',
  'page_count',
  'page_size',
  'pragma_list',
  'schema_version',
])

/** Ask, and may name a table, an index or a limit. */
const ASKING_OF: ReadonlySet<string> = new Set([
  'foreign_key_check',
  'foreign_key_list',
  'index_info',
  'index_list',
  'index_xinfo',
  'integrity_check',
  'quick_check',
  'table_info',
  'table_list',
  'table_xinfo',
])

/** Replicated: without a value a read, with one a write. */
const REPLICATED: ReadonlySet<string> = new Set([
  'application_id',
  'defer_foreign_keys',
  'user_version',
])

/** Settings of a connection that only affect speed or durability, which are ours to choose. */
const FIXED: ReadonlySet<string> = new Set([
  'analysis_limit',
  'automatic_index',
  'busy_timeout',
  'cache_size',
  'cache_spill',
  'cell_size_check',
  'checkpoint_fullfsync',
  'fullfsync',
  'journal_mode',
  'journal_size_limit',
  'locking_mode',
  'max_page_count',
  'mmap_size',
  'query_only',
  'read_uncommitted',
  'secure_delete',
  'synchronous',
  'temp_store',
  'threads',
  'wal_autocheckpoint',
])

/** Settings that change answers: they may be asked, and set to what they are. */
const MEANINGS: ReadonlyMap<string, 'on' | 'off'> = new Map([
  ['case_sensitive_like', 'off'],
  ['count_changes', 'off'],
  ['empty_result_callbacks', 'off'],
  ['foreign_keys', 'on'],
  ['full_column_names', 'off'],
  ['ignore_check_constraints', 'off'],
  ['legacy_alter_table', 'off'],
  ['recursive_triggers', 'off'],
  ['reverse_unordered_selects', 'off'],
  ['short_column_names', 'on'],
  ['trusted_schema', 'on'],
  ['writable_schema', 'off'],
])

const REASONS: ReadonlyMap<string, string> = new Map([
  ['optimize', 'what it does depends on the past of one connection; run ANALYZE'],
  ['wal_checkpoint', 'every node checkpoints by itself'],
  ['incremental_vacuum', 'it would change files on one node alone'],
  ['shrink_memory', 'connections are shared; the node manages their memory'],
  ['foreign_keys', 'foreign keys are enforced on every node alike'],
  ['writable_schema', 'it would let statements corrupt the schema of every node'],
])

/** The PRAGMA that `tokens` hold from `at` on, or undefined if they hold something else. */
export function parsePragma(tokens: readonly Token[], at = 0): PragmaCall | undefined {
  if (tokens[at]?.kind !== 'word' || tokens[at].text !== 'pragma') return undefined
  const nameAt = tokens[at + 2]?.text === '.' ? at + 3 : at + 1
  const name = tokens[nameAt]?.text.toLowerCase() ?? ''
  const opening = tokens[nameAt + 1]
  if (opening?.text !== '=' && opening?.text !== '(') return { name, value: undefined }
  const values = tokens.slice(nameAt + 2).filter((token) => !')(;'.includes(token.text))
  return { name, value: values.map((token) => token.text).join('') }
}

/** @throws StatementFailure ERR_REFUSED_SQL with the reason, for a PRAGMA in no table. */
export function judgePragma({ name, value }: PragmaCall): PragmaKind {
  if (ASKING_OF.has(name)) return 'read'
  if (FIXED.has(name)) return 'fixed'
  if (REPLICATED.has(name)) return value === undefined ? 'read' : 'write'
  if (value === undefined && (ASKING.has(name) || MEANINGS.has(name))) return 'read'
  const meaning = MEANINGS.get(name)
  if (meaning !== undefined && value !== undefined && switchOf(value) === meaning) return 'fixed'
  const reason = REASONS.get(name) ?? 'it would change one connection, or one node, alone'
  const shown = value === undefined ? name : `${name} = ${value}`
  throw refusal(`PRAGMA ${shown} is refused: ${reason}`)
}

/** Whether a pragma only asks, as when it is read through its table-valued function. */
export function isAskingPragma({ name, value }: PragmaCall): boolean {
  if (ASKING.has(name) || ASKING_OF.has(name)) return true
  return value === undefined && (FIXED.has(name) || REPLICATED.has(name) || MEANINGS.has(name))
}

/** As SQLite reads a switch; undefined for what it would take for something else. */
export function switchOf(value: string): 'on' | 'off' | undefined {
  if (/^(on|yes|true|1)$/i.test(value)) return 'on'
  return /^(off|no|false|0)$/i.test(value) ? 'off' : undefined
}
