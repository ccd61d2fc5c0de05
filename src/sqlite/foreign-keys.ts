import type { OwnStatements } from './connection.ts'
import { StatementFailure } from './failure.ts'
import { parsePragma, switchOf } from './pragma.ts'
import { tokenize } from './token.ts'

const SQLITE_CONSTRAINT_FOREIGNKEY = 787

/** Whether a writer's connection enforces foreign keys, as it does unless a unit asks otherwise. */
export class ForeignKeys {
  readonly #own: OwnStatements
  #areOn = true

  constructor(own: OwnStatements) {
    this.#own = own
  }

  /** Outside a transaction only: inside, SQLite ignores it. True where that changed anything. */
  enforce(areOn: boolean): boolean {
    if (areOn === this.#areOn) return false
    this.#own.get(`PRAGMA foreign_keys = ${areOn ? 'ON' : 'OFF'}`).run()
    this.#areOn = areOn
    return true
  }

  /** @throws StatementFailure if a row of any table refers to one that is not there. */
  check(): void {
    const found = this.#own.get('PRAGMA foreign_key_check').get()
    if (found === undefined) return
    const [table, , parent] = found as unknown as [string, bigint | null, string]
    throw new StatementFailure(
      'ERR_SQL',
      `FOREIGN KEY constraint failed: at the end a row of ${table} refers to a row of ${parent} ` +
        'that is not there',
      { sqliteCode: SQLITE_CONSTRAINT_FOREIGNKEY },
    )
  }
}

/** What a statement sets PRAGMA foreign_keys to, however it writes on and off; null for others. */
export function foreignKeysSetting(sql: string): string | null {
  const pragma = parsePragma(tokenize(sql))
  if (pragma?.name !== 'foreign_keys' || pragma.value === undefined) return null
  return switchOf(pragma.value) ?? pragma.value
}
