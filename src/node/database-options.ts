import { ColmenaError } from '../base/errors.ts'
import { isDatabaseName, SYSTEM } from '../database/database.ts'
import { show } from './arguments.ts'
import { type Consistency, checkConsistency } from './consistency.ts'
import { checkKeys } from './nearest.ts'
import { INT_MODES, type IntMode } from './result-set.ts'
import type { AskedSettings } from './write-call.ts'

export interface DatabaseOptions {
  /**
   * The level of reads that name none.
   *
   * @defaultValue that of `open`
   */
  readonly consistency?: Consistency | undefined
  /**
   * Whether `"text"` that names no column is a string, as in programs from before SQLite advised
   * against it. The write that makes the database decides, for good and on all nodes; asking for
   * the other value later is ERR_INVALID_OPTION. Left out, the database is taken as it is.
   *
   * @defaultValue false for a database that is made
   */
  readonly doubleQuotedStrings?: boolean | undefined
  /**
   * Whether all nodes keep the rows that change, so that `changes()` can be gone on with on any of
   * them, and after a restart. The write that makes the database decides, as above.
   *
   * @defaultValue false for a database that is made
   */
  readonly changes?: boolean | undefined
  /**
   * How integers are read, as libsql's option of the name: 'number', and one beyond 2^53 is
   * ERR_TOO_LARGE; 'bigint'; 'string'; or 'auto', a number where that is exact, else a bigint.
   *
   * @defaultValue 'auto'
   */
  readonly intMode?: IntMode | undefined
}

/** What a handle is made with, checked and complete. */
export interface DatabaseConfig extends AskedSettings {
  /** Of reads for which nothing else names a level. */
  readonly consistency: Consistency
  /** It wins over any scope; undefined where a scope may say. */
  readonly pinned?: Consistency | undefined
  readonly intMode: IntMode
}

const DATABASE_OPTIONS = ['consistency', 'doubleQuotedStrings', 'changes', 'intMode']

/** @throws ColmenaError ERR_INVALID_OPTION; ERR_INVALID_ARGUMENT for a level that there is not. */
export function checkDatabaseOptions(
  options: DatabaseOptions,
  defaultLevel: Consistency,
): DatabaseConfig {
  checkKeys(options, DATABASE_OPTIONS, invalidOption, ' of a database')
  const { consistency = defaultLevel, doubleQuotedStrings, changes, intMode = 'auto' } = options
  checkSetting('doubleQuotedStrings', doubleQuotedStrings)
  checkSetting('changes', changes)
  checkIntMode(intMode)
  checkConsistency(consistency, 'consistency')
  return { consistency, doubleQuotedStrings, changes, intMode }
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkDatabaseName(name: unknown): void {
  if (typeof name === 'string' && isDatabaseName(name) && name !== SYSTEM) return
  throw new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    `a database can't be called ${show(name)}: use 1 to 64 of a-z, 0-9, _ and -, and ` +
      `not '${SYSTEM}', which is the cluster's own`,
  )
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkSetting(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return
  throw invalidOption(`${name} is ${show(value)}; it can be true or false`)
}

function checkIntMode(value: unknown): void {
  if (INT_MODES.includes(value as IntMode)) return
  const modes = INT_MODES.map((mode) => `'${mode}'`).join(', ')
  throw invalidOption(`intMode is ${show(value)}; it can be ${modes}`)
}

function invalidOption(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
}
