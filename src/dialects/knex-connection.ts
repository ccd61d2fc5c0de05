import {
  ColmenaError,
  type Database,
  type InputStatement,
  type InputValue,
  type ResultSet,
  type Transaction,
} from '../index.ts'
import { type PlainRow, plainRows } from './rows.ts'

/** What Knex's statement came to. */
export interface KnexAnswer {
  readonly rows: readonly PlainRow[]
  readonly rowsAffected: number
  readonly lastInsertRowid: bigint | undefined
}

const NOTHING: KnexAnswer = { rows: [], rowsAffected: 0, lastInsertRowid: undefined }
const WRITING = /^\s*(create|alter|drop|insert|update|delete|replace)\b/i
const ANSWERING = /\breturning\b/i
const READING = /^\s*(select|values|explain|pragma)\b/i
const SETTING_FOREIGN_KEYS = /^\s*pragma\s+foreign_keys\s*[=(]\s*(\w+)/i
const ASKING_FOREIGN_KEYS = /^\s*pragma\s+foreign_keys\s*;?\s*$/i
const CHECKING_FOREIGN_KEYS = /^\s*pragma\s+foreign_key_check\s*;?\s*$/i
const WORD = /^\s*(begin|commit|rollback)\b(?!\s+(?:transaction\s+)?to\b)/i

/**
 * A connection as Knex knows it, which says BEGIN, COMMIT and `PRAGMA foreign_keys` by their text.
 *
 * To make a table anew Knex sets foreign keys off, and does the rest in a transaction. With foreign
 * keys off only `db.migrate` runs, so the statements of such a transaction are held until it is
 * committed, and go there together.
 */
export class KnexConnection {
  readonly #database: Database
  #transaction: Transaction | null = null
  #areForeignKeysOff = false
  /** Of a transaction with foreign keys off; null outside of one. */
  #held: InputStatement[] | null = null

  constructor(database: Database) {
    this.#database = database
  }

  async run(sql: string, args: readonly InputValue[]): Promise<KnexAnswer> {
    const [, word] = WORD.exec(sql) ?? []
    if (word !== undefined) {
      await this.#end(word.toLowerCase())
      return NOTHING
    }
    const [, setting] = SETTING_FOREIGN_KEYS.exec(sql) ?? []
    if (setting !== undefined) {
      // In a transaction it sets nothing, as in SQLite.
      const isInside = this.#transaction !== null || this.#held !== null
      if (!isInside) this.#areForeignKeysOff = /^(off|no|false|0)$/i.test(setting)
      return NOTHING
    }
    if (ASKING_FOREIGN_KEYS.test(sql)) {
      return { ...NOTHING, rows: [{ foreign_keys: this.#areForeignKeysOff ? 0 : 1 }] }
    }
    if (this.#held !== null) return this.#hold(this.#held, sql, args)
    return toAnswer(await this.#execute(sql, args))
  }

  /** Takes back what was not committed. */
  close(): void {
    this.#transaction?.close()
    this.#transaction = null
    this.#held = null
  }

  async #end(word: string): Promise<void> {
    if (word === 'begin') {
      if (this.#areForeignKeysOff) this.#held = []
      else this.#transaction = await this.#database.transaction('write')
      return
    }
    const transaction = this.#transaction
    const held = this.#held
    this.#transaction = null
    this.#held = null
    if (word === 'rollback') await transaction?.rollback()
    else if (held !== null && held.length > 0) await this.#database.migrate(held)
    else await transaction?.commit()
  }

  async #execute(sql: string, args: readonly InputValue[]): Promise<ResultSet> {
    if (this.#transaction !== null) return this.#transaction.execute(sql, args)
    if (!this.#areForeignKeysOff || READING.test(sql)) return this.#database.execute(sql, args)
    const [result] = await this.#database.migrate([{ sql, args }])
    return result as ResultSet
  }

  async #hold(
    held: InputStatement[],
    sql: string,
    args: readonly InputValue[],
  ): Promise<KnexAnswer> {
    // At the end of a migration every foreign key is checked in any case.
    if (CHECKING_FOREIGN_KEYS.test(sql)) return NOTHING
    if (WRITING.test(sql) && !ANSWERING.test(sql)) {
      held.push({ sql, args })
      return NOTHING
    }
    if (held.length === 0 && READING.test(sql)) {
      return toAnswer(await this.#database.execute(sql, args))
    }
    throw new ColmenaError(
      'ERR_REFUSED_SQL',
      'the statements of a transaction with foreign keys off run together at its end, so in it ' +
        `nothing is answered, but for reads at its beginning: ${sql}`,
    )
  }
}

function toAnswer(result: ResultSet): KnexAnswer {
  const { rowsAffected, lastInsertRowid } = result
  return { rows: plainRows(result), rowsAffected, lastInsertRowid }
}
