import { ColmenaError } from '../base/errors.ts'
import type { Statement, Unit } from '../command/command.ts'
import { foreignKeysSetting } from '../sqlite/sqlite.ts'
import { type CallOptions, checkCallOptions } from './call-options.ts'
import { type BatchStatement, toStatements } from './statement.ts'

/** What a migration takes besides. */
export interface MigrateOptions extends CallOptions {
  /**
   * Whether every foreign key of the database must hold at its end. `false` is for a part of
   * something larger, such as an import, whose end checks: `PRAGMA foreign_key_check` lists what
   * leads nowhere. Until that is mended, no migration that checks goes through.
   *
   * @defaultValue true
   */
  readonly foreignKeyCheck?: boolean | undefined
}

/** In the place of a statement that sets it. */
const ASK_FOREIGN_KEYS: Statement = { sql: 'PRAGMA foreign_keys', args: [] }

/**
 * A migration as it goes into the log, and what else its call asks.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT
 */
export function toMigration(
  statements: readonly BatchStatement[],
  input: MigrateOptions | undefined,
): { readonly unit: Unit; readonly options: CallOptions } {
  const { foreignKeyCheck = true, ...others } = input ?? {}
  const options = checkCallOptions(typeof input === 'object' && input !== null ? others : input)
  if (typeof foreignKeyCheck !== 'boolean') {
    throw new ColmenaError('ERR_INVALID_ARGUMENT', 'foreignKeyCheck must be true or false')
  }
  const converted = toStatements(statements, 'migrate', options.exactNumbers)
  const asked = converted.map((statement) =>
    foreignKeysSetting(statement.sql) === null ? statement : ASK_FOREIGN_KEYS,
  )
  const foreignKeysUnchecked = !foreignKeyCheck
  return { options, unit: { statements: asked, foreignKeysOff: true, foreignKeysUnchecked } }
}
